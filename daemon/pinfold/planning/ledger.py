"""Who owns what: the planner's memory, as one immutable value.

It is what the checkpoint holds. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.protection import Protections
from pinfold.pods.model import Amounts, ContainerKind, PodUid


class Isolation(StrEnum):
    """Whom a container shares its CPUs with: the kubelet's isolation levels."""

    CONTAINER = "container"
    """An exclusive slice: nobody."""
    POD = "pod"
    """CPUs of the pod pool, with other containers of the pod."""
    HOST = "host"
    """The node shared pool."""


@dataclass(frozen=True, slots=True)
class Block:
    """Memory booked on a set of NUMA nodes. Source: the memory manager's state file, ``memoryBlocks``."""

    nodes: NodeSet
    resource: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ContainerEntry:
    """What one container of a placed pod may use."""

    name: str
    isolation: Isolation
    cpus: CpuSet = CpuSet()
    """Its slice (CONTAINER), or what it may use of the pod pool (POD); empty for HOST."""
    blocks: tuple[Block, ...] = ()
    """Booked for it alone; where the pod has blocks, these are a part of them and are not counted again."""
    kind: ContainerKind = ContainerKind.APP

    @property
    def mems(self) -> NodeSet:
        """The NUMA nodes that its memory is bound to, beyond what binds its pod; empty: the pod's."""
        return NodeSet.union(block.nodes for block in self.blocks)


@dataclass(frozen=True, slots=True)
class PodEntry:
    """What one pod owns."""

    uid: PodUid
    namespace: str
    name: str
    cpus: CpuSet = CpuSet()
    """The pod pool; empty where the pod has none (its slices, if any, were then taken from the node shared pool)."""
    mems: NodeSet = NodeSet()
    """The NUMA nodes its memory is bound to; empty: all."""
    containers: tuple[ContainerEntry, ...] = ()
    """In spec order, without ephemeral ones."""
    blocks: tuple[Block, ...] = ()
    """Memory booked for the pod as a unit."""
    asked: Amounts = field(default_factory=dict)
    """The pod-level amounts that this entry was made for: a difference is a resize."""
    isolated: bool = False
    """The pool's partition is ``isolated``: no load balancing in it."""

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def slices(self) -> Mapping[str, CpuSet]:
        return {one.name: one.cpus for one in self.containers if one.isolation is Isolation.CONTAINER}

    @property
    def shared(self) -> CpuSet:
        """The pod shared pool: the pool less every slice that lives as long as the pod's app containers.

        Empty where the slices take all, or where there is no pool.
        """
        return self.cpus - CpuSet.union(
            one.cpus
            for one in self.containers
            if one.isolation is Isolation.CONTAINER and one.kind is not ContainerKind.INIT
        )

    @property
    def owned(self) -> CpuSet:
        """Every CPU that no other pod may use."""
        return self.cpus | CpuSet.union(self.slices.values())

    @property
    def booked(self) -> tuple[Block, ...]:
        """The memory that no other pod may book."""
        return self.blocks or tuple(block for one in self.containers for block in one.blocks)


@dataclass(frozen=True, slots=True)
class Ledger:
    entries: Mapping[PodUid, PodEntry] = field(default_factory=dict)
    protections: Protections = field(default_factory=dict)
    """Pods whose memory is protected from reclaim; they need own nothing."""

    @property
    def owned(self) -> CpuSet:
        return CpuSet.union(entry.owned for entry in self.entries.values())

    def with_entry(self, entry: PodEntry) -> "Ledger":
        return replace(self, entries={**self.entries, entry.uid: entry})

    def without(self, uids: Iterable[PodUid]) -> "Ledger":
        gone = frozenset(uids)
        return Ledger(
            {uid: entry for uid, entry in self.entries.items() if uid not in gone},
            {uid: one for uid, one in self.protections.items() if uid not in gone},
        )
