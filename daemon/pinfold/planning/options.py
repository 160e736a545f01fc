"""Which CPU manager options go together, and whether a request fills whole cores.

Pure. Source: the kubelet's ``policy_options.go``, ``enforceSMTAlignment``; stages as of Kubernetes 1.36.
"""

from pinfold.cpuset import CpuSet
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.units import units
from pinfold.topology.model import Topology

_EXCLUSIVE = (
    (CpuOption.FULL_PCPUS_ONLY, CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES),
    (CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA, CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES),
    (CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE, CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES),
    (CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE, CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA),
)


def illegal(options: frozenset[CpuOption], policy: TopologyPolicy, topology: Topology) -> str | None:
    """Why the kubelet would not start with these *options*, in one sentence; None where it would."""
    for one, other in _EXCLUSIVE:
        if one in options and other in options:
            return f"{one} and {other} can not be used together"
    if CpuOption.ALIGN_BY_SOCKET not in options:
        return None
    if policy is TopologyPolicy.SINGLE_NUMA_NODE:
        return f"{CpuOption.ALIGN_BY_SOCKET} can not be used with topology policy {policy}"
    sockets, nodes = len(topology.sockets), len(topology.node_cpus)
    if sockets > nodes:
        return f"{CpuOption.ALIGN_BY_SOCKET} needs no more sockets than NUMA nodes: there are {sockets} and {nodes}"
    return None


def smt_misaligned(
    topology: Topology, count: int, node_shared: CpuSet, reserved: CpuSet, options: frozenset[CpuOption]
) -> Refused | None:
    """Why *count* CPUs would not fill whole cores; None where they would, or where full-pcpus-only is off.

    Cores that hold a reserved CPU are not counted among the free ones. Never ask for a pool that stands: the kubelet
    does at restart, and refuses pods that run.
    """
    if CpuOption.FULL_PCPUS_ONLY not in options:
        return None
    per_core = units(topology).cpus_per_core
    if odd := count % per_core:
        return Refused(
            Word.SMT_ALIGNMENT,
            f"SMT Alignment Error: requested {count} cpus not multiple cpus per core = {per_core}",
            can_pass=False,
            remedy=f"a multiple of {per_core} CPUs: {count - odd} or {count - odd + per_core}",
        )
    physical = CpuSet.union(core for core in topology.cores.values() if core.bits & reserved.bits)
    free = len((node_shared & topology.online) - physical)
    if count <= free:
        return None
    missing = -(-(count - free) // per_core)
    return Refused(
        Word.SMT_ALIGNMENT,
        f"SMT Alignment Error: not enough free physical CPUs: available physical CPUs = {free},"
        f" requested CPUs = {count}, CPUs per core = {per_core}",
        can_pass=True,
        remedy=f"{missing} more free core{'s' if missing > 1 else ''}",
    )
