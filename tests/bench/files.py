"""A node of plain files: a machine, its cgroups and its pods of any number, on any host, without root.

`FileCgroups` is `files.Cgroupfs` on a directory, with as much of a kernel behind it as figures need: what is written
comes true, effective sets follow, and inotify tells of it. It refuses nothing and knows no order: whether Pinfold is
right is asked elsewhere, here only what it costs. What the stand-in itself takes is counted apart. There are no
sandboxes: the bundles that would tell what they are cannot be made up here.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinfold.agent.enforcement import NodeCgroups
from pinfold.agent.loop import Agent
from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.paths import ROOT, CgroupPath, File, below, parent
from pinfold.config import Config, config_of
from pinfold.cpuset import CpuSet
from pinfold.pods.model import QosClass
from pinfold.state import StateDirectory
from tests.cgroups.node import HOST, KUBEPODS, QOS, container_id, container_path, pod_path, uid
from tests.sysfs_writer import write_machine

SIDECARS = ("proxy", "exporter")
_NUMA_STAT = "anon N0=1048576 N1=0\nfile N0=4194304 N1=0\nkernel_stack N0=65536 N1=0"


class FileCgroups(Cgroupfs):
    def __init__(self, mount: Path, spare: Path, online: CpuSet) -> None:
        super().__init__(mount)
        self._spare, self._online = spare / "draft", online
        self._mems = self.read(ROOT, File.MEMS_EFFECTIVE) or ""
        self._partitions = dict(self._found(KUBEPODS))
        self._lock = threading.Lock()
        self.kernel_s = 0.0
        """CPU time of the stand-in."""

    def _found(self, outer: CgroupPath) -> Iterator[tuple[CgroupPath, CpuSet]]:
        """Partitions that were made before this process began."""
        for path in (below(outer, name) for name in self.children(outer)):
            if self.read(path, File.PARTITION) == "root":
                yield path, CpuSet.parse(self.read(path, File.EXCLUSIVE) or "")
            yield from self._found(path)

    def write(self, path: CgroupPath, file: str, value: str) -> None:
        super().write(path, file, value.removeprefix("+"))
        began = time.thread_time()
        self._follow(path, file)
        self.kernel_s += time.thread_time() - began

    def meddle(self, path: CgroupPath, file: str, value: str) -> None:
        """Somebody else writes, from another thread."""
        (self.mount / path / file).write_text(f"{value}\n")
        self._follow(path, file)

    def _follow(self, path: CgroupPath, file: str) -> None:
        with self._lock:
            if file in {File.PARTITION, File.EXCLUSIVE}:
                self._owned(path)
            elif file == File.MEMS:
                self._put(path, File.MEMS_EFFECTIVE, self.read(path, File.MEMS) or self._mems)
            elif file == File.CPUS and parent(path) in self._partitions:
                self._run_on(path, self._partitions[parent(path)])

    def _owned(self, path: CgroupPath) -> None:
        cpus = CpuSet.parse(self.read(path, File.EXCLUSIVE) or "")
        if self.read(path, File.PARTITION) == "member":
            if self._partitions.pop(path, None) is None:
                return
            cpus = CpuSet()
        else:
            self._partitions[path] = cpus
        left = self._online - CpuSet.union(self._partitions.values())
        for outer in (ROOT, *HOST, KUBEPODS, *(below(KUBEPODS, f"{stem}.slice") for stem in QOS.values())):
            self._put(outer, File.CPUS_EFFECTIVE, str(left))
        self._put(path, File.CPUS_EFFECTIVE, str(cpus or left))
        for name in self.children(path):
            self._run_on(below(path, name), cpus or left)

    def _run_on(self, path: CgroupPath, reach: CpuSet) -> None:
        own = CpuSet.parse(self.read(path, File.CPUS) or "")
        self._put(path, File.CPUS_EFFECTIVE, str((own & reach) or reach))

    def _put(self, path: CgroupPath, file: str, text: str) -> None:
        """As the kernel changes a file by itself: inotify tells nobody."""
        self._spare.write_text(f"{text}\n")
        self._spare.rename(self.mount / path / file)


@dataclass(slots=True)
class FileNode:
    """A machine, its cgroups and its manifests below *root*."""

    root: Path

    @property
    def online(self) -> CpuSet:
        return CpuSet.parse((self.root / "sys/devices/system/cpu/online").read_text())

    @classmethod
    def boot(cls, root: Path, sockets: int = 2, nodes_per_socket: int = 1, cores: int = 32) -> "FileNode":
        """*cores* of two threads in each NUMA node."""
        write_machine(root, sockets=sockets, nodes_per_socket=nodes_per_socket, cores=cores, threads=2)
        node = cls(root)
        (root / "manifests").mkdir()
        for path in (ROOT, *HOST, KUBEPODS, *(below(KUBEPODS, f"{stem}.slice") for stem in QOS.values())):
            node._cgroup(path)
        (root / "mount" / File.ISOLATED).write_text("\n")
        return node

    def config(self, **settings: Any) -> Config:  # noqa: ANN401
        return config_of(
            {
                "nodeName": "here",
                "sysfsRoot": str(self.root),
                "cgroupMount": str(self.root / "mount"),
                "stateDir": str(self.root / "state"),
                "sources": {
                    "manifests": {"path": str(self.root / "manifests")},
                    "kubelet": {"rootDir": str(self.root / "kubelet")},
                    "apiServer": {"enabled": False},
                },
                **settings,
            }
        )

    def cgroups(self) -> FileCgroups:
        return FileCgroups(self.root / "mount", self.root, self.online)

    def agent(self, fs: FileCgroups, state: StateDirectory, **settings: Any) -> Agent:  # noqa: ANN401
        """*settings*: as in the configuration."""
        config = self.config(**settings)
        return Agent(config, state, NodeCgroups(config, fs, lambda _: False))

    def state(self) -> StateDirectory:
        return StateDirectory(self.root / "state")

    def start(self, number: int, cpus: int = 0) -> CgroupPath:
        """A pod that runs: its manifest, its cgroup and its containers'; *cpus*: it owns so many."""
        self.put(number, cpus)
        return self.appear(number, cpus)

    def put(self, number: int, cpus: int = 0) -> None:
        draft = self.root / "manifests" / f".p{number}"
        draft.write_text(json.dumps(pod(number, cpus)))
        draft.rename(self.root / "manifests" / f"p{number}.json")

    def appear(self, number: int, cpus: int = 0) -> CgroupPath:
        path = pod_path(number, QosClass.GUARANTEED if cpus else QosClass.BURSTABLE)
        self._cgroup(path)
        for place, _ in enumerate(containers(cpus), 1):
            self._cgroup(container_path(path, number, place))
        return path

    def _cgroup(self, path: CgroupPath) -> None:
        is_container = path.endswith(".scope") and path.startswith(KUBEPODS)
        every = str(self.online)
        files = {
            File.CPUS: "",
            File.CPUS_EFFECTIVE: every,
            File.EXCLUSIVE: "",
            File.PARTITION: "member",
            File.MEMS: "",
            File.MEMS_EFFECTIVE: (self.root / "sys/devices/system/node/online").read_text().strip(),
            File.PROCS: str(os.getpid()) if is_container else "",
            File.EVENTS: "populated 1\nfrozen 0",
            File.CPU_MAX: "max 100000",
            File.MEMORY_CURRENT: "4194304",
            File.MEMORY_LOW: "0",
            File.MEMORY_MIN: "0",
            File.SUBTREE_CONTROL: "" if is_container else "cpuset cpu memory pids",
            "memory.numa_stat": _NUMA_STAT,
        }
        here = self.root / "mount" / path
        here.mkdir()
        for name, text in files.items():
            (here / name).write_text(f"{text}\n")


def containers(cpus: int) -> list[str]:
    return ["engine", *SIDECARS[:1]] if cpus else list(SIDECARS)


def pod(number: int, cpus: int = 0) -> dict[str, Any]:
    """A pod as the API server tells it; *cpus*: the size of its pool, all but one of them its engine's."""
    own = {"cpu": str(cpus - 1), "memory": "32Mi"}
    amounts = {"cpu": str(cpus), "memory": "64Mi"}
    engine = {"resources": {"requests": own, "limits": own}}
    names = containers(cpus)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}", "namespace": "bench", "uid": uid(number)},
        "spec": {
            "nodeName": "here",
            **({"resources": {"requests": amounts, "limits": amounts}} if cpus else {}),
            "containers": [{"name": name, "image": "x", **(engine if name == "engine" else {})} for name in names],
        },
        "status": {
            "phase": "Running",
            "qosClass": "Guaranteed" if cpus else "Burstable",
            "containerStatuses": [
                {"name": name, "containerID": f"containerd://{container_id(number, place)}", "state": {"running": {}}}
                for place, name in enumerate(names, 1)
            ],
        },
    }
