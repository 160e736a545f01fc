"""Tasks that may run on CPUs that a cgroup owns, though they are no part of it.

Where the kernel keeps everybody else off there are none but kernel threads. Source: proc_pid_stat(5), cgroups(7),
include/linux/sched.h.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pinfold.cgroups.paths import CgroupPath, holds
from pinfold.cgroups.tasks import stat_fields
from pinfold.cpuset import CpuSet

_PF_KTHREAD, _PF_NO_SETAFFINITY = 0x00200000, 0x04000000
_FLAGS = 9 - 3


class Owned(NamedTuple):
    """CPUs that a cgroup, or one below it, may use and nobody else."""

    cgroup: CgroupPath
    cpus: CpuSet


class Kind(StrEnum):
    USER = "user"
    KERNEL = "kernel"
    """A kernel thread that is not bound: it may run here as anywhere."""
    PER_CPU = "per-CPU"
    """A kernel thread that belongs to one CPU: nothing moves it."""


@dataclass(frozen=True, slots=True)
class Stranger:
    tid: int
    name: str
    """As the task calls itself: hostile text."""
    kind: Kind
    cgroup: str
    cpus: CpuSet
    """Of the CPUs that others own, those that it may run on."""


def strangers(owned: Iterable[Owned], proc: Path = Path("/proc")) -> Iterator[Stranger]:
    """Of every thread that is visible; one that ends meanwhile is passed over."""
    claims = tuple(owned)
    for process in sorted(int(one.name) for one in proc.iterdir() if one.name.isdecimal()):
        where = proc / str(process)
        try:
            cgroup = _cgroup(where)
            for tid in sorted(int(one.name) for one in (where / "task").iterdir()):
                allowed = CpuSet.of(os.sched_getaffinity(tid))
                cpus = CpuSet.union(allowed & one.cpus for one in claims if not holds(one.cgroup, cgroup))
                if cpus:
                    task = where / "task" / str(tid)
                    name = (task / "comm").read_text(errors="backslashreplace").removesuffix("\n")
                    yield Stranger(tid, name, _kind(task, allowed), f"/{cgroup}", cpus)
        except OSError:
            continue


def _cgroup(where: Path) -> CgroupPath:
    """Below the mount; cgroups(7): the line of the unified hierarchy begins with ``0::/``."""
    lines = (where / "cgroup").read_text(errors="surrogateescape").splitlines()
    return CgroupPath(next((line[4:] for line in lines if line.startswith("0::/")), ""))


def _kind(task: Path, allowed: CpuSet) -> Kind:
    flags = int(stat_fields(task)[_FLAGS])
    if not flags & _PF_KTHREAD:
        return Kind.USER
    return Kind.PER_CPU if flags & _PF_NO_SETAFFINITY and len(allowed) == 1 else Kind.KERNEL
