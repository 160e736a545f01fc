"""The words a kernel answers with: errno names, states of a partition and why one is invalid.

Values only; nothing here knows a tree.
"""

import errno
from enum import Enum, IntEnum


class Errno(IntEnum):
    """A refused write, mkdir, rmdir, move or hotplug, by the kernel's name."""

    ENOENT = errno.ENOENT
    EACCES = errno.EACCES
    ENODEV = errno.ENODEV
    EBUSY = errno.EBUSY
    EEXIST = errno.EEXIST
    EINVAL = errno.EINVAL
    ENOSPC = errno.ENOSPC
    ERANGE = errno.ERANGE
    EOVERFLOW = errno.EOVERFLOW
    EOPNOTSUPP = errno.EOPNOTSUPP


class State(IntEnum):
    """``cpuset.cpus.partition``. Above zero the partition holds its CPUs; below zero it is invalid and holds none."""

    INVALID_ISOLATED = -2
    INVALID_ROOT = -1
    MEMBER = 0
    ROOT = 1
    ISOLATED = 2

    @property
    def turned_invalid(self) -> "State":
        return State(-abs(self))

    @property
    def turned_valid(self) -> "State":
        return State(abs(self))

    @property
    def word(self) -> str:
        return State(abs(self)).name.lower()


class Reason(Enum):
    """Why a partition is invalid. The value is the text of 6.12 and later; 6.1 words two of them otherwise."""

    CPUS = "Invalid cpu list in cpuset.cpus.exclusive"
    PARENT_INVALID = "Parent is an invalid partition root"
    PARENT_MEMBER = "Parent is not a partition root"
    NOT_EXCLUSIVE = "Cpu list in cpuset.cpus not exclusive"
    NO_CPUS_LEFT = "Parent unable to distribute cpu downstream"
    HOTPLUG = "No cpu available due to hotplug"
    CPUS_EMPTY = "cpuset.cpus and cpuset.cpus.exclusive are empty"
    HOUSEKEEPING = "partition config conflicts with housekeeping setup"
    PERMISSION = "Enable partition not permitted"
    REMOTE_BELOW = "Have remote partition underneath"


WORDED_BY_6_1 = {Reason.CPUS: "Invalid cpu list in cpuset.cpus", Reason.CPUS_EMPTY: "cpuset.cpus is empty"}
