"""(e) what the daemon takes while it has nothing to do: memory, time of a CPU, wake-ups.

`pinfold run` as a process, with its endpoint, on a node of files with 250 pods of which 30 own CPUs; it knows them from
an API server over HTTP, whose objects are as large as real ones. First nothing happens at all; then one pod's status
changes each second, which concerns Pinfold not at all.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pinfold.report.logs import configure
from tests.apiserver import LocalApiServer
from tests.bench.files import FileNode, pod
from tests.bench.process import Cost, rests, rss_mib, until
from tests.bench.row import Row

PODS, OWNERS = 250, 30
PERIOD_S = 10
RSS_MIB, RSS_SOUGHT_MIB, IDLE_PERCENT = 55.0, 40.0, 0.1
DEVELOPERS = ("rich", "jsonschema")
"""Packages of this checkout that an image has not, and that others import where they are there."""
_ROOT = Path(__file__).parents[2]


def measured(seconds: float) -> Iterator[Row]:
    """*seconds*: how long each phase is looked at."""
    configure("json", "error")
    with tempfile.TemporaryDirectory(prefix="pinfold-bench-") as scratch, LocalApiServer() as server:
        node = settled(Path(scratch))
        for number in range(1, PODS + 1):
            server.put_pod(large(number, 0))
        with running(node, server) as pid:
            rests(pid, 2.0)
            yield Row("e", f"RSS after the start, {PODS} pods", rss_mib(pid), "MiB", RSS_MIB)
            idle, took = _over(pid, seconds, lambda _: None)
            yield Row("e", f"idle: of one CPU, a period of {PERIOD_S} s", 100 * idle.cpu_s / took, "%", IDLE_PERCENT)
            yield Row("e", "idle: wake-ups a period", idle.wakeups / (took / PERIOD_S), "")
            busy, took = _over(pid, seconds, lambda turn: server.put_pod(large(turn % PODS + 1, turn)))
            yield Row("e", "a pod's status changes each second: of one CPU", 100 * busy.cpu_s / took, "%")
            yield Row("e", "the same: wake-ups a second", busy.wakeups / took, "")
            yield Row("e", "RSS in the end", rss_mib(pid), "MiB", RSS_MIB)


def settled(root: Path) -> FileNode:
    """A node whose pods are pinned, with the checkpoint that says so."""
    node = FileNode.boot(root)
    for number in range(1, PODS + 1):
        node.start(number, _cpus(number))
    fs, state = node.cgroups(), node.state()
    agent = node.agent(fs, state)
    while agent.reconcile():
        agent.sources.wait(0)
    agent.close()
    state.close()
    for manifest in (root / "manifests").iterdir():
        manifest.unlink()
    return node


@contextmanager
def running(node: FileNode, server: LocalApiServer) -> Iterator[int]:
    """`pinfold run` there; its process."""
    settings = node.config(
        cpuManagerReconcilePeriod=f"{PERIOD_S}s",
        sources={
            "apiServer": {"kubeconfig": str(server.kubeconfig(node.root / "kubeconfig"))},
            "kubelet": {"rootDir": str(node.root / "kubelet")},
        },
        report={"listen": "", "socket": str(node.root / "socket"), "events": False},
        log={"level": "error"},
    ).dumped()
    file = node.root / "config.json"
    file.write_text(json.dumps(settings))
    argv = [sys.executable, "-m", "pinfold", "run", "--config", str(file)]
    for name in DEVELOPERS:
        (node.root / f"{name}.py").write_text("raise ImportError\n")
    environment = {**os.environ, "PYTHONPATH": f"{node.root}:{_ROOT / 'daemon'}"}
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL)
    try:
        until("the daemon serves", lambda: (node.root / "socket").exists() and server.open_watches)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def large(number: int, change: int) -> dict[str, Any]:
    """A pod with what a real one carries and Pinfold does not keep: about 10 KiB. *change*: its status is another."""
    raw = pod(number, _cpus(number))
    fields: dict[str, Any] = {f"f:{name}": {f"f:x{inner}": {} for inner in range(12)} for name in range(20)}
    raw["metadata"]["managedFields"] = [{"manager": f"m{one}", "fieldsV1": fields} for one in range(3)]
    raw["spec"]["containers"][0]["env"] = [{"name": f"V{one}", "value": "x" * 60} for one in range(40)]
    raw["status"]["conditions"] = [{"type": "Ready", "status": "True", "message": f"probe {change}"}]
    return raw


def _cpus(number: int) -> int:
    return 4 if number <= OWNERS else 0


def _over(pid: int, seconds: float, each_second: Callable[[int], None]) -> tuple[Cost, float]:
    before, began = Cost.of(pid), time.monotonic()
    turn = 0
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        each_second(turn := turn + 1)
    return Cost.of(pid) - before, time.monotonic() - began
