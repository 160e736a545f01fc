"""How pools can be held on this node: what the kernel's files and our own rights allow.

Never judged by the kernel's version. What is found here is what a remote partition needs at least; whether one is made
of a pool, only reading back tells, and a pool that the kernel refuses is held by shrinking everybody else.
"""

from dataclasses import dataclass
from pathlib import Path

from pinfold.cgroups.held import Held
from pinfold.cgroups.layout import Enforcement

_SYS_ADMIN = 21
"""Source: capabilities(7), linux/capability.h."""


@dataclass(frozen=True, slots=True)
class Capability:
    enforcement: Enforcement
    reason: str
    """One sentence."""


def capability(held: Held, *, may_administer: bool, asked: Enforcement | None = None) -> Capability:
    """*held*: the root cgroup among others; *asked*: what the configuration wants, None: the best there is.

    Without CAP_SYS_ADMIN partitions are refused, and growing one destroys it (6.12): ``exclusive`` is never written.
    """
    if asked is Enforcement.SHRINK:
        return Capability(Enforcement.SHRINK, "the configuration asks for it")
    if not may_administer:
        return Capability(Enforcement.SHRINK, "remote cpuset partitions need CAP_SYS_ADMIN")
    if not held:
        return Capability(Enforcement.PARTITION, "no cgroup has been looked at yet: remote partitions are tried")
    if any(state.exclusive is not None or state.has_remote_partitions for state in held.values()):
        return Capability(Enforcement.PARTITION, "the kernel has remote cpuset partitions")
    return Capability(Enforcement.SHRINK, "the kernel has no cpuset.cpus.exclusive: no remote cpuset partitions")


def may_administer(proc: Path = Path("/proc")) -> bool:
    """Whether this process has CAP_SYS_ADMIN. Source: proc_pid_status(5), CapEff."""
    for line in (proc / "self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> _SYS_ADMIN & 1)
    return False
