"""Whether a container's own program runs already, or only its runtime does that prepares it.

A runtime makes the cgroup, forks what will be the container into it, and waits for the word to start. What it forked
has the kernel's mark "forked, and executed nothing since" until it executes the container's program (runc, crun,
youki). A helper of the runtime that passes through the cgroup has executed something, and so has a hook, but these
live in the mount namespace of the process that forked them: the container's first process does not.
"""

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pinfold.cgroups.paths import CgroupPath, File, below
from pinfold.cgroups.tasks import stat_fields

_PF_FORKNOEXEC = 0x00000040
"""Source: include/linux/sched.h; ps(1) shows it as flag 1."""
_PPID, _FLAGS = 4 - 3, 9 - 3
"""Fields of proc_pid_stat(5), counted from behind the name."""
_PARENTS = 3


class Cgroups(Protocol):
    """`files.Cgroupfs`."""

    def read(self, path: CgroupPath, file: str, /) -> str | None: ...

    def children(self, path: CgroupPath, /) -> tuple[str, ...]: ...


def has_run(fs: Cgroups, path: CgroupPath, proc: Path = Path("/proc")) -> bool:
    """Whether a program of the container in cgroup *path* runs.

    Also where nobody can say that it did not: its processes lie in a PID namespace that we do not see (no hostPID), or
    the cgroup is gone.
    """
    runs = _runs(fs, path, proc)
    return runs is None or runs


def _runs(fs: Cgroups, path: CgroupPath, proc: Path) -> bool | None:
    """None where the cgroup is gone. In those below, too: crun puts processes into one of its own."""
    if (text := fs.read(path, File.PROCS)) is None:
        return None
    pids = text.split()
    if "0" in pids or any(_is_program(proc / pid, proc) for pid in pids):
        return True
    return any(_runs(fs, below(path, name), proc) for name in fs.children(path))


def _is_program(process: Path, proc: Path) -> bool:
    """Whose parent ends meanwhile has another, and is looked at again."""
    for _ in range(_PARENTS):
        try:
            fields = stat_fields(process)
            if int(fields[_FLAGS]) & _PF_FORKNOEXEC:
                return False
            own = (process / "ns/mnt").stat().st_ino
        except OSError:
            return False  # it has ended
        with suppress(OSError):
            return own != (proc / fields[_PPID] / "ns/mnt").stat().st_ino
    return True
