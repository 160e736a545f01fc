"""The one value that the loop publishes, and that everything which reports reads.

Immutable: a reader in another thread holds a whole picture and never reaches into the loop. The planner's wishes and
the kernel's word stand side by side in it; what differs is drift. Pure: no file, no clock, no log.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import overload

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Isolation, PodEntry
from pinfold.planning.planner import Plan
from pinfold.planning.policy import Policy
from pinfold.planning.protection import Protection
from pinfold.planning.reasons import Decision
from pinfold.pods.model import MEMORY, ContainerKind, InvalidPod, Pod, PodUid, QosClass
from pinfold.report.alone import Alone
from pinfold.report.counters import Counters, Evictions
from pinfold.report.events import EventCounts
from pinfold.report.migration import Migrated
from pinfold.topology.model import Topology

RECENT_LIMIT = 64
"""How many moments the time line keeps."""


class Mode(StrEnum):
    ENFORCING = "enforcing"
    OBSERVING = "observing"
    """The kubelet owns the cpusets: nothing is written."""
    PLANNED = "planned"
    """No node at all: the answer to a what-if."""


class Exclusivity(StrEnum):
    PARTITION = "partition"
    """Pools are remote cpuset partitions: the kernel keeps everybody else off."""
    SHRINK = "shrink"
    """Everybody else's cpusets are shrunk."""
    NONE = "none"
    """Nothing is enforced."""


@dataclass(frozen=True, slots=True)
class KernelView:
    """What a cgroup's files said when they were last read."""

    cgroup: str
    """Path below the cgroup2 mount."""
    cpus: CpuSet
    """``cpuset.cpus.effective``."""
    mems: NodeSet
    """``cpuset.mems.effective``."""
    partition: str = ""
    """``cpuset.cpus.partition`` as it reads, ``root invalid (Parent is not …)`` too; empty: no such file."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A file that does not hold what the ledger promises."""

    cgroup: str
    file: str
    want: str
    have: str
    cause: str
    """A word, ``rewritten``: also what its repair is counted under."""


@dataclass(frozen=True, slots=True)
class PodInKernel:
    """What the kernel holds of one pod."""

    pod: KernelView | None = None
    """None: its cgroup has not appeared."""
    containers: Mapping[str, KernelView] = field(default_factory=dict)
    """By container name; of several cgroups with one name the newest."""
    others: tuple[KernelView, ...] = ()
    """Cgroups in the pod's that are no container of its spec: the pause container, ephemeral ones, unknown ones."""
    drift: tuple[Drift, ...] = ()
    """What still differs, after the last repair."""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    name: str
    kind: ContainerKind
    isolation: Isolation
    """For CPU."""
    memory_isolation: Isolation
    cpus: CpuSet
    """What it may use by the ledger; the node shared pool for isolation host."""
    kernel: KernelView | None = None
    """None: it does not run."""


@dataclass(frozen=True, slots=True)
class PodStatus:
    uid: PodUid
    namespace: str
    name: str
    qos: QosClass | None
    """None for a pod that the sources no longer know."""
    decision: Decision | None
    """None for a pod that is gone and whose cgroup still holds processes: what it owns stays its own until then."""
    entry: PodEntry | None
    """What the ledger holds of it; None: it owns nothing."""
    containers: tuple[ContainerStatus, ...]
    kernel: PodInKernel = PodInKernel()
    static: bool = False
    protection: Protection | None = None
    """Of its memory from reclaim."""
    deleting: bool = False
    owner: str = ""
    started_at: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def pool(self) -> CpuSet:
        return self.entry.cpus if self.entry else CpuSet()

    @property
    def mems(self) -> NodeSet:
        """The NUMA nodes its memory is bound to; empty: all."""
        return self.entry.mems if self.entry else NodeSet()

    @property
    def owned(self) -> CpuSet:
        """Every CPU that no other pod may use."""
        return self.entry.owned if self.entry else CpuSet()

    @property
    def shared(self) -> CpuSet:
        """The pod shared pool."""
        return self.entry.shared if self.entry else CpuSet()

    @property
    def exclusive(self) -> CpuSet:
        """CPUs that one container owns alone for as long as the pod lives.

        Without a pool, an ended init container's left-over ones too: they stay owned.
        """
        return self.owned - self.shared


@dataclass(frozen=True, slots=True)
class SourceHealth:
    name: str
    """``api-server``, ``manifests``, ``kubelet``, ``pods-api``, ``cri``, ``cgroups``, ``hotplug``."""
    healthy: bool
    message: str = ""
    """Why not, or what it does now."""
    last_event_at: float | None = field(default=None, compare=False)
    """Seconds since the epoch. That a source rang is no news by itself."""
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the time line."""

    at: float
    """Seconds since the epoch."""
    event: str
    """``pool.pinned``, ``pool.refused``, ``cpuset.drifted``: the name of the log event."""
    pod: str
    """namespace/name; empty: the node."""
    message: str


@dataclass(frozen=True, slots=True)
class Interrupts:
    """What the guard made of this machine's interrupts."""

    moved: int = 0
    """Affinities that Pinfold changed."""
    staying: int = 0
    """Interrupts that still reach CPUs which they should not."""


def remembered(recent: tuple[Moment, ...], new: Iterable[Moment]) -> tuple[Moment, ...]:
    """The time line with *new* at its end, and its oldest moments forgotten."""
    return (*recent, *new)[-RECENT_LIMIT:]


@dataclass(frozen=True, slots=True)
class Snapshot:
    node: str
    version: str
    generation: int
    """Rises by one with every snapshot that differs from the last in more than its time."""
    at: float
    """When the loop published it, in seconds since the epoch."""
    started_at: float
    mode: Mode
    mode_reason: str
    """One sentence; empty where there is nothing to explain."""
    exclusivity: Exclusivity
    exclusivity_reason: str
    topology: Topology
    policy: Policy
    node_shared: CpuSet
    """Online CPUs that no pod owns, the reserved ones included."""
    pods: Sequence[PodStatus] = ()
    """By namespace, name and UID."""
    invalid: tuple[InvalidPod, ...] = ()
    sources: tuple[SourceHealth, ...] = ()
    counters: Counters = field(default_factory=Counters)
    events: EventCounts = field(default=EventCounts(), compare=False)
    evictions: Evictions = field(default=Evictions(), compare=False)
    recent: tuple[Moment, ...] = ()
    """Oldest first."""
    fought: tuple[str, ...] = ()
    """Cgroups that somebody rewrites as fast as they are repaired, by path."""
    alone: tuple[Alone, ...] = field(default=(), compare=False)
    """What ran on exclusive CPUs and pools, by pod and container; the loop leaves it to whoever shows it."""
    interrupts: Interrupts = Interrupts()
    memory: Mapping[PodUid, Mapping[int, int]] = field(default_factory=dict)
    """Of pods that own CPUs or memory nodes: NUMA node → bytes that lie there, as read at the last timer."""
    migrated: Migrated = field(default_factory=Migrated)
    warnings: tuple[str, ...] = ()
    """What the operator should be told about this node, one sentence each."""


def pod_statuses(
    pods: Iterable[Pod],
    plan: Plan,
    kernel: Mapping[PodUid, PodInKernel] | None = None,
    only: Collection[PodUid] | None = None,
) -> tuple[PodStatus, ...]:
    """The pods of *plan* beside what the *kernel* holds of them, those included that only the ledger still knows."""
    known = {pod.uid: pod for pod in pods}
    decisions = {one.uid: one for one in plan.decisions if only is None or one.uid in only}
    views = kernel or {}
    statuses = []
    for uid in {*decisions, *plan.ledger.entries}:
        status = _status(known.get(uid), decisions.get(uid), plan.ledger.entries.get(uid), plan.node_shared)
        status = replace(status, protection=plan.ledger.protections.get(uid))
        statuses.append(_seen(status, views[uid]) if uid in views else status)
    return tuple(sorted(statuses, key=lambda status: (status.namespace, status.name, status.uid)))


class Statuses(Sequence[PodStatus]):
    """`pod_statuses`, made when somebody looks at them: the loop does not pay for a thousand pods at each turn.

    Two are equal that are made of the same.
    """

    __slots__ = ("_made", "_of")

    def __init__(self, pods: tuple[Pod, ...], plan: Plan, kernel: Mapping[PodUid, PodInKernel]) -> None:
        self._of = pods, plan, kernel
        self._made: tuple[PodStatus, ...] | None = None

    def owners(self) -> tuple[PodStatus, ...]:
        """Of pods that the ledger holds."""
        pods, plan, kernel = self._of
        entries = plan.ledger.entries
        return pod_statuses((pod for pod in pods if pod.uid in entries), plan, kernel, entries)

    def _all(self) -> tuple[PodStatus, ...]:
        if self._made is None:  # by two threads at once: they make the same
            self._made = pod_statuses(*self._of)
        return self._made

    @overload
    def __getitem__(self, place: int) -> PodStatus: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[PodStatus]: ...

    def __getitem__(self, place: int | slice) -> PodStatus | Sequence[PodStatus]:
        return self._all()[place]

    def __iter__(self) -> Iterator[PodStatus]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return self._of == other._of if isinstance(other, Statuses) else NotImplemented


def _status(pod: Pod | None, decision: Decision | None, entry: PodEntry | None, node_shared: CpuSet) -> PodStatus:
    who = pod or decision or entry
    if who is None:
        raise ValueError("a pod that neither a source, nor the plan, nor the ledger knows")
    return PodStatus(
        uid=who.uid,
        namespace=who.namespace,
        name=who.name,
        qos=pod.qos if pod else None,
        decision=decision,
        entry=entry,
        containers=_containers(pod, entry, node_shared),
        static=bool(pod and pod.static),
        deleting=bool(pod and pod.deleting),
        owner=pod.owner if pod else "",
        started_at=pod.started_at if pod else "",
    )


def _containers(pod: Pod | None, entry: PodEntry | None, node_shared: CpuSet) -> tuple[ContainerStatus, ...]:
    """In spec order; a pod that is gone, in the ledger's, which is the same."""
    placed = {one.name: one for one in entry.containers} if entry else {}
    kinds = {one.name: one.kind for one in (pod.containers if pod else placed.values())}
    equivalent = {one.name for one in pod.containers if one.guaranteed_equivalent} if pod else set()
    pooled = Isolation.POD if entry and entry.cpus else Isolation.HOST
    booked = Isolation.POD if entry and entry.blocks else Isolation.HOST
    unplaced = (entry.shared or entry.cpus if entry else CpuSet()) or node_shared
    statuses = []
    for name, kind in kinds.items():
        own = placed.get(name)
        bound = own is not None and any(block.resource == MEMORY for block in own.blocks)
        alone = bound and (booked is Isolation.HOST or name in equivalent)
        statuses.append(
            ContainerStatus(
                name=name,
                kind=kind,
                isolation=own.isolation if own else pooled,
                memory_isolation=Isolation.CONTAINER if alone else booked,
                cpus=(own.cpus if own else CpuSet()) or unplaced,
            )
        )
    return tuple(statuses)


def _seen(status: PodStatus, kernel: PodInKernel) -> PodStatus:
    containers = tuple(replace(one, kernel=kernel.containers.get(one.name)) for one in status.containers)
    return replace(status, containers=containers, kernel=kernel)
