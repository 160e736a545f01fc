"""A node that a static kubelet leaves to Pinfold, and takes back, on a real kernel: nobody moves.

    python -m tests.vm --init systemd -- python3 -m tests.vm.handover_job

Runs as root in the guest. The containers run where a static kubelet has put them; a copy of its state files is what
Pinfold gets. It prints a line for each check and ends with `N passed, N failed`.
"""

import json
import shutil
import signal
import sys
import threading
from pathlib import Path

import yaml

from tests.vm.daemon import MANIFESTS, OPTIONS, Daemon, pinfold, until
from tests.vm.main_job import WORKLOADS, Checks, released
from tests.vm.node import SANDBOX, Node, everyone, settings
from tests.vm.node.tasks import CGROUPS, parse, tasks_of

KUBELET, COPY = Path("/run/kubelet"), Path("/run/copy")
SETS = {"engine": "11-13", "exporter": "14", "proxy": "14"}
"""None that Pinfold would take of itself."""
SHARED = "0-10,15"
STATIC = {"policyName": "static", "defaultCpuSet": SHARED, "checksum": 1}
KUBELETS = ("--set", f"sources.kubelet.rootDir={KUBELET}", "--set", f"sources.kubelet.importState={COPY}")


class Watched(threading.Thread):
    """Every set that a process was seen with."""

    def __init__(self, pids: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, set[str]] = {name: set() for name in pids}
        self.looks = 0
        self._pids = pids
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.002):
            for name, pid in self._pids.items():
                self.seen[name] |= {task.cpus for task in tasks_of(pid)}
            self.looks += 1

    def ended(self) -> dict[str, set[str]]:
        self._ended.set()
        self.join()
        return self.seen


def play() -> Checks:
    check = Checks()
    shutil.rmtree(MANIFESTS, ignore_errors=True)
    for directory in (MANIFESTS, KUBELET, COPY):
        directory.mkdir(parents=True)
    node = Node("systemd")
    names = ("match-engine", "frontend")
    pods = {name: yaml.safe_load((WORKLOADS / f"{name}.yaml").read_text()) for name in names}
    for name, pod in pods.items():
        node.start_pod(pod)
        shutil.copy(WORKLOADS / f"{name}.yaml", MANIFESTS)
    node.start_service("backup")
    uid = pods["match-engine"]["metadata"]["uid"]
    for process in node.processes():
        own = SETS.get(process.container) if process.uid == uid else None
        if process.container != SANDBOX:
            (CGROUPS / process.cgroup.lstrip("/") / "cpuset.cpus").write_text(own or SHARED)
    static = {**STATIC, "entries": {uid: SETS}, "podEntries": {uid: {"cpuSet": "11-14"}}}
    (COPY / "cpu_manager_state").write_text(json.dumps(static))
    (KUBELET / "cpu_manager_state").write_text(json.dumps({"policyName": "none", "defaultCpuSet": "", "checksum": 1}))
    before = settings()
    watched = Watched({one.container: one.pid for one in node.processes() if one.container in SETS and one.uid == uid})
    watched.start()
    daemon = Daemon(*KUBELETS)
    check(until("the pool stands", lambda: daemon.settled("trading/match-engine")), "imported: the pool stands")
    pool = daemon.pods()["trading/match-engine"]["pool"]
    check(pool == "11-14", "imported: it is the kubelet's", pool)
    looks, seen = watched.looks, watched.ended()
    check(looks > 20, "imported: it was looked at meanwhile", looks)
    check(seen == {name: {cpus} for name, cpus in SETS.items()}, "imported: nobody was anywhere else at any time", seen)
    inside = [task for task in everyone() if parse(task.cpus) & parse("11-14")]
    mine = {one.pid for one in node.processes() if one.uid == uid}
    check.each((task for task in inside if task.pid not in mine), "imported: and nobody else is there")
    check(daemon.stop(signal.SIGTERM) == 0, "handed back: SIGTERM ends the daemon with 0")
    done = pinfold("release", *OPTIONS, *KUBELETS)
    check(done.returncode == 0, "handed back: release ends with 0", done.stdout + done.stderr)
    released(check, before, "handed back")
    return check


if __name__ == "__main__":
    done = play()
    print(f"{done.passed} passed, {done.failed} failed", flush=True)
    sys.exit(done.failed > 0)
