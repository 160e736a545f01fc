"""Writes a machine that does not exist as a tree of sysfs files, as a current kernel on x86 would show it.

Written from the kernel's documents, apart from the reader: what one gets wrong the other must not hide.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pinfold.cpuset import CpuSet

GIB = 2**30
Numbering = Literal["adjacent", "interleaved", "alternating"]
"""How the firmware numbers CPUs: the threads of a core next to each other; first all first threads, then all second
ones; or the latter with the cores dealt to the sockets in turn (even CPUs on socket 0, odd ones on socket 1)."""


def write_machine(
    root: Path,
    *,
    sockets: int = 2,
    nodes_per_socket: int = 1,
    l3_per_node: int = 1,
    cores: int = 4,
    threads: int = 2,
    numbering: Numbering = "interleaved",
    memory_bytes: int | Sequence[int] = 16 * GIB,
    hugepages: Mapping[int, int] | None = None,
    memory_only_nodes: int = 0,
    distances: Sequence[Sequence[int]] | None = None,
    offline: Collection[int] = (),
    isolated: Collection[int] = (),
) -> Path:
    """Write the files below *root* and return it, fit for ``read_topology``.

    *cores* in each L3, *threads* in each core; *memory_bytes* in each node, or node by
    node; *hugepages* in each node, page size in KiB
    → pages. The nodes of a socket are neighbours (distance 12), all others far (20), nodes of memory only farther (28)
    and last in number; *distances* overrules that.
    """
    nodes = sockets * nodes_per_socket
    per_node = l3_per_node * cores
    all_cores = nodes * per_node
    cpus_of = {core: _cpus(core, all_cores, threads, sockets, numbering) for core in range(all_cores)}
    gone = CpuSet.of(offline)
    online = CpuSet.of(range(all_cores * threads)) - gone

    def span(first: int, count: int) -> CpuSet:
        """The online CPUs of *count* cores."""
        return CpuSet.of(cpu for core in range(first, first + count) for cpu in cpus_of[core]) - gone

    cpu_files = root / "sys/devices/system/cpu"
    for name, cpus in {
        "online": online,
        "offline": gone,
        "present": online | gone,
        "possible": online | gone,
        "isolated": CpuSet.of(isolated),
    }.items():
        _write(cpu_files / name, cpus)
    for core, own in cpus_of.items():
        per_socket = nodes_per_socket * per_node
        socket, l3 = core // per_socket, core // cores
        for cpu in own:
            here = cpu_files / f"cpu{cpu}"
            if cpu:  # CPU 0 cannot leave
                _write(here / "online", int(cpu not in gone))
            if cpu not in gone:
                package = span(socket * per_socket, per_socket)
                _write(here / "topology/core_cpus_list", span(core, 1))
                _write(here / "topology/die_cpus_list", package)
                _write(here / "topology/package_cpus_list", package)
                _write(here / "topology/core_id", core % per_socket)
                _write(here / "topology/die_id", 0)
                _write(here / "topology/physical_package_id", socket)
                for index, level, cache in ((2, 2, span(core, 1)), (3, 3, span(l3 * cores, cores))):
                    _write(here / f"cache/index{index}/level", level)
                    _write(here / f"cache/index{index}/shared_cpu_list", cache)

    every = range(nodes + memory_only_nodes)
    node_files = root / "sys/devices/system/node"
    _write(node_files / "online", CpuSet.of(every))
    for node in every:
        here = node_files / f"node{node}"
        _write(here / "cpulist", span(node * per_node, per_node) if node < nodes else CpuSet())
        memory = memory_bytes if isinstance(memory_bytes, int) else memory_bytes[node]
        _write(here / "meminfo", f"Node {node} MemTotal:       {memory // 1024} kB\nNode {node} MemFree:        0 kB")
        row = distances[node] if distances else [_distance(node, other, nodes, nodes_per_socket) for other in every]
        _write(here / "distance", " ".join(map(str, row)))
        for size_kib, pages in (hugepages or {2048: 0, 1048576: 0}).items():
            _write(here / f"hugepages/hugepages-{size_kib}kB/nr_hugepages", pages)
    return root


def _cpus(core: int, all_cores: int, threads: int, sockets: int, numbering: Numbering) -> list[int]:
    """The CPUs of a core; cores are counted socket by socket."""
    if numbering == "adjacent":
        return [core * threads + thread for thread in range(threads)]
    if numbering == "alternating":
        socket, within = divmod(core, all_cores // sockets)
        core = within * sockets + socket
    return [core + thread * all_cores for thread in range(threads)]


def _distance(one: int, other: int, nodes: int, nodes_per_socket: int) -> int:
    if one == other:
        return 10
    if max(one, other) >= nodes:
        return 28
    return 12 if one // nodes_per_socket == other // nodes_per_socket else 20


def _write(path: Path, value: CpuSet | int | str) -> None:
    try:
        path.write_text(f"{value}\n")
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.write_text(f"{value}\n")
