"""Machines for properties: regular and odd ones, with holes in every numbering."""

from dataclasses import replace

from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from pinfold.planning.options import illegal
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.topology.model import Cpu, Topology
from tests.machines import GIB, machine


@st.composite
def machines(draw: st.DrawFn, most_nodes: int = 4) -> Topology:
    """Of any shape that sysfs can tell: hybrid cores, offline CPUs, sparse ids, nodes without CPUs or memory."""
    nodes = draw(st.integers(1, most_nodes))
    spans = draw(st.sampled_from(["fill a socket", "share a socket", "span sockets", "mixed"]))
    step = draw(st.integers(1, 3))
    threads: list[Cpu] = []
    for node in range(nodes):
        caches = draw(st.integers(1, 2))
        for place in range(draw(st.integers(1, 4))):
            mixed = draw(st.integers(0, nodes - 1)) if spans == "mixed" else node
            socket = {"share a socket": node // 2, "span sockets": node * 2 + place % 2}.get(spans, mixed)
            one = Cpu(0, len(threads), socket * step, node * step, node * 2 + place % caches)
            threads += [one] * draw(st.integers(1, 2))
    numbers = draw(st.permutations(range(len(threads))))
    numbered = [replace(one, id=number * step) for number, one in zip(numbers, threads, strict=True)]
    online = [one for one in numbered if draw(st.integers(0, 9))] or numbered[:1]
    first = {one.core: min(other.id for other in online if other.core == one.core) for one in online}
    cache = {one.uncore: min(other.id for other in online if other.uncore == one.uncore) for one in online}
    cpus = [replace(one, core=first[one.core], uncore=cache[one.uncore]) for one in online]
    memory = {node * step: draw(st.sampled_from([0, 8, 16])) * GIB for node in range(nodes + draw(st.integers(0, 1)))}
    return machine(cpus, memory)


@st.composite
def parts(draw: st.DrawFn, topology: Topology) -> CpuSet:
    """Some of the online CPUs, by preference whole cores."""
    cores = [core for core in topology.cores.values() if draw(st.booleans())]
    singles = CpuSet.of(cpu for cpu in topology.online if not draw(st.integers(0, 4)))
    return CpuSet.union(cores) | singles


def legal_options(topology: Topology) -> st.SearchStrategy[frozenset[CpuOption]]:
    """Every combination of CPU manager options with which the kubelet would start on this machine."""
    own = {CpuOption.SLICE_FULL_CORES}
    return st.frozensets(st.sampled_from([one for one in CpuOption if one not in own])).filter(
        lambda options: illegal(options, TopologyPolicy.BEST_EFFORT, topology) is None
    )
