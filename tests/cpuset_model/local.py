"""The rules of 6.1: local partitions only.

A partition takes its cpuset.cpus from its parent, which must be a valid partition itself; the parent books them as
*given*. Every cpuset write gives all tasks below the whole effective set, whatever mask they asked for.
"""

from collections.abc import Iterator
from typing import ClassVar

from pinfold.cpuset import CpuSet

from .faults import Fault, FaultyState
from .rules import Move, Rules, parent_reason
from .tree import NO_CPU, Cgroup
from .words import WORDED_BY_6_1, Errno, Reason, State


class LocalPartitions(Rules):
    FILES: ClassVar = frozenset(
        {"cpuset.cpus", "cpuset.cpus.effective", "cpuset.cpus.partition", "cpuset.mems", "cpuset.mems.effective"}
    )
    ROOT_FILES: ClassVar = frozenset({"cpuset.cpus.effective", "cpuset.mems.effective"})
    REMEMBERS_OWN_MASK: ClassVar = False
    REFUSES_EMPTY_WHEN_POPULATED: ClassVar = True

    def text(self, reason: Reason) -> str:
        return WORDED_BY_6_1.get(reason, reason.value)

    def root_mask(self) -> CpuSet:
        return self.root.effective

    def entered_root_mask(self) -> CpuSet:
        return self.machine.possible

    def skips_attach(self, moves: list[Move]) -> bool:  # noqa: ARG002 - 6.1 always sets the mask
        return False

    def refuses_offline(self, cpu: int) -> bool:  # noqa: ARG002 - no CPU is refused
        return False

    def rebuild_domains(self) -> None:
        """A domain that isolcpus= leaves empty is read as if it had a CPU, one rebuild later (6.1.176 panics)."""
        if self.machine.boot_isolated and self.root.given:
            sets = [self.root.effective, *self._balanced_alone(self.root)]
            if any(one <= self.machine.boot_isolated for one in _merged(sets)):
                raise FaultyState(Fault.NOTHING_TO_BALANCE)

    def _balanced_alone(self, group: Cgroup) -> Iterator[CpuSet]:
        """What cpusets below run on, where load is balanced apart from the root: partitions, but others as well."""
        for child in group.cpusets():
            other = not child.cpus <= self.root.effective
            counts = not child.cpus or (child.balanced and bool(child.cpus - self.machine.boot_isolated))
            if counts and other and child.balanced and child.effective:
                yield child.effective
            if child.valid or not counts or not other:
                yield from self._balanced_alone(child)

    def write_exclusive(self, group: Cgroup, cpus: CpuSet) -> Errno | None:
        raise NotImplementedError("6.1 has no cpuset.cpus.exclusive")

    # --- cpuset.cpus --------------------------------------------------------------------------------------------

    def write_cpus(self, group: Cgroup, cpus: CpuSet) -> Errno | None:
        if cpus == group.cpus:
            return None
        if self.refuses_empty(group, empties=not cpus):
            return Errno.ENOSPC
        parent = group.above()
        overlaps = self._overlaps(group, cpus, no_overlap=group.no_overlap)
        if overlaps:
            for one in parent.cpusets():
                if one.valid and one.cpus & cpus:
                    self._invalidate(one)
        if group.state:
            if overlaps:
                self._invalidate(group)
            else:
                self._renew(group, cpus)
        effective = self._effective(cpus, parent)
        group.cpus = cpus
        if group.given and group.valid and not (effective <= group.given and self.occupied(group)):
            group.given &= cpus
        else:
            group.given = NO_CPU
        self._refresh(group)
        if group.state:
            self._refresh_siblings(group)
        return None

    def refuses_as_it_is(self, group: Cgroup) -> Errno | None:
        return Errno.EINVAL if self._overlaps(group, group.cpus, no_overlap=group.no_overlap) else None

    def _overlaps(self, group: Cgroup, cpus: CpuSet, *, no_overlap: bool) -> bool:
        """Whether *cpus* would meet a sibling's set where one of the two forbids it."""
        return any((no_overlap or one.no_overlap) and cpus & one.cpus for one in group.siblings())

    def _effective(self, cpus: CpuSet, parent: Cgroup) -> CpuSet:
        if parent.given:
            return cpus & (parent.effective | parent.given) & self.active
        return cpus & parent.effective

    def _refresh(self, top: Cgroup, *, force: bool = False) -> None:
        """Bring *top* and all below in line with its parent."""
        self._refresh_one(top, top, force=force)

    def _refresh_one(self, group: Cgroup, top: Cgroup, *, force: bool) -> None:
        parent = group.above()
        effective = self._effective(group.cpus, parent)
        gave_all = group.valid and group.cpus == group.given
        if effective or not gave_all:
            group.follows_parent = not effective
            effective = effective or parent.effective
            same = effective == group.effective and group.balanced == parent.balanced
            if group.state == State.MEMBER and same and not force:
                return

        state = group.state
        if group is not top and state != State.MEMBER:
            if parent.valid:
                self._recheck(group)
                state = group.state
            else:
                state, group.reason = state.turned_invalid, parent_reason(parent)
        if group.given and not group.valid:
            effective = (effective | group.given) & self.active
            group.given = NO_CPU
        group.effective = effective - group.given
        self.becomes(group, state)
        self.update_tasks(group)
        self.follow_balance(group)
        for child in group.cpusets():
            self._refresh_one(child, top, force=force)

    def _refresh_siblings(self, group: Cgroup) -> None:
        for one in group.siblings():
            if one.follows_parent:
                self._refresh(one)

    # --- cpuset.cpus.partition ----------------------------------------------------------------------------------

    def write_partition(self, group: Cgroup, state: State) -> None:
        old, parent = group.state, group.above()
        if state == old:
            return
        if state and group.invalid:
            group.state = state.turned_invalid  # stays invalid, and keeps the reason of before
            return
        failed: Reason | None = None
        if old == State.MEMBER:
            failed = self._found(group, isolated=state == State.ISOLATED)
        elif state:
            self._set_balanced(group, balanced=state != State.ISOLATED)
        else:
            self._dissolve(group)
        if not failed and not (old and state):
            self.update_tasks(parent)
            self._refresh_siblings(group)
        group.state, group.reason = (state.turned_invalid, failed) if failed else (state, None)
        if group.cpusets():
            self._refresh(group, force=state == State.MEMBER)

    def _found(self, group: Cgroup, *, isolated: bool) -> Reason | None:
        """Make a member a partition: take its CPUs from its parent."""
        if not group.cpus:
            return Reason.CPUS_EMPTY
        if self._overlaps(group, group.cpus, no_overlap=True):
            return Reason.NOT_EXCLUSIVE
        group.no_overlap = True
        if failed := self._cannot_take(group):
            self._allow_overlap(group)
            return failed
        self._transfer(group, take=group.cpus)
        if isolated:
            self._set_balanced(group, balanced=False)
        return None

    def _cannot_take(self, group: Cgroup) -> Reason | None:
        parent = group.above()
        if not parent.valid:
            return parent_reason(parent)
        if not group.cpus & parent.cpus:
            return Reason.CPUS
        if parent.effective <= group.cpus and self.occupied(parent, but=group):
            return Reason.NO_CPUS_LEFT
        return None

    def _dissolve(self, group: Cgroup) -> None:
        parent = group.above()
        if group.valid and parent.valid and group.cpus:
            self._transfer(group, give=group.cpus & parent.given)
        if group.given:
            group.given = NO_CPU
            group.effective = self._effective(group.cpus, parent)
        self._allow_overlap(group)
        if not group.balanced:
            self._set_balanced(group, balanced=True)

    def _set_balanced(self, group: Cgroup, *, balanced: bool) -> None:
        if not self._overlaps(group, group.cpus, no_overlap=group.no_overlap):
            group.balanced = balanced

    def _allow_overlap(self, group: Cgroup) -> None:
        if not self._overlaps(group, group.cpus, no_overlap=False):
            group.no_overlap = False

    # --- CPUs between a partition and its parent ----------------------------------------------------------------

    def _invalidate(self, group: Cgroup) -> None:
        """A sibling's set overlaps."""
        parent = group.above()
        if not parent.valid or not group.cpus or group.invalid:
            return
        self._turn(group, Reason.NOT_EXCLUSIVE, give=group.cpus & parent.given)

    def _renew(self, group: Cgroup, cpus: CpuSet) -> None:
        """A partition, valid or not, is to hold *cpus* instead of its present ones."""
        parent = group.above()
        if not parent.valid or not cpus:
            return
        give = (group.cpus - cpus) & parent.given
        take = (cpus & parent.cpus) - parent.given
        if take and parent.effective <= take and not give & self.active and self.occupied(parent, but=group):
            self._turn(group, Reason.NO_CPUS_LEFT, give=group.cpus & parent.given)
        else:
            self._turn(group, None, take=take, give=give)

    def _recheck(self, group: Cgroup) -> None:
        """Its parent or the CPUs changed: see whether the partition turns valid or invalid."""
        parent = group.above()
        if not parent.valid or not group.cpus:
            return
        take = (group.cpus & parent.cpus) - parent.given
        nothing_given = group.valid and not parent.given
        if nothing_given or (take and parent.effective <= take and self.occupied(parent, but=group)):
            give = group.cpus & parent.given if group.valid else NO_CPU
            self._turn(group, Reason.NO_CPUS_LEFT, give=give)
        else:
            self._turn(group, None, take=take)

    def _turn(self, group: Cgroup, failed: Reason | None, *, take: CpuSet = NO_CPU, give: CpuSet = NO_CPU) -> None:
        """Make *group* invalid for a reason, or valid, and move the CPUs that go with it."""
        if failed:
            group.reason = failed
        old = group.state
        state = old.turned_invalid if failed else old.turned_valid
        if state == old and not take and not give:
            return
        if group.invalid and state > 0 and not group.no_overlap:
            if self._overlaps(group, group.cpus, no_overlap=True):
                return
            group.no_overlap = True
        if group.valid and state < 0 and group.no_overlap:
            self._allow_overlap(group)
        group.state = state
        self._transfer(group, take=take, give=give)
        if state != old and State.ISOLATED in (old, state):
            self._set_balanced(group, balanced=old == State.ISOLATED)
        if state != old and group.valid:
            group.reason = None

    def _transfer(self, group: Cgroup, *, take: CpuSet = NO_CPU, give: CpuSet = NO_CPU) -> None:
        if not take and not give:
            return
        parent = group.above()
        parent.given = (parent.given | take) - give
        parent.effective = (parent.effective - take) | (give & self.active)
        self.update_tasks(parent)

    def gives_some(self, group: Cgroup) -> bool:
        return bool(group.given)

    # --- hotplug ------------------------------------------------------------------------------------------------

    def hotplug(self) -> None:
        root, active = self.root, self.active
        if root.effective == active and not root.given:
            return
        if active <= root.given:
            root.given = NO_CPU
        root.effective = active - root.given
        for child in root.cpusets():
            self._hotplug_one(child)

    def _hotplug_one(self, group: Cgroup) -> None:
        parent = group.above()
        effective = self._effective(group.cpus, parent) - group.given
        if group.state:
            if group.given and group.valid and not effective and self.occupied(group):
                group.given = NO_CPU
                effective = self._effective(group.cpus, parent)
            if group.valid and (not parent.given or (not effective and self.occupied(group))):
                effective = self._lose_cpus(group, effective)
            elif parent.valid and group.invalid:
                self._recheck(group)
        changed = effective != group.effective
        if not effective and not group.valid:
            effective = parent.effective
        group.effective = effective
        if changed:
            self.update_tasks(group)
        for child in group.cpusets():
            self._hotplug_one(child)

    def _lose_cpus(self, group: Cgroup, effective: CpuSet) -> CpuSet:
        """The partition turns invalid; the CPUs it is left with."""
        parent = group.above()
        if parent.valid and group.cpus:
            self._transfer(group, give=group.cpus & parent.given)
        if group.given:
            group.given = NO_CPU
            effective = self._effective(group.cpus, parent)
        group.state = group.state.turned_invalid
        group.reason = Reason.HOTPLUG if parent.valid else parent_reason(parent)
        return effective


def _merged(sets: list[CpuSet]) -> list[CpuSet]:
    """Those that overlap made one."""
    merged: list[CpuSet] = []
    for one in sets:
        apart = [other for other in merged if not other & one]
        merged = [*apart, CpuSet.union([one, *(other for other in merged if other & one)])]
    return merged
