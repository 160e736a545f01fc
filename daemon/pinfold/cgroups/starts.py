"""Whether a container's own program runs already, or only its runtime does that prepares it.

A runtime makes the cgroup, forks what will be the container into it, and waits for the word to start. What it forked
has the kernel's mark "forked, and executed nothing since" until it executes the container's program (runc, crun,
youki). A helper of the runtime that passes through the cgroup has executed something, and so has a hook, but these
live in the mount namespace of the process that forked them: the container's first process does not.
"""

from pathlib import Path
from typing import Protocol

from pinfold.cgroups.paths import CgroupPath, File, below
from pinfold.cgroups.tasks import stat_fields

_PF_FORKNOEXEC = 0x00000040
"""Source: include/linux/sched.h; ps(1) shows it as flag 1."""
_PPID, _FLAGS = 4 - 3, 9 - 3
"""Fields of proc_pid_stat(5), counted from behind the name."""


class Cgroups(Protocol):
    """`files.Cgroupfs`."""

    def read(self, path: CgroupPath, file: str, /) -> str | None: ...

    def children(self, path: CgroupPath, /) -> tuple[str, ...]: ...


def has_run(fs: Cgroups, path: CgroupPath, proc: Path = Path("/proc")) -> bool:
    """Whether a program of the container in cgroup *path* runs.

    Also where nobody can say that it did not: its processes lie in a PID namespace that we do not see (no hostPID), or
    the cgroup is gone.
    """
    pids = _pids(fs, path)
    return fs.read(path, File.PROCS) is None or "0" in pids or any(_is_program(proc / pid, proc) for pid in pids)


def _pids(fs: Cgroups, path: CgroupPath) -> list[str]:
    """Those in the cgroups below, too: crun puts processes into one of its own."""
    inner = (pid for name in fs.children(path) for pid in _pids(fs, below(path, name)))
    return [*(fs.read(path, File.PROCS) or "").split(), *inner]


def _is_program(process: Path, proc: Path) -> bool:
    try:
        fields = stat_fields(process)
        if int(fields[_FLAGS]) & _PF_FORKNOEXEC:
            return False
        own = (process / "ns/mnt").stat().st_ino
    except OSError:
        return False  # it has ended
    try:
        return own != (proc / fields[_PPID] / "ns/mnt").stat().st_ino
    except OSError:
        return True
