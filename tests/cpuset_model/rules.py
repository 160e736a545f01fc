"""What all kernels do alike: memory nodes, affinity, entering and leaving a cpuset.

The rules of partitions differ by kernel and stand in `local` (6.1) and `remote` (6.12 and later).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pinfold.cpuset import CpuSet, NodeSet

from .faults import Fault, FaultyState
from .tree import NO_CPU, NO_NODE, Cgroup, Machine, Task
from .words import Errno, Reason, State


@dataclass(frozen=True, slots=True)
class Move:
    """A task, the cpuset that governed it and the one that will."""

    task: Task
    old: Cgroup
    new: Cgroup

    @property
    def changes_nothing(self) -> bool:
        return self.old.effective == self.new.effective and self.old.mems_effective == self.new.mems_effective


class Rules(ABC):
    """How one family of kernels answers. It works on a Machine in place."""

    FILES: ClassVar[frozenset[str]]  # cpuset files of a cgroup other than the root
    ROOT_FILES: ClassVar[frozenset[str]]
    REMEMBERS_OWN_MASK: ClassVar[bool]
    REFUSES_EMPTY_WHEN_POPULATED: ClassVar[bool]

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @property
    def root(self) -> Cgroup:
        return self.machine.root

    @property
    def active(self) -> CpuSet:
        return self.machine.active

    # --- what differs -------------------------------------------------------------------------------------------

    @abstractmethod
    def write_cpus(self, group: Cgroup, cpus: CpuSet) -> Errno | None: ...

    @abstractmethod
    def write_exclusive(self, group: Cgroup, cpus: CpuSet) -> Errno | None: ...

    @abstractmethod
    def refuses_as_it_is(self, group: Cgroup) -> Errno | None:
        """What a write answers that leaves the CPUs of *group* alone, where they are at odds with its siblings'."""

    @abstractmethod
    def write_partition(self, group: Cgroup, state: State) -> None: ...

    @abstractmethod
    def refuses_offline(self, cpu: int) -> bool:
        """Whether the scheduler refuses to let *cpu*, which is still active, go offline."""

    @abstractmethod
    def hotplug(self) -> None:
        """Bring all cpusets in line with the active CPUs, which have changed."""

    def rebuild_domains(self) -> None:  # noqa: B027 - nothing where the scheduler refuses nothing
        """Tell the scheduler, once a write is done, among which CPUs to balance load."""

    @abstractmethod
    def root_mask(self) -> CpuSet:
        """What a task in the root cgroup is set to when the root's CPUs change."""

    @abstractmethod
    def entered_root_mask(self) -> CpuSet:
        """What a task that enters the root cgroup is set to."""

    @abstractmethod
    def text(self, reason: Reason) -> str: ...

    # --- memory -------------------------------------------------------------------------------------------------

    def write_mems(self, group: Cgroup, mems: NodeSet) -> Errno | None:
        if not mems <= self.machine.nodes:
            return Errno.EINVAL
        if mems.bits == group.mems.bits:
            return None
        if self.refuses_empty(group, empties=not mems):
            return Errno.ENOSPC
        if refused := self.refuses_as_it_is(group):
            return refused
        group.mems = mems
        self._spread_mems(group)
        return None

    def _spread_mems(self, group: Cgroup) -> None:
        parent = group.above()
        effective = (group.mems & parent.mems_effective) or parent.mems_effective
        if effective == group.mems_effective:
            return
        group.mems_effective = effective
        for child in group.cpusets():
            self._spread_mems(child)

    def refuses_empty(self, group: Cgroup, *, empties: bool) -> bool:
        return empties and self.REFUSES_EMPTY_WHEN_POPULATED and group.populated

    # --- tasks --------------------------------------------------------------------------------------------------

    def set_mask(self, task: Task, mask: CpuSet) -> bool:
        """Give *task* the kernel's *mask*, cut by its own where the kernel remembers one; whether that worked."""
        if self.REMEMBERS_OWN_MASK and task.own is not None:
            mask = (mask & task.own) or mask
        works = mask == task.mask or bool(mask & self.active)
        if works:
            task.mask = mask
        return works

    def update_tasks(self, group: Cgroup) -> None:
        mask = self.root_mask() if group.parent is None else group.effective
        for task in group.governed():
            self.set_mask(task, mask)

    def allowed_by_cpuset(self, group: Cgroup) -> CpuSet:
        """The active CPUs of *group*, or of the nearest cpuset above it that has any."""
        at = group
        while not (cpus := at.effective & self.active):
            if at.parent is None:
                return self.active
            at = at.parent
        return cpus

    def attach(self, moves: list[Move]) -> None:
        """Tasks go from one cpuset to another in one write."""
        if not self.skips_attach(moves):
            for move in moves:
                to_root = move.new.parent is None
                mask = self.entered_root_mask() if to_root else self.allowed_by_cpuset(move.new)
                if not self.set_mask(move.task, mask):
                    raise FaultyState(Fault.LEFT_BEHIND)

    @abstractmethod
    def skips_attach(self, moves: list[Move]) -> bool:
        """Whether the kernel sees no change in *moves* and leaves all masks alone."""

    def set_affinity(self, task: Task, group: Cgroup, wanted: CpuSet) -> Errno | None:
        allowed = self.affinity_limit(group)
        mask = wanted & allowed
        if mask != task.mask:
            if not mask & self.active:
                return Errno.EINVAL
            task.mask = mask
        if self.REMEMBERS_OWN_MASK:
            task.own = wanted
        return None

    def affinity_limit(self, group: Cgroup) -> CpuSet:
        return self.allowed_by_cpuset(group)

    # --- a cpuset comes and goes --------------------------------------------------------------------------------

    def born(self, group: Cgroup) -> None:
        parent = group.above()
        group.has_cpuset = True
        group.effective, group.mems_effective = parent.effective, parent.mems_effective
        group.balanced = parent.balanced
        group.follows_parent = True

    def dying(self, group: Cgroup) -> None:
        """Free what *group* holds and forget its files."""
        if group.valid:
            self.write_partition(group, State.MEMBER)
        group.has_cpuset = group.left = False
        group.cpus = group.exclusive = group.exclusive_effective = group.effective = group.given = NO_CPU
        group.mems = group.mems_effective = NO_NODE
        group.state, group.reason, group.remote, group.no_overlap = State.MEMBER, None, False, False
        group.balanced, group.given_count, group.follows_parent = True, 0, False

    # --- partitions ---------------------------------------------------------------------------------------------

    @abstractmethod
    def gives_some(self, group: Cgroup) -> bool:
        """Whether partitions directly below hold CPUs of this one."""

    def occupied(self, group: Cgroup, *, but: Cgroup | None = None) -> bool:
        """Whether tasks need CPUs of this partition itself: not those in partitions below, and not those of *but*."""
        if group.tasks:
            return True
        if but is None and not self.gives_some(group):
            return group.populated
        return any(self._needs_cpus(child, but) for child in group.cpusets())

    def _needs_cpus(self, group: Cgroup, but: Cgroup | None) -> bool:
        if group is not but:
            if group.valid:
                return False
            if group.populated:
                return True
        return any(self._needs_cpus(child, but) for child in group.cpusets())

    def becomes(self, group: Cgroup, state: State) -> None:
        """Give *group* its new state; a valid one has no reason."""
        changed, group.state = group.state != state, state
        if changed and group.valid:
            group.reason = None

    def follow_balance(self, group: Cgroup) -> None:
        if not group.valid:
            group.balanced = group.above().balanced


def parent_reason(parent: Cgroup) -> Reason:
    return Reason.PARENT_INVALID if parent.invalid else Reason.PARENT_MEMBER
