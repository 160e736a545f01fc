"""States that no kernel should be in and some get into. The model names them and goes no further.

A test of the write protocol that meets one has failed; the differential test keeps out the steps that would lead there.
"""

from enum import Enum

from pinfold.cpuset import CpuSet

from .tree import Machine


class Fault(Enum):
    """By what would be read: `docs/kernel.md` says which write gets which kernel there."""

    HALF_INVALID = "a remote partition reads invalid and still holds its CPUs"
    GIVES_WHAT_IT_LACKS = "an invalid partition gives back CPUs that it does not hold"
    SHARED = "two partitions run on one CPU"
    LOST = "a CPU belongs to nobody"


class FaultyState(Exception):  # noqa: N818 - a state, not an error of the model
    """The world it came from is spoilt: work on a copy."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def check(machine: Machine) -> None:
    """Raise FaultyState where partitions share a CPU, lose one, or one is half invalid."""
    seen = CpuSet()
    for group in machine.root.walk():
        if group.remote and not group.valid:
            raise FaultyState(Fault.HALF_INVALID)
        if group.valid:
            if group.effective & seen:
                raise FaultyState(Fault.SHARED)
            seen |= group.effective
    if seen != machine.active:
        raise FaultyState(Fault.LOST)
