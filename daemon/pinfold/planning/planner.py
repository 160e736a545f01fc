"""The decision of the whole node: the world and the ledger in, the next ledger and the reasons out.

Pure: same input, same output.
"""

from dataclasses import dataclass

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.policy import Policy
from pinfold.planning.reasons import Decision
from pinfold.pods.model import Pod, PodUid
from pinfold.topology.model import Topology


@dataclass(frozen=True, slots=True)
class World:
    """Everything a decision may depend on."""

    topology: Topology
    policy: Policy
    pods: tuple[Pod, ...]
    """The pods of this node that are not terminal, in any order."""
    lingering: frozenset[PodUid] = frozenset()
    """Pods that are gone or terminal, whose cgroup still holds processes: what they own stays theirs."""
    found_running: frozenset[PodUid] = frozenset()
    """Pods whose containers ran before Pinfold placed them: they get CPUs, but their memory nodes stay."""


@dataclass(frozen=True, slots=True)
class Plan:
    ledger: Ledger
    decisions: tuple[Decision, ...]
    """One for each pod of the world, ordered by namespace and name, then UID."""
    node_shared: CpuSet
    """Online CPUs that no pod owns, the reserved ones included."""


def plan(world: World, ledger: Ledger) -> Plan:
    """Place the pods of *world*; what *ledger* holds stays where it is while it still fits.

    A full ledger and an unchanged world give the same ledger back.
    """
    raise NotImplementedError
