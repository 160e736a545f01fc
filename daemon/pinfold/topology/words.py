"""A machine in words, for people: lines of at most 80 columns, from the sockets down to the CPUs.

Values in, text out. The tests compare machines by the same text.
"""

import re
from collections.abc import Iterator

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.topology.model import NumaNode, Topology

_COLUMNS = 80
_PIECE = re.compile(r"[^, ]+[, ]*")


def described(topology: Topology) -> list[str]:
    """The whole machine: every CPU in its core, cache, NUMA node and socket; every node's memory and distances."""
    return [*_summary(topology), "", *_sockets(topology), "", *_nodes(topology)]


def _summary(topology: Topology) -> Iterator[str]:
    memory = sum(node.memory_bytes for node in topology.nodes)
    yield ", ".join(
        [
            _counted(len(topology.cpus), "CPU"),
            _counted(len(topology.cores), "core"),
            _counted(len(topology.sockets), "socket"),
            _counted(len(topology.nodes), "NUMA node"),
            f"{_size(memory)} memory" if memory else "memory not told",
        ]
    )
    for word, cpus in (("offline", topology.offline), ("isolated", topology.isolated), ("possible", topology.possible)):
        if cpus and cpus != topology.online:
            yield from _filled(f"{word}: ", str(cpus))


def _sockets(topology: Topology) -> Iterator[str]:
    for socket, cpus in topology.sockets.items():
        yield from _filled(f"socket {socket}: ", str(cpus))
        dies = [(die, own) for (of, die), own in topology.dies.items() if of == socket]
        if len(dies) > 1:
            for die, own in dies:
                yield from _filled(f"  die {die}: ", str(own))
        for node, own in topology.node_cpus.items():
            if inside := own & cpus:
                yield from _filled(f"  node {node}: ", str(inside))
                yield from _caches(topology, inside)


def _caches(topology: Topology, cpus: CpuSet) -> Iterator[str]:
    """The L3 caches, where more than one is in *cpus*, and the cores, where they have more than one thread."""
    caches = [inside for own in topology.uncores.values() if (inside := own & cpus)]
    for cache in caches:
        if len(caches) > 1:
            yield from _filled("    L3: ", str(cache))
        cores = [str(inside) for own in topology.cores.values() if (inside := own & cache)]
        if len(cores) < len(cache):
            yield from _filled("    cores: ", "  ".join(cores))


def _nodes(topology: Topology) -> Iterator[str]:
    none = "no memory" if topology.memory_nodes else "memory not told"
    for node in topology.nodes:
        facts = [_size(node.memory_bytes) if node.memory_bytes else none]
        facts += [f"{_size(size)} in {name}" for name, size in node.hugepages_bytes.items() if size]
        facts += [] if node.cpus else ["no CPU"]
        yield f"node {node.id}: {', '.join(facts)}"
        yield from _filled("  distance ", "; ".join(_distances(node)))


def _distances(node: NumaNode) -> Iterator[str]:
    for distance in sorted(set(node.distances.values())):
        there = NodeSet.of(other for other, far in node.distances.items() if far == distance)
        yield f"{distance} to {there}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB" if size_bytes >= 2**30 else f"{size_bytes >> 20} MiB"


def _filled(head: str, text: str) -> Iterator[str]:
    """*text* after *head*, broken after commas and blanks and continued below itself; nothing where it is empty."""
    line = head
    for piece in _PIECE.findall(text):
        if len(line) + len(piece.rstrip()) > _COLUMNS:
            yield line.rstrip()
            line = " " * len(head)
        line += piece
    if text:
        yield line.rstrip()
