"""What the kernel makes of the layout: effective sets and partition states against what they should be.

Pure. The comparison is with what the kernel says, never with what was written.
"""

from dataclasses import dataclass
from enum import StrEnum

from pinfold.cgroups.held import Held
from pinfold.cgroups.layout import Layout
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cpuset import CpuSet
from pinfold.pods.model import PodUid


class Cause(StrEnum):
    """Why a cgroup is not as it should be."""

    REWRITTEN = "rewritten"
    """Somebody else's value stands in the file."""
    INVALID_PARTITION = "invalid-partition"
    NO_CONTROLLER = "no-controller"
    """The cpuset files are not there: the controller is not enabled above."""
    CONFINED_ABOVE = "confined-above"
    """The file holds what it should; a cgroup above has less."""
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


def verify(layout: Layout, held: Held, online: CpuSet) -> tuple[Drift, ...]:
    """Where *held* is not *layout*, by path. CPUs that are not *online* are nobody's fault."""
    raise NotImplementedError
