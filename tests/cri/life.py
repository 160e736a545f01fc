"""What happens to running pods in a cluster, on a real runtime: nothing fails, nothing escapes.

    python -m tests.vm --init systemd --packages "..." --wheels "..." -- python3 -m tests.cri.life

Runs as root in the guest. ``runc`` and ``crun`` are below containerd; ``crio`` is CRI-O's naming with crun, and no
sandbox. It prints a line for each check and ends with `N passed, N failed`. Pinfold's reconcile period is an hour, so
that what is repaired was seen by inotify.
"""

import argparse
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tests.apiserver.server import LocalApiServer
from tests.cri import pods, probe
from tests.cri.bundles import Bundles
from tests.cri.containerd import Containerd
from tests.cri.kubelet import Kubelet, RunningPod, Runtime, Started
from tests.cri.over_cri import OverCri
from tests.vm.daemon import MANIFESTS, Daemon, until
from tests.vm.main_job import Checks
from tests.vm.node import rules
from tests.vm.node.tasks import parse, tasks_of

_POOL = {"requests": {"cpu": "3", "memory": "192Mi"}, "limits": {"cpu": "3", "memory": "192Mi"}}
_APP = {"requests": {"cpu": "2", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "64Mi"}}
_STAYS = {"image": "busybox", "command": list(probe.PAUSE)}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "nodeName": pods.NODE,
        "hostNetwork": True,
        "resources": _POOL,
        "initContainers": [
            {"name": "init", "image": "busybox", "command": ["/bin/true"]},
            {"name": "side", "restartPolicy": "Always", **_STAYS},
        ],
        "containers": [
            {"name": "app", "resources": _APP, "image": "busybox", "command": list(probe.HEEDS_TERM)},
            {"name": "help", **_STAYS},
        ],
    },
}
EPHEMERAL = {"name": "debugger", **_STAYS}


class Life:
    def __init__(self, check: Checks, kubelet: Kubelet, daemon: Daemon, running: RunningPod) -> None:
        self._check, self._kubelet, self._daemon, self._running = check, kubelet, daemon, running
        self._app = running.newest("app")
        self.pool, self._slice = _cpus(running.cgroup), _cpus(self._app.cgroup)

    @property
    def _shared(self) -> frozenset[int]:
        return self.pool - self._slice

    def _own(self, started: Started) -> frozenset[int]:
        """An init container ends before any slice is there, and may use the whole pool."""
        return {"app": self._slice, "init": self.pool}.get(started.container, self._shared)

    def born_inside(self, started: Iterable[Started], when: str) -> None:
        born = [(one, probe.born(self._running.uid, one.record)) for one in started]
        wrong = [f"{one.record} on {cpus.cpus}" for one, cpus in born if not parse(cpus.cpus) <= self._own(one)]
        self._check(not wrong, f"{when}: everybody was born on what it is promised", (wrong, self.pool, self._slice))

    def nobody_is_outside(self, when: str) -> None:
        """Every task of the pod's containers, by the kernel's word."""

        def strays() -> list[str]:
            living = (one for one in self._running.started if not one.removed)
            return [
                f"{task.comm} of {one.record} on {task.cpus}"
                for one in living
                for pid in _pids(one.cgroup)
                for task in tasks_of(pid)
                if not parse(task.cpus) <= self._own(one)
            ]

        inside = until(f"{when}: nobody is outside", lambda: not strays(), 30)
        self._check(inside, f"{when}: nobody is outside of what it is promised", strays())

    def sets_hold(self, when: str) -> None:
        held = until(when, lambda: self._sets() == (self.pool, self._slice), 30)
        self._check(held, f"{when}: pool and slice are as they were", self._sets())

    def _sets(self) -> tuple[frozenset[int], frozenset[int]]:
        return _cpus(self._running.cgroup), _cpus(self._app.cgroup)

    def exec(self) -> None:
        """Liveness-like probes of every container, and a hook right after a container's start."""
        for name in ("app", "help", "side"):
            self._runs_inside(self._running.newest(name), f"a probe in {name}")
        fresh = self._kubelet.restart_container(self._running, "help")
        self._runs_inside(fresh, "an exec right after the start, as postStart has it,")
        failed = self._kubelet.exec(fresh, "/bin/false")
        self._check(failed.exit_code == 1, "a probe that fails says so", failed)

    def _runs_inside(self, started: Started, what: str) -> None:
        ran = self._kubelet.exec(started, "/bin/cat", "/proc/self/status")
        found = re.search(r"Cpus_allowed_list:\s*(\S+)", ran.stdout)
        fine = ran.exit_code == 0 and found is not None and parse(found[1]) <= self._own(started)
        self._check(fine, f"{what} succeeds, inside", ran)

    def crash_loop(self) -> None:
        before = self._running.newest("side").id
        again = [self._kubelet.restart_container(self._running, "side") for _ in range(3)]
        again.append(self._kubelet.restart_container(self._running, "app"))
        self._app = again[-1]
        self._check(len({before, *(one.id for one in again)}) == 5, "each restart has a new id")
        self.born_inside(again, "crash loop")
        self.nobody_is_outside("crash loop")
        self.sets_hold("crash loop")

    def resize(self) -> None:
        """A resize in place, of the container and of the pod, that changes no CPUs."""
        limits = rules.Limits(rules.shares(2.5), 250_000, 96 << 20)
        self._kubelet.update_container(self._app, limits)
        self._kubelet.update_pod(self._running, rules.Limits(rules.shares(3.5), None, 256 << 20))
        self.sets_hold("resize")
        self.nobody_is_outside("resize")

    def reload(self) -> None:
        for verb in ("daemon-reload", "daemon-reexec"):
            subprocess.run(["systemctl", verb], check=True)
            self.sets_hold(verb)
            self.nobody_is_outside(verb)

    def drift(self) -> None:
        file, before = self._app.cgroup / "cpuset.cpus", self._daemon.metric("pinfold_drift_repaired_total")
        held = file.read_text()
        file.write_text(",".join(map(str, self.pool)))
        repaired = until("repaired", lambda: file.read_text() == held, 30)
        self._check(repaired, "a rewritten slice is repaired", file.read_text())
        counted = until("counted", lambda: self._daemon.metric("pinfold_drift_repaired_total") > before, 30)
        self._check(counted, "and counted", self._daemon.metric("pinfold_drift_repaired_total"))

    def ephemeral(self) -> None:
        started = self._kubelet.start_container(self._running, EPHEMERAL)
        born = probe.born(self._running.uid, started.record)
        self._check(parse(born.cpus) <= self.pool, "an ephemeral container is born in the pool", born)
        self.nobody_is_outside("ephemeral container")

    def grace(self, api: LocalApiServer) -> None:
        """The pool stays the pod's until its last process has gone."""
        pod = self._running.spec
        name = f"life/{pod['metadata']['name']}"
        api.put_pod({**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        time.sleep(1)
        self.sets_hold("in its grace period")
        began = time.monotonic()
        self._kubelet.delete_pod(self._running, grace_s=20)
        self._check(time.monotonic() - began >= 2, "the program has its grace period")
        api.delete_pod(self._running.uid)
        freed = until("freed", lambda: name not in self._daemon.pods())
        self._check(freed, "a pod that is gone frees its pool")


def _cpus(cgroup: Path) -> frozenset[int]:
    return parse((cgroup / "cpuset.cpus.effective").read_text())


def _sizes(running: RunningPod) -> tuple[int, int]:
    return len(_cpus(running.cgroup)), len(_cpus(running.newest("app").cgroup))


def _pids(cgroup: Path) -> list[int]:
    """Those in the cgroups below, too: crun puts processes into one of its own."""
    return [int(pid) for file in cgroup.rglob("cgroup.procs") for pid in file.read_text().split()]


def _runtimes(names: list[str], driver: Literal["systemd", "cgroupfs"]) -> Iterator[tuple[Runtime, dict[str, Any]]]:
    """Each runtime with the pod that is to live on it."""
    containerd = None
    for number, name in enumerate(names):
        meta = {"name": name, "namespace": "life", "uid": pods.uid(number)}
        pod = {**POD, "metadata": meta, "spec": {**POD["spec"], "runtimeClassName": "crun" if name == "crio" else name}}
        if name == "crio":
            yield Bundles(driver), pod
        else:
            containerd = containerd or Containerd(driver)
            yield OverCri(containerd.runtime), pod


def live(check: Checks, api: LocalApiServer, kubelet: Kubelet, daemon: Daemon, pod: dict[str, Any]) -> None:
    api.put_pod(pod)
    name = f"life/{pod['metadata']['name']}"
    until("the pod is known", lambda: name in daemon.pods())
    running = kubelet.start_pod(pod)
    sizes = partial(_sizes, running)
    check(until("pinned", lambda: sizes() == (3, 2)), "its pool has three CPUs and its slice two", sizes())
    life = Life(check, kubelet, daemon, running)
    life.born_inside(running.started, "start")
    life.nobody_is_outside("start")
    life.exec()
    life.crash_loop()
    life.resize()
    life.reload()
    life.drift()
    life.ephemeral()
    outside = [daemon.metric(f"pinfold_started_outside_{what}_total") for what in ("pool", "slice")]
    check(outside == [0, 0], "nobody was counted as started outside", outside)
    life.grace(api)


def play(runtimes: list[str], driver: Literal["systemd", "cgroupfs"]) -> Checks:
    check = Checks()
    with LocalApiServer() as api:
        options = {"sources.apiServer.kubeconfig": api.kubeconfig(Path("/run/kubeconfig")), "nodeName": pods.NODE}
        words = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
        MANIFESTS.mkdir(exist_ok=True)
        daemon = Daemon(*words)
        for runtime, pod in _runtimes(runtimes, driver):
            print(f"{pod['metadata']['name']}:", flush=True)
            live(check, api, Kubelet(runtime, driver), daemon, pod)
        errors = [event for event in daemon.events() if event["event"].endswith(".failed")]
        check(not errors, "the daemon met no error", errors[:3])
        check(daemon.stop(signal.SIGTERM) == 0, "the daemon ends well")
    return check


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", choices=("systemd", "cgroupfs"), default="systemd")
    parser.add_argument("--runtimes", nargs="+", choices=("runc", "crun", "crio"), default=["runc", "crun", "crio"])
    args = parser.parse_args()
    check = play(args.runtimes, args.driver)
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
