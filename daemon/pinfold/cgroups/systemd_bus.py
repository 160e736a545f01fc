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
_PATH, _MANAGER = "/org/freedesktop/systemd1", f"{_SYSTEMD}.Manager"
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

    def set(self, unit: str, properties: Mapping[Property, str]) -> frozenset[Property]:
        """Have *unit* hold properties until the next boot; those that it did not hold. Raises BusError.

        A unit that is gone is no fault.
        What it holds is not set again: for each call systemd writes all files of the unit anew, cpu.max among them.
        """
        held = self._held(unit)
        wanted = {name: encoded(name, text) for name, text in properties.items()}
        fresh = {name: value for name, value in wanted.items() if _plain(held.get(name)) != value}
        if not fresh:
            return frozenset()
        values = [(name.value, value) for name, value in fresh.items()]
        reply = self._ask(_PATH, _MANAGER, "SetUnitProperties", "sba(sv)", (unit, True, values))
        if (fault := _fault(reply)) and fault[0] not in _GONE:
            raise UnitRefusedError(f"systemd did not take {', '.join(fresh)} of {unit}: {fault[1]}")
        return frozenset(fresh)

    def _held(self, unit: str) -> Mapping[str, tuple[str, object]]:
        """The properties of a slice, as D-Bus has them; none where it is gone. Raises BusError."""
        found = self._ask(_PATH, _MANAGER, "GetUnit", "s", (unit,))
        if _fault(found):
            return {}
        said = self._ask(found.body[0], "org.freedesktop.DBus.Properties", "GetAll", "s", (f"{_SYSTEMD}.Slice",))
        return {} if _fault(said) else dict(said.body[0])

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _ask(self, path: str, interface: str, method: str, signature: str, body: tuple[object, ...]) -> Any:  # noqa: ANN401  jeepney's message
        self.reach()
        import jeepney

        address = jeepney.DBusAddress(path, bus_name=_SYSTEMD, interface=interface)
        message = jeepney.new_method_call(address, method, signature, body)
        try:
            return self._connection.send_and_get_reply(message, timeout=_DEADLINE_S)
        except (OSError, EOFError, ValueError, RuntimeError) as error:
            self.close()
            raise BusError(f"systemd's bus does not answer: {str(error) or type(error).__name__}") from error


def _plain(value: tuple[str, object] | None) -> tuple[str, object] | None:
    """As `encoded` has it: systemd fills masks up with zeros."""
    return (value[0], value[1].rstrip(b"\0")) if value and isinstance(value[1], bytes) else value


def _fault(reply: Any) -> tuple[str, str] | None:  # noqa: ANN401
    """The error's name and text, where the reply is one. Source: D-Bus specification, ERROR_NAME is header field 4."""
    names = {int(field): value for field, value in reply.header.fields.items()}
    return (names[4], str(reply.body[0] if reply.body else "")) if 4 in names else None
