"""What the machine is, read from sysfs or from a copy of it.

Nothing is decided and nothing is written here. Old kernels and captures leave files out: what is missing counts as
"not told". Sources: kernel documents cputopology.rst, sysfs-devices-node, sysfs-devices-system-cpu.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.topology.files import Files, TopologyError, mask
from pinfold.topology.model import Cpu, NumaNode, Topology, grouped

_CPU = "sys/devices/system/cpu"
_NODE = "sys/devices/system/node"
_ATTEMPTS = 5

# One fact under up to four names: Linux 5.3 renamed the sibling files, and old kernels have masks only.
_CORE = {
    "core_cpus_list": CpuSet.parse,
    "thread_siblings_list": CpuSet.parse,
    "core_cpus": mask,
    "thread_siblings": mask,
}
_DIE = {"die_cpus_list": CpuSet.parse, "die_cpus": mask}
_PACKAGE = {
    "package_cpus_list": CpuSet.parse,
    "core_siblings_list": CpuSet.parse,
    "package_cpus": mask,
    "core_siblings": mask,
}
_CACHE = {"shared_cpu_list": CpuSet.parse, "shared_cpu_map": mask}
_NODE_CPUS = {"cpulist": CpuSet.parse, "cpumap": mask}

_CPU_NAME = re.compile(r"cpu([0-9]{1,5})")
_NODE_NAME = re.compile(r"node([0-9]{1,5})")
_INDEX_NAME = re.compile(r"index([0-9]{1,2})")
_HUGEPAGES_NAME = re.compile(r"hugepages-([0-9]{1,12})kB")
_MEM_TOTAL = re.compile(r"\bMemTotal:\s+([0-9]+) kB")


def read_topology(root: Path = Path("/")) -> Topology:
    """Read the machine whose sysfs is at ``<root>/sys``. Raises TopologyError."""
    files = Files(root)
    for _ in range(_ATTEMPTS):
        online = _online(files)
        if not online:
            raise TopologyError(f"{root / _CPU} shows no online CPU: name the directory that holds {_CPU}")
        topology = _topology(files, online)
        if _online(files) == online:  # a CPU that leaves during the reading takes its files along
            return topology
    raise TopologyError(f"{root / _CPU}/online changed {_ATTEMPTS} times during the reading: let CPU hotplug settle")


def glance(root: Path = Path("/")) -> tuple[str | None, ...]:
    """A few files that tell cheaply whether CPUs or memory came or went: they then hold something else."""
    files = Files(root)
    memory = _MEM_TOTAL.search(files.text("proc/meminfo") or "")
    return (files.text(f"{_CPU}/online"), files.text(f"{_NODE}/has_memory"), memory[0] if memory else None)


def _present(files: Files) -> CpuSet:
    told = files.parsed(f"{_CPU}/present", CpuSet.parse)
    return CpuSet.of(cpu for cpu, _ in files.numbered(_CPU, _CPU_NAME)) if told is None else told


def _online(files: Files) -> CpuSet:
    told = files.parsed(f"{_CPU}/online", CpuSet.parse)
    if told is not None:
        return told
    # A CPU that cannot go offline has no such file.
    return CpuSet.of(cpu for cpu in _present(files) if files.number(f"{_CPU}/cpu{cpu}/online") != 0)


def _topology(files: Files, online: CpuSet) -> Topology:
    core = _groups(online, lambda cpu: files.cpus(f"{_CPU}/cpu{cpu}/topology", _CORE))
    socket = _sockets(files, online)
    die = _dies(files, online, socket)
    nodes = _nodes(files, online)
    node = {cpu: node.id for node in nodes for cpu in node.cpus}
    uncore = _uncores(_groups(online, lambda cpu: _l3(files, cpu)), core, socket, nodes)
    return Topology(
        cpus=tuple(Cpu(cpu, core[cpu], socket[cpu], node[cpu], uncore[cpu], die[cpu]) for cpu in online),
        nodes=nodes,
        offline=_present(files) - online,
        possible=files.parsed(f"{_CPU}/possible", CpuSet.parse) or CpuSet(),
        isolated=files.parsed(f"{_CPU}/isolated", CpuSet.parse) or CpuSet(),
    )


def _groups(online: CpuSet, siblings: Callable[[int], CpuSet | None]) -> Mapping[int, int]:
    """CPU → the lowest CPU of its group; a CPU whose siblings are not told is alone.

    Only the lowest CPU of a group is asked: few reads, and groups that never overlap, even where files contradict
    each other.
    """
    lowest: dict[int, int] = {}
    for cpu in online:
        if cpu not in lowest:
            for member in CpuSet.of([cpu]) | (siblings(cpu) or CpuSet()) & online:
                lowest.setdefault(member, cpu)
    return lowest


def _sockets(files: Files, online: CpuSet) -> Mapping[int, int]:
    """CPU → package id, or the lowest CPU of the socket where the ids do not tell the sockets apart.

    POWER and old s390 kernels say -1 for all; newer s390 kernels count anew in each book.
    """
    socket = _groups(online, lambda cpu: files.cpus(f"{_CPU}/cpu{cpu}/topology", _PACKAGE) or online)
    told = {low: files.number(f"{_CPU}/cpu{low}/topology/physical_package_id") for low in set(socket.values())}
    ids = {low: one for low, one in told.items() if one is not None and one >= 0}
    return {cpu: ids[low] for cpu, low in socket.items()} if len(set(ids.values())) == len(told) else socket


def _dies(files: Files, online: CpuSet, socket: Mapping[int, int]) -> Mapping[int, int]:
    """CPU → die id within its socket; 0 where there are none (Linux before 5.2, or -1 on most ARM machines)."""
    sockets = grouped((socket[cpu], cpu) for cpu in online)
    die = _groups(online, lambda cpu: files.cpus(f"{_CPU}/cpu{cpu}/topology", _DIE) or sockets[socket[cpu]])
    ids = {low: files.number(f"{_CPU}/cpu{low}/topology/die_id") for low in set(die.values())}
    return {cpu: max(ids[low] or 0, 0) for cpu, low in die.items()}


def _l3(files: Files, cpu: int) -> CpuSet | None:
    cache = f"{_CPU}/cpu{cpu}/cache"
    for _, index in reversed(files.numbered(cache, _INDEX_NAME)):
        if files.number(f"{cache}/{index}/level") == 3:
            return files.cpus(f"{cache}/{index}", _CACHE)
    return None


def _uncores(
    l3: Mapping[int, int], core: Mapping[int, int], socket: Mapping[int, int], nodes: Iterable[NumaNode]
) -> Mapping[int, int]:
    """CPU → uncore cache: the L3 that more than one core but not the whole node shares, else the socket."""
    whole = {cpu: node.cpus for node in nodes for cpu in node.cpus}
    split = {
        low
        for low, cpus in grouped((low, cpu) for cpu, low in l3.items()).items()
        if len({core[cpu] for cpu in cpus}) > 1 and not whole[low] <= cpus
    }
    if not split:
        return socket
    # Here an L3's lowest CPU could be the number of a socket, so the rest of a socket goes by its lowest CPU too.
    rest = grouped((socket[cpu], cpu) for cpu, low in l3.items() if low not in split)
    return {cpu: low if low in split else rest[socket[cpu]].lowest() for cpu, low in l3.items()}


def _nodes(files: Files, online: CpuSet) -> tuple[NumaNode, ...]:
    ids = files.parsed(f"{_NODE}/online", NodeSet.parse) or NodeSet.of(n for n, _ in files.numbered(_NODE, _NODE_NAME))
    if not ids:  # a kernel without NUMA: cpuset.mems knows one node, 0
        memory, hugepages = _memory(files, "proc/meminfo"), _hugepages(files, "sys/kernel/mm/hugepages")
        return (NumaNode(0, online, memory, hugepages),)
    claimed: dict[int, CpuSet] = {}
    free = online
    for node in ids:
        claimed[node] = (files.cpus(f"{_NODE}/node{node}", _NODE_CPUS) or CpuSet()) & free
        free -= claimed[node]
    claimed[ids.lowest()] |= free  # what no node owns falls to the first one, as in the kernel
    return tuple(
        NumaNode(
            node,
            claimed[node],
            _memory(files, f"{_NODE}/node{node}/meminfo"),
            _hugepages(files, f"{_NODE}/node{node}/hugepages"),
            _distances(files, node, ids),
        )
        for node in ids
    )


def _memory(files: Files, path: str) -> int:
    """MemTotal in bytes; 0 where there is no such file."""

    def total(text: str) -> int:
        if (match := _MEM_TOTAL.search(text)) is None:
            raise ValueError("no MemTotal")
        return int(match[1]) * 1024

    return files.parsed(path, total) or 0


def _hugepages(files: Files, directory: str) -> Mapping[str, int]:
    found = files.numbered(directory, _HUGEPAGES_NAME)
    return {
        _resource(size_kib): size_kib * 1024 * (files.number(f"{directory}/{name}/nr_hugepages") or 0)
        for size_kib, name in found
    }


def _resource(size_kib: int) -> str:
    """2048 → ``hugepages-2Mi``, as Kubernetes writes it."""
    for unit in ("Ki", "Mi"):
        if size_kib % 1024:
            return f"hugepages-{size_kib}{unit}"
        size_kib //= 1024
    return f"hugepages-{size_kib}Gi"


def _distances(files: Files, node: int, ids: NodeSet) -> Mapping[int, int]:
    """Node → distance. The kernel writes one number for each online node, ascending."""

    def row(text: str) -> Mapping[int, int]:
        return dict(zip(ids, map(int, text.split()), strict=True))

    return files.parsed(f"{_NODE}/node{node}/distance", row) or {}
