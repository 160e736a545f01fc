"""A node for the loop: real sources, a real checkpoint, real planning; only the kernel is the model of it.

The model is held to real kernels elsewhere, and the whole runs on real kernels in ``tests/vm``.
"""

import errno
import json
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from pinfold.agent.enforcement import NodeCgroups
from pinfold.agent.loop import Agent
from pinfold.cgroups.files import CgroupGoneError, WriteRefusedError
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import CgroupPath
from pinfold.config import Config, config_of
from pinfold.cpuset import CpuSet
from pinfold.interrupts.guard import Guard
from pinfold.pods.model import QosClass
from pinfold.report.snapshot import PodStatus, Snapshot
from pinfold.state import StateDirectory
from tests.cgroups.model import ModelGround
from tests.cgroups.node import PlayedNode, container_path, pod_path, uid
from tests.cpuset_model import Kernel, World
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


PATIENCE_S = 60.0
Sharing = Mapping[tuple[str, str], CpuSet]
"""Pairs of tasks → the CPUs that both may use."""


def sharing(world: World) -> Sharing:
    effective = {task: world.effective(path) for path in world.paths() for task in world.tasks(path)}
    assert all(cpus & world.active for cpus in effective.values()), f"somebody has no CPU: {effective}"
    return {pair: effective[pair[0]] & effective[pair[1]] for pair in combinations(sorted(effective), 2)}


class Death(BaseException):
    """The process is no more: nothing catches this."""


class Fs(ModelGround):
    """The model behind the words of the cgroup file system, and all that can happen to a write."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.texts: dict[tuple[CgroupPath, str], str] = {}
        """Of files that the model has not."""
        self.meddled: dict[tuple[CgroupPath, str], tuple[CgroupPath, str, str]] = {}
        """A file → where, and what, somebody else writes right after our write to it."""
        self.told: dict[CgroupPath, Mapping[str, str | None]] = {}
        """What somebody else writes right after our next look at a cgroup."""
        self.refused: dict[int, int] = {}
        """Number of a write, from 0 → the errno that it meets."""
        self.dies_at: int | None = None
        """The write in place of which the process dies."""
        self.count = 0
        self.made: dict[CgroupPath, float] = {}
        """When cgroups were made that are older than the first look at them."""
        self.running: set[CgroupPath] = set()
        """Containers whose own program runs."""
        self.moments: list[Sharing] = []
        """Who shared a CPU with whom, after each write."""

    def read_all(self, path: CgroupPath, files: tuple[str, ...], /) -> dict[str, str]:
        texts = super().read_all(path, files)
        for file, text in self.told.pop(path, {}).items():
            self._take(path, file, text or "")
        others = {file: self.texts[path, file] for file in files if (path, file) in self.texts}
        return {**texts, **others} if texts else texts

    def write(self, path: CgroupPath, file: str, value: str, /) -> None:
        number, self.count = self.count, self.count + 1
        if number == self.dies_at:
            raise Death
        refused = self.refused.get(number)
        if refused in {errno.ENOENT, errno.ENODEV} and "-pod" in path:  # no other cgroup goes away
            raise CgroupGoneError(f"{path}/{file} is gone")
        if refused and refused not in {errno.ENOENT, errno.ENODEV}:
            raise WriteRefusedError(path, file, value, OSError(refused, os.strerror(refused)))
        self._take(path, file, value)
        if meddling := self.meddled.get((path, file)):
            self._take(*meddling)
        self.moments.append(sharing(self.world))

    def _take(self, path: CgroupPath, file: str, value: str) -> None:
        if (path, file) in self.texts:
            self.texts[path, file] = value
        else:
            super().write(path, file, value)

    def made_at(self, paths: Collection[CgroupPath], /) -> Mapping[CgroupPath, float]:
        return {path: self.made[path] for path in paths if path in self.made}

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Bench:
    """One node: its manifests, its model kernel, its state directory, its clock."""

    tmp: Path
    fs: Fs
    config: Config
    now_s: float = 1000.0
    guard: Guard | None = None
    agent: Agent | None = None
    state: StateDirectory | None = None

    def start(self) -> Agent:
        self.stop()
        self.state = StateDirectory(Path(self.config.state_dir))
        cgroups = NodeCgroups(self.config, self.fs, lambda path: path in self.fs.running)
        self.agent = Agent(self.config, self.state, cgroups, lambda: self.now_s, lambda: self.now_s, self.guard)
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
        deadline = time.monotonic() + PATIENCE_S
        while (snapshot := self.agent.snapshot()) is None:  # the API server is being asked
            assert time.monotonic() < deadline
            time.sleep(0.01)
            self.agent.reconcile()
        return snapshot

    def status(self, number: int) -> PodStatus:
        return next(one for one in self.turn().pods if one.uid == uid(number))

    def appear(self, number: int, *, populated: bool = True) -> None:
        """The kubelet makes the pod's cgroup; the runtime its sandbox."""
        path = pod_path(number, QosClass.GUARANTEED)
        assert self.fs.world.mkdir(path) is None
        if populated:
            sandbox = container_path(path, number, 0)
            assert self.fs.world.mkdir(sandbox) is None
            self.fs.world.spawn(f"pause-{number}", sandbox)

    @classmethod
    def boot(cls, kernel: Kernel, tmp: Path, **sources: Any) -> "Bench":  # noqa: ANN401
        """*sources*: as in the configuration; a directory of manifests is always there."""
        (tmp / "manifests").mkdir()
        (tmp / "mount").mkdir()
        write_machine(tmp, sockets=2, cores=4, threads=2, numbering="adjacent")
        config = config_of(
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
        fs = Fs.boot(kernel, 16)
        PlayedNode.boot(fs, Enforcement.PARTITION)
        return cls(tmp, fs, config)
