"""The order of the writes that turn what the kernel holds into what it should hold.

Pure. Stop after any of them, and nobody runs on a CPU beside somebody with whom he shares it neither before nor
afterwards; and nobody is without a CPU.
"""

from pinfold.cgroups.held import Held
from pinfold.cgroups.layout import Layout
from pinfold.cgroups.writes import Write


def ordered(held: Held, layout: Layout, move_bytes: int = 32 << 20) -> tuple[Write, ...]:
    """The writes from *held* to *layout*; none where the kernel holds what it should.

    ``cpuset.mems`` of a populated cgroup is written only where it can move at most *move_bytes* (the kernel migrates
    inside the write), or only adds nodes.
    """
    raise NotImplementedError
