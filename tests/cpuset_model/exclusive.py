"""What 6.12 and later keep in exclusive sets: who may hold what, who would starve, and what is taken and given back.

A partition whose parent is one too is *local* and takes from its parent; any other is *remote* and takes from the root.
"""

from dataclasses import replace
from typing import ClassVar

from pinfold.cpuset import CpuSet

from .faults import Fault, FaultyState
from .local import LocalPartitions
from .rules import Move, Rules
from .tree import NO_CPU, Cgroup, Machine
from .words import Errno, Reason, State


class ExclusiveSets(Rules):
    FILES: ClassVar = LocalPartitions.FILES | {"cpuset.cpus.exclusive", "cpuset.cpus.exclusive.effective"}
    ROOT_FILES: ClassVar = LocalPartitions.ROOT_FILES | {"cpuset.cpus.isolated"}
    REMEMBERS_OWN_MASK: ClassVar = True
    REFUSES_EMPTY_WHEN_POPULATED: ClassVar = True

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.stale_domains = False

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
        """The last CPU of a balanced partition, where the scheduler has its fair server on the books."""
        return CpuSet.of([cpu]) in self.machine.counted

    def rebuild_domains(self) -> None:
        """Balance load anew: a scheduling domain for each valid partition that is not isolated.

        6.12 forgets the bandwidth of fair servers in domains that stay as they were; what is new is counted.
        """
        if self.root.effective and self.root.effective <= self.machine.boot_isolated:
            raise FaultyState(Fault.NOTHING_TO_BALANCE)  # seen on 6.1 for any partition; read in 6.12 for the root
        if self.stale_domains:
            self.stale_domains = False
            own = self.root.effective - self.machine.boot_isolated  # partitions balance CPUs under isolcpus=, too
            below = (one.effective for one in self.root.walk() if one.state == State.ROOT and one is not self.root)
            domains = frozenset(cpus for cpus in (own, *below) if cpus)
            self.machine.counted = domains - self.machine.domains
            self.machine.domains = domains

    def set_balance(self, group: Cgroup, old: State) -> None:
        balanced = group.state != State.ISOLATED if group.valid else group.above().balanced
        self.stale_domains |= group.valid or old > 0 or balanced != group.balanced
        group.balanced = balanced

    # --- sets ---------------------------------------------------------------------------------------------------

    def grantable(self, group: Cgroup) -> CpuSet:
        """What *group* would hold alone, as far as its parent has it to give."""
        return group.wants_exclusive & group.above().exclusive_effective

    def refuses(self, group: Cgroup, trial: Cgroup) -> Errno | None:
        """Whether *group* may become *trial*."""
        if self.refuses_empty(group, empties=bool(group.cpus and not trial.cpus)):
            return Errno.ENOSPC
        if group.no_overlap and group.cpus and not trial.cpus & self.active:
            first = CpuSet.of([group.cpus.lowest()])
            if any(first <= domain for domain in self.machine.counted):
                return Errno.EBUSY  # the bandwidth of its fair servers has nowhere to go
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

    def refuses_as_it_is(self, group: Cgroup) -> Errno | None:
        return self.refuses(group, group)

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

    def gives_some(self, group: Cgroup) -> bool:
        return group.given_count > 0

    def conflicts_with_boot(self, state: State, cpus: CpuSet) -> bool:
        """CPUs under ``isolcpus=`` may only be in an isolated partition."""
        return state != State.ISOLATED and bool(cpus & self.machine.boot_isolated)

    # --- CPUs between a partition and the one it takes them from ------------------------------------------------

    def take(self, owner: Cgroup, cpus: CpuSet, state: State) -> None:
        """A partition of *state* takes *cpus* from *owner*."""
        if not cpus & self.active <= owner.effective and not self.machine.may_lose:
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
