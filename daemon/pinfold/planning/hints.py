"""Which sets of NUMA nodes a resource could come from, and which of them it prefers.

Pure. The kubelet writes out every set; here they are described by what they must hold, so that a machine of 64 nodes
needs no list of 2^64. Source: the kubelet's ``generateCPUTopologyHints``; KEP-693, KEP-3327 (align-by-socket).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.policy import CpuOption
from pinfold.planning.sets import Amount, best, enough, fewest
from pinfold.pods.model import CPU
from pinfold.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Hint:
    nodes: NodeSet | None
    """None: any."""
    preferred: bool


@dataclass(frozen=True, slots=True)
class Room:
    """Every set of *nodes* that includes *required* and holds the *amounts*."""

    nodes: NodeSet
    required: NodeSet
    amounts: tuple[Amount, ...]
    narrowest: int
    """How few nodes could hold the amounts if nothing were in use: sets of this size are preferred."""
    sockets: Mapping[int, NodeSet] = field(default_factory=dict)
    """With align-by-socket: socket → its nodes."""
    span: int = 0
    """Sets that touch so many of *sockets* are preferred too."""

    def holds(self, nodes: NodeSet) -> bool:
        return bool(nodes) and self.required <= nodes <= self.nodes and enough(nodes.bits, self.amounts)

    def prefers(self, nodes: NodeSet) -> bool:
        return len(nodes) == self.narrowest or (
            self.span > 0 and self.span == sum(bool(own & nodes) for own in self.sockets.values())
        )

    def fewest(self, including: NodeSet = NodeSet()) -> int | None:
        """The size of its smallest set."""
        return fewest(self.nodes.bits, (self.required | including).bits, self.amounts)

    def best(self, including: NodeSet) -> Hint | None:
        """The best set of the preferred size, else of the smallest."""
        required = (self.required | including).bits
        for size in (self.narrowest, self.fewest(including)):
            if size and (nodes := best(self.nodes.bits, required, size, self.amounts)) is not None:
                return Hint(NodeSet(nodes), self.prefers(NodeSet(nodes)))
        return None


@dataclass(frozen=True, slots=True)
class Hints:
    """What one provider says of its resources. No set at all: it is impossible, though any set may be used."""

    resources: tuple[str, ...]
    """The provider says the same of each of them."""
    listed: tuple[Hint, ...] = ()
    room: Room | None = None
    """Sets not listed."""

    def of(self, nodes: NodeSet) -> Hint | None:
        """The hint for just this set; None where there is none."""
        listed = [hint for hint in self.listed if hint.nodes == nodes]
        if listed:
            return Hint(nodes, any(hint.preferred for hint in listed))
        if self.room is not None and self.room.holds(nodes):
            return Hint(nodes, self.room.prefers(nodes))
        return None

    def best(self, including: NodeSet = NodeSet()) -> Hint | None:
        """The best of its hints whose set includes these nodes: a preferred one first, then one of few nodes."""
        sets = [hint for hint in self.listed if hint.nodes is not None and including <= hint.nodes]
        if self.room is not None and (hint := self.room.best(including)) is not None:
            sets.append(hint)
        return min(sets, key=_worse, default=None)


def _worse(hint: Hint) -> tuple[bool, int, int]:
    nodes = NodeSet() if hint.nodes is None else hint.nodes
    return not hint.preferred, len(nodes), nodes.bits


def cpu_hints(
    topology: Topology,
    available: CpuSet,
    reusable: CpuSet,
    count: int,
    options: frozenset[CpuOption] = frozenset(),
) -> Hints | None:
    """Where *count* CPUs of *available* and *reusable* could come from; None, no preference, where *count* is 0.

    Every hint includes all nodes of the reusable CPUs. What is preferred depends on the machine, not on what is free.
    A pod that has its CPUs: none available, its own reusable.
    """
    if not count:
        return None
    own, free = topology.node_cpus, available | reusable
    nodes = NodeSet.of(own)
    narrowest = fewest(nodes.bits, 0, [Amount(count, {node: len(cpus) for node, cpus in own.items()})]) or len(own)
    available_amount = Amount(count, {node: len(cpus & free) for node, cpus in own.items()})
    room = Room(nodes, topology.nodes_of(reusable), (available_amount,), narrowest)
    if CpuOption.ALIGN_BY_SOCKET in options:
        room = _aligned_by_socket(room, topology)
    return Hints((CPU,), room=room)


def _aligned_by_socket(room: Room, topology: Topology) -> Room:
    per_socket = len(room.nodes) // len(topology.sockets)
    if not per_socket:
        return room
    sockets = {socket: topology.nodes_of(cpus) for socket, cpus in topology.sockets.items()}
    return replace(room, sockets=sockets, span=-(-room.narrowest // per_socket))
