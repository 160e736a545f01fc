"""What cgroups hold: their control files, read once and as values.

`held` reads; all else is pure. A file that is not there is None: the kernel is too old for it, or the controller is
not enabled in the cgroup above.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cpuset import CpuSet, NodeSet

FILES = (
    File.CPUS,
    File.CPUS_EFFECTIVE,
    File.EXCLUSIVE,
    File.PARTITION,
    File.ISOLATED,
    File.MEMS,
    File.MEMS_EFFECTIVE,
    File.SUBTREE_CONTROL,
    File.PROCS,
    File.EVENTS,
    File.CPU_MAX,
    File.MEMORY_CURRENT,
    File.MEMORY_LOW,
    File.MEMORY_MIN,
)
FILES_OF_ROOT = tuple(file for file in FILES if file is not File.PROCS)
"""Without the thousand kernel threads: that it has tasks stops nobody from enabling controllers in the root cgroup."""
SILENT = (File.CPUS_EFFECTIVE, File.MEMS_EFFECTIVE, File.PARTITION)
"""What the kernel changes without a word to inotify."""
FILES_BELOW = tuple(file for file in FILES if file is not File.ISOLATED)

MEMBER = "member"


@dataclass(frozen=True, slots=True)
class CpusetState:
    """One cgroup's control files."""

    cpus: CpuSet | None = None
    cpus_effective: CpuSet | None = None
    exclusive: CpuSet | None = None
    partition: str | None = None
    """``member``, ``root``, ``isolated``, or with ``invalid`` and mostly a reason behind: as the kernel wrote it."""
    mems: NodeSet | None = None
    mems_effective: NodeSet | None = None
    gives_cpuset: bool = False
    """``cgroup.subtree_control`` holds cpuset: the cgroups below have its files."""
    has_tasks: bool = False
    """Processes in the cgroup itself: then nothing may be enabled for those below. True too where it cannot be read."""
    populated: bool = False
    """Processes in it or below."""
    has_remote_partitions: bool = False
    """The root cgroup tells, before cpuset is enabled below it: ``cpuset.cpus.isolated`` (on 6.12, not on 6.1)."""
    lost: CpuSet = CpuSet()
    """The root cgroup: online CPUs that neither it nor any partition has, where somebody searched for them."""
    cpu_max: str | None = None
    memory_bytes: int | None = None
    """What a change of memory nodes may migrate at most: ``memory.current``, or as measured."""
    memory_low: str | None = None
    """Bytes, or ``max``."""
    memory_min: str | None = None

    @property
    def is_partition(self) -> bool:
        """Whether it is a valid partition: its CPUs are nobody else's."""
        return self.partition in {"root", "isolated"}

    def text(self, file: File) -> str | None:
        """What a file that Pinfold writes holds, as it is written."""
        match file:
            case File.CPUS:
                return None if self.cpus is None else str(self.cpus)
            case File.EXCLUSIVE:
                return None if self.exclusive is None else str(self.exclusive)
            case File.PARTITION:
                return self.partition
            case File.MEMS:
                return None if self.mems is None else str(self.mems)
            case File.SUBTREE_CONTROL:
                return "+cpuset" if self.gives_cpuset else "-cpuset"
            case File.CPU_MAX:
                return self.cpu_max
            case File.MEMORY_LOW:
                return self.memory_low
            case File.MEMORY_MIN:
                return self.memory_min
            case _:
                raise ValueError(f"Pinfold never writes {file}")


Held = Mapping[CgroupPath, CpusetState]
"""Cgroups that are there → what they hold."""


class Reading(Protocol):
    """Whoever can read control files: `files.Cgroupfs`."""

    def read_all(self, path: CgroupPath, files: tuple[str, ...], /) -> dict[str, str]: ...


def held(reading: Reading, paths: Iterable[CgroupPath]) -> dict[CgroupPath, CpusetState]:
    """Read the cgroups *paths*; those that are gone are left out."""
    texts = ((path, reading.read_all(path, FILES_OF_ROOT if path == ROOT else FILES_BELOW)) for path in paths)
    # Every cgroup but the root has cgroup.events, every one has cgroup.subtree_control.
    return {path: state(files) for path, files in texts if File.SUBTREE_CONTROL in files}


_cpus = lru_cache(CpuSet.parse)
"""A node has few sets, and they are read again and again."""
_mems = lru_cache(NodeSet.parse)


def state(files: Mapping[str, str]) -> CpusetState:
    """Raises CpuListError where a list is none: the kernel writes no such thing."""

    def cpus(file: File) -> CpuSet | None:
        return _cpus(files[file]) if file in files else None

    def mems(file: File) -> NodeSet | None:
        return _mems(files[file]) if file in files else None

    memory = files.get(File.MEMORY_CURRENT)
    return CpusetState(
        cpus=cpus(File.CPUS),
        cpus_effective=cpus(File.CPUS_EFFECTIVE),
        exclusive=cpus(File.EXCLUSIVE),
        partition=files.get(File.PARTITION),
        mems=mems(File.MEMS),
        mems_effective=mems(File.MEMS_EFFECTIVE),
        gives_cpuset="cpuset" in files.get(File.SUBTREE_CONTROL, "").split(),
        has_tasks=files.get(File.PROCS) != "",
        populated="populated 1" in files.get(File.EVENTS, "").splitlines(),
        has_remote_partitions=File.ISOLATED in files,
        cpu_max=files.get(File.CPU_MAX),
        memory_bytes=None if memory is None else int(memory),
        memory_low=files.get(File.MEMORY_LOW),
        memory_min=files.get(File.MEMORY_MIN),
    )
