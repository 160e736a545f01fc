"""Somebody rewrites what Pinfold wrote, a hundred times a second; then he stops. Runs as root in the guest.

    python -m tests.vm --kernel 6.12 -- python3 -m tests.crash.hostile --seconds 60

It prints a line for each check, what it measured, and ends with `N passed, N failed`.
"""

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Self

from tests.crash.node import boot, pod, put
from tests.vm.daemon import PATIENCE_S, Daemon, until
from tests.vm.main_job import Checks
from tests.vm.node.tasks import CGROUPS, everyone, parse

RATE_HZ = 100
TURNS_PER_S = 2
"""What a fighter may cost at most, however fast he writes."""


def targets(pod_cgroup: Path, container: Path, pool: str, online: str) -> list[tuple[Path, str]]:
    """What a fighter writes: sets, partitions and quotas; what this kernel has of it.

    He does not empty ``exclusive`` above the pool: after that and an empty one in the pod, 6.12 loses the pool's CPUs
    until the next boot, and nobody can have them any more.
    """
    wanted = [
        (container / "cpuset.cpus", online),
        (pod_cgroup / "cpuset.cpus.partition", "member"),
        (pod_cgroup / "cpu.max", "50000 100000"),
        (CGROUPS / "system.slice/cpuset.cpus", pool),
        (pod_cgroup / "cpuset.cpus.exclusive", ""),
        (container / "cpu.max", "10000 100000"),
        (pod_cgroup.parent / "cpuset.cpus", online),
        (container / "cpuset.cpus", pool),
    ]
    return [(file, value) for file, value in wanted if file.exists()]


def fight(wanted: list[tuple[Path, str]], seconds: float) -> tuple[int, int]:
    """Write one after the other, RATE_HZ times a second; how many the kernel took, and refused."""
    done = refused = 0
    began = time.monotonic()
    for file, value in cycle(wanted):
        try:
            file.write_text(f"{value}\n")
            done += 1
        except OSError:
            refused += 1
        due = began + (done + refused) / RATE_HZ
        now = time.monotonic()
        if now - began >= seconds:
            return done, refused
        time.sleep(max(0.0, due - now))
    raise ValueError("nothing to write")


def speed() -> float:
    """Millions that Python counts in a second of CPU time: an emulated CPU is many times slower than it says."""
    counted, began = 0, time.thread_time()
    while time.thread_time() - began < 1:
        for _ in range(10_000):
            counted += 1
    return counted / 1e6


def cpu_s(pid: int) -> float:
    """User and system time of a process. Source: proc_pid_stat(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Promise:
    """The kernel's word on the pod, and on who is beside it."""

    pod: Path
    container: Path
    partition: str
    pool: frozenset[int]
    slice: frozenset[int]

    @classmethod
    def now(cls, container: Path) -> Self:
        pod = container.parent
        return cls(pod, container, _text(pod / "cpuset.cpus.partition"), _cpus(pod), _cpus(container))

    def broken(self) -> list[str]:
        beside = (CGROUPS / "system.slice", self.pod.parent / "burstable", self.pod.parent / "besteffort")
        wrong = [f"{path} has {sorted(met)} of the pool" for path in beside if (met := _cpus(path) & self.pool)]
        wrong += [f"{path} has a quota" for path in (self.pod, self.container) if _text(path / "cpu.max")[:3] != "max"]
        if (now := Promise.now(self.container)) != self:
            wrong.append(f"{now} instead of {self}")
        return wrong

    def strays(self) -> list[str]:
        """Tasks that the kernel lets run where they should not."""
        inside = f"/{self.pod.relative_to(CGROUPS)}/"
        return [
            str(task)
            for task in everyone()
            if (parse(task.cpus) <= self.pool) is not task.cgroup.startswith(inside)
            or (not task.cgroup.startswith(inside) and parse(task.cpus) & self.pool)
        ]


def _text(file: Path) -> str:
    return file.read_text().strip()


def _cpus(cgroup: Path) -> frozenset[int]:
    return parse(_text(cgroup / "cpuset.cpus.effective"))


def play(seconds: float) -> Checks:
    check = Checks()
    node = boot()
    put(spec := pod(1, 3, engine=2))
    node.start_pod(spec)
    daemon = Daemon()
    check(until("the pod is pinned", lambda: daemon.settled("test/p1")), "the pool is made", daemon.pods())
    engine = next(process for process in node.processes() if process.container == "engine")
    container = CGROUPS / engine.cgroup.lstrip("/")
    promise = Promise.now(container)
    check.each([*promise.broken(), *promise.strays()], "the promise holds before the fight")
    online = Path("/sys/devices/system/cpu/online").read_text().strip()
    wanted = targets(container.parent, container, daemon.pods()["test/p1"]["pool"], online)
    print(f"{RATE_HZ} writes a second to:", *(f"{file} {value!r}" for file, value in wanted), sep="\n  ", flush=True)
    turns, spent, began = daemon.metric("pinfold_reconcile_duration_seconds_count"), cpu_s(daemon.process.pid), _now()
    own = time.process_time()
    done, refused = fight(wanted, seconds)
    last, own = _now(), time.process_time() - own
    took, spent = last - began, cpu_s(daemon.process.pid) - spent
    turns = daemon.metric("pinfold_reconcile_duration_seconds_count") - turns
    while promise.broken() and _now() - last < PATIENCE_S:
        time.sleep(0.02)
    restored = not promise.broken()
    restored_s = _now() - last
    fought = daemon.metric("pinfold_drift_fought")
    print(f"{done} writes taken, {refused} refused, in {took:.1f} s; {turns:.0f} turns of the loop", flush=True)
    share, counts = 100 * spent / took, speed()
    print(f"the daemon used {share:.1f} % of one CPU that counts to {counts:.1f} million a second", flush=True)
    print(
        f"that is {spent / own:.2f} of what the fighter himself used, {1000 * spent / max(1, turns):.0f} ms a turn",
        flush=True,
    )
    print(f"restored within {restored_s:.2f} s of the last hostile write", flush=True)
    check(restored, "every promise is kept again", promise.broken())
    check.each(promise.strays(), "nobody is where he should not be")
    check(turns <= TURNS_PER_S * took + 10, "the fighter costs no more turns than the pauses allow", turns)
    check(fought > 0, "the metric tells of the fight", fought)
    told = [event for event in daemon.events() if event["event"] == "cpuset.fought"]
    check(any(event["pod"] == "test/p1" for event in told), "an event tells of the fight, with the pod", told)
    calm = until("the fight is over", lambda: daemon.metric("pinfold_drift_fought") == 0)
    check(calm, "the metric tells that it is over")
    check(any(one["event"] == "cpuset.calmed" for one in daemon.events()), "an event tells that it is over")
    check.each([*promise.broken(), *promise.strays()], "nothing moved since")
    (container / "cpuset.cpus").write_text(online)
    check(until("one more repair", lambda: not promise.broken()), "afterwards a single rewrite is repaired as ever")
    check(daemon.stop(signal.SIGTERM) == 0, "SIGTERM ends the daemon")
    if check.failed:
        print(*daemon.events()[-20:], sep="\n", flush=True)
    return check


def _now() -> float:
    return time.monotonic()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    check = play(parser.parse_args().seconds)
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
