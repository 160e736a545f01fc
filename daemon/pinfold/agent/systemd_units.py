"""The properties of systemd's slices, set by a thread of its own: while systemd reloads it answers nobody for seconds.

The loop asks and goes on; what came of it is one immutable value. What is asked for was written into the kernel before
and is on disk as ours, so nothing depends on when it is done.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

import structlog

from pinfold.cgroups.systemd_bus import BusError, SystemdBus, UnitRefusedError
from pinfold.cgroups.systemd_properties import Place, Property, Values

log = structlog.get_logger()


class Bus(Protocol):
    """`SystemdBus`, or what plays it."""

    def reach(self) -> None: ...

    def set(self, unit: str, properties: Mapping[Property, str], /) -> frozenset[Property]: ...

    def close(self) -> None: ...


def tell(bus: Bus, values: Values) -> set[Place]:
    """One call a unit; what did not stand there. Raises BusError; one that systemd refuses keeps no other from it."""
    refused: UnitRefusedError | None = None
    told: set[Place] = set()
    for unit in dict.fromkeys(unit for unit, _ in values):
        try:
            fresh = bus.set(unit, {name: text for (one, name), text in values.items() if one == unit})
            told |= {(unit, name) for name in fresh}
        except UnitRefusedError as error:
            refused = error
    if refused:
        raise refused
    return told


class SystemdUnits:
    """Starts its thread when it is first asked for something."""

    def __init__(self, wake: Callable[[], None], bus: Bus | None = None) -> None:
        self._wake = wake
        self._bus: Bus = bus or SystemdBus()
        self._asked: tuple[Values, Values, frozenset[str]] | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._set: Values = {}
        self._returned: frozenset[Place] = frozenset()
        self._fault = ""
        self.reached = False
        """Whether systemd has ever answered this process: before, nothing is asked for, and nothing need be on disk."""

    def probe(self) -> None:
        """Find out whether systemd can be told at all; the loop is woken where it can."""
        self._hand_over({}, {}, frozenset())

    def ask(self, wanted: Values, back: Values, again: Iterable[str] = ()) -> None:
        """Have *wanted* set, and *back* given back. *again*: units whose files somebody else wrote to since."""
        units = frozenset(again)
        if not (units or back or self._fault or _lacking(wanted, self._set)):
            return
        self._hand_over(wanted, back, units)

    def _hand_over(self, wanted: Values, back: Values, units: frozenset[str]) -> None:
        with self._changed:
            self._asked = wanted, back, units
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="systemd-units", daemon=True)
            self._thread.start()

    def returned(self) -> frozenset[Place]:
        """What was given back since the last call: it is not ours any more."""
        with self._changed:
            returned, self._returned = self._returned, frozenset()
        return returned

    def warnings(self) -> tuple[str, ...]:
        """Why systemd could not be told; it is tried again whenever the loop asks."""
        told = f"{self._fault}. What systemd empties is written again at once; with its bus it would stay"
        return (told,) if self._fault else ()

    def close(self) -> None:
        """What was asked for and is not done yet is done by the next daemon."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread:
            self._thread.join(timeout=1.0)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._asked is not None)
                if self._closing or self._asked is None:
                    break
                (wanted, back, again), self._asked = self._asked, None
            if self._do(wanted, back, again):
                self._wake()
        self._bus.close()

    def _do(self, wanted: Values, back: Values, again: Collection[str]) -> bool:
        """Whether the loop should look: something was given back, or the bus is reached or lost."""
        stands = {place: text for place, text in self._set.items() if place in wanted and place[0] not in again}
        fresh, before, first = _lacking(wanted, stands), self._fault, not self.reached
        try:
            self._bus.reach()
            self.reached = True
            told = tell(self._bus, {**back, **fresh})
        except BusError as error:
            if str(error) != before:
                log.warning("systemd.unreachable", reason=str(error), remedy="mount /run/dbus, install jeepney")
            self._set, self._fault = stands, str(error)
            return str(error) != before
        for unit, name in sorted(told & fresh.keys()):
            text = fresh[unit, name]
            log.info("systemd.property_set", unit=unit, property=name.value, want=text)
        with self._changed:
            self._set, self._fault = {**stands, **fresh}, ""
            self._returned |= back.keys()
        return bool(back or before or first)


def _lacking(wanted: Values, stands: Values) -> dict[Place, str]:
    return {place: text for place, text in wanted.items() if stands.get(place) != text}
