"""A node on a model kernel: the shell that the write protocol meets, and who meets whom on which CPU."""

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from pinfold.cgroups.executor import Outcome, Result, execute
from pinfold.cgroups.files import CgroupGoneError, WriteRefusedError
from pinfold.cgroups.found import Found, noted, refreshed
from pinfold.cgroups.held import Held, held
from pinfold.cgroups.layout import Enforcement, Layout, Node
from pinfold.cgroups.paths import CgroupPath, File, below, parent
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.tree import Tree, discover
from pinfold.cgroups.verify import verify
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.watch import read
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Ledger
from pinfold.pods.model import PodUid, QosClass
from pinfold.topology.model import Cpu, NumaNode, Topology
from tests.cpuset_model import Errno, Kernel, World

KUBEPODS = CgroupPath("kubepods.slice")
IN_ROOT = "in-root"
"""The task in the root cgroup; every other task is called as its cgroup."""
QOS = {QosClass.BURSTABLE: "kubepods-burstable", QosClass.BEST_EFFORT: "kubepods-besteffort"}


def machine(cpus: int, offline: CpuSet = CpuSet()) -> Topology:
    """*cpus* CPUs on two NUMA nodes."""
    half = CpuSet.of(range(cpus // 2)) - offline, CpuSet.of(range(cpus // 2, cpus)) - offline
    return Topology(
        cpus=tuple(Cpu(cpu, cpu, node, node, node) for node, own in enumerate(half) for cpu in own),
        offline=offline,
        nodes=tuple(NumaNode(node, own, 8 << 30) for node, own in enumerate(half)),
        possible=CpuSet.of(range(cpus)),
    )


def uid(number: int) -> PodUid:
    return PodUid(f"{number:08x}-0000-4000-8000-000000000000")


def container_id(pod: int, number: int) -> str:
    return f"{pod:032x}{number:032x}"


def pod_path(number: int, qos: QosClass) -> CgroupPath:
    outer = below(KUBEPODS, f"{QOS[qos]}.slice") if qos in QOS else KUBEPODS
    stem = QOS.get(qos, "kubepods")
    return below(outer, f"{stem}-pod{uid(number).replace('-', '_')}.slice")


def container_path(pod: CgroupPath, number: int, container: int) -> CgroupPath:
    return below(pod, f"cri-containerd-{container_id(number, container)}.scope")


class ModelKernel:
    """A `World` behind the words of `files.Cgroupfs`; the files that the model has not are made up of its tasks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.privileged = True
        self.writes: list[Write] = []

    def children(self, path: CgroupPath, /) -> tuple[str, ...]:
        return tuple(
            sorted(one.rpartition("/")[2] for one in self.world.paths() if one and parent(CgroupPath(one)) == path)
        )

    def read_all(self, path: CgroupPath, files: tuple[str, ...], /) -> dict[str, str]:
        if path not in self.world.paths():
            return {}
        texts = {file: text for file in files if isinstance(text := self.world.read(path, file), str)}
        texts[File.PROCS] = "1" if self.world.tasks(path) else ""
        texts[File.EVENTS] = f"populated {int(any(self._tasks(path)))}"
        return texts

    def read(self, path: CgroupPath, file: str, /) -> str | None:
        return self.read_all(path, (file,)).get(file)

    def write(self, path: CgroupPath, file: str, value: str, /) -> None:
        refused = self.world.write(path, file, value, privileged=self.privileged)
        if refused is Errno.ENOENT:
            raise CgroupGoneError(f"{path}/{file} is gone")
        if refused is not None:
            raise WriteRefusedError(path, file, value, OSError(refused.value, errno.errorcode[refused.value]))

    def _tasks(self, path: CgroupPath) -> Iterator[str]:
        for one in self.world.paths():
            if one == path or one.startswith(f"{path}/") or not path:
                yield from self.world.tasks(one)


Sharing = Mapping[tuple[str, str], CpuSet]
"""Pairs of tasks → the CPUs that both may use."""


def sharing(world: World) -> Sharing:
    effective = {task: world.effective(path) for path in world.paths() for task in world.tasks(path)}
    assert all(cpus & world.active for cpus in effective.values()), f"somebody has no CPU: {effective}"
    return {pair: effective[pair[0]] & effective[pair[1]] for pair in combinations(sorted(effective), 2)}


@dataclass(slots=True)
class ModelNode:
    """One node and the memory that Pinfold has of it: its ledger's names and what it found."""

    kernel: ModelKernel
    topology: Topology
    enforcement: Enforcement
    names: dict[str, str] = field(default_factory=dict)
    found: Found = field(default_factory=dict)
    refused: frozenset[PodUid] = frozenset()

    @classmethod
    def boot(cls, version: Kernel, enforcement: Enforcement, cpus: int = 16) -> "ModelNode":
        """A node with systemd's and the kubelet's cgroups, and a task in each that holds some."""
        topology = machine(cpus)
        world = World.boot(version, topology.possible, NodeSet.of(range(2)))
        for path in ("init.scope", "system.slice", "user.slice", KUBEPODS):
            assert world.mkdir(path) is None
        for stem in QOS.values():
            assert world.mkdir(below(KUBEPODS, f"{stem}.slice")) is None
        for path in ("init.scope", "system.slice"):
            world.spawn(path, path)
        world.spawn(IN_ROOT)
        return cls(ModelKernel(world), topology, enforcement)

    @property
    def world(self) -> World:
        return self.kernel.world

    @property
    def shrinks(self) -> bool:
        """Whether some pools are held by narrowing everybody else."""
        return self.enforcement is Enforcement.SHRINK or bool(self.refused)

    def offline(self, cpu: int) -> Errno | None:
        refused = self.world.offline(cpu)
        self.topology = machine(len(self.topology.possible), self.world.possible - self.world.active)
        return refused

    def online(self, cpu: int) -> Errno | None:
        refused = self.world.online(cpu)
        self.topology = machine(len(self.topology.possible), self.world.possible - self.world.active)
        return refused

    def tree(self) -> Tree:
        tree = discover(self.kernel)
        assert isinstance(tree, Tree)
        return tree

    def held(self, ledger: Ledger) -> Held:
        return held(self.kernel, read(self.tree(), ledger, self.found))

    def layout(self, ledger: Ledger) -> Layout:
        self.found = refreshed(self.found, self.tree(), self.held(ledger), self.topology)
        node = Node(
            self.tree(), self.held(ledger), self.found, self.topology, self.enforcement, self.names, self.refused
        )
        return wanted(node, ledger, self.topology.online - ledger.owned)

    def plan(self, ledger: Ledger) -> tuple[Write, ...]:
        return ordered(self.held(ledger), self.layout(ledger))

    def step(self, ledger: Ledger) -> tuple[Outcome, ...]:
        """One pass of the loop: read, order, note, write."""
        writes = self.plan(ledger)
        self.found = noted(self.found, self.held(ledger), writes)
        return execute(writes, self.kernel)

    def settle(self, ledger: Ledger) -> tuple[Outcome, ...]:
        """Passes until there is nothing to write; every write done, and what the kernel says is what is wanted."""
        done: list[Outcome] = []
        for _ in range(4):
            outcomes = self.step(ledger)
            done += outcomes
            assert [one for one in outcomes if one.result is not Result.DONE] == []
            if not outcomes:
                break
        else:
            raise AssertionError(f"still writing: {outcomes}")
        drifts = verify(self.layout(ledger), self.held(ledger), self.topology.online)
        assert drifts == (), drifts
        return tuple(done)

    def start_pod(self, number: int, qos: QosClass = QosClass.GUARANTEED) -> CgroupPath:
        path = pod_path(number, qos)
        assert self.world.mkdir(path) is None
        return path

    def start_container(self, pod: CgroupPath, number: int, container: int, name: str | None) -> CgroupPath:
        """As a runtime does: the controllers enabled on the way, the cgroup made, a process put in."""
        way = [CgroupPath(pod.rpartition("/")[0]), pod]
        for path in (CgroupPath(""), KUBEPODS, *way):
            assert self.world.write(path, File.SUBTREE_CONTROL, "+cpuset") is None
        path = container_path(pod, number, container)
        assert self.world.mkdir(path) is None
        self.world.spawn(path, path)
        if name is not None:
            self.names[container_id(number, container)] = name
        return path

    def end_pod(self, pod: CgroupPath) -> None:
        """All processes end, all cgroups go."""
        for path in reversed([one for one in self.world.paths() if one == pod or one.startswith(f"{pod}/")]):
            for task in self.world.tasks(path):
                self.world.exit(task)
            assert self.world.rmdir(path) is None
