"""What is there when a pod's turn comes, and what comes out of it: the pod is placed, or it is not.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import PodEntry
from pinfold.planning.nearest import resized
from pinfold.planning.options import smt_misaligned
from pinfold.planning.policy import CpuOption, Policy
from pinfold.planning.reasons import HintWeighed, Refused, Word
from pinfold.planning.regime import Wanted
from pinfold.planning.take import allocate
from pinfold.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Vacant:
    """What a pod finds. What the pod itself holds belongs to nobody here."""

    topology: Topology
    usable: CpuSet
    """CPUs that a pod may own at all: online and not reserved."""
    owned: CpuSet
    """CPUs of other pods."""
    owed_cpus: int = 0
    """How many CPUs the node shared pool must keep; 0: nobody asks."""
    devices: Mapping[str, NodeSet] = field(default_factory=dict)
    """As in the world."""

    @property
    def shared(self) -> CpuSet:
        """The node shared pool, as long as the pod has nothing."""
        return self.topology.online - self.owned - self.topology.isolated

    def candidates(self, want: Wanted, count: int) -> CpuSet:
        """Where *count* CPUs may come from. CPUs booted as isolated are for pods that ask for that, if they suffice."""
        free = self.usable - self.owned
        if want.isolated is None:
            return free - self.topology.isolated
        booted = free & self.topology.isolated
        return booted if len(booted) >= count else free

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
    if CpuOption.FULL_PCPUS_ONLY in policy.cpu_options:
        around = whole_cores(topology, around | keep)
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
