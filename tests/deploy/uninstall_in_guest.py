"""Run in a machine with systemd: Pinfold is put on a node with pods, by each way, and taken off again.

Prints as one JSON line, for each way: whether pods were pinned meanwhile, and what differs from before.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.deploy.traces import differences, picture
from tests.deploy.unit_in_guest import COMMAND, CONFIG, make_command, pinned, status, systemctl
from tests.vm.daemon import until
from tests.vm.node import Node

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = Path("/srv/manifests")
PODS = [ROOT / f"tests/vm/workloads/{name}.yaml" for name in ("match-engine", "postgres", "frontend")]
GUARD = "irqGuard: pools\n"
NO_RIGHTS = [
    "--setenv=PINFOLD_EXCLUSIVITY=shrink",
    *(
        f"--property={one}"
        for one in (
            "CapabilityBoundingSet=",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ProtectKernelTunables=yes",
            "PrivateDevices=yes",
            "ReadWritePaths=/sys/fs/cgroup",
            "StateDirectory=pinfold",
            "RuntimeDirectory=pinfold",
        )
    ),
]
"""deploy/overlays/unprivileged, as a unit: /proc/irq and all but the two mounts are read-only."""


def ran(*argv: object) -> dict[str, Any]:
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    print(*argv, done.stdout, done.stderr, flush=True)
    return {"status": done.returncode, "stderr": done.stderr}


def as_unit(before: dict[str, str]) -> dict[str, Any]:
    """``pinfold install`` and ``pinfold uninstall``."""
    told: dict[str, Any] = {"install": ran(COMMAND, "install", "--manifests", MANIFESTS, "--command", COMMAND)}
    CONFIG.write_text(CONFIG.read_text() + GUARD)
    told["again"] = ran(COMMAND, "install", "--command", COMMAND)
    told["pinned"] = until("the pods are pinned", lambda: pinned(2))
    told["meanwhile"] = len(differences(before, picture()))
    told["uninstall"] = ran(COMMAND, "uninstall", "--purge")
    told["left"] = differences(before, picture())
    return told


def as_daemonset(before: dict[str, str], arguments: list[str]) -> dict[str, Any]:
    """The daemon as its container runs it, SIGTERM as its deletion sends it, then what the release overlay runs."""
    CONFIG.parent.mkdir(exist_ok=True)
    base = (ROOT / "deploy/base/config.yaml").read_text()
    CONFIG.write_text(f"{base}{GUARD}sources: {{manifests: {{path: {MANIFESTS}}}}}\n")
    daemon = subprocess.Popen([COMMAND, "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    told: dict[str, Any] = {"pinned": until("the pods are pinned", lambda: pinned(2))}
    told["meanwhile"] = len(differences(before, picture()))
    daemon.terminate()
    told["stopped"] = daemon.wait(60)
    told["after the stop"] = len(differences(before, picture()))
    told["release"] = ran(COMMAND, *arguments)
    shutil.rmtree(CONFIG.parent)
    told["left"] = differences(before, picture())
    return told


def unprivileged(before: dict[str, str]) -> dict[str, Any]:
    """As a container without any right that may write cgroups and its own state; it gives back what it took, too."""
    CONFIG.parent.mkdir(exist_ok=True)
    base = (ROOT / "deploy/base/config.yaml").read_text()
    CONFIG.write_text(f"{base}sources: {{manifests: {{path: {MANIFESTS}}}}}\n")
    ran("systemd-run", "-q", "--unit=unprivileged", *NO_RIGHTS, COMMAND, "run")
    told: dict[str, Any] = {"pinned": until("the pods are pinned", lambda: pinned(2))}
    told["exclusivity"] = status()["exclusivity"]["name"]
    told["capabilities"] = _capabilities(systemctl("show", "unprivileged", "-p", "MainPID", "--value"))
    told["verify"] = ran("systemd-run", "-q", "--pipe", *NO_RIGHTS, COMMAND, "verify", "--tasks")["status"]
    systemctl("stop", "unprivileged")
    ran("journalctl", "-u", "unprivileged", "-o", "cat")
    told["meanwhile"] = len(differences(before, picture()))
    told["release"] = ran("systemd-run", "-q", "--wait", *NO_RIGHTS, COMMAND, "release")["status"]
    shutil.rmtree(CONFIG.parent)
    shutil.rmtree("/var/lib/pinfold")
    told["left"] = differences(before, picture())
    return told


def _capabilities(pid: str) -> list[str]:
    """The masks of those that it has, or could get."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sorted({line.split()[1] for line in lines if line.startswith("Cap")})


def main() -> None:
    make_command()
    node = Node("systemd")
    node.start_service("backup")
    MANIFESTS.mkdir(parents=True)
    for path in PODS:
        shutil.copy(path, MANIFESTS)
        node.start_pod(yaml.safe_load(path.read_text()))
    subprocess.run(["systemctl", "daemon-reload"], check=True)  # what it changes by itself it has changed now
    before = picture()
    told: dict[str, Any] = {"files": len(before), "unit": as_unit(before)}
    told |= {"daemonset": as_daemonset(before, sys.argv[1:]), "unprivileged": unprivileged(before)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
