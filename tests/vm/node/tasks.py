"""Where tasks may run and how the cgroup tree is set, by the kernel's own word. Reads only."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CGROUPS = Path("/sys/fs/cgroup")
PF_KTHREAD = 0x00200000  # include/linux/sched.h
SETTINGS = (
    *("cpuset.cpus", "cpuset.mems", "cpuset.cpus.exclusive", "cpuset.cpus.partition"),
    *("cpu.max", "memory.low", "memory.min", "cgroup.subtree_control"),
)


class Task(NamedTuple):
    """One thread; the sets are kernel lists, ``0-3,8``."""

    pid: int
    tid: int
    comm: str
    cgroup: str  # as /proc has it, from the root of the tree: /kubepods/...
    cpus: str
    mems: str


def parse(text: str) -> frozenset[int]:
    """The members of a kernel list."""
    spans = [item.split("-") for item in text.split(",") if item.strip()]
    return frozenset(member for span in spans for member in range(int(span[0]), int(span[-1]) + 1))


def cgroup_of(pid: int) -> Path:
    return CGROUPS / Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")


def tasks_of(pid: int) -> list[Task]:
    """The threads of a process; none where it is gone or a zombie."""
    return list(_tasks_of(pid))


def everyone() -> list[Task]:
    """Every user task of the machine: kernel threads and the dead aside."""
    processes = sorted(int(here.name) for here in Path("/proc").iterdir() if here.name.isdigit())
    return [task for pid in processes if not _is_kernel_thread(pid) for task in _tasks_of(pid)]


def settings() -> dict[str, str]:
    """Every SETTINGS file of the cgroup tree, by its path in the tree, with its text."""
    found = {}
    for folder, _, names in os.walk(CGROUPS):
        for name in SETTINGS:
            if name in names:
                path = Path(folder, name)
                try:
                    found[f"/{path.relative_to(CGROUPS)}"] = path.read_text().strip()
                except OSError:  # gone meanwhile
                    continue
    return found


def unit_files() -> dict[str, str]:
    """The units and drop-ins that exist until the next boot only: where systemd keeps properties set over its bus."""
    folders = (Path("/run/systemd/transient"), Path("/run/systemd/system.control"))
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): path.read_text() for path in files}


def _is_kernel_thread(pid: int) -> bool:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return bool(int(after_name[6]) & PF_KTHREAD)


def _tasks_of(pid: int) -> Iterator[Task]:
    try:
        tids = sorted(int(here.name) for here in Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return
    for tid in tids:
        here = Path(f"/proc/{pid}/task/{tid}")
        try:
            lines = (here / "status").read_text().splitlines()
            cgroup = (here / "cgroup").read_text().strip().removeprefix("0::")
        except (FileNotFoundError, ProcessLookupError):
            continue
        said = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        if not said["State"].startswith(("Z", "X")):
            yield Task(pid, tid, said["Name"], cgroup, said["Cpus_allowed_list"], said["Mems_allowed_list"])
