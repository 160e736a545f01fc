"""Machines for tests of the core: those of the examples, any regular one, and odd ones."""

from collections.abc import Iterable, Mapping

from pinfold.cpuset import CpuSet
from pinfold.topology.model import Cpu, NumaNode, Topology

GIB = 2**30


def machine(
    cpus: Iterable[Cpu],
    memory_bytes: Mapping[int, int] | int = 64 * GIB,
    hugepages_bytes: Mapping[str, int] | None = None,
    distances: Mapping[int, Mapping[int, int]] | None = None,
) -> Topology:
    """A machine of these CPUs. *memory_bytes* by node id, which may name nodes without CPUs; or the same for each."""
    cpus = tuple(sorted(cpus, key=lambda cpu: cpu.id))
    by_node = memory_bytes if isinstance(memory_bytes, Mapping) else {cpu.node: memory_bytes for cpu in cpus}
    nodes = tuple(
        NumaNode(
            node,
            CpuSet.of(cpu.id for cpu in cpus if cpu.node == node),
            by_node.get(node, 0),
            hugepages_bytes or {},
            (distances or {}).get(node, {}),
        )
        for node in sorted({*by_node, *(cpu.node for cpu in cpus)})
    )
    return Topology(cpus, nodes)


def regular(
    sockets: int,
    cores: int,
    threads: int = 1,
    *,
    nodes_per_socket: int = 1,
    caches_per_node: int = 1,
    memory_bytes: int = 64 * GIB,
    hugepages_bytes: Mapping[str, int] | None = None,
) -> Topology:
    """*cores* on each socket; CPUs are numbered through all cores' first threads, then through their second ones."""
    count = sockets * cores
    per_node, per_cache = cores // nodes_per_socket, cores // nodes_per_socket // caches_per_node
    cpus = [
        Cpu(
            id=thread * count + core,
            core=core,
            socket=core // cores,
            node=core // per_node,
            uncore=core // per_cache * per_cache if caches_per_node > 1 else core // cores,
        )
        for thread in range(threads)
        for core in range(count)
    ]
    nodes = range(sockets * nodes_per_socket)
    distances = {
        one: {
            two: 10 if one == two else 11 if one // nodes_per_socket == two // nodes_per_socket else 21 for two in nodes
        }
        for one in nodes
    }
    return machine(cpus, memory_bytes, hugepages_bytes, distances)


H12 = machine([Cpu(id=cpu, core=cpu % 6, socket=cpu % 2, node=cpu % 2, uncore=cpu % 2) for cpu in range(12)])
"""Two sockets of three cores with two threads; CPU numbers alternate between them."""
D80 = regular(2, 20, 2)
"""Two sockets, two NUMA nodes, 20 cores with two threads each."""
W80 = regular(2, 20, 2, nodes_per_socket=2)
"""D80 with two NUMA nodes a socket."""
Q32 = regular(4, 4, 2)
"""Four sockets of four cores with two threads."""
U32 = regular(1, 16, 2, caches_per_node=4)
"""One socket, four L3 caches of four cores with two threads."""
V32 = regular(1, 32, caches_per_node=4)
"""One socket, four L3 caches of eight cores, no SMT."""

HYBRID20 = machine(
    [Cpu(id=cpu, core=cpu - cpu % 2 if cpu < 12 else cpu, socket=0, node=0, uncore=0) for cpu in range(20)]
)
"""Six cores with two threads (0-11), eight with one (12-19): Core i7-1370P."""
