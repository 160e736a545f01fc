"""What the kernel makes of the layout: effective sets and partition states against what they should be.

Pure. The comparison is with what the kernel says, never with what was written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pinfold.cgroups.held import MEMBER, CpusetState, Held
from pinfold.cgroups.layout import MOVE_BYTES, Layout, Want, may_move
from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cpuset import CpuSet
from pinfold.pods.model import PodUid

_UNSET = {File.PARTITION: MEMBER}
"""What a file that is not there stands for, where that is not nothing."""


class Cause(StrEnum):
    """Why a cgroup is not as it should be."""

    REWRITTEN = "rewritten"
    """Somebody else's value stands in the file."""
    INVALID_PARTITION = "invalid-partition"
    NO_CONTROLLER = "no-controller"
    """The cpuset files are not there: the controller is not enabled above."""
    CONFINED_ABOVE = "confined-above"
    """The file holds what it should; a cgroup above has less."""
    LOST = "belongs-to-nobody"
    """CPUs that neither the root cgroup nor any partition has (6.12)."""
    MEMORY_NOT_MOVED = "memory-not-moved"
    """Its memory nodes stay, since a change would migrate too much at once."""


@dataclass(frozen=True, slots=True)
class Drift:
    path: CgroupPath
    file: File
    want: str
    have: str
    """What the kernel says; empty where the file is not there."""
    cause: Cause
    pod: PodUid | None = None


def verify(layout: Layout, held: Held, online: CpuSet, move_bytes: int = MOVE_BYTES) -> tuple[Drift, ...]:
    """Where *held* is not *layout*, by path. CPUs that are not *online* are nobody's fault."""
    found = list(_lost(held))
    for path in sorted(layout.wants.keys() & held.keys()):
        want, state = layout.wants[path], held[path]
        found += list(_rewritten(path, want, state, move_bytes)) or _confined(path, want, state, online)
    return tuple(found)


def _lost(held: Held) -> Iterator[Drift]:
    root = held.get(ROOT)
    if root and root.cpus_effective is not None and root.lost:
        due = str(root.cpus_effective | root.lost)
        yield Drift(ROOT, File.CPUS_EFFECTIVE, due, str(root.cpus_effective), Cause.LOST)


def _rewritten(path: CgroupPath, want: Want, state: CpusetState, move_bytes: int) -> Iterator[Drift]:
    if want.stands(state):
        return
    for file, text in want.texts().items():
        have = state.text(file)
        if text == (have or _UNSET.get(file, "")):
            continue
        if have is None or file is File.SUBTREE_CONTROL:
            cause = Cause.NO_CONTROLLER
        elif file is File.PARTITION and "invalid" in have:
            cause = Cause.INVALID_PARTITION
        elif file is File.MEMS and not may_move(want, state, move_bytes):
            cause = Cause.MEMORY_NOT_MOVED
        else:
            cause = Cause.REWRITTEN
        yield Drift(path, file, text, have or "", cause, want.pod)


def _confined(path: CgroupPath, want: Want, state: CpusetState, online: CpuSet) -> Iterator[Drift]:
    """Everything is written; what does the kernel make of it?"""
    have = state.cpus_effective
    due = want.within if want.owns is None else want.owns & online
    if due is not None and have is not None and not (have == due if want.owns else have <= due):
        yield Drift(path, File.CPUS_EFFECTIVE, str(due), str(have), Cause.CONFINED_ABOVE, want.pod)
    if want.mems and state.mems_effective not in {None, want.mems}:
        have_mems = str(state.mems_effective)
        yield Drift(path, File.MEMS_EFFECTIVE, str(want.mems), have_mems, Cause.CONFINED_ABOVE, want.pod)
