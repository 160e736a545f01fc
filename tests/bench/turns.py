"""(c) what one change costs the daemon, with few pods and with many: time, system calls, bytes read, wake-ups.

A process of its own runs the loop; the changes come from this one. Each figure is of one change, the mean of several,
and contains the stand-in's own work, which does not depend on how many pods there are.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pinfold.cgroups.paths import File
from pinfold.pods.model import QosClass
from tests.bench.files import FileNode
from tests.bench.process import Cost, rests, system_calls, until
from tests.bench.row import Row
from tests.cgroups.node import container_path, pod_path

OWNERS, FEW, MANY, CHANGES = 8, 10, 1000, 6
BAR = 2.0
_ROOT = Path(__file__).parents[2]


def measured() -> Iterator[Row]:
    few, many = (dict(_costs(pods)) for pods in (FEW, MANY))
    for what in few:
        for unit in few[what]:
            one, other = few[what][unit], many[what][unit]
            yield Row(
                "c", f"{what}: {one:.3g} {unit} with {FEW} pods, {other:.3g} with {MANY}", other / one, "times", BAR
            )


def _costs(pods: int) -> Iterator[tuple[str, dict[str, float]]]:
    with tempfile.TemporaryDirectory(prefix="pinfold-bench-") as scratch:
        node = FileNode.boot(Path(scratch))
        for number in range(1, pods + 1):
            node.start(number, 4 if number <= OWNERS else 0)
        with serving(node, "1h") as pid:
            until("the pods are pinned", lambda: all(_is_pinned(node, one) for one in range(1, OWNERS + 1)))
            rests(pid)
            yield "drift", _cost(pid, lambda turn: _drift(node, turn % OWNERS + 1), Path(scratch, "strace"))
            yield "a pod comes", _cost(pid, lambda turn: _comes(node, pods + 1 + turn), Path(scratch, "strace"))


@contextmanager
def serving(node: FileNode, period: str) -> Iterator[int]:
    """The loop's process on *node*."""
    environment = {**os.environ, "PYTHONPATH": f"{_ROOT / 'daemon'}:{_ROOT}"}
    argv = [sys.executable, "-m", "tests.bench.served", str(node.root), period]
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def _cost(pid: int, change: Callable[[int], None], log: Path) -> dict[str, float]:
    """Of one change: first as it is, then under strace, where time says nothing."""
    change(0)  # what is done once only is not this
    rests(pid)
    before = Cost.of(pid)
    for turn in range(1, CHANGES + 1):
        change(turn)
        rests(pid)
    cost = Cost.of(pid) - before

    def act() -> None:
        for turn in range(CHANGES + 1, 2 * CHANGES + 1):
            change(turn)
            rests(pid)

    calls = system_calls(pid, act, log)
    found = {"ms of CPU": 1000 * cost.cpu_s, "KiB read": cost.bytes_read / 1024, "wake-ups": float(cost.wakeups)}
    return {unit: value / CHANGES for unit, value in (found | ({} if calls is None else {"calls": calls})).items()}


def _drift(node: FileNode, number: int) -> None:
    """Somebody widens an engine to all CPUs; back again when Pinfold has seen it."""
    file = node.root / "mount" / container_path(pod_path(number, QosClass.GUARANTEED), number, 1) / File.CPUS
    file.write_text(f"{node.online}\n")
    until("the drift is repaired", lambda: file.read_text().strip() not in {"", str(node.online)})


def _comes(node: FileNode, number: int) -> None:
    node.start(number, 2)
    until("the new pod is pinned", lambda: _is_pinned(node, number))


def _is_pinned(node: FileNode, number: int) -> bool:
    path = pod_path(number, QosClass.GUARANTEED)
    engine = node.root / "mount" / container_path(path, number, 1) / File.CPUS
    return (node.root / "mount" / path / File.PARTITION).read_text() == "root\n" and engine.read_text() != "\n"
