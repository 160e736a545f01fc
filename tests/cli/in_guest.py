"""A node in front of a person who looks for trouble: a bundle, who ran on exclusive CPUs, and a planted intruder.

    python -m tests.vm --init systemd -- python3 -m tests.cli.in_guest

Runs as root in the guest and prints one JSON line; the bundle comes out in it. Pools are held by shrinking, where a
task in the root cgroup can bind itself to any CPU.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml
from tests.vm.daemon import MANIFESTS, OPTIONS, Daemon, pinfold, until
from tests.vm.node import Node

WORKLOADS = Path(__file__).parents[1] / "vm/workloads"
BUNDLE = "/run/bundle.tar.gz"
SECONDS = 8
SPIN = "while True: pass"
SHRINK = ("--set", "exclusivity=shrink")


def engine(daemon: Daemon) -> dict[str, Any]:
    """What is measured of the engine's slice now."""
    (found,) = (one for one in json.loads(daemon.get("/status"))["alone"] if one["container"] == "engine")
    return dict(found)


def intrude(cpu: int) -> subprocess.Popen[bytes]:
    def enter() -> None:
        Path("/sys/fs/cgroup/cgroup.procs").write_text(str(os.getpid()))
        os.sched_setaffinity(0, [cpu])

    return subprocess.Popen(["python3", "-I", "-S", "-c", SPIN], preexec_fn=enter)


def ran_s(pid: int) -> float:
    """Source: sched-stats.rst, /proc/PID/schedstat."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    MANIFESTS.mkdir(parents=True)
    node, daemon = Node("systemd"), Daemon(*SHRINK)
    pods = ("db/postgres", "trading/match-engine")
    for name in ("postgres", "match-engine"):
        shutil.copy(WORKLOADS / f"{name}.yaml", MANIFESTS)
        node.start_pod(yaml.safe_load((WORKLOADS / f"{name}.yaml").read_text()))
        until(f"{name} is pinned", lambda: any(daemon.settled(one) for one in pods))
    settled = until("both are pinned", lambda: daemon.settled(*pods))
    bundled = pinfold("bundle", BUNDLE, *OPTIONS, *SHRINK)
    began = engine(daemon)
    time.sleep(SECONDS)
    quiet, tasks = engine(daemon), pinfold("verify", "--tasks", "-o", "json", *OPTIONS, *SHRINK)
    cpu = int(quiet["cpus"].replace("-", ",").split(",")[0])
    with intrude(cpu) as intruder:
        before, ran_before_s = engine(daemon), ran_s(intruder.pid)
        time.sleep(SECONDS)
        after, ran_after_s = engine(daemon), ran_s(intruder.pid)
        found = pinfold("verify", "--tasks", *OPTIONS, *SHRINK)
        status = pinfold("status")
        intruder.kill()
    told = {
        "settled": settled,
        "bundled": [bundled.returncode, bundled.stderr],
        "bundle": base64.b64encode(Path(BUNDLE).read_bytes()).decode(),
        "pods": {name: [pod["outcome"], pod["pool"], pod["mems"]] for name, pod in daemon.pods().items()},
        "quiet": [
            quiet["foreignSeconds"] - began["foreignSeconds"],
            quiet["measuredSeconds"] - began["measuredSeconds"],
        ],
        "tasks": [tasks.returncode, json.loads(tasks.stdout)["tasks"]],
        "intruder": [intruder.pid, cpu, ran_after_s - ran_before_s],
        "foreign": [after["foreignSeconds"] - before["foreignSeconds"], after["errorSeconds"]],
        "found": [found.returncode, found.stdout],
        "status": status.stdout,
    }
    print(f"\n{json.dumps(told)}", flush=True)


if __name__ == "__main__":
    main()
