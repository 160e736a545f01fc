"""systemd's manager over D-Bus, as far as the kubelet and runc use it: start and stop units, set properties."""

from collections import deque
from collections.abc import Mapping

from jeepney import DBusAddress, DBusErrorResponse, MatchRule, Message, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection

Properties = Mapping[str, tuple[str, object]]  # name → D-Bus signature, value
_SYSTEMD = "org.freedesktop.systemd1"
_MANAGER = DBusAddress("/org/freedesktop/systemd1", bus_name=_SYSTEMD, interface=f"{_SYSTEMD}.Manager")
_JOB_REMOVED = MatchRule(type="signal", interface=f"{_SYSTEMD}.Manager", member="JobRemoved")
_DEADLINE_S = 60


class SystemdError(Exception):
    """systemd refused, or a job of it did not end well."""


class Bus:
    """One connection; every call waits until systemd is done."""

    def __init__(self) -> None:
        self._connection: DBusConnection = open_dbus_connection("SYSTEM")
        self._ask(message_bus.AddMatch(_JOB_REMOVED))
        self._call("Subscribe", "", ())

    def start(self, unit: str, properties: Properties) -> None:
        """Start a transient unit; one that is there already stays as it is."""
        try:
            self._job("StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, "replace", list(properties.items()), []))
        except DBusErrorResponse as error:
            if error.name != f"{_SYSTEMD}.UnitExists":
                raise SystemdError(f"{unit}: {error}") from error

    def set(self, unit: str, properties: Properties) -> None:
        """Set properties until the next boot."""
        self._call("SetUnitProperties", "sba(sv)", (unit, True, list(properties.items())))

    def stop(self, unit: str) -> None:
        """Stop a unit; one that is gone already is as good."""
        try:
            self._job("StopUnit", "ss", (unit, "replace"))
        except DBusErrorResponse as error:
            if error.name != f"{_SYSTEMD}.NoSuchUnit":
                raise SystemdError(f"{unit}: {error}") from error

    def _job(self, method: str, signature: str, body: tuple[object, ...]) -> None:
        ended: deque[Message] = deque()
        with self._connection.filter(_JOB_REMOVED, queue=ended):
            (job,) = self._call(method, signature, body)
            while True:
                signal = self._connection.recv_until_filtered(ended, timeout=_DEADLINE_S)
                _, path, unit, result = signal.body
                if path == job:
                    break
        if result != "done":
            raise SystemdError(f"{method} {unit}: {result}")

    def _call(self, method: str, signature: str, body: tuple[object, ...]) -> tuple[object, ...]:
        return self._ask(new_method_call(_MANAGER, method, signature, body))

    def _ask(self, message: Message) -> tuple[object, ...]:
        reply = self._connection.send_and_get_reply(message, timeout=_DEADLINE_S)
        if reply.header.message_type is MessageType.error:
            raise DBusErrorResponse(reply)
        return tuple(reply.body)
