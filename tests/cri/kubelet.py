"""The kubelet, with a real runtime below it: which cgroups a pod gets, what is asked of the runtime and when.

The pod's cgroup first, then its sandbox, its init containers one by one, its app containers, and all of it away again.
Source: pkg/kubelet/kuberuntime (SyncPod, killPod).
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from tests.cri import probe
from tests.vm.node import rules
from tests.vm.node.bus import Bus
from tests.vm.node.pod_cgroups import PodCgroups
from tests.vm.node.rules import Json, Limits


@dataclass(slots=True)
class Started:
    """One run of a container: its *attempt*-th."""

    container: str
    attempt: int
    id: str
    cgroup: Path
    removed_at: float | None = None
    """The machine's uptime."""

    @property
    def removed(self) -> bool:
        return self.removed_at is not None

    @property
    def record(self) -> str:
        return f"{self.container}.{self.attempt}"


@dataclass(slots=True)
class RunningPod:
    spec: Json
    cgroup: Path
    cgroup_at: float
    """The machine's uptime right after its cgroup was made."""
    sandbox_id: str = ""
    started: list[Started] = field(default_factory=list)

    @property
    def uid(self) -> str:
        return str(self.spec["metadata"]["uid"])

    def newest(self, container: str) -> Started:
        return next(one for one in reversed(self.started) if one.container == container)


class Ran(NamedTuple):
    exit_code: int
    stdout: str


def uptime_s() -> float:
    """On the clock of /proc/uptime."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Runtime(Protocol):
    """What the kubelet asks of a runtime; ids are the runtime's own."""

    scope: str
    """The first word of a container's cgroup with the systemd driver."""
    leaf: str
    """What stands before its id with the cgroupfs driver."""

    def run_sandbox(self, pod: RunningPod, /) -> str: ...

    def remove_sandbox(self, sandbox_id: str, /) -> None: ...

    def create(self, pod: RunningPod, container: Json, attempt: int, /) -> str: ...

    def start(self, container_id: str, /) -> None: ...

    def exec(self, container_id: str, argv: tuple[str, ...], /) -> Ran: ...

    def update(self, container_id: str, limits: Limits, /) -> None: ...

    def stop(self, container_id: str, grace_s: int, /) -> None: ...

    def remove(self, container_id: str, /) -> None: ...

    def has_ended(self, container_id: str, /) -> bool: ...


class Kubelet:
    """A node whose kubelet has just started, with CPU manager policy ``none``; may be used from several threads."""

    def __init__(self, runtime: Runtime, driver: Literal["systemd", "cgroupfs"], root: str = "/") -> None:
        self._runtime, self._driver = runtime, driver
        self._one_at_a_time = threading.Lock()  # the bus is one connection
        self._cgroups = PodCgroups(driver, Bus() if Path("/run/systemd/system").is_dir() else None, root)

    def start_pod(self, pod: Json) -> RunningPod:
        """Cgroup, sandbox, init containers one by one to their end, sidecars, app containers."""
        running = self._prepared(pod)
        running.sandbox_id = self._runtime.run_sandbox(running)
        for container in pod["spec"].get("initContainers", ()):
            started = self.start_container(running, container)
            if not rules.is_sidecar(container):
                while not self._runtime.has_ended(started.id):
                    time.sleep(0.1)
                self._remove(started)
        for container in pod["spec"]["containers"]:
            self.start_container(running, container)
        return running

    def start_container(self, running: RunningPod, container: Json) -> Started:
        """Create and start one container of a running pod: of its spec, again with a new id, or an ephemeral one."""
        attempt = sum(one.container == container["name"] for one in running.started)
        made = self._runtime.create(running, container, attempt)
        started = Started(container["name"], attempt, made, self._cgroup_of(running, made))
        running.started.append(started)
        self._runtime.start(made)
        return started

    def restart_container(self, running: RunningPod, name: str) -> Started:
        """The container dies, and comes back with a new id; the old one is removed later, as the kubelet does it."""
        old, spec = running.newest(name), running.spec["spec"]
        self._runtime.stop(old.id, 0)
        container = next(c for c in [*spec.get("initContainers", ()), *spec["containers"]] if c["name"] == name)
        started = self.start_container(running, container)
        self._remove(old)
        return started

    def exec(self, started: Started, *argv: str) -> Ran:
        """What exec probes and lifecycle hooks do."""
        return self._runtime.exec(started.id, argv)

    def update_container(self, started: Started, limits: Limits) -> None:
        """One half of a resize in place."""
        self._runtime.update(started.id, limits)

    def update_pod(self, running: RunningPod, limits: Limits) -> None:
        """The other half, the pod's cgroup."""
        with self._one_at_a_time:
            self._cgroups.cgroups.set(running.cgroup, limits)

    def delete_pod(self, running: RunningPod, grace_s: int = 0) -> None:
        """Containers with their grace, sandbox, then the pod's cgroup."""
        for started in running.started:
            if not started.removed:
                self._runtime.stop(started.id, grace_s)
                self._remove(started)
        self._runtime.remove_sandbox(running.sandbox_id)
        with self._one_at_a_time:
            self._cgroups.remove(running.spec)

    def _prepared(self, pod: Json) -> RunningPod:
        """The pod's cgroup, and the folder that its probes write to."""
        probe.folder(pod["metadata"]["uid"]).mkdir(parents=True)
        with self._one_at_a_time:
            cgroup = self._cgroups.create(pod)
        return RunningPod(pod, cgroup, uptime_s())

    def _remove(self, started: Started) -> None:
        self._runtime.remove(started.id)
        started.removed_at = uptime_s()

    def _cgroup_of(self, running: RunningPod, container_id: str) -> Path:
        if self._driver == "systemd":
            return running.cgroup / f"{self._runtime.scope}-{container_id}.scope"
        return running.cgroup / f"{self._runtime.leaf}{container_id}"
