"""The tree that the rules of a kernel work on: cgroups, their cpusets, tasks and the CPUs that are there.

Data and walks over it. What a write does to it is in `local` and `remote`; what a caller may ask is in `world`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pinfold.cpuset import CpuSet, NodeSet

from .words import Reason, State

NO_CPU = CpuSet()
NO_NODE = NodeSet()


@dataclass(slots=True)
class Task:
    """A sleeping process. *mask* is its Cpus_allowed; *own* what it asked for, where the kernel remembers that."""

    mask: CpuSet
    own: CpuSet | None = None


@dataclass(slots=True, eq=False)
class Cgroup:
    """A cgroup and, where *has_cpuset*, what its cpuset files hold."""

    name: str
    parent: "Cgroup | None" = None
    children: "dict[str, Cgroup]" = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    gives_cpuset: bool = False  # cgroup.subtree_control holds cpuset
    has_cpuset: bool = False
    left: bool = False  # its cpuset is being taken away and its tasks obey the one above already

    cpus: CpuSet = NO_CPU
    exclusive: CpuSet = NO_CPU
    exclusive_effective: CpuSet = NO_CPU
    effective: CpuSet = NO_CPU
    mems: NodeSet = NO_NODE
    mems_effective: NodeSet = NO_NODE
    state: State = State.MEMBER
    reason: Reason | None = None
    remote: bool = False
    no_overlap: bool = False  # set with a valid partition: no sibling's set may overlap
    balanced: bool = True  # its scheduler balances load; isolated partitions do not
    given: CpuSet = NO_CPU  # 6.1: CPUs that partitions below hold
    given_count: int = 0  # 6.12: partitions directly below that are valid
    follows_parent: bool = False  # 6.1: effective is the parent's, whole

    path: str = field(init=False)

    def __post_init__(self) -> None:
        self.path = (
            self.name if self.parent is None or self.parent.parent is None else f"{self.parent.path}/{self.name}"
        )

    @property
    def valid(self) -> bool:
        """Whether it is a partition that holds its CPUs."""
        return self.state > 0

    @property
    def invalid(self) -> bool:
        return self.state < 0

    @property
    def wants_exclusive(self) -> CpuSet:
        """What it would hold alone: cpuset.cpus.exclusive, or cpuset.cpus where that is not set."""
        return self.exclusive or self.cpus

    def above(self) -> "Cgroup":
        """Its parent; the root is never asked."""
        if self.parent is None:
            raise ValueError("the root cgroup has no parent")
        return self.parent

    def cpusets(self) -> "list[Cgroup]":
        """The children that have a cpuset, oldest first."""
        return [child for child in self.children.values() if child.has_cpuset]

    def siblings(self) -> "list[Cgroup]":
        return [one for one in self.above().cpusets() if one is not self]

    def walk(self) -> "Iterator[Cgroup]":
        """Itself and all below, parents first."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    @property
    def populated(self) -> bool:
        return bool(self.tasks) or any(child.populated for child in self.children.values())

    def governed(self) -> Iterator[Task]:
        """The tasks that obey this cpuset: its own and those of cgroups below that have none themselves."""
        if not self.left:
            yield from self._obedient()

    def _obedient(self) -> Iterator[Task]:
        yield from self.tasks.values()
        for child in self.children.values():
            if child.left or not child.has_cpuset:
                yield from child._obedient()

    def copy(self, parent: "Cgroup | None" = None) -> "Cgroup":
        twin = replace(
            self, parent=parent, children={}, tasks={name: replace(task) for name, task in self.tasks.items()}
        )
        twin.children = {name: child.copy(twin) for name, child in self.children.items()}
        return twin


@dataclass(slots=True)
class Machine:
    """The root cgroup and what lies outside the tree."""

    root: Cgroup
    possible: CpuSet
    active: CpuSet
    nodes: NodeSet
    boot_isolated: CpuSet = NO_CPU  # isolcpus=
    taken: CpuSet = NO_CPU  # CPUs that partitions took from the root
    isolated: CpuSet = NO_CPU  # cpuset.cpus.isolated of the root
    domains: frozenset[CpuSet] = frozenset()  # the CPUs among which load is balanced
    counted: frozenset[CpuSet] = frozenset()  # domains in which the bandwidth of fair servers is on the books
    privileged: bool = True  # the writer has CAP_SYS_ADMIN
    may_lose: bool = False  # 6.12 may enter the state in which a CPU belongs to nobody

    @classmethod
    def boot(cls, possible: CpuSet, nodes: NodeSet, boot_isolated: CpuSet = NO_CPU) -> "Machine":
        root = Cgroup("", has_cpuset=True, cpus=possible, exclusive=possible, exclusive_effective=possible)
        root.effective, root.mems, root.mems_effective = possible, nodes, nodes
        root.state, root.no_overlap = State.ROOT, True
        root.tasks["init"] = Task(possible)  # no root cgroup is without
        balanced = frozenset({possible - boot_isolated})
        return cls(root, possible, possible, nodes, boot_isolated, isolated=boot_isolated, domains=balanced)

    def copy(self) -> "Machine":
        return replace(self, root=self.root.copy())
