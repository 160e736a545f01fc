"""What the demo does inside the machine: a node as the kubelet and containerd lay it out, and Pinfold beside it."""

import shutil
import sys
from pathlib import Path

import yaml

from tests.vm.daemon import MANIFESTS, Daemon, pinfold, until
from tests.vm.node import Node, everyone

WORKLOADS = Path(__file__).parents[1] / "vm" / "workloads"
PINNED = ("trading/match-engine", "db/postgres", "ml/inference", "legacy/feed")


def say(title: str, text: str = "") -> None:
    print(f"\n\033[1m{title}\033[0m\n{text}".rstrip(), flush=True)


def table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def by_the_kernels_word(node: Node) -> str:
    """Each process of the pods, and the noisy neighbours, as /proc has them."""
    rows: list[tuple[str, ...]] = [("POD", "CONTAINER", "PID", "CPUS ALLOWED", "MEMS")]
    for process in node.processes():
        tasks = process.tasks
        cpus, mems = sorted({task.cpus for task in tasks}), sorted({task.mems for task in tasks})
        name = "(pause)" if process.container == "POD" else process.container
        rows.append((process.pod, name, str(process.pid), " and ".join(cpus), " and ".join(mems)))
    for cgroup in ("/system.slice/backup.service", "/init.scope", "/system.slice/dbus.service"):
        rows += [
            (cgroup, task.comm, str(task.pid), task.cpus, task.mems) for task in everyone() if task.cgroup == cgroup
        ]
    return table(rows)


def main() -> int:
    say("A node: kubelet (CPU manager policy none), containerd, systemd; and Pinfold, as it runs in production.")
    MANIFESTS.mkdir(parents=True)
    node = Node("systemd")
    node.start_service("backup")
    daemon = Daemon()
    print("$ pinfold run --manifests /run/manifests", flush=True)
    manifests = sorted(WORKLOADS.glob("*.yaml"))
    for path in manifests:
        shutil.copy(path, MANIFESTS)
    say("Six pods start: three with pod-level resources, one by annotations, a burstable and a best-effort one.")
    for path in manifests:
        node.start_pod(yaml.safe_load(path.read_text()))
    settled = until("the pods are pinned", lambda: daemon.settled(*PINNED))
    say("$ pinfold status", pinfold("status", "--all").stdout)
    say("What each process may use, by the kernel's word (/proc/PID/status):", by_the_kernels_word(node))
    say("$ pinfold explain trading/match-engine", pinfold("explain", "trading/match-engine").stdout)
    if not settled:
        say("Not everything is in place.", daemon.get("/status"))
    return 0 if settled else 1


if __name__ == "__main__":
    sys.exit(main())
