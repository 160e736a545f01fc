"""The pods of `workloads` on a node without Pinfold, told as JSON: what the bench plays, before anyone pins anything.

    python -m tests.vm --init systemd -- python3 -m tests.vm.bare_node --driver systemd

Runs in the guest.
"""

import argparse
import json
import time
from pathlib import Path

import yaml

from tests.vm.node import Node, everyone
from tests.vm.node.tasks import CGROUPS, settings

WORKLOADS = Path(__file__).with_name("workloads")
PIN = "2-3"


def play(driver: str, root: str) -> dict[str, object]:
    """Start everything, exec into, restart and delete some; tell what was seen on the way."""
    took: dict[str, float] = {}

    def timed(what: str, since: float) -> float:
        took[what] = round(time.monotonic() - since, 2)
        return time.monotonic()

    at = time.monotonic()
    node = Node("systemd" if driver == "systemd" else "cgroupfs", root)
    at = timed("kubelet", at)
    pods = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(WORKLOADS.glob("*.yaml"))}
    uids = {name: pod["metadata"]["uid"] for name, pod in pods.items()}
    file = node.prepare(pods["postgres"]) / "cpuset.cpus"
    file.write_text(PIN)
    at = timed("prepare", at)
    for name, pod in pods.items():
        node.start_pod(pod)
        at = timed(name, at)
    pinned = file.read_text().strip()
    neighbours = {"service": node.start_service("backup"), "task": node.start_task()}
    execed = node.exec(uids["match-engine"], "engine")
    at = timed("neighbours", at)
    started = node.processes()
    machine = everyone()
    held = settings()
    at = timed("look", at)
    node.restart_container(uids["match-engine"], "exporter")
    at = timed("restart", at)
    restarted = node.processes()
    for uid in uids.values():
        node.delete_pod(uid)
    at = timed("delete", at)
    return {
        "started": [process._asdict() for process in started],
        "restarted": [process._asdict() for process in restarted],
        "everyone": machine,
        "settings": held,
        "neighbours": neighbours,
        "exec": execed,
        "pinned_by_file": pinned,
        "left": sorted(str(path.relative_to(CGROUPS)) for path in CGROUPS.rglob("*pod*") if path.is_dir()),
        "took_s": took,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", choices=("systemd", "cgroupfs"), default="cgroupfs")
    parser.add_argument("--root", default="/", help="the kubelet's --cgroup-root")
    args = parser.parse_args()
    print(json.dumps(play(args.driver, args.root)))


if __name__ == "__main__":
    main()
