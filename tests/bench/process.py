"""What a process costs, by the kernel's own counts; system calls by strace."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Self

_TOTAL = re.compile(r"^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s.*total$", re.MULTILINE)
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Since the process began, or between two moments."""

    cpu_s: float
    bytes_read: int
    wakeups: int
    """How often a thread of it had slept, and ran."""

    @classmethod
    def of(cls, pid: int) -> Self:
        """Source: proc_pid_io(5), ``rchar``; proc_pid_status(5); sched-stats.rst, ``schedstat``."""
        proc = Path(f"/proc/{pid}")
        tasks = list((proc / "task").iterdir())
        cpu_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        switches = sum(_field(task / "status", "voluntary_ctxt_switches") for task in tasks)
        return cls(cpu_ns / 1e9, _field(proc / "io", "rchar"), switches)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu_s - other.cpu_s, self.bytes_read - other.bytes_read, self.wakeups - other.wakeups)


def rss_mib(pid: int) -> float:
    return _field(Path(f"/proc/{pid}/status"), "VmRSS") / 1024


def _field(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"no {name} in {file}")


def system_calls(pid: int, act: Callable[[], None], log: Path) -> int | None:
    """How many the process makes while *act* runs; None where there is no strace."""
    if which("strace") is None:
        return None
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", str(log), "-p", str(pid)], stderr=subprocess.DEVNULL)
    until("strace has every thread", lambda: _is_traced(pid))
    act()
    tracer.send_signal(signal.SIGINT)
    tracer.wait(PATIENCE_S)
    found = _TOTAL.search(log.read_text())
    if found is None:
        raise ValueError(f"no total in what strace says:\n{log.read_text()}")
    return int(found[1])


def _is_traced(pid: int) -> bool:
    return all(_field(Path(task.path) / "status", "TracerPid") for task in os.scandir(f"/proc/{pid}/task"))


def until(what: str, holds: Callable[[], object]) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)


def rests(pid: int, quiet_s: float = 0.4) -> None:
    """Wait until it has used no CPU for a while."""
    before, since = Cost.of(pid).cpu_s, time.monotonic()
    while time.monotonic() - since < quiet_s:
        time.sleep(0.02)
        if (now := Cost.of(pid).cpu_s) != before:
            before, since = now, time.monotonic()
