"""One write to a control file, as data."""

from dataclasses import dataclass

from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cpuset import CpuSet
from pinfold.pods.model import PodUid


@dataclass(frozen=True, slots=True)
class Write:
    path: CgroupPath
    file: File
    value: str
    why: str
    pod: PodUid | None = None
    """Whose writes stop when this one is refused; None: it serves several pods."""
    touched: CpuSet = CpuSet()
    """The CPUs that it takes or gives away: where it is refused, nobody may be given them."""
