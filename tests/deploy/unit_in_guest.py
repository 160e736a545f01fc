"""Run in a machine with systemd: Pinfold as its unit, beside one pod. Prints what happened as one JSON line."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.vm.daemon import until
from tests.vm.node import Node

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path("/opt/pinfold/bin/pinfold")
CONFIG = Path("/etc/pinfold/config.yaml")
POD = ROOT / "tests/vm/workloads/match-engine.yaml"


def systemctl(*arguments: str) -> str:
    """What it prints, else its exit status."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() or f"{done.returncode} {done.stderr}".strip()


def after(*arguments: str) -> str:
    """The exit status of a command, and whether the unit runs then."""
    return f"{systemctl(*arguments, 'pinfold')} {systemctl('is-active', 'pinfold')}"


def status() -> dict[str, Any]:
    """Over the unit's own socket; nothing while no daemon answers."""
    done = subprocess.run([COMMAND, "status", "-o", "json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def pinned(count: int = 1) -> bool:
    """Whether so many pods are, in the kernel too."""
    pods: list[dict[str, Any]] = status().get("pods", [])
    in_place = [pod for pod in pods if pod["outcome"] == "pinned" and pod["kernel"] and not pod["drift"]]
    return len(in_place) == count


def make_command() -> None:
    """The command where the unit looks for it."""
    COMMAND.parent.mkdir(parents=True)
    COMMAND.write_text(f'#!/bin/sh\nPYTHONPATH={":".join(filter(None, sys.path))} exec python3 -m pinfold "$@"\n')
    COMMAND.chmod(0o755)


def main() -> None:
    make_command()
    manifests = CONFIG.parent / "manifests"
    manifests.mkdir(parents=True)
    shutil.copy(ROOT / "systemd/pinfold.service", "/etc/systemd/system/")
    systemctl("daemon-reload")
    told: dict[str, Any] = {"unconfigured": after("start")}

    CONFIG.write_text(
        f"apiVersion: pinfold.dev/v1alpha1\nkind: PinfoldConfiguration\nsources: {{manifests: {{path: {manifests}}}}}\n"
    )
    shutil.copy(POD, manifests)
    told["start"] = after("start")
    node = Node("systemd", "")
    node.start_pod(yaml.safe_load(POD.read_text()))
    told["pinned"] = until("the pod is pinned", pinned)
    engine = next(process for process in node.processes() if process.container == "engine")
    allowed = Path(f"/proc/{engine.pid}/status")

    def cpus() -> str:
        found = re.search(r"^Cpus_allowed_list:\s+(\S+)$", allowed.read_text(), re.MULTILINE)
        return found[1] if found else ""

    told["engine"] = cpus()
    pod_cgroup = Path("/sys/fs/cgroup", engine.cgroup.lstrip("/")).parent
    told["partition"] = (pod_cgroup / "cpuset.cpus.partition").read_text().strip()
    told["stop"] = after("stop")
    told["engine after the stop"] = cpus()
    told["again"] = after("start")
    told["pinned again"] = until("the pod is pinned again", pinned)
    told["reload"] = after("reload")
    told["restarts"] = systemctl("show", "pinfold", "-p", "NRestarts", "--value")
    journal = ["journalctl", "-u", "pinfold", "-o", "cat"]
    log = subprocess.run(journal, capture_output=True, text=True, check=True).stdout
    told["errors"] = [line for line in log.splitlines() if '"level": "error"' in line or "Traceback" in line]
    print(log)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
