"""CPUs that belong to nobody: found, and given back to the root cgroup.

6.12 loses the CPUs of a remote partition when the sets above it are emptied before its own (docs/kernel.md, §4): the
root cgroup lacks them, nobody runs on them, and no remote partition can be made of them any more. A partition right
below the root cgroup can: and when that becomes a member, the root cgroup has them again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from pinfold.cgroups.executor import Kernel
from pinfold.cgroups.files import CgroupError
from pinfold.cgroups.held import CpusetState, Held, Reading, state
from pinfold.cgroups.layout import Kind
from pinfold.cgroups.paths import ROOT, CgroupPath, File, below, parent
from pinfold.cgroups.tree import Listing
from pinfold.cpuset import CpuSet

MENDING = CgroupPath("pinfold-mending")
"""The cgroup that takes them and gives them back. It is there for a moment, and nobody is ever in it."""
_FILES = (File.PARTITION, File.CPUS_EFFECTIVE)


class Searching(Listing, Reading, Protocol):
    """Whoever can walk the tree: `files.Cgroupfs`."""


class Mending(Searching, Kernel, Protocol):
    """Whoever can make cgroups, too."""

    def make(self, path: CgroupPath, /) -> None: ...

    def remove(self, path: CgroupPath, /) -> None: ...


def searched(fs: Searching, held: Held, online: CpuSet) -> Held:
    """*held*, the root cgroup with the *online* CPUs that neither it nor any partition has.

    Partitions that others made are searched for only where *held* does not tell who has a CPU: first below exclusive
    sets (CRI-O's containers), then in the whole tree; and there twice, with a look at the root cgroup between, since
    one may be made or go meanwhile.
    """
    root = held.get(ROOT, CpusetState())
    if root.cpus_effective is None or not root.has_remote_partitions:
        return held
    partitions = [one for path, one in held.items() if one.is_partition and path != MENDING]
    missing = online - root.cpus_effective - CpuSet.union(map(_partitioned, partitions))
    if missing:
        outer = set(map(parent, held))
        leaves = (path for path, one in held.items() if path not in outer and one.exclusive and not one.is_partition)
        missing -= CpuSet.union(_in_partitions(fs, path) for path in leaves)
    if missing:
        missing -= _in_partitions(fs, ROOT) | (_state(fs, ROOT).cpus_effective or online)
    if missing:
        missing -= _in_partitions(fs, ROOT)
    return {**held, ROOT: replace(root, lost=missing)}


def _in_partitions(fs: Searching, outer: CgroupPath) -> CpuSet:
    return CpuSet.union(_partitioned(_state(fs, path)) for path in _all(fs, outer) if path != MENDING)


def _all(fs: Searching, outer: CgroupPath) -> Iterator[CgroupPath]:
    for name in fs.children(outer):
        yield below(outer, name)
        yield from _all(fs, below(outer, name))


def _state(fs: Searching, path: CgroupPath) -> CpusetState:
    return state(fs.read_all(path, _FILES))


def _partitioned(state: CpusetState) -> CpuSet:
    return (state.cpus_effective if state.is_partition else None) or CpuSet()


def are_lost(held: Held) -> bool:
    """Whether `mend` has something to do: also where somebody died in it."""
    return bool(held.get(ROOT, CpusetState()).lost) or MENDING in held


def mend(fs: Mending, lost: CpuSet) -> None:
    """Give *lost* CPUs, which belong to nobody, back to the root cgroup; nobody's tasks move.

    May be repeated after a crash at any write. An exclusive set beside the mending cgroup may not hold any of them:
    whose they are to be is written anew afterwards. Raises CgroupError, and leaves nothing behind.
    """
    for name in fs.children(ROOT):
        exclusive = CpuSet.parse(fs.read(below(ROOT, name), File.EXCLUSIVE) or "")
        if not exclusive.isdisjoint(lost):
            fs.write(below(ROOT, name), File.EXCLUSIVE, str(exclusive - lost))
    fs.make(MENDING)
    try:
        if lost:
            # In this order it may share them with the cpusets beside it, and have those under isolcpus=.
            fs.write(MENDING, File.PARTITION, Kind.ISOLATED)
            fs.write(MENDING, File.CPUS, str(lost))
            if (word := fs.read(MENDING, File.PARTITION)) != Kind.ISOLATED:
                raise CgroupError(f"CPUs {lost} belong to nobody, and no partition can be made of them: {word}")
        fs.write(MENDING, File.PARTITION, Kind.MEMBER)
    finally:
        fs.remove(MENDING)
