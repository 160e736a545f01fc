"""The rules of 6.12: cpuset.cpus.exclusive, and partitions that take their CPUs from the root cgroup, remote ones.

A partition whose parent is one too is *local* and takes from its parent; any other is *remote*. 7.3 changes the
methods that `remote_latest` overrides.
"""

from dataclasses import replace
from typing import ClassVar

from pinfold.cpuset import CpuSet

from .faults import Fault, FaultyState
from .local import LocalPartitions
from .rules import Move, Rules, parent_reason
from .tree import NO_CPU, Cgroup
from .words import Errno, Reason, State


class RemotePartitions(Rules):
    FILES: ClassVar = LocalPartitions.FILES | {"cpuset.cpus.exclusive", "cpuset.cpus.exclusive.effective"}
    ROOT_FILES: ClassVar = LocalPartitions.ROOT_FILES | {"cpuset.cpus.isolated"}
    REMEMBERS_OWN_MASK: ClassVar = True
    REFUSES_EMPTY_WHEN_POPULATED: ClassVar = True

    def text(self, reason: Reason) -> str:
        return reason.value

    # --- tasks and the scheduler --------------------------------------------------------------------------------

    def root_mask(self) -> CpuSet:
        return self.machine.possible - self.machine.taken

    def entered_root_mask(self) -> CpuSet:
        return self.root_mask()

    def affinity_limit(self, group: Cgroup) -> CpuSet:
        if group.parent is not None:
            return self.allowed_by_cpuset(group)
        mask = self.root_mask()
        return mask if mask & self.active else self.machine.possible

    def skips_attach(self, moves: list[Move]) -> bool:
        return not moves or moves[0].changes_nothing

    def refuses_offline(self, cpu: int) -> bool:
        """The last CPU of a balanced partition: the deadline bandwidth of its fair server has nowhere to go."""
        one = CpuSet.of([cpu])
        return any(group.state == State.ROOT and group.effective == one for group in self.root.walk())

    # --- sets ---------------------------------------------------------------------------------------------------

    def grantable(self, group: Cgroup) -> CpuSet:
        """What *group* would hold alone, as far as its parent has it to give."""
        return group.wants_exclusive & group.above().exclusive_effective

    def refuses(self, group: Cgroup, trial: Cgroup) -> Errno | None:
        """Whether *group* may become *trial*."""
        if self.refuses_empty(group, empties=bool(group.cpus and not trial.cpus)):
            return Errno.ENOSPC
        if group.no_overlap and group.cpus and not trial.cpus & self.active:
            return Errno.EBUSY  # the bandwidth of the CPUs' fair servers has nowhere to go
        for one in group.siblings():
            if trial.no_overlap or one.no_overlap or (trial.exclusive and one.exclusive):
                if trial.wants_exclusive & one.wants_exclusive:
                    return Errno.EINVAL
            elif trial.exclusive:
                if one.cpus and one.cpus <= trial.exclusive:
                    return Errno.EINVAL
            elif one.exclusive and trial.cpus and trial.cpus <= one.exclusive:
                return Errno.EINVAL
        return None

    def forbid_overlap(self, group: Cgroup, state: State) -> Reason | None:
        """A valid partition forbids overlap; one that is none allows it again."""
        forbid = state > 0
        if forbid != group.no_overlap:
            if self.refuses(group, replace(group, no_overlap=forbid)):
                return Reason.NOT_EXCLUSIVE if forbid else None
            group.no_overlap = forbid
        return None

    def starves(self, group: Cgroup, cpus: CpuSet) -> bool:
        """Whether tasks of its parent, or its own, would be left without a CPU if *group* held *cpus*."""
        parent = group.above()
        return (parent.effective <= cpus and self.occupied(parent, but=group)) or (
            not cpus & self.active and self.occupied(group)
        )

    def occupied(self, group: Cgroup, *, but: Cgroup | None = None) -> bool:
        """Whether tasks need CPUs of this partition itself, not counting those in partitions below."""
        if group.tasks:
            return True
        if but is None and not group.given_count:
            return group.populated
        return any(self._needs_cpus(child, but) for child in group.cpusets())

    def _needs_cpus(self, group: Cgroup, but: Cgroup | None) -> bool:
        if group is not but:
            if group.valid:
                return False
            if group.populated:
                return True
        return any(self._needs_cpus(child, but) for child in group.cpusets())

    def conflicts_with_boot(self, state: State, cpus: CpuSet) -> bool:
        """CPUs under ``isolcpus=`` may only be in an isolated partition."""
        return state != State.ISOLATED and bool(cpus & self.machine.boot_isolated)

    # --- CPUs between a partition and the one it takes them from ------------------------------------------------

    def take(self, owner: Cgroup, cpus: CpuSet, state: State) -> None:
        """A partition of *state* takes *cpus* from *owner*."""
        if not cpus & self.active <= owner.effective:
            raise FaultyState(Fault.TAKES_WHAT_IS_NOT_THERE)
        if owner.parent is None:
            self.machine.taken |= cpus
        if state != owner.state:
            self._mark_isolated(cpus, isolated=state == State.ISOLATED)
        owner.effective -= cpus

    def give(self, owner: Cgroup, cpus: CpuSet, state: State) -> None:
        """A partition that was of *state* gives *cpus* back to *owner*."""
        if cpus and state < 0:
            raise FaultyState(Fault.GIVES_WHAT_IT_LACKS)
        if owner.parent is None:
            self.machine.taken -= cpus
        if state != owner.state:
            self._mark_isolated(cpus, isolated=owner.state == State.ISOLATED)
        owner.effective = (owner.effective | cpus) & self.active

    def _mark_isolated(self, cpus: CpuSet, *, isolated: bool) -> None:
        if isolated:
            self.machine.isolated |= cpus
        else:
            self.machine.isolated -= cpus

    def forget_partition(self, group: Cgroup) -> None:
        """Its CPUs are its parent's again."""
        parent = group.above()
        group.given_count = 0
        if not group.exclusive:
            group.exclusive_effective = NO_CPU
            group.no_overlap = False
        group.effective = (group.cpus & parent.effective) or parent.effective

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
        wanted = group.wants_exclusive
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
        else:
            self._update(group, None)
        self.set_balance(group)

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
        if group is not top and state != State.MEMBER:
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
        for child in group.cpusets():
            self.refresh_one(child, top, force=force)

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

    def set_balance(self, group: Cgroup) -> None:
        group.balanced = group.state != State.ISOLATED if group.valid else group.above().balanced

    # --- writes -------------------------------------------------------------------------------------------------

    def write_cpus(self, group: Cgroup, cpus: CpuSet) -> Errno | None:
        trial = replace(group, cpus=cpus)
        if cpus:
            if trial.exclusive or group.valid:
                trial.exclusive_effective = self.grantable(trial)
        elif not trial.exclusive:
            trial.exclusive_effective = NO_CPU
        if cpus == group.cpus:
            return None
        old = group.state
        invalidates = bool(group.state) and self._judge(group, trial, empty=group.valid)
        force = group.exclusive_effective != trial.exclusive_effective
        refused = self.refuses(group, trial)
        if refused == Errno.EINVAL:
            invalidates = True
            for one in group.above().cpusets():
                if one.valid and trial.wants_exclusive & one.exclusive_effective:
                    self.invalidate(one)
        elif refused:
            return refused
        self._apply_cpus(group, trial, invalidates=invalidates)
        self._adopt(group, trial, old)
        self.refresh(group, force=force)
        if group.state:
            self.set_balance(group)
        return None

    def _apply_cpus(self, group: Cgroup, trial: Cgroup, *, invalidates: bool) -> None:
        if group.valid or (group.invalid and not invalidates):
            wanted = trial.exclusive_effective
            if not wanted and group.invalid:
                wanted = trial.cpus
            if group.remote:
                self.resize_remote(group, wanted)
            elif invalidates:
                self.invalidate(group)
            else:
                self.resize_local(group, wanted)
        elif group.exclusive:
            self.lose_remotes(group, trial.exclusive_effective)

    def write_exclusive(self, group: Cgroup, cpus: CpuSet) -> Errno | None:
        if cpus == group.exclusive:
            return None
        trial = replace(group, exclusive=cpus, exclusive_effective=NO_CPU)
        if cpus:
            trial.exclusive_effective = self.grantable(trial)
        force = group.exclusive_effective != trial.exclusive_effective
        if refused := self.refuses(group, trial):
            return refused
        old = group.state
        if old:
            invalidates = self._judge(group, trial, empty=True)
            if group.remote:
                if invalidates:
                    self.dissolve_remote(group)
                else:
                    self.resize_remote(group, trial.exclusive_effective)
            elif invalidates:
                self.invalidate(group)
            else:
                self.resize_local(group, trial.exclusive_effective)
        elif cpus:
            self.lose_remotes(group, trial.exclusive_effective)
        self._adopt(group, trial, old)
        if group.valid or force:
            self.refresh(group, force=force)
        if group.state:
            self.set_balance(group)
        return None

    def _judge(self, group: Cgroup, trial: Cgroup, *, empty: bool) -> bool:
        """Whether a partition, valid or not, cannot be one with the sets of *trial*; notes why.

        *empty*: whether having nothing to hold counts.
        """
        cpus = trial.exclusive_effective
        if empty and not cpus:
            group.reason = Reason.CPUS
        elif self.conflicts_with_boot(group.state, cpus):
            group.reason = Reason.HOUSEKEEPING
        elif self.starves(group, cpus):
            group.reason = Reason.NO_CPUS_LEFT
        else:
            return False
        return True

    def _adopt(self, group: Cgroup, trial: Cgroup, old: State) -> None:
        group.cpus, group.exclusive = trial.cpus, trial.exclusive
        group.exclusive_effective = trial.exclusive_effective
        if old > 0 and not group.valid:
            self.forget_partition(group)

    def write_partition(self, group: Cgroup, state: State) -> None:
        old, parent = group.state, group.above()
        if state == old:
            return
        if state and group.invalid:
            old = State.MEMBER
        self.prepare_partition(group, state)
        failed = self.forbid_overlap(group, state)
        if not failed:
            if old == State.MEMBER:
                failed = self._found(group, parent, state)
            elif not state:
                if group.remote:
                    self.dissolve_remote(group)
                else:
                    self.dissolve_local(group)
            else:
                failed = self.refuses_switch(group, state)
        switched = bool(old and state) and not failed
        if failed:
            state = state.turned_invalid
            self.forbid_overlap(group, state)
        group.state, group.reason = state, failed
        if not group.valid:
            self.forget_partition(group)
        elif switched:
            self._mark_isolated(group.exclusive_effective, isolated=state == State.ISOLATED)
        self.refresh(group, force=state == State.MEMBER)
        self.set_balance(group)

    def prepare_partition(self, group: Cgroup, state: State) -> None:
        if state > 0 and not group.exclusive:
            group.exclusive_effective = group.cpus & group.above().exclusive_effective

    def refuses_switch(self, group: Cgroup, state: State) -> Reason | None:  # noqa: ARG002 - 7.3 has reasons
        """Between root and isolated."""
        return None

    def _found(self, group: Cgroup, parent: Cgroup, state: State) -> Reason | None:
        if not group.wants_exclusive:
            return Reason.CPUS_EMPTY
        if parent.parent is None and group.exclusive & self.machine.taken:
            return Reason.REMOTE_BELOW
        return self.found_local(group, state) if parent.valid else self.found_remote(group, state)

    # --- hotplug ------------------------------------------------------------------------------------------------

    def hotplug(self) -> None:
        root, machine = self.root, self.machine
        if root.effective == machine.active and not machine.taken:
            return
        if machine.active <= machine.taken:
            machine.taken = NO_CPU
            root.given_count = 0
        root.effective = machine.active - machine.taken
        for child in root.cpusets():
            self.hotplug_one(child)

    def hotplug_one(self, group: Cgroup) -> None:
        parent = group.above()
        effective = self.plain_effective(group)
        if group.state:
            effective = self._hotplug_partition(group, parent, effective)
        changed = effective != group.effective
        if changed:
            if not effective and not group.valid:
                effective = parent.effective
            group.effective = effective
            self.update_tasks(group)
        for child in group.cpusets():
            self.hotplug_one(child)

    def plain_effective(self, group: Cgroup) -> CpuSet:
        return group.cpus & group.above().effective

    def _hotplug_partition(self, group: Cgroup, parent: Cgroup, effective: CpuSet) -> CpuSet:
        if group.remote or (group.valid and parent.valid):
            effective = self.partition_effective(group)
        if group.remote and self.lost_to_hotplug(group, effective):
            group.reason = Reason.HOTPLUG
            self.dissolve_remote(group)
            effective = self.plain_effective(group)
        if group.valid and not group.remote and self.lost_local_to_hotplug(group, effective):
            self.invalidate(group)
            return self.partition_effective(group)
        if parent.valid and group.invalid and group.exclusive_effective:
            self.recheck(group)
            if group.valid:
                return self.partition_effective(group)
        return effective

    def lost_to_hotplug(self, group: Cgroup, effective: CpuSet) -> bool:
        return not effective and self.occupied(group)

    def lost_local_to_hotplug(self, group: Cgroup, effective: CpuSet) -> bool:
        return not group.above().valid or self.starves(group, effective)
