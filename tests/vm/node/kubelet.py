"""The kubelet, played: which cgroups a pod gets, in which order its containers start, how all of it goes away."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from tests.vm.node import rules, runtime
from tests.vm.node.bus import Bus
from tests.vm.node.cgroups import join
from tests.vm.node.pod_cgroups import PodCgroups
from tests.vm.node.rules import Json, Limits
from tests.vm.node.runtime import SLEEP, THREADS, Container, Runtime
from tests.vm.node.tasks import CGROUPS, Task, tasks_of

SANDBOX = "POD"  # the kubelet's own word for it; no container may be named so


class Process(NamedTuple):
    """A process of a container, and what it may use now."""

    pod: str  # namespace/name
    uid: str
    container: str  # SANDBOX: the pause process
    container_id: str
    cgroup: str
    pid: int
    born: Task
    first: tuple[str, str]
    tasks: list[Task]


@dataclass(slots=True)
class _Pod:
    spec: Json
    cgroup: Path
    sandbox_id: str = ""
    containers: dict[str, Container] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.spec['metadata'].get('namespace', 'default')}/{self.spec['metadata']['name']}"


class Node:
    """A node whose kubelet has just started, with CPU manager policy ``none``.

    *driver* is the cgroup driver and *root* the kubelet's ``--cgroup-root``. *sandbox_gap_s* passes between the pod's
    cgroup and its first process, *start_gap_s* between runc's create and its start.
    """

    def __init__(
        self,
        driver: Literal["systemd", "cgroupfs"],
        root: str = "/",
        *,
        sandbox_gap_s: float = 0.1,
        start_gap_s: float = 0.1,
    ) -> None:
        self._bus = Bus() if Path("/run/systemd/system").is_dir() else None
        self._pod_cgroups = PodCgroups(driver, self._bus, root)
        self.cgroups = self._pod_cgroups.cgroups
        self._runtime = Runtime(self.cgroups, start_gap_s)
        self._sandbox_gap_s = sandbox_gap_s
        self._pods: dict[str, _Pod] = {}

    def prepare(self, pod: Json) -> Path:
        """Make the pod's cgroup, which is the first that a node shows of a pod, or find it there."""
        uid = rules.uid(pod)
        if uid not in self._pods:
            self._pods[uid] = _Pod(pod, self._pod_cgroups.create(pod))
        return self._pods[uid].cgroup

    def start_pod(self, pod: Json) -> None:
        """Cgroup, sandbox, init containers one by one to their end, sidecars, app containers, as a node does it."""
        self.prepare(pod)
        record = self._pods[rules.uid(pod)]
        time.sleep(self._sandbox_gap_s)
        sandbox = self._run(record, {"container-type": "sandbox"}, SLEEP, {}, Limits(cpu_shares=rules.shares(0)))
        record.sandbox_id = sandbox.id
        record.containers[SANDBOX] = sandbox
        for container in pod["spec"].get("initContainers", ()):
            self.start_container(rules.uid(pod), container)
            if not rules.is_sidecar(container):
                self._runtime.wait(record.containers.pop(container["name"]))
        for container in pod["spec"]["containers"]:
            self.start_container(rules.uid(pod), container)

    def start_container(self, uid: str, container: Json) -> None:
        """Create and start one container of a running pod: one of its spec, or an ephemeral one."""
        record = self._pods[uid]
        env = {each["name"]: each["value"] for each in container.get("env", ())}
        image = THREADS if "THREADS" in env else SLEEP
        argv = [*container.get("command", image), *container.get("args", ())]
        annotations = {
            "container-type": "container",
            "container-name": container["name"],
            "image-name": container["image"],
            "sandbox-id": record.sandbox_id,
        }
        made = self._run(record, annotations, argv, env, rules.container_limits(container))
        record.containers[container["name"]] = made

    def restart_container(self, uid: str, name: str) -> None:
        """The container dies, and comes back with a new id."""
        record = self._pods[uid]
        spec = record.spec["spec"]
        (container,) = (c for c in [*spec.get("initContainers", ()), *spec["containers"]] if c["name"] == name)
        self._runtime.kill(record.containers.pop(name))
        self.start_container(uid, container)

    def exec(self, uid: str, name: str, argv: Sequence[str] = SLEEP) -> int:
        """``kubectl exec``; gives the PID of the new process."""
        return self._runtime.exec(self._pods[uid].containers[name], argv)

    def delete_pod(self, uid: str) -> None:
        """Containers, sandbox, then the pod's cgroup."""
        record = self._pods.pop(uid)
        for name in sorted(record.containers, key=lambda name: name == SANDBOX):
            self._runtime.kill(record.containers[name])
        self._pod_cgroups.remove(record.spec)

    def start_service(self, name: str) -> int:
        """A noisy neighbour: a service of the host in system.slice, busy now and then; gives its PID."""
        cgroup = CGROUPS / "system.slice" / f"{name}.service"
        if self._bus is None:
            return self.start_task(cgroup)
        start = (THREADS[0], [*THREADS], False)
        environment = ["THREADS=1"]
        self._bus.start(cgroup.name, {"ExecStart": ("a(sasb)", [start]), "Environment": ("as", environment)})
        return int((cgroup / "cgroup.procs").read_text())

    def start_task(self, cgroup: Path = CGROUPS) -> int:
        """A process of the host, busy now and then, in any cgroup, such as the root; gives its PID."""
        cgroup.mkdir(parents=True, exist_ok=True)
        pid, start = runtime.spawn(THREADS, {"THREADS": "1"})
        join(cgroup, pid)
        runtime.release(start)
        return pid

    def processes(self) -> list[Process]:
        """The processes of all containers, and what each thread of them may use now."""
        found = []
        for uid, record in self._pods.items():
            for name, made in record.containers.items():
                where = f"/{made.cgroup.relative_to(CGROUPS)}"
                for pid in (made.init, *made.execs):
                    tasks = tasks_of(pid)
                    found.append(Process(record.name, uid, name, made.id, where, pid, made.born, made.first, tasks))
        return found

    def _run(
        self, record: _Pod, annotations: Mapping[str, str], argv: Sequence[str], env: Mapping[str, str], limits: Limits
    ) -> Container:
        namespace, name = record.name.split("/")
        uid = str(record.spec["metadata"]["uid"])
        names = {"sandbox-name": name, "sandbox-namespace": namespace, "sandbox-uid": uid}
        return self._runtime.run(record.cgroup, {**annotations, **names}, argv, env, limits)
