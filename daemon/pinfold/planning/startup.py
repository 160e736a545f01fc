"""Whether a kubelet with the static CPU policy starts on the state that it finds, and with which node shared pool.

Pure. For a node that Pinfold only observes: a kubelet that will not come back after its next restart is told in time.
Source: the kubelet's ``NewStaticPolicy``, ``validateState``.
"""

from dataclasses import dataclass
from enum import StrEnum

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.policy import CpuOption
from pinfold.topology.model import Topology


class Misfit(StrEnum):
    RESERVED_SIZE = "reserved-size"
    NO_SHARED_POOL = "no-shared-pool"
    RESERVED_CPUS = "reserved-cpus"
    OVERLAP = "overlap"
    CPUS_CHANGED = "cpus-changed"


@dataclass(frozen=True, slots=True)
class NotStarted:
    why: Misfit
    message: str
    """What does not fit, in the kubelet's words. Its cure: drain the node, delete ``cpu_manager_state``, restart."""


def started(
    topology: Topology,
    shared: CpuSet,
    ledger: Ledger,
    reserved: CpuSet,
    reserved_count: int,
    options: frozenset[CpuOption],
) -> CpuSet | NotStarted:
    """The node shared pool of a kubelet that finds *shared*, ``defaultCpuSet``, and the entries of *ledger*.

    *reserved_count* is ceil(kube-reserved + system-reserved), which the list *reserved* must match.
    """
    if len(reserved) != reserved_count:
        message = f"unable to reserve the required amount of CPUs (size of {reserved} did not equal {reserved_count})"
        return NotStarted(Misfit.RESERVED_SIZE, message)
    strict = CpuOption.STRICT_CPU_RESERVATION in options
    owned = ledger.owned
    if not shared and not ledger.entries:
        return topology.online - reserved if strict else topology.online
    if not shared:
        return NotStarted(Misfit.NO_SHARED_POOL, "default cpuset cannot be empty")
    if strict and shared & reserved:
        message = f'some of strictly reserved cpus: "{shared & reserved}" are present in defaultCpuSet: "{shared}"'
        return NotStarted(Misfit.RESERVED_CPUS, message)
    if not strict and not reserved <= shared:
        message = f'not all reserved cpus: "{reserved}" are present in defaultCpuSet: "{shared}"'
        return NotStarted(Misfit.RESERVED_CPUS, message)
    if both := shared & owned:
        return NotStarted(Misfit.OVERLAP, f'cpus "{both}" are exclusive and in defaultCpuSet: "{shared}"')
    known = shared | owned | (reserved if strict else CpuSet())
    if known != topology.online:
        message = f'current set of available CPUs "{topology.online}" doesn\'t match with CPUs in state "{known}"'
        return NotStarted(Misfit.CPUS_CHANGED, message)
    return shared
