"""systemd's manager over D-Bus, as far as Pinfold uses it: properties set until the next boot.

Needs jeepney (the extra ``dbus``) and the host's /run/dbus. Every fault is a `BusError` with a sentence.
"""

from collections.abc import Mapping
from typing import Any

from pinfold.cgroups.systemd_properties import Property, encoded
from pinfold.errors import PinfoldError

SYSTEMD_MOUNT = "/sys/fs/cgroup"
"""The only cgroup2 mount whose slices are systemd's."""
_SYSTEMD = "org.freedesktop.systemd1"
_GONE = frozenset({f"{_SYSTEMD}.NoSuchUnit", f"{_SYSTEMD}.UnitNotLoaded"})
_DEADLINE_S = 25.0
"""systemd answers nobody while it reloads."""


class BusError(PinfoldError):
    """systemd cannot be asked, or says no."""


class UnitRefusedError(BusError):
    """systemd said no to one unit."""


class SystemdBus:
    """One connection, made when it is first needed and again after a fault."""

    def __init__(self) -> None:
        self._connection: Any = None

    def reach(self) -> None:
        """Connect, where there is no connection. Raises BusError."""
        try:
            import jeepney
            from jeepney.io.blocking import open_dbus_connection
        except ImportError as error:
            raise BusError("systemd's bus needs the Python package jeepney: pip install 'pinfold[dbus]'") from error
        try:
            self._connection = self._connection or open_dbus_connection("SYSTEM")
        except (OSError, EOFError, ValueError, RuntimeError, jeepney.AuthenticationError) as error:
            raise BusError(f"systemd's bus cannot be reached: {str(error) or type(error).__name__}") from error

    def set(self, unit: str, properties: Mapping[Property, str]) -> None:
        """Set properties of *unit* until the next boot; a unit that is gone is no fault. Raises BusError."""
        values = [(name.value, encoded(name, text)) for name, text in properties.items()]
        reply = self._ask("SetUnitProperties", "sba(sv)", (unit, True, values))
        if (fault := _fault(reply)) and fault[0] not in _GONE:
            raise UnitRefusedError(f"systemd did not take {', '.join(properties)} of {unit}: {fault[1]}")

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _ask(self, method: str, signature: str, body: tuple[object, ...]) -> Any:  # noqa: ANN401  jeepney's message
        self.reach()
        import jeepney

        manager = jeepney.DBusAddress("/org/freedesktop/systemd1", bus_name=_SYSTEMD, interface=f"{_SYSTEMD}.Manager")
        message = jeepney.new_method_call(manager, method, signature, body)
        try:
            return self._connection.send_and_get_reply(message, timeout=_DEADLINE_S)
        except (OSError, EOFError, ValueError, RuntimeError) as error:
            self.close()
            raise BusError(f"systemd's bus does not answer: {str(error) or type(error).__name__}") from error


def _fault(reply: Any) -> tuple[str, str] | None:  # noqa: ANN401
    """The error's name and text, where the reply is one. Source: D-Bus specification, ERROR_NAME is header field 4."""
    names = {int(field): value for field, value in reply.header.fields.items()}
    return (names[4], str(reply.body[0] if reply.body else "")) if 4 in names else None
