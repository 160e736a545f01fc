"""A model of cgroup v2 cpusets: what 6.1, 6.12 and 7.3 answer to every write, without a kernel.

    world = World.boot(V6_12, CpuSet.parse("0-7"), NodeSet.parse("0-1"))
    world.write("", "cgroup.subtree_control", "+cpuset")
    world.mkdir("kubepods")
    world.write("kubepods", "cpuset.cpus", "2-8")          # Errno.ERANGE
    world.read("kubepods", "cpuset.cpus.effective")        # "0-7"

Pure: no file, no clock. `tests/differential` holds it to the kernels themselves, step by step.
"""

from .faults import Fault, FaultyState
from .kernel import KERNELS, V6_1, V6_12, V7_3, Kernel
from .words import Errno, Reason, State
from .world import World

__all__ = [
    "KERNELS",
    "V6_1",
    "V6_12",
    "V7_3",
    "Errno",
    "Fault",
    "FaultyState",
    "Kernel",
    "Reason",
    "State",
    "World",
]
