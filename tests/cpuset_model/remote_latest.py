"""The rules of 7.3, where they differ from 6.12.

Siblings' sets may overlap: a partition holds what no sibling claims, and nobody is made invalid for the overlap. An
ancestor that shrinks resizes the remote partitions below it. An empty set may be written where processes are.
"""

from dataclasses import replace
from typing import ClassVar

from pinfold.cpuset import CpuSet

from .remote import RemotePartitions
from .rules import Move
from .tree import NO_CPU, Cgroup
from .words import Errno, Reason, State


class SharedSiblings(RemotePartitions):
    REFUSES_EMPTY_WHEN_POPULATED: ClassVar = False

    def skips_attach(self, moves: list[Move]) -> bool:
        return all(move.changes_nothing for move in moves)

    def refuses_offline(self, cpu: int) -> bool:  # noqa: ARG002 - no CPU is refused
        return False

    # --- sets ---------------------------------------------------------------------------------------------------

    def claimed_by_siblings(self, group: Cgroup) -> CpuSet:
        return CpuSet.union(one.exclusive or one.exclusive_effective for one in group.siblings())

    def grantable(self, group: Cgroup) -> CpuSet:
        cpus = super().grantable(group)
        return cpus if group.exclusive else cpus - self.claimed_by_siblings(group)

    def refuses(self, group: Cgroup, trial: Cgroup) -> Errno | None:
        if group.no_overlap and group.balanced and _too_few(len(trial.wants_exclusive & self.active), group.effective):
            return Errno.EBUSY
        changed = group.exclusive != trial.exclusive
        for one in group.siblings():
            covered = changed and one.cpus and one.cpus <= trial.exclusive
            if covered or one.exclusive & trial.exclusive:
                return Errno.EINVAL
        return None

    def occupied(self, group: Cgroup, *, but: Cgroup | None = None) -> bool:
        return bool(group.tasks) or any(self._holds_tasks(child, but) for child in group.cpusets())

    def _holds_tasks(self, group: Cgroup, but: Cgroup | None) -> bool:
        if group is but or group.valid:
            return False
        return group.populated or any(self._holds_tasks(child, but) for child in group.cpusets())

    def _mark_isolated(self, cpus: CpuSet, *, isolated: bool) -> None:
        super()._mark_isolated(cpus if isolated else cpus - self.machine.boot_isolated, isolated=isolated)

    # --- remote partitions --------------------------------------------------------------------------------------

    def found_remote(self, group: Cgroup, state: State) -> Reason | None:
        cpus = self.grantable(group)
        if not self.machine.privileged:
            return Reason.PERMISSION
        if not cpus & self.active or self.root.effective <= cpus:
            return Reason.CPUS
        if cpus & self.machine.taken:
            return Reason.NO_CPUS_LEFT
        if self.conflicts_with_boot(state, cpus):
            return Reason.HOUSEKEEPING
        self.take(self.root, cpus, state)
        group.remote, group.reason, group.exclusive_effective = True, None, cpus
        self.spread_from_root()
        return None

    def dissolve_remote(self, group: Cgroup) -> None:
        group.remote = False
        self.give(self.root, group.exclusive_effective, group.state)
        group.state = group.state.turned_invalid if group.reason else State.MEMBER
        group.exclusive_effective = self.grantable(group)
        self.forget_partition(group)
        self.spread_from_root()

    def move_remote(self, group: Cgroup, cpus: CpuSet, exclusive: CpuSet | None) -> None:
        group.exclusive_effective = cpus
        if exclusive is not None:
            group.exclusive = exclusive

    # --- local partitions ---------------------------------------------------------------------------------------

    def held(self, group: Cgroup) -> CpuSet:
        return group.exclusive_effective

    def found_local(self, group: Cgroup, state: State) -> Reason | None:
        cpus = self.grantable(group)
        if not cpus:
            return Reason.CPUS
        if self.conflicts_with_boot(state, cpus):
            return Reason.HOUSEKEEPING
        if self.starves(group, cpus):
            return Reason.NO_CPUS_LEFT
        return self._turn(group, state, take=cpus)

    def dissolve_local(self, group: Cgroup) -> None:
        if group.above().valid and group.wants_exclusive:
            self._turn(group, State.MEMBER, give=group.exclusive_effective if group.valid else NO_CPU)

    # --- effective sets -----------------------------------------------------------------------------------------

    def plain_effective(self, group: Cgroup) -> CpuSet:
        return super().plain_effective(group) or group.above().effective

    def reaches(self, group: Cgroup) -> bool:
        """Whether a change above *group* touches it: a remote partition, where it can hold more or less now."""
        if not group.remote:
            return True
        cpus = self.grantable(group)
        if cpus == group.exclusive_effective:
            return False
        self.resize_remote(group, cpus)
        return True

    def settle(self, group: Cgroup) -> None:
        if group.valid or group.exclusive:
            group.exclusive_effective = self.grantable(group)
        if not group.valid:
            self.forget_partition(group)

    def refresh_children(self, parent: Cgroup, *, but: Cgroup | None = None) -> None:
        for one in parent.cpusets():
            if one is not but and not one.valid and self.plain_effective(one) != one.effective:
                self.refresh(one)

    # --- writes -------------------------------------------------------------------------------------------------

    def write_cpus(self, group: Cgroup, cpus: CpuSet) -> Errno | None:
        if cpus == group.cpus:
            return None
        trial, _ = self._trial(group, replace(group, cpus=cpus))
        return self._write(group, trial, refresh=True)

    def write_exclusive(self, group: Cgroup, cpus: CpuSet) -> Errno | None:
        if cpus == group.exclusive:
            return None
        trial, conflict = self._trial(group, replace(group, exclusive=cpus))
        return Errno.EINVAL if conflict else self._write(group, trial, refresh=False)

    def _trial(self, group: Cgroup, trial: Cgroup) -> tuple[Cgroup, bool]:
        """*trial* with what it could hold, and whether siblings claim some of that."""
        cpus = trial.exclusive if group.state == State.MEMBER else trial.wants_exclusive
        cpus &= group.above().exclusive_effective
        claimed = self.claimed_by_siblings(group)
        trial.exclusive_effective = cpus - claimed
        return trial, bool(cpus & claimed)

    def _write(self, group: Cgroup, trial: Cgroup, *, refresh: bool) -> Errno | None:
        if refused := self.refuses(group, trial):
            return refused
        old, force = group.state, group.exclusive_effective != trial.exclusive_effective
        if group.state:
            self._change_partition(group, trial)
        self._adopt(group, trial, old)
        if refresh or group.valid or force:
            self.refresh(group, force=force)
        if group.state:
            self.set_balance(group, old)
        return None

    def _change_partition(self, group: Cgroup, trial: Cgroup) -> None:
        fails = self._judge(group, trial, empty=True)
        if group.remote:
            if fails:
                self.dissolve_remote(group)
            else:
                self.resize_remote(group, trial.exclusive_effective, exclusive=trial.exclusive)
        elif fails:
            self.invalidate(group)
        else:
            self.resize_local(group, trial.exclusive_effective)

    def prepare_partition(self, group: Cgroup, state: State) -> None:
        """Nothing: founding the partition sets what it holds."""

    def refuses_switch(self, group: Cgroup, state: State) -> Reason | None:
        return Reason.HOUSEKEEPING if self.conflicts_with_boot(state, group.exclusive_effective) else None

    # --- hotplug ------------------------------------------------------------------------------------------------

    def seems_to_lose_nodes(self, group: Cgroup) -> bool:  # noqa: ARG002 - 7.3 knows better
        return False

    def lost_to_hotplug(self, group: Cgroup, effective: CpuSet) -> bool:
        return not self.machine.taken or super().lost_to_hotplug(group, effective)

    def lost_local_to_hotplug(self, group: Cgroup, effective: CpuSet) -> bool:
        return not self.machine.taken or super().lost_local_to_hotplug(group, effective)


def _too_few(kept: int, held: CpuSet) -> bool:
    """Whether *kept* CPUs cannot carry the bandwidth of the fair servers of those *held*, 5 % of a CPU each."""
    return bool(held) and (kept == 0 or 19 * kept < len(held) - 1)  # from 21 CPUs to 1 is refused, from 20 not (seen)
