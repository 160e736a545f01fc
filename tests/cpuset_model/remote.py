"""The rules of 6.12: what each write does, and what CPU hotplug does."""

from dataclasses import replace

from pinfold.cpuset import CpuSet

from .partitions import Partitions
from .tree import NO_CPU, Cgroup
from .words import Errno, Reason, State


class RemotePartitions(Partitions):
    """6.12. 7.3 changes the methods that `remote_latest` overrides."""

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
            self.set_balance(group, old)
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
            self.set_balance(group, old)
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
        self.set_balance(group, old)

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
        self.stale_domains = True
        for child in root.cpusets():
            self.hotplug_one(child)

    def hotplug_one(self, group: Cgroup) -> None:
        parent = group.above()
        effective = self.plain_effective(group)
        if group.state:
            effective = self._hotplug_partition(group, parent, effective)
        changed = effective != group.effective
        if changed or self.seems_to_lose_nodes(group):
            if not effective and not group.valid:
                effective = parent.effective
            group.effective = effective
        if changed:
            self.update_tasks(group)
        for child in group.cpusets():
            self.hotplug_one(child)

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

    def seems_to_lose_nodes(self, group: Cgroup) -> bool:
        """6.12 takes a cpuset without nodes of its own for one that lost them, and so looks at its CPUs as well."""
        return group.mems & group.above().mems_effective != group.mems_effective

    def lost_to_hotplug(self, group: Cgroup, effective: CpuSet) -> bool:
        return not effective and self.occupied(group)

    def lost_local_to_hotplug(self, group: Cgroup, effective: CpuSet) -> bool:
        return not group.above().valid or self.starves(group, effective)
