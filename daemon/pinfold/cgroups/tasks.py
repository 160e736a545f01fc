"""User tasks in the root cgroup, which no cpuset narrows: their own affinity keeps them off the pools.

What to bind is a pure function; `RootTasks` looks and binds. Only where everybody else is shrunk: a partition keeps
these tasks off by itself. Source: sched_setaffinity(2), proc_pid_stat(5); kernel threads are left alone.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, Protocol

from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cpuset import CpuSet

TaskId = NewType("TaskId", str)
"""``TID:STARTTIME``: a thread, told from a later one with its number."""

_PF_KTHREAD = 0x00200000
"""Source: include/linux/sched.h."""
_FLAGS, _STARTTIME = 9 - 3, 22 - 3
"""Fields of proc_pid_stat(5), counted from behind the name."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A task that Pinfold bound."""

    found: CpuSet
    """Its affinity before; or what somebody else gave it since."""
    ours: CpuSet


Bounds = Mapping[TaskId, Bound]
Affinities = Mapping[TaskId, CpuSet]


def bounds(held: Affinities, before: Bounds, shared: CpuSet | None) -> Bounds:
    """How the tasks *held* are to be bound so that they run on *shared* alone; None: as they were found.

    *before* is what Pinfold bound already. A task whose own affinity lies in *shared* keeps it.
    """
    now: dict[TaskId, Bound] = {}
    for task, cpus in held.items():
        known = before.get(task)
        found = known.found if known and cpus in {known.ours, known.found} else cpus
        if shared is not None and not found <= shared:
            now[task] = Bound(found, (found & shared) or shared)
    return now


def bindings(held: Affinities, before: Bounds, after: Bounds) -> Affinities:
    """Which affinities to set so that *held* becomes *after*; who is bound no more gets back what was found."""
    wanted = {task: one.found for task, one in before.items() if task in held and held[task] == one.ours}
    wanted |= {task: one.ours for task, one in after.items()}
    return {task: cpus for task, cpus in wanted.items() if held[task] != cpus}


def to_text(bounds: Bounds) -> dict[str, tuple[str, str]]:
    """For the checkpoint: task → (found, ours)."""
    return {task: (str(one.found), str(one.ours)) for task, one in bounds.items()}


def from_text(text: Mapping[str, tuple[str, str]]) -> Bounds:
    """Raises ValueError where a list is none."""
    return {TaskId(task): Bound(CpuSet.parse(found), CpuSet.parse(ours)) for task, (found, ours) in text.items()}


class Reading(Protocol):
    """`files.Cgroupfs`."""

    def read(self, path: CgroupPath, file: str, /) -> str | None: ...


class RootTasks:
    """The user tasks of the root cgroup. A process that has ended meanwhile is no error."""

    def __init__(self, fs: Reading, proc: Path = Path("/proc")) -> None:
        self._fs = fs
        self._proc = proc
        self._kernel_threads: frozenset[int] = frozenset()
        self.hidden = False
        """Some processes lie in a PID namespace that we do not see (no hostPID): they stay where they are."""

    def look(self) -> Affinities:
        """Each thread's affinity."""
        pids = [int(line) for line in (self._fs.read(ROOT, File.PROCS) or "").split()]
        self.hidden = 0 in pids
        there = frozenset(pids) - {0}
        kernel_threads = {pid for pid in there - self._kernel_threads if self._is_kernel_thread(pid)}
        self._kernel_threads = (self._kernel_threads & there) | kernel_threads
        return dict(self._threads(there - self._kernel_threads))

    def bind(self, affinities: Affinities) -> None:
        for task, cpus in affinities.items():
            tid = int(task.partition(":")[0])
            try:
                if self._id(self._proc / str(tid), tid) == task:
                    os.sched_setaffinity(tid, cpus)
            except OSError:  # it has ended, or has moved into a cgroup with other CPUs: the next look tells
                continue

    def _threads(self, pids: frozenset[int]) -> Iterator[tuple[TaskId, CpuSet]]:
        for pid in sorted(pids):
            try:
                tids = sorted(int(here.name) for here in (self._proc / str(pid) / "task").iterdir())
                for tid in tids:
                    yield self._id(self._proc / str(pid) / "task" / str(tid), tid), CpuSet.of(os.sched_getaffinity(tid))
            except OSError:
                continue

    def _is_kernel_thread(self, pid: int) -> bool:
        try:
            return bool(int(stat_fields(self._proc / str(pid))[_FLAGS]) & _PF_KTHREAD)
        except OSError:
            return False

    def _id(self, where: Path, tid: int) -> TaskId:
        return TaskId(f"{tid}:{stat_fields(where)[_STARTTIME]}")


def stat_fields(where: Path) -> list[str]:
    """The fields of proc_pid_stat(5) behind the name, which itself may hold anything."""
    return (where / "stat").read_text(errors="replace").rpartition(")")[2].split()
