"""systemd's properties set from a thread: told once, told again where somebody wrote, and given back."""

import threading
from collections.abc import Mapping

import pytest

from pinfold.agent.systemd_units import SystemdUnits, tell
from pinfold.cgroups.systemd_bus import BusError, SystemdBus, UnitRefusedError
from pinfold.cgroups.systemd_properties import Property

POD = "kubepods-poda.slice"
LOW, CPUS = (POD, Property.MEMORY_LOW), (POD, Property.ALLOWED_CPUS)
PATIENCE_S = 30.0


class _Bus:
    """systemd, as far as it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[Property, str]]] = []
        self.fault = ""
        self.reloading = threading.Event()
        self.reloading.set()

    def reach(self) -> None:
        if self.fault:
            raise BusError(self.fault)

    def set(self, unit: str, properties: Mapping[Property, str], /) -> frozenset[Property]:
        assert self.reloading.wait(PATIENCE_S)
        self.told.append((unit, dict(properties)))
        return frozenset(properties)

    def close(self) -> None:
        """Nothing is open."""


class _Units(SystemdUnits):
    def __init__(self, bus: _Bus) -> None:
        super().__init__(lambda: None, bus)
        self._done = threading.Semaphore(0)

    def settle(self) -> None:
        """Until what was asked for last is done."""
        assert self._done.acquire(timeout=PATIENCE_S)

    def _do(self, *asked: object) -> bool:
        try:
            return super()._do(*asked)  # type: ignore[arg-type]
        finally:
            self._done.release()


def test_a_property_is_told_once_and_again_where_somebody_wrote() -> None:
    bus = _Bus()
    units = _Units(bus)
    units.ask({LOW: "4096", CPUS: "2-3"}, {})
    units.settle()
    assert bus.told == [(POD, {Property.MEMORY_LOW: "4096", Property.ALLOWED_CPUS: "2-3"})], "one call a unit"
    units.ask({LOW: "4096", CPUS: "2-3"}, {})
    units.ask({LOW: "8192", CPUS: "2-3"}, {})
    units.settle()
    assert bus.told[1:] == [(POD, {Property.MEMORY_LOW: "8192"})]
    units.ask({LOW: "8192", CPUS: "2-3"}, {}, {POD})
    units.settle()
    assert bus.told[2:] == [(POD, {Property.MEMORY_LOW: "8192", Property.ALLOWED_CPUS: "2-3"})]
    units.close()


def test_what_was_given_back_is_told_to_the_loop_once() -> None:
    units = _Units(_Bus())
    units.ask({}, {CPUS: ""})
    units.settle()
    assert units.returned() == {CPUS}
    assert units.returned() == frozenset()
    units.close()


def test_a_bus_that_is_away_is_told_and_tried_again_when_the_loop_asks() -> None:
    bus = _Bus()
    bus.fault = "systemd's bus cannot be reached: no such file"
    units = _Units(bus)
    units.ask({LOW: "4096"}, {CPUS: ""})
    units.settle()
    assert bus.fault in units.warnings()[0]
    assert units.returned() == frozenset()
    bus.fault = ""
    units.ask({LOW: "4096"}, {CPUS: ""})
    units.settle()
    assert bus.told == [(POD, {Property.ALLOWED_CPUS: "", Property.MEMORY_LOW: "4096"})]
    assert units.warnings() == ()
    units.close()


def test_the_loop_does_not_wait_while_systemd_reloads_and_only_its_last_word_counts() -> None:
    bus = _Bus()
    bus.reloading.clear()
    units = _Units(bus)
    for size in ("1", "2", "3"):
        units.ask({LOW: size}, {})
    bus.reloading.set()
    units.settle()
    while not bus.told or bus.told[-1] != (POD, {Property.MEMORY_LOW: "3"}):
        units.settle()
    assert len(bus.told) <= 2
    units.close()


def test_a_unit_that_systemd_refuses_keeps_no_other_from_being_told() -> None:
    class Picky(_Bus):
        def set(self, unit: str, properties: Mapping[Property, str], /) -> frozenset[Property]:
            if unit == POD:
                raise UnitRefusedError(f"systemd did not take {unit}")
            return super().set(unit, properties)

    bus = Picky()
    with pytest.raises(UnitRefusedError):
        tell(bus, {LOW: "1", ("kubepods.slice", Property.MEMORY_LOW): "1"})
    assert [unit for unit, _ in bus.told] == ["kubepods.slice"]


def test_nothing_is_told_before_systemd_is_known_to_hear() -> None:
    bus = _Bus()
    bus.fault = "systemd's bus cannot be reached"
    units = _Units(bus)
    units.probe()
    units.settle()
    before = units.reached
    bus.fault = ""
    units.probe()
    units.settle()
    assert (before, units.reached, bus.told) == (False, True, [])
    units.close()


def test_where_there_is_no_bus_the_fault_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
    with pytest.raises(BusError, match="cannot be reached"):
        SystemdBus().set(POD, {Property.MEMORY_LOW: "0"})
