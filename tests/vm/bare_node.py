"""The pods of `workloads` on a node without Pinfold, told as JSON: what the bench plays, before anyone pins anything.

    python -m tests.vm --init systemd -- python3 -m tests.vm.bare_node --driver systemd

Runs in the guest.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.vm.node import Node, everyone, settings, unit_files
from tests.vm.node.tasks import CGROUPS

WORKLOADS = Path(__file__).with_name("workloads")
PIN = "2-3"


def play(driver: Literal["systemd", "cgroupfs"], root: str) -> dict[str, Any]:
    """Start everything, exec into, restart and delete some; tell what was seen on the way."""
    node = Node(driver, root)
    pods = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(WORKLOADS.glob("*.yaml"))}
    engine, postgres = pods["match-engine"]["metadata"]["uid"], pods.pop("postgres")
    told: dict[str, Any] = {"pinned_by_file": _pin_and_start(node, postgres)}
    started_s = time.monotonic()
    for pod in pods.values():
        node.start_pod(pod)
    told["pods_took_s"] = round(time.monotonic() - started_s, 1)
    told["service"], told["task"] = node.start_service("backup"), node.start_task()
    told["exec"] = node.exec(engine, "engine")
    told |= {"started": _processes(node), "everyone": everyone(), "settings": settings(), "units": unit_files()}
    node.restart_container(engine, "exporter")
    told["restarted"] = _processes(node)
    for pod in (postgres, *pods.values()):
        node.delete_pod(pod["metadata"]["uid"])
    told["left"] = sorted(str(path.relative_to(CGROUPS)) for path in CGROUPS.rglob("*kubepods*") if path.is_dir())
    return told


def _pin_and_start(node: Node, pod: dict[str, Any]) -> tuple[str, str]:
    """Pin a pod by file before its first process; what the file holds right before that and after it."""
    file = node.prepare(pod) / "cpuset.cpus"
    file.write_text(PIN)
    before = file.read_text().strip()
    node.start_pod(pod)
    return before, file.read_text().strip()


def _processes(node: Node) -> list[dict[str, Any]]:
    return [
        process._asdict() | {"born": process.born._asdict(), "tasks": [task._asdict() for task in process.tasks]}
        for process in node.processes()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", choices=("systemd", "cgroupfs"), default="cgroupfs")
    parser.add_argument("--root", default="/", help="the kubelet's --cgroup-root")
    args = parser.parse_args()
    print(json.dumps(play(args.driver, args.root)))


if __name__ == "__main__":
    main()
