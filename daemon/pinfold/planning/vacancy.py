"""What is there when a pod's turn comes, and what comes out of it: the pod is placed, or it is not.

Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.books import Books
from pinfold.planning.hints import Hint, Hints
from pinfold.planning.ledger import Block, PodEntry
from pinfold.planning.memory import Booking, book, memory_hints
from pinfold.planning.nearest import resized
from pinfold.planning.options import smt_misaligned
from pinfold.planning.policy import CpuOption, Policy, TopologyPolicy
from pinfold.planning.reasons import HintWeighed, Refused, Word
from pinfold.planning.regime import Wanted
from pinfold.planning.take import allocate
from pinfold.pods.model import Amounts
from pinfold.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Vacant:
    """What a pod finds. What the pod itself holds belongs to nobody here."""

    topology: Topology
    usable: CpuSet
    """CPUs that a pod may own at all: online and not reserved."""
    owned: CpuSet
    """CPUs of other pods."""
    books: Books
    apart: CpuSet = CpuSet()
    """CPUs in no shared pool of pods: those the machine was booted to isolate, and reserved ones kept strictly."""
    owed_cpus: int = 0
    """How many CPUs the node shared pool must keep; 0: nobody asks."""
    devices: Mapping[str, NodeSet] = field(default_factory=dict)
    """As in the world."""

    @property
    def shared(self) -> CpuSet:
        """The node shared pool of pods, as long as this one has nothing."""
        return self.topology.online - self.owned - self.apart

    def said_of_memory(self, amounts: Amounts, mems: NodeSet, reusable: Sequence[Block] = ()) -> Hints | None:
        """The hints for memory *amounts*. On nodes *mems* it is bound already: to move it would move its pages."""
        if not amounts:
            return None
        if mems:
            return Hints(tuple(amounts), (Hint(mems, preferred=True),))
        return memory_hints(self.books, amounts, reusable)

    def booked(self, amounts: Amounts, hint: Hint, mems: NodeSet, reusable: Sequence[Block] = ()) -> Booking | Refused:
        """Book memory *amounts* on the nodes of *hint*; where it is bound already, on *mems*, or on these and more."""
        return book(self.books, amounts, replace(hint, nodes=mems) if mems else hint, reusable)

    def does_without(self, amounts: Amounts, policy: Policy) -> bool:
        """Whether a pod is placed though memory *amounts* cannot be booked for it.

        Not where the policy promises alignment and the memory may come free: the pod waits for it, as it does where
        the hints say so.
        """
        strict = policy.topology_policy in {TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE}
        hopeless = any(need > sum(self.books.allocatable(name).values()) for name, need in amounts.items())
        return policy.rules.cpus_without_memory and (hopeless or not strict)

    def candidates(self, want: Wanted, count: int, keep: CpuSet = CpuSet()) -> CpuSet:
        """Where *count* CPUs may come from, beside those to *keep*.

        CPUs booted as isolated are for pods that ask for that, if they suffice. What grows under full-pcpus-only grows
        by whole cores.
        """
        free = self.usable - self.owned - keep
        if keep and CpuOption.FULL_PCPUS_ONLY in want.policy.cpu_options:
            free = whole_cores(self.topology, free | keep) - keep
        if want.isolated is None:
            return free - self.topology.isolated
        booted = free & self.topology.isolated
        return booted if len(booted | keep) >= count else free

    def misaligned(self, policy: Policy, count: int) -> Refused | None:
        """Why *count* CPUs may not be taken under full-pcpus-only."""
        return smt_misaligned(
            self.topology, count, self.topology.online - self.owned, policy.reserved, policy.cpu_options
        )

    def too_few_left(self, taken: CpuSet) -> Refused | None:
        """Why *taken* may not leave the node shared pool."""
        left = len(self.shared - taken)
        if left >= self.owed_cpus:
            return None
        return Refused(
            Word.NODE_SHARED_POOL_EXHAUSTED,
            f"would leave {left} CPUs to the node shared pool, which owes {self.owed_cpus} to the pods that run in it",
            can_pass=True,
            remedy=f"{self.owed_cpus - left} more CPUs in the node shared pool",
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What a pod keeps of what it had: CPUs, as far as it may own them, and the nodes of its memory."""

    cpus: CpuSet = CpuSet()
    """Its pool, or all its slices where it had none."""
    slices: Mapping[str, CpuSet] = field(default_factory=dict)
    mems: NodeSet = NodeSet()
    container_mems: Mapping[str, NodeSet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    entry: PodEntry
    hints: tuple[HintWeighed, ...] = ()
    missing: Refused | None = None
    """What the pod wanted and did not get, though it was placed."""


@dataclass(frozen=True, slots=True)
class NotPlaced:
    refused: Refused
    hints: tuple[HintWeighed, ...] = ()


def whole_cores(topology: Topology, cpus: CpuSet) -> CpuSet:
    """Those of *cpus* whose cores are wholly in it."""
    return CpuSet.union(core for core in topology.cores.values() if core <= cpus)


def take_near(
    vacant: Vacant,
    policy: Policy,
    free: CpuSet,
    count: int,
    nodes: NodeSet | None,
    keep: CpuSet = CpuSet(),
    reusable: CpuSet = CpuSet(),
) -> CpuSet | Refused:
    """*count* CPUs near *nodes*, the hint, as far as that goes; around those to *keep*, where there are any."""
    topology = vacant.topology
    if not keep:
        return allocate(topology, free, reusable, count, nodes, policy.cpu_options, policy.rules)
    around = free | reusable
    near = around if nodes is None else around & topology.cpus_of(nodes)
    cpus = resized(topology, resized(topology, keep, count, near), count, around)
    return cpus if len(cpus) == count else not_enough(count, len(around | keep))


def not_enough(count: int, there: int) -> Refused:
    return Refused(
        Word.UNEXPECTED_ADMISSION,
        f"not enough cpus available to satisfy request: requested={count}, available={there}",
        can_pass=True,
        remedy=f"{count - there} more free CPUs",
    )
