"""How 6.12 makes, resizes and ends partitions, and brings all below in line."""

from pinfold.cpuset import CpuSet

from .exclusive import ExclusiveSets
from .faults import Fault, FaultyState
from .rules import parent_reason
from .tree import NO_CPU, Cgroup
from .words import Reason, State


class Partitions(ExclusiveSets):
    """Transitions between valid and invalid, remote and local, each with the CPUs that move."""

    # --- remote partitions --------------------------------------------------------------------------------------

    def found_remote(self, group: Cgroup, state: State) -> Reason | None:
        if not self.machine.privileged:
            return Reason.PERMISSION
        cpus = self.grantable(group)
        if not cpus or cpus & self.machine.taken or self.root.effective <= cpus:
            return Reason.CPUS
        self.take(self.root, cpus, state)
        group.remote, group.reason = True, None
        self.spread_from_root()
        return None

    def dissolve_remote(self, group: Cgroup) -> None:
        cpus = self.grantable(group)
        group.remote = False
        self.give(self.root, cpus, group.state)
        group.state = group.state.turned_invalid if group.reason else State.MEMBER
        self.forget_partition(group)
        self.spread_from_root()

    def resize_remote(self, group: Cgroup, cpus: CpuSet, *, exclusive: CpuSet | None = None) -> None:
        """The remote partition is to hold *cpus*; *exclusive* is its new cpuset.cpus.exclusive, if that changes."""
        more, less = cpus - group.exclusive_effective, group.exclusive_effective - cpus
        if not cpus:
            group.reason = Reason.CPUS_EMPTY
        elif more:
            if not self.machine.privileged:
                group.reason = Reason.PERMISSION
            elif more & self.machine.taken or self.root.effective <= more:
                group.reason = Reason.NO_CPUS_LEFT
        if group.reason and (more or not cpus):
            self.dissolve_remote(group)
            return
        if more:
            self.take(self.root, more, group.state)
        if less:
            self.give(self.root, less, group.state)
        self.move_remote(group, cpus, exclusive)
        self.spread_from_root()

    def move_remote(self, group: Cgroup, cpus: CpuSet, exclusive: CpuSet | None) -> None:
        """6.12 notes the new sets only when the write ends."""

    def lose_remotes(self, group: Cgroup, cpus: CpuSet) -> None:
        """*group*, an ancestor, is left with *cpus* to give; remote partitions that use others become members."""
        lost = group.exclusive_effective - cpus
        if lost & self.machine.taken:
            for one in self.root.walk():
                if one.remote and one.effective & lost:
                    self.dissolve_remote(one)
                    self.stale_domains = True

    def spread_from_root(self) -> None:
        self.update_tasks(self.root)
        self.refresh_children(self.root)

    # --- local partitions ---------------------------------------------------------------------------------------

    def held(self, group: Cgroup) -> CpuSet:
        """What a local partition gives back when it ends."""
        return group.wants_exclusive

    def found_local(self, group: Cgroup, state: State) -> Reason | None:
        parent = group.above()
        cpus = group.wants_exclusive
        if not cpus or not cpus & parent.exclusive_effective:
            return Reason.CPUS
        if self.conflicts_with_boot(group.state, cpus):
            return Reason.HOUSEKEEPING
        if self.starves(group, cpus):
            return Reason.NO_CPUS_LEFT
        return self._turn(group, state, take=cpus & parent.exclusive_effective)

    def dissolve_local(self, group: Cgroup) -> None:
        parent = group.above()
        if parent.valid and group.wants_exclusive:
            give = group.wants_exclusive & parent.exclusive_effective if group.valid else NO_CPU
            self._turn(group, State.MEMBER, give=give, fewer=bool(give))

    def invalidate(self, group: Cgroup) -> None:
        if group.invalid:
            return
        parent = group.above()
        give = self.held(group) & parent.exclusive_effective if parent.valid else NO_CPU
        self._turn(group, group.state.turned_invalid, give=give, fewer=group.valid)

    def resize_local(self, group: Cgroup, cpus: CpuSet) -> None:
        """A local partition, valid or not, is to hold *cpus*."""
        parent = group.above()
        if not parent.valid:
            return
        if not cpus:
            self._update(group, Reason.CPUS_EMPTY)
            return
        held, lendable = self.held(group), parent.exclusive_effective
        starves = self.starves(group, group.wants_exclusive) or self.starves(group, cpus)
        give = NO_CPU if group.invalid else (held - cpus) & lendable
        take = cpus & lendable if group.invalid else (cpus - held) & lendable
        if starves and not give & self.active:
            self._update(group, Reason.NO_CPUS_LEFT, give=held & lendable)
        else:
            self._update(group, None, take=take, give=give)

    def recheck(self, group: Cgroup) -> None:
        """The parent or the CPUs changed: see whether the local partition turns valid or invalid."""
        parent = group.above()
        wanted, old = group.wants_exclusive, group.state
        if not parent.valid or not wanted:
            return
        if self.starves(group, wanted):
            give = self.held(group) & parent.exclusive_effective if group.valid else NO_CPU
            self._update(group, Reason.NO_CPUS_LEFT, give=give)
        elif group.invalid and wanted <= parent.exclusive_effective:
            if any(wanted & one.wants_exclusive for one in group.siblings()):
                self._update(group, Reason.NOT_EXCLUSIVE)
            else:
                self._update(group, None, take=wanted & parent.effective)
        elif group.invalid:
            raise FaultyState(Fault.NESTED)
        self.set_balance(group, old)

    def _update(self, group: Cgroup, failed: Reason | None, *, take: CpuSet = NO_CPU, give: CpuSet = NO_CPU) -> None:
        """Make the partition valid, or invalid for a reason, and move the CPUs that go with it."""
        if failed:
            group.reason = failed
        state = group.state.turned_invalid if failed else group.state.turned_valid
        self._turn(group, state, take=take, give=give, fewer=group.valid and state < 0, late=True)

    def _turn(
        self,
        group: Cgroup,
        state: State,
        *,
        take: CpuSet = NO_CPU,
        give: CpuSet = NO_CPU,
        fewer: bool = False,
        late: bool = False,
    ) -> Reason | None:
        """Give the local partition its new state and move CPUs from its parent (*take*) and back to it (*give*)."""
        parent, old = group.above(), group.state
        if state == old and not take and not give:
            return None
        if state != old and not late and (failed := self.forbid_overlap(group, state)):
            return failed
        group.state = state
        if state != old and state <= 0:
            group.given_count = 0
        if give:
            self.give(parent, give, old)
        if take:
            self.take(parent, take, state)
        if parent.valid:
            parent.given_count += (state > 0 and old <= 0) - fewer
        if state != old and late:
            self.forbid_overlap(group, state)
        if take or give:
            self.update_tasks(parent)
            self.refresh_children(parent, but=group)
        if state != old and group.valid:
            group.reason = None
        return None

    def partition_effective(self, group: Cgroup) -> CpuSet:
        """The CPUs left to the partition *group* itself. Partitions below that no longer fit turn invalid."""
        occupied = self.occupied(group)
        left = self.grantable(group) & self.active
        for child in group.cpusets():
            if not child.valid:
                continue
            if child.remote:
                raise FaultyState(Fault.ABOVE_REMOTE)
            child.reason = None
            if not child.exclusive_effective <= group.exclusive_effective:
                child.reason = Reason.CPUS
            elif occupied and left <= child.exclusive_effective:
                child.reason = Reason.NO_CPUS_LEFT
            if child.reason:
                child.state = child.state.turned_invalid
                group.given_count -= 1
                child.given_count = 0
            else:
                left -= child.exclusive_effective
        return left

    # --- effective sets -----------------------------------------------------------------------------------------

    def refresh(self, top: Cgroup, *, force: bool = False) -> None:
        """Bring *top* and all below in line with its parent."""
        self.refresh_one(top, top, force=force)

    def refresh_one(self, group: Cgroup, top: Cgroup, *, force: bool) -> None:
        parent = group.above()
        if group is not top and not self.reaches(group):
            return
        state = group.state
        if group.remote or (parent.valid and group.valid):
            effective = self.partition_effective(group)
        else:
            effective = self.plain_effective(group)
        gave_all = group.valid and not effective
        if not gave_all and not group.remote:
            effective = effective or parent.effective
            same = effective == group.effective and group.balanced == parent.balanced
            if state == State.MEMBER and same and not force:
                return
        recheck = gave_all
        if group is not top and not group.remote and state != State.MEMBER:
            if parent.valid:
                recheck = True
            else:
                group.reason = parent_reason(parent)
                state = state.turned_invalid
        if recheck:
            self.recheck(group)
            if state < 0 < group.state and group.siblings():
                # The kernel computes its siblings' sets in the mask that holds this one's (seen on 7.3, read in 6.12).
                raise FaultyState(Fault.RUNS_ELSEWHERE)
            state = group.state
        group.effective = effective
        self.becomes(group, state)
        self.settle(group)
        self.update_tasks(group)
        self.follow_balance(group)
        self.stale_domains |= group.valid and group.balanced and bool(group.cpus)
        for child in group.cpusets():
            self.refresh_one(child, top, force=force)

    def plain_effective(self, group: Cgroup) -> CpuSet:
        return group.cpus & group.above().effective

    def reaches(self, group: Cgroup) -> bool:
        """Whether a change above *group* touches it: a remote partition takes its CPUs from the root alone."""
        if group.exclusive and not group.remote:
            group.exclusive_effective = self.grantable(group)
        return not group.remote

    def settle(self, group: Cgroup) -> None:
        if group.valid and not group.exclusive:
            group.exclusive_effective = group.cpus & group.above().exclusive_effective
        elif group.invalid:
            self.forget_partition(group)

    def refresh_children(self, parent: Cgroup, *, but: Cgroup | None = None) -> None:
        for one in parent.cpusets():
            if one is not but and (one.valid or one.cpus & parent.effective != one.effective):
                self.refresh(one)
