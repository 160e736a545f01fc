"""CPUs and memory that leave and come back under a running daemon. Runs as root in the guest.

    python -m tests.vm --kernel 6.12 --smp 8 -- python3 -m tests.crash.hotplug

The daemon's reconcile period is an hour: what is repaired was told by the kernel. It prints a line for each check and
ends with `N passed, N failed`.
"""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.crash.node import boot, pod, put
from tests.vm.daemon import OPTIONS, Daemon, pinfold, until
from tests.vm.main_job import Checks
from tests.vm.node import everyone
from tests.vm.node.tasks import CGROUPS, parse

CPU = Path("/sys/devices/system/cpu")
MEMORY = Path("/sys/devices/system/memory")


def switch(cpu: int, *, on: bool) -> None:
    (CPU / f"cpu{cpu}/online").write_text(f"{int(on)}")


def online() -> frozenset[int]:
    return parse((CPU / "online").read_text())


class Seen:
    """What the daemon and the kernel say of the pods."""

    def __init__(self, daemon: Daemon) -> None:
        self._pods = daemon.pods()
        self.pools = {name: parse(one["pool"]) for name, one in self._pods.items()}

    @staticmethod
    def of_kernel(cgroup: Path) -> frozenset[int]:
        return parse((cgroup / "cpuset.cpus.effective").read_text())

    def wrong(self, **sizes: int) -> list[str]:
        """Each pod of *sizes* is to have a pool of so many online CPUs that are its own, by the kernel's word."""
        wrong = []
        for name, size in sizes.items():
            pool = self.pools.get(f"test/{name}", frozenset())
            if len(pool & online()) != size:
                wrong.append(f"{name}: a pool of {sorted(pool)} of {sorted(online())}, {size} are due")
            cgroup = CGROUPS / f"kubepods/pod{uid(name)}"
            word = (cgroup / "cpuset.cpus.partition").read_text().strip() if _has_partitions(cgroup) else "root"
            effective = self.of_kernel(cgroup)
            if word != "root" or effective != pool & online():
                wrong.append(f"{name}: {word} of {sorted(effective)}, its pool is {sorted(pool)}")
            inside = f"/{cgroup.relative_to(CGROUPS)}/"
            wrong += [
                f"{task} may use {sorted(met)} of {name}"
                for task in everyone()
                if not task.cgroup.startswith(inside) and (met := parse(task.cpus) & pool & online())
            ]
        return wrong


def _has_partitions(cgroup: Path) -> bool:
    return (cgroup / "cpuset.cpus.exclusive").exists()


def uid(name: str) -> str:
    return str(pod(int(name[1:]), 1, 1)["metadata"]["uid"])


def holds(daemon: Daemon, **sizes: int) -> Callable[[], bool]:
    return lambda: daemon.settled(*(f"test/{name}" for name in sizes)) and not Seen(daemon).wrong(**sizes)


def memory_leaves(check: Checks, daemon: Daemon) -> None:
    """One block of memory goes off line, if any can, and comes back."""

    def total() -> int:
        return sum(node["memoryBytes"] for node in daemon.status()["topology"]["numaNodes"])

    before = total()
    for state in sorted(MEMORY.glob("memory*/state"), reverse=True):
        try:
            state.write_text("offline")
        except OSError:
            continue
        check(until("it is read anew", lambda: total() < before), "memory that leaves is seen", (before, total()))
        state.write_text("online")
        check(until("it is read anew", lambda: total() == before), "and seen when it is back", (before, total()))
        return
    print("no block of memory can be taken off line here", flush=True)


def play() -> Checks:
    check = Checks()
    node = boot()
    daemon = Daemon()
    small = pod(2, 1, engine=1)
    del small["spec"]["containers"][0]["resources"]  # one pool of a single CPU, which all share
    for spec in (pod(1, 3, engine=2), small):
        put(spec)
        node.start_pod(spec)
    check(until("both are pinned", holds(daemon, p1=3, p2=1)), "both pools are made", Seen(daemon).wrong(p1=3, p2=1))

    one = max(Seen(daemon).pools["test/p1"])
    switch(one, on=False)
    whole = until("the pool is whole", holds(daemon, p1=3, p2=1))
    check(whole, "a CPU that leaves a pool is replaced", Seen(daemon).wrong(p1=3, p2=1))
    kept = Seen(daemon).pools
    switch(one, on=True)
    check(until("it is seen", lambda: one in parse(daemon.status()["nodeSharedPool"])), "back, it is everybody's")
    check(Seen(daemon).pools == kept, "and moves no pool", (kept, Seen(daemon).pools))
    check(any(one in parse(task.cpus) for task in everyone()), "somebody may use it")

    (last,) = Seen(daemon).pools["test/p2"]
    cgroup = CGROUPS / f"kubepods/pod{uid('p2')}"
    switch(last, on=False)
    mended = until("the partition is mended", holds(daemon, p1=3, p2=1))
    words = [f"{file}: {(cgroup / file).read_text().strip()}" for file in ("cpuset.cpus.effective",)]
    check(mended, "a partition whose last CPU leaves is made anew elsewhere", (words, Seen(daemon).wrong(p1=3, p2=1)))
    switch(last, on=True)

    others = sorted(online() - Seen(daemon).pools["test/p1"] - Seen(daemon).pools["test/p2"] - {0, 1}, reverse=True)
    leaving = [*others, max(Seen(daemon).pools["test/p1"])]
    for cpu in leaving:
        switch(cpu, on=False)
    degraded = until("it is degraded", lambda: daemon.pods()["test/p1"]["outcome"] == "degraded")
    check(degraded, "with no other CPU left a pool is degraded", daemon.pods()["test/p1"])
    fits = until("it has what is left", lambda: not Seen(daemon).wrong(p1=2, p2=1))
    check(fits, "and keeps what is left of it", Seen(daemon).wrong(p1=2, p2=1))
    check(bool(daemon.pods()["test/p1"]["refusal"]), "that is told with a reason")
    for cpu in leaving:
        switch(cpu, on=True)
    whole = until("all are whole", holds(daemon, p1=3, p2=1))
    check(whole, "when CPUs are back the pool is whole again", Seen(daemon).wrong(p1=3, p2=1))

    memory_leaves(check, daemon)
    if _has_partitions(cgroup):
        broken(check, daemon, cgroup)
    check(daemon.stop(signal.SIGTERM) == 0, "SIGTERM ends the daemon")
    done = pinfold("release", *OPTIONS)
    check(done.returncode == 0, "release ends with 0", done.stdout + done.stderr)
    if check.failed:
        print(*daemon.events()[-40:], sep="\n", flush=True)
    return check


def broken(check: Checks, daemon: Daemon, cgroup: Path) -> None:
    """Nobody writes to the pod, and its partition breaks: CPUs above are taken away."""
    turns = daemon.metric("pinfold_reconcile_duration_seconds_count")
    (cgroup.parent / "cpuset.cpus.exclusive").write_text("\n")
    check(until("it is mended", holds(daemon, p1=3, p2=1)), "partitions broken from above are made anew")
    check(daemon.metric("pinfold_reconcile_duration_seconds_count") > turns, "by a turn that the kernel rang for")


def main() -> int:
    check = play()
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
