"""The daemon and the interrupts of its machine, by the kernel's word. Runs as root in the guest.

    python -m tests.vm --kernel 6.12 --smp 8 --share DIR -- python3 -m tests.interrupts.under_daemon

*DIR* is any: the disk that it is on goes away and comes back.
It prints a line for each check and ends with `N passed, N failed`.
"""

import signal
import sys

from pinfold.cpuset import CpuSet
from pinfold.interrupts import masks
from tests.crash.node import boot, pod, put
from tests.interrupts.in_guest import DRIVER, IRQ, affinities, movable
from tests.vm.daemon import OPTIONS, Daemon, pinfold, until
from tests.vm.main_job import Checks

GUARD = ("--set", "irqGuard=slices", "--set", "cpuManagerReconcilePeriod=2s")


def on(guarded: CpuSet, irqs: set[str]) -> dict[str, str]:
    """Those of *irqs* that may go to *guarded* CPUs."""
    return {
        irq: cpus for irq, cpus in affinities().items() if irq in irqs and not CpuSet.parse(cpus).isdisjoint(guarded)
    }


def slices(daemon: Daemon) -> CpuSet:
    pods = daemon.pods().values()
    return CpuSet.union(
        CpuSet.parse(one["cpus"]) for each in pods for one in each["containers"] if one["isolation"] == "container"
    )


def play() -> Checks:
    check = Checks()
    node = boot()
    able = set(movable())
    late = max((one.name for one in DRIVER.glob("virtio[0-9]*")), key=lambda name: int(name.removeprefix("virtio")))
    before = affinities()
    (DRIVER / "unbind").write_text(late)
    daemon = Daemon(*GUARD)
    put(first := pod(1, 3, engine=2))
    node.start_pod(first)
    check(until("the pod is pinned", lambda: daemon.settled("test/p1")), "the pool is made", daemon.pods())
    check(len(slices(daemon)) == 2, "its engine has a slice", daemon.pods())
    guarded = slices(daemon)
    check(
        len(able) >= 10 and any(not CpuSet.parse(before[irq]).isdisjoint(guarded) for irq in able),
        "there are interrupts to move",
        able,
    )
    check(until("they are moved", lambda: not on(guarded, able)), "no movable one goes to the slice", on(guarded, able))
    default = masks.parsed((IRQ / "default_smp_affinity").read_text())
    check(default.isdisjoint(guarded), "nor does a new one by default", default)
    unbound = masks.parsed(affinities()["unbound-workqueues"])
    check(unbound.isdisjoint(guarded), "nor do unbound workers run there", unbound)
    (DRIVER / "bind").write_text(late)
    born = {line.split(":")[0].strip() for line in (IRQ.parent / "interrupts").read_text().splitlines() if late in line}
    check(len(born & able) > 0, "a device comes back", born)
    check(until("they are off", lambda: not on(guarded, able)), "its interrupts are off the slice", on(guarded, able))
    victim = min(able, key=int)
    (IRQ / victim / "smp_affinity_list").write_text(str(guarded))
    check(until("it is moved off", lambda: not on(guarded, able)), "one that is put back is moved off again")
    told = until("it is counted", lambda: 'cause="interrupt"' in daemon.get("/metrics"))
    check(told, "that is counted", daemon.get("/metrics"))
    check("reach guarded CPUs" in daemon.get("/status"), "the queues of the disks are named", daemon.get("/status"))
    put(second := pod(2, 3, engine=2))
    node.start_pod(second)
    check(until("the second pod is pinned", lambda: daemon.settled("test/p2")), "a second pool is made")
    both = slices(daemon)
    check(len(both) == 4, "both engines have slices", both)
    check(until("they are moved", lambda: not on(both, able)), "no movable one goes to either slice", on(both, able))
    check(daemon.stop(signal.SIGTERM) == 0, "SIGTERM ends the daemon")
    check(not on(both, able), "SIGTERM leaves interrupts where they are", on(both, able))
    shown = pinfold("release", "--dry-run", *OPTIONS)
    check("interrupt default" in shown.stdout, "a dry release shows them", shown.stdout + shown.stderr)
    done = pinfold("release", *OPTIONS)
    check(done.returncode == 0, "release ends with 0", done.stdout + done.stderr)
    after = affinities()
    wrong = {
        irq: (before[irq], after[irq])
        for irq in before.keys() & after.keys() & {*able, "default", "unbound-workqueues"}
    }
    wrong = {irq: pair for irq, pair in wrong.items() if pair[0] != pair[1] and irq not in {victim, *born}}
    check(not wrong, "all others have what they had", wrong)
    check(after[victim] == str(guarded), "the one that somebody moved has what he gave it", after[victim])
    lost = {irq: after[irq] for irq in born & able if CpuSet.parse(after[irq]) != CpuSet.parse(before[irq])}
    check(not lost, "those born meanwhile have what the old default gives", lost)
    if check.failed:
        print(*daemon.events()[-30:], sep="\n", flush=True)
    return check


def main() -> int:
    check = play()
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
