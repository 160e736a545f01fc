"""What systemd as PID 1 leaves of what somebody wrote into a pod's cgroups, with Pinfold and without. In the guest.

    python -m tests.vm --init systemd --kernel 6.1 --debian 12 -- python3 -m tests.systemd.resets --pinfold

It prints a table in Markdown, before → after for each file that changed. Without Pinfold the values are written by hand
before each event; with Pinfold each must be there again, and it ends with ``N passed, N failed``.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.crash.node import put
from tests.vm.daemon import MANIFESTS, OPTIONS, Daemon, pinfold, until
from tests.vm.node import Node, settings
from tests.vm.node.tasks import CGROUPS

MEMORY = ("memory.low", "memory.min")
FILES = ("cpuset.cpus", "cpuset.cpus.effective", "cpuset.mems", *MEMORY, "cpu.max")
MIB = 1 << 20
UID = "22222222-3333-4333-8444-5555555555"
BY_HAND = {
    "cpuset.cpus": "2-3",
    "cpuset.mems": "0",
    "memory.low": str(64 * MIB),
    "memory.min": str(32 * MIB),
    "cpu.max": "max 100000",
}
ROOT_CONTROL = CGROUPS / "cgroup.subtree_control"
Values = dict[str, dict[str, str]]
"""Cgroup, by its label → file → text; no file: empty."""


def pod(number: int, level: str) -> dict[str, Any]:
    """A pod that owns two CPUs, one of them for its engine alone, and whose memory is protected."""
    amounts = {"cpu": "2", "memory": "64Mi"}
    own = {"cpu": "1", "memory": "32Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": level,
            "namespace": "test",
            "uid": f"{UID}{number:02}",
            "annotations": {"pinfold.dev/memory-protection": level},
        },
        "spec": {
            "resources": {"requests": amounts, "limits": amounts},
            "containers": [
                {"name": "engine", "image": "x", "resources": {"requests": own, "limits": own}},
                {"name": "proxy", "image": "x"},
            ],
        },
    }


class _Daemon(Daemon):
    ARGUMENTS = (*Daemon.ARGUMENTS, "--set", "memoryMinNamespaces=[test]")


class Played:
    """The node, the cgroups that are looked at, and whoever pins them."""

    def __init__(self, *, pinned_by_pinfold: bool, with_bus: bool, levels: tuple[str, ...]) -> None:
        shutil.rmtree(MANIFESTS, ignore_errors=True)
        MANIFESTS.mkdir(parents=True)
        self.node = Node("systemd")
        self.kubepods = CGROUPS / "kubepods.slice"
        self.pods = {level: pod(number, level) for number, level in enumerate(levels)}
        self.daemon: Daemon | None = None
        self.before = settings()
        if not with_bus:  # the kubelet has its connection
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/run/nobody"
        if pinned_by_pinfold:
            self.daemon = _Daemon()
            for raw in self.pods.values():
                put(raw)
            until("the manifests are read", lambda: self.daemon and len(self.daemon.pods()) == len(self.pods))
        self.slices = {level: self.node.prepare(raw) for level, raw in self.pods.items()}
        self.cgroups = {f"pod {level}": path for level, path in self.slices.items()}
        if self.daemon:
            self.cgroups = {"kubepods": self.kubepods, **self.cgroups}

    def pin(self) -> None:
        """By hand, or wait until Pinfold has."""
        if self.daemon:
            self.settled()
            return
        enable(self.kubepods, *self.slices.values())
        for path in self.cgroups.values():
            for name, value in BY_HAND.items():
                (path / name).write_text(value)

    def settled(self) -> None:
        assert self.daemon
        daemon = self.daemon
        until("all is pinned", lambda: daemon.settled(*(f"test/{level}" for level in self.pods)) and self._stand())

    def _stand(self) -> bool:
        """Whether the files hold what Pinfold writes, by themselves: systemd may just have been told of it."""
        quotas = [_text(path / "cpu.max") for path in self.slices.values()]
        return all(text.startswith("max") for text in quotas) and "0" not in {
            _text(self.kubepods / name) for name in MEMORY
        }

    def start(self) -> None:
        for raw in self.pods.values():
            self.node.start_pod(raw)
        for process in self.node.processes():
            if process.container == "engine":
                self.cgroups[f"engine {process.pod.rpartition('/')[2]}"] = CGROUPS / process.cgroup.lstrip("/")

    def values(self) -> Values:
        """Of kubepods what Pinfold writes alone; the rest of it is the kubelet's."""
        return {
            label: {name: "" if path == self.kubepods and name not in MEMORY else _text(path / name) for name in FILES}
            for label, path in self.cgroups.items()
        }

    def repairs(self) -> float:
        return self.daemon.metric("pinfold_drift_repaired_total") if self.daemon else 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return "no file"


def enable(*paths: Path) -> None:
    for path in (CGROUPS, *paths):
        (path / "cgroup.subtree_control").write_text("+cpuset")


def controller_away(played: Played) -> None:
    """Removed from the innermost cgroup out, and taken back."""
    for path in (*played.slices.values(), played.kubepods, CGROUPS):
        (path / "cgroup.subtree_control").write_text("-cpuset")
    enable(played.kubepods, *played.slices.values())


def _systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], check=True)


def scope_elsewhere() -> None:
    argv = ["systemd-run", "--scope", "--slice=system.slice", "-p", "Delegate=yes", "sleep", "1"]
    subprocess.run(argv, check=True, capture_output=True)


def events(played: Played) -> Iterator[tuple[str, Callable[[], None]]]:
    """What the operator, the kubelet or a runtime does all day."""
    yield "the first container starts", played.start
    yield "`systemctl daemon-reload`", lambda: _systemctl("daemon-reload")

    def set_property(assignment: str, *paths: Path) -> Callable[[], None]:
        def happen() -> None:
            for path in paths:
                _systemctl("set-property", "--runtime", path.name, assignment)

        return happen

    def debug() -> None:
        for raw in played.pods.values():
            played.node.start_container(raw["metadata"]["uid"], {"name": "debugger", "image": "x"})

    pods = tuple(played.slices.values())
    yield "`set-property POD TasksMax=1000`", set_property("TasksMax=1000", *pods)
    yield "`set-property POD CPUWeight=50`", set_property("CPUWeight=50", *pods)
    yield "`set-property kubepods CPUWeight=50`", set_property("CPUWeight=50", played.kubepods)
    yield "a new scope in the pod", debug
    yield "a new scope elsewhere", scope_elsewhere
    yield "the cpuset controller goes and comes", lambda: controller_away(played)


def cell(before: str, after: str) -> str:
    if before == after:
        return f"`{after}`" if after else ""
    return f"`{before}` → `{after or '(empty)'}`"


def play(*, pinned_by_pinfold: bool, with_bus: bool, levels: tuple[str, ...]) -> tuple[int, int]:
    """Print the table; passed and failed."""
    played = Played(pinned_by_pinfold=pinned_by_pinfold, with_bus=with_bus, levels=levels)
    passed = failed = 0
    repairs = " | repairs" if played.daemon else ""
    print(f"| event | cgroup | {' | '.join(FILES)}{repairs} |\n|{'---|' * (len(FILES) + 2 + bool(repairs))}")
    for name, happen in events(played):
        played.pin()
        before, count = played.values(), played.repairs()
        happen()
        if played.daemon:
            played.settled()
            wanted = before if len(before) == len(played.cgroups) else {**played.values(), **before}
            held = until(f"{name}: the values are there", lambda: played.values() == wanted, 60)  # noqa: B023
            passed, failed = passed + held, failed + (not held)
        else:
            time.sleep(2)
        after, mended = played.values(), played.repairs() - count
        for label in after:
            was = before.get(label, after[label])
            cells = " | ".join(cell(was[file], after[label][file]) for file in FILES)
            told = f" | {mended:.0f}" if played.daemon else ""
            print(f"| {name} | {label} | {cells}{told} |", flush=True)
    if played.daemon:
        held = stopped(played)
        passed, failed = passed + held, failed + (not held)
    for raw in played.pods.values():
        played.node.delete_pod(raw["metadata"]["uid"])
    return passed, failed


def stopped(played: Played) -> bool:
    """Whether a release gives everything back, and systemd does not bring it in again."""
    assert played.daemon
    played.daemon.stop(signal.SIGTERM)
    done = pinfold("release", *OPTIONS)
    for path in played.slices.values():
        _systemctl("set-property", "--runtime", path.name, "CPUWeight=60")
    _systemctl("daemon-reload")
    left = {
        path: text
        for path, text in settings().items()
        if path.rpartition("/")[2] in MEMORY and text != played.before.get(path, "0")
    }
    if done.returncode or left:
        print(done.stdout, done.stderr, left)
    return not (done.returncode or left)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pinfold", action="store_true", help="Pinfold writes the values, and must keep them")
    parser.add_argument("--no-bus", action="store_true", help="Pinfold cannot reach systemd's bus")
    args = parser.parse_args()
    version = subprocess.run(["systemctl", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    print(f"systemd {version}, kernel {os.uname().release}\n")
    levels = ("low", "min") if args.pinfold else ("low",)
    passed, failed = play(pinned_by_pinfold=args.pinfold, with_bus=not args.no_bus, levels=levels)
    print(f"\n{passed} passed, {failed} failed", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
