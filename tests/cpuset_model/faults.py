"""States that no kernel should be in and some get into. The model names them and goes no further.

A test of the write protocol that meets one has failed; the differential test keeps out the steps that would lead there.
"""

from enum import Enum

from pinfold.cpuset import CpuSet

from .tree import Cgroup, Machine
from .words import State


class Fault(Enum):
    """By what would be read: `docs/kernel.md` says which write gets which kernel there."""

    HALF_INVALID = "a remote partition reads invalid and still holds its CPUs"
    GIVES_WHAT_IT_LACKS = "an invalid partition gives back CPUs that it does not hold"
    TAKES_WHAT_IS_NOT_THERE = "a partition takes CPUs that the one it takes from does not have"
    NESTED = "a nested partition is valid again with CPUs that its parent does not have"
    RUNS_ELSEWHERE = "a partition that its parent turned valid runs on the CPUs of a sibling"
    NOTHING_TO_BALANCE = "a balanced partition has only CPUs under isolcpus=: the kernel panics soon"
    ABOVE_REMOTE = "a partition lies above a remote one"
    LEFT_BEHIND = "a task that moved keeps the CPUs of where it was: of those it asked for only offline ones are left"
    SHARED = "two partitions run on one CPU"
    WRONGLY_ISOLATED = "cpuset.cpus.isolated is not what isolated partitions hold"
    LOST = "a CPU belongs to nobody"


class FaultyState(Exception):  # noqa: N818 - a state, not an error of the model
    """The world it came from is spoilt: work on a copy."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def check(machine: Machine) -> None:
    """Raise FaultyState where partitions share a CPU or lose one, or where one is half of what it seems."""
    seen = isolated = CpuSet()
    for group in machine.root.walk():
        if group.remote and not group.valid:
            raise FaultyState(Fault.HALF_INVALID)
        if group.remote and _below_partition(group):
            raise FaultyState(Fault.ABOVE_REMOTE)
        if group.valid:
            if group.effective & seen:
                raise FaultyState(Fault.SHARED)
            seen |= group.effective
        if group.valid and group.parent is not None:
            held = group.exclusive_effective
            isolated = isolated | held if group.state == State.ISOLATED else isolated - held
    lost = machine.active - seen
    if lost and not machine.may_lose:
        raise FaultyState(Fault.LOST)
    any_way = machine.boot_isolated | lost
    if machine.isolated - any_way != isolated - any_way:
        raise FaultyState(Fault.WRONGLY_ISOLATED)


def _below_partition(group: Cgroup) -> bool:
    at = group.above()
    while at.parent is not None:
        if at.valid:
            return True
        at = at.parent
    return False
