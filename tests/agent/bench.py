"""A node for the loop: real sources, a real checkpoint, real planning; only the kernel is the model of it.

The model is held to real kernels elsewhere, and the whole runs on real kernels in ``tests/vm``.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinfold.agent.enforcement import NodeCgroups
from pinfold.agent.loop import Agent
from pinfold.cgroups.layout import Enforcement
from pinfold.config import Config
from pinfold.pods.model import QosClass
from pinfold.report.snapshot import PodStatus, Snapshot
from pinfold.state import StateDirectory
from tests.cgroups.model_node import ModelKernel, ModelNode, container_path, pod_path, uid
from tests.cpuset_model import Kernel
from tests.sysfs_writer import write_machine


def pod(number: int, cpus: int, engine: int = 0) -> dict[str, Any]:
    """A Guaranteed pod with pod-level resources, an engine and a sidecar."""
    amounts = {"cpu": str(cpus), "memory": "64Mi"}
    own = {"cpu": str(engine), "memory": "32Mi"}
    containers: list[dict[str, Any]] = [{"name": "engine", "resources": {"requests": own, "limits": own}}]
    return {
        "metadata": {"name": f"p{number}", "namespace": "test", "uid": uid(number)},
        "spec": {
            "resources": {"requests": amounts, "limits": amounts},
            "containers": [*(containers if engine else []), {"name": "proxy"}],
        },
    }


class Fs(ModelKernel):
    """The model behind the words of the cgroup file system."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Bench:
    """One node: its manifests, its model kernel, its state directory, its clock."""

    tmp: Path
    node: ModelNode
    fs: Fs
    config: Config
    now_s: float = 1000.0
    agent: Agent | None = None
    state: StateDirectory | None = None

    def start(self) -> Agent:
        self.stop()
        self.state = StateDirectory(Path(self.config.state_dir))
        cgroups = NodeCgroups(self.config, self.fs)
        self.agent = Agent(self.config, self.state, cgroups, lambda: self.now_s, lambda: self.now_s)
        return self.agent

    def stop(self) -> None:
        """As by kill -9: nothing is given back."""
        if self.agent and self.state:
            self.agent.close()
            self.state.close()
            self.agent = None

    def put(self, raw: dict[str, Any]) -> None:
        (self.tmp / "manifests" / f"{raw['metadata']['name']}.json").write_text(json.dumps(raw))

    def take(self, number: int) -> None:
        (self.tmp / "manifests" / f"p{number}.json").unlink()

    def turn(self) -> Snapshot:
        assert self.agent
        self.agent.sources.refresh()
        for _ in range(3):
            self.agent.reconcile()
        snapshot = self.agent.snapshot()
        assert snapshot
        return snapshot

    def status(self, number: int) -> PodStatus:
        return next(one for one in self.turn().pods if one.uid == uid(number))

    def appear(self, number: int, *, populated: bool = True) -> None:
        """The kubelet makes the pod's cgroup; the runtime its sandbox."""
        path = pod_path(number, QosClass.GUARANTEED)
        assert self.node.world.mkdir(path) is None
        if populated:
            sandbox = container_path(path, number, 0)
            assert self.node.world.mkdir(sandbox) is None
            self.node.world.spawn(f"pause-{number}", sandbox)

    @classmethod
    def boot(cls, kernel: Kernel, tmp: Path, **sources: Any) -> "Bench":  # noqa: ANN401
        """*sources*: as in the configuration; a directory of manifests is always there."""
        (tmp / "manifests").mkdir()
        (tmp / "mount").mkdir()
        write_machine(tmp, sockets=2, cores=4, threads=2, numbering="adjacent")
        config = Config.model_validate(
            {
                "nodeName": "node-1",
                "sysfsRoot": str(tmp),
                "cgroupMount": str(tmp / "mount"),
                "stateDir": str(tmp / "state"),
                "sources": {
                    "manifests": {"path": str(tmp / "manifests")},
                    "kubelet": {"rootDir": str(tmp / "kubelet")},
                    **sources,
                },
            }
        )
        node = ModelNode.boot(kernel, Enforcement.PARTITION)
        return cls(tmp, node, Fs(node.world), config)
