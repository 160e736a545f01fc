"""Which CPUs a request gets: out of those that are free, or near its NUMA hint first.

Pure; the entrance to packed and distributed taking. Source: the kubelet's static policy, ``takeByTopology`` and
``allocateCPUs``.
"""

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.distribution import distribute
from pinfold.planning.packed import Packing
from pinfold.planning.policy import CpuOption, Rules
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.units import units
from pinfold.topology.model import Topology


def take(
    topology: Topology,
    free: CpuSet,
    count: int,
    options: frozenset[CpuOption],
    rules: Rules,
    group: int | None = None,
) -> CpuSet | Refused:
    """*count* CPUs of *free*; offline ones in it do not count.

    With distribute-cpus-across-numa CPUs are handed out in groups of *group*: by default one, whole cores with
    full-pcpus-only.
    """
    bits = free.bits & topology.online.bits
    return _short(bits, count) or CpuSet(_taken(topology, bits, count, options, rules, group))


def allocate(
    topology: Topology,
    available: CpuSet,
    reusable: CpuSet,
    count: int,
    hint: NodeSet | None,
    options: frozenset[CpuOption],
    rules: Rules,
) -> CpuSet | Refused:
    """*count* CPUs of *available* and *reusable*: as many as there are on the *hint*, the rest from anywhere.

    No hint: all from anywhere. With align-by-socket the hint is widened to its sockets.
    """
    bits = (available | reusable).bits & topology.online.bits
    if short := _short(bits, count):
        return short
    near = bits & _near(topology, hint, options) if hint is not None else 0
    aligned = _taken(topology, near, min(count, near.bit_count()), options, rules)
    rest = _taken(topology, bits & ~aligned, count - aligned.bit_count(), options, rules)
    return CpuSet(aligned | rest)


def reserved_from_count(
    topology: Topology, count: int, options: frozenset[CpuOption], rules: Rules
) -> CpuSet | Refused:
    """The reserved CPUs where only their number is configured: taken from all CPUs, as the kubelet does."""
    return take(topology, topology.online, count, options, rules)


def _near(topology: Topology, hint: NodeSet, options: frozenset[CpuOption]) -> int:
    cpus = topology.cpus_of(hint).bits
    if CpuOption.ALIGN_BY_SOCKET not in options:
        return cpus
    return CpuSet.union(socket for socket in topology.sockets.values() if socket.bits & cpus).bits


def _short(free: int, count: int) -> Refused | None:
    missing = count - free.bit_count()
    if missing <= 0:
        return None
    return Refused(
        Word.UNEXPECTED_ADMISSION,
        f"not enough cpus available to satisfy request: requested={count}, available={free.bit_count()}",
        can_pass=True,
        remedy=f"{missing} more free CPU{'s' if missing > 1 else ''}",
    )


def _taken(
    topology: Topology,
    free: int,
    count: int,
    options: frozenset[CpuOption],
    rules: Rules,
    group: int | None = None,
) -> int:
    if not count:
        return 0
    machine = units(topology)
    packing = Packing.under(machine, options, rules)
    if CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA not in options:
        return packing.pack(free, count)
    if group is None:
        group = machine.cpus_per_core if CpuOption.FULL_PCPUS_ONLY in options else 1
    return distribute(packing, free, count, group)
