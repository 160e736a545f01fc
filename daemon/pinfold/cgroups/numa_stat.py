"""Where a cgroup's memory lies, by NUMA node. Pure. Source: kernel document cgroup-v2.rst, memory.numa_stat."""

from collections.abc import Collection, Iterable, Mapping

from pinfold.cpuset import NodeSet

FILE = "memory.numa_stat"
Bytes = Mapping[int, int]
"""NUMA node → bytes."""

_USED = ("anon", "file")
"""What its processes have, page cache included; shared memory is a part of ``file``."""
_MAPPED = ("anon", "shmem", "file_mapped")
"""What follows its processes to other nodes: at least as much as that, since a mapped page of shmem counts twice."""


def used(text: str) -> Bytes:
    return _summed(text, _USED)


def elsewhere_bytes(text: str, nodes: NodeSet) -> int:
    """How much would migrate, if the memory were bound to *nodes*."""
    return sum(size for node, size in _summed(text, _MAPPED).items() if node not in nodes)


def _summed(text: str, names: Collection[str]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for name, *fields in map(str.split, text.splitlines()):
        for node, size in _fields(fields) if name in names else ():
            sums[node] = sums.get(node, 0) + size
    return sums


def _fields(fields: Iterable[str]) -> Iterable[tuple[int, int]]:
    """``N0=4096``."""
    for field in fields:
        node, _, size = field.removeprefix("N").partition("=")
        yield int(node), int(size)
