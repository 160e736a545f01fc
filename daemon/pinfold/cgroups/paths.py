"""Paths of cgroups relative to the cgroup2 mount, and the names of the control files in them.

Pure. The root cgroup is the empty path; no path begins or ends with a slash.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NewType

CgroupPath = NewType("CgroupPath", str)

ROOT = CgroupPath("")


class File(StrEnum):
    """A control file. Source: kernel document cgroup-v2.rst."""

    CPUS = "cpuset.cpus"
    CPUS_EFFECTIVE = "cpuset.cpus.effective"
    EXCLUSIVE = "cpuset.cpus.exclusive"
    PARTITION = "cpuset.cpus.partition"
    ISOLATED = "cpuset.cpus.isolated"
    MEMS = "cpuset.mems"
    MEMS_EFFECTIVE = "cpuset.mems.effective"
    SUBTREE_CONTROL = "cgroup.subtree_control"
    PROCS = "cgroup.procs"
    EVENTS = "cgroup.events"
    CPU_MAX = "cpu.max"
    MEMORY_CURRENT = "memory.current"
    MEMORY_LOW = "memory.low"
    MEMORY_MIN = "memory.min"


def below(parent: CgroupPath, name: str) -> CgroupPath:
    return CgroupPath(f"{parent}/{name}" if parent else name)


def parent(path: CgroupPath) -> CgroupPath:
    """The cgroup above; the root's is the root."""
    return CgroupPath(path.rpartition("/")[0])


def base(path: CgroupPath) -> str:
    """The cgroup's own name."""
    return path.rpartition("/")[2]


def above(path: CgroupPath) -> Iterator[CgroupPath]:
    """All that lie above *path*, nearest first, the root cgroup last; none for the root."""
    while path:
        path = parent(path)
        yield path


def depth(path: CgroupPath) -> int:
    """How many cgroups lie above."""
    return path.count("/") + 1 if path else 0


def holds(outer: CgroupPath, inner: CgroupPath) -> bool:
    """Whether *inner* is *outer* or lies below it."""
    return outer in (ROOT, inner) or inner.startswith(f"{outer}/")
