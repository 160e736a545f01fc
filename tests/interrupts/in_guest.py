"""Run in a machine: the guard on its interrupts, and beside irqbalance; prints what was seen as one JSON line.

    python3 -m tests.interrupts.in_guest DIR

*DIR* holds irqbalance and its libraries. What the kernel and irqbalance say is read here, never taken from the guard.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pinfold.cpuset import CpuSet
from pinfold.interrupts.affinities import BANNED, Ground, Moves
from pinfold.interrupts.guard import Guard, Guarded

IRQ = Path("/proc/irq")
WORKQUEUES = Path("/sys/devices/virtual/workqueue/cpumask")
GUARDED = CpuSet.parse("2-3,6")
NODES = {0: CpuSet.parse("0-3"), 1: CpuSet.parse("4-7")}
DRIVER = Path("/sys/bus/virtio/drivers/virtio_blk")
LATE = "virtio1"


class Keeper:
    """What the agent does: the moves are kept from one look to the next."""

    def __init__(self) -> None:
        self._guard = Guard()
        self.moves: Moves = {}

    def keep(self, guarded: CpuSet) -> dict[str, Any]:
        done = self._guard.keep(Ground(guarded, CpuSet.parse("0-7"), NODES), self.moves, lambda _: None)
        self.moves = done.moves
        return _told(done)


def _told(done: Guarded) -> dict[str, Any]:
    return {
        "outcomes": {one.irq: [one.result.value, one.message] for one in done.outcomes},
        "stays": {one.irq: [one.name, str(one.cpus)] for one in done.stays},
        "warnings": done.warnings,
        "drifted": sorted(done.drifted),
        "moved": sorted(done.moves),
    }


def affinities() -> dict[str, str]:
    """By the kernel's word; ``default`` is the mask of new ones, ``unbound-workqueues`` that of unbound workers."""
    lists = {one.parent.name: one.read_text().strip() for one in IRQ.glob("[0-9]*/smp_affinity_list")}
    masks = {"default": IRQ / "default_smp_affinity", "unbound-workqueues": WORKQUEUES}
    return {**lists, **{name: path.read_text().strip() for name, path in masks.items()}}


def movable() -> list[str]:
    """Those that take the affinity they have a second time."""
    able: list[str] = []
    for one in IRQ.glob("[0-9]*/smp_affinity_list"):
        try:
            one.write_text(one.read_text())
        except OSError:
            continue
        able.append(one.parent.name)
    return able


def counts() -> dict[str, list[int]]:
    """IRQ → how often each CPU took it."""
    lines = Path("/proc/interrupts").read_text().splitlines()[1:]
    rows = (line.split(":", 1) for line in lines)
    return {irq.strip(): [int(one) for one in rest.split()[:8]] for irq, rest in rows}


def busy() -> None:
    """Have the disks, their configuration vectors and the serial line interrupt."""
    for cpu in range(8):
        reading = ["dd", "if=/dev/vda", "of=/dev/null", "bs=64k", "count=8", "iflag=direct", "status=none"]
        subprocess.run(["taskset", "-c", str(cpu), *reading], check=True)
    os.write(1, b"." * 999 + b"\n")
    time.sleep(1)


def irqbalance_says(request: str = "setup") -> str:
    (path,) = Path("/run/irqbalance").glob("*.sock")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(request.encode())
        return connection.recv(4096).decode().rpartition("BANNED ")[2]


def until(asked: Callable[[], Any], wanted: Any) -> Any:  # noqa: ANN401 any value
    """What *asked* says at last: *wanted*, or something else when a minute has gone."""
    for _ in range(120):
        if asked() == wanted:
            break
        time.sleep(0.5)
    return asked()


def interrupts() -> dict[str, Any]:
    keeper = Keeper()
    (IRQ / "4" / "smp_affinity_list").write_text("6")  # nothing is left of it beside the guarded CPUs
    out: dict[str, Any] = {"before": affinities(), "movable": movable()}
    late = {line.split(":")[0].strip() for line in Path("/proc/interrupts").read_text().splitlines() if LATE in line}
    (DRIVER / "unbind").write_text(LATE)
    out["guarding"] = keeper.keep(GUARDED)
    busy()  # a move is done at the next interrupt, which still goes to the old CPU
    first = counts()
    busy()
    out["guarded"], out["took"] = (
        affinities(),
        {irq: [first[irq], now] for irq, now in counts().items() if irq in first},
    )
    out["again"] = keeper.keep(GUARDED)
    (IRQ / "8" / "smp_affinity_list").write_text("2,5")
    out["drift"], out["mended"] = keeper.keep(GUARDED), affinities()
    out["late"] = sorted(late - affinities().keys())
    (DRIVER / "bind").write_text(LATE)
    out["born"] = affinities()
    keeper.keep(GUARDED)
    out["releasing"], out["released"] = keeper.keep(CpuSet()), affinities()
    return out


def beside_irqbalance(directory: Path) -> dict[str, Any]:
    keeper = Keeper()
    Path("/run/irqbalance").mkdir()
    environment = {"LD_LIBRARY_PATH": str(directory / "lib"), "IRQBALANCE_BANNED_CPULIST": "7"}
    command = [str(directory / "irqbalance"), "--foreground", "--interval=1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as balancer:
        until(lambda: len(list(Path("/run/irqbalance").iterdir())), 1)
        out: dict[str, Any] = {"before": until(irqbalance_says, "00000080")}
        out["guarding"] = keeper.keep(GUARDED)
        out["ban"] = [str(keeper.moves[BANNED].found), str(keeper.moves[BANNED].ours)]
        out["guarded"] = until(irqbalance_says, "000000cc")
        balancer.send_signal(signal.SIGSTOP)
        out["stopped"] = keeper.keep(GUARDED)
        balancer.send_signal(signal.SIGCONT)
        out["wider"] = [keeper.keep(GUARDED | CpuSet.parse("5")), until(irqbalance_says, "000000ec")]
        out["releasing"], out["released"] = keeper.keep(CpuSet()), until(irqbalance_says, "00000080")
        balancer.terminate()
    return out


def main() -> None:
    print(json.dumps({"alone": interrupts(), "irqbalance": beside_irqbalance(Path(sys.argv[1]))}))


if __name__ == "__main__":
    main()
