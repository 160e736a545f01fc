"""A node that Pinfold works on, whatever its kernel is: a model, or a real one in a virtual machine.

Nothing here needs more than Pinfold's own core: it runs in the guest, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from pinfold.cgroups.executor import Outcome, Result, execute
from pinfold.cgroups.found import Found, noted, refreshed
from pinfold.cgroups.held import Held, held
from pinfold.cgroups.layout import Enforcement, Layout, Node
from pinfold.cgroups.lost import Mending, are_lost, mend, searched
from pinfold.cgroups.paths import ROOT, CgroupPath, File, above, below
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.tree import Tree, discover
from pinfold.cgroups.verify import verify
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.watch import read
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.pods.model import PodUid, QosClass
from pinfold.topology.model import Cpu, NumaNode, Topology

KUBEPODS = CgroupPath("kubepods.slice")
QOS = {QosClass.BURSTABLE: "kubepods-burstable", QosClass.BEST_EFFORT: "kubepods-besteffort"}
HOST = tuple(map(CgroupPath, ("init.scope", "system.slice", "user.slice")))


class Ground(Mending, Protocol):
    """The kernel as Pinfold sees it, and as everybody else does."""

    possible: CpuSet

    @property
    def online(self) -> CpuSet: ...

    def spawn(self, path: CgroupPath, /) -> None:
        """A sleeping process in *path*, which has none yet."""
        ...

    def end(self, path: CgroupPath, /) -> None:
        """End the process in *path*, if there is one."""
        ...

    def allowed(self) -> Mapping[CgroupPath, CpuSet]:
        """The CPUs of each process, by its cgroup."""
        ...

    def switch(self, cpu: int, /, *, on: bool) -> bool:
        """Take a CPU off or on line; whether the kernel did."""
        ...


def machine(possible: CpuSet, online: CpuSet) -> Topology:
    """Two NUMA nodes, each with half of the CPUs."""
    half = len(possible) // 2
    nodes = possible.first(half), possible - possible.first(half)
    return Topology(
        cpus=tuple(Cpu(cpu, cpu, node, node, node) for node, own in enumerate(nodes) for cpu in own & online),
        nodes=tuple(NumaNode(node, own & online, 8 << 30) for node, own in enumerate(nodes)),
        offline=possible - online,
        possible=possible,
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


@dataclass(slots=True)
class PlayedNode:
    """Systemd's and the kubelet's cgroups with a process in each, and the memory that Pinfold has of the node."""

    ground: Ground
    enforcement: Enforcement
    names: dict[str, str] = field(default_factory=dict)
    found: Found = field(default_factory=dict)
    refused: frozenset[PodUid] = frozenset()
    reserved: CpuSet = CpuSet()
    """Strictly: no pod runs on them."""

    @classmethod
    def boot(cls, ground: Ground, enforcement: Enforcement) -> Self:
        for path in (*HOST, KUBEPODS, *(below(KUBEPODS, f"{stem}.slice") for stem in QOS.values())):
            ground.make(path)
        for path in (*HOST[:2], ROOT):  # nobody is logged in
            ground.spawn(path)
        return cls(ground, enforcement)

    @property
    def shrinks(self) -> bool:
        """Whether some pools are held by narrowing everybody else: then the root's process, which no cpuset reaches, is
        left to its affinity."""
        return self.enforcement is Enforcement.SHRINK or bool(self.refused)

    @property
    def topology(self) -> Topology:
        return machine(self.ground.possible, self.ground.online)

    def tree(self) -> Tree:
        tree = discover(self.ground)
        assert isinstance(tree, Tree)
        return tree

    def paths(self, path: CgroupPath = ROOT) -> list[CgroupPath]:
        """*path* and all cgroups below it, outer ones first."""
        inner = (below(path, name) for name in self.ground.children(path))
        return [path, *(one for child in inner for one in self.paths(child))]

    # --- Pinfold ------------------------------------------------------------------------------------------------

    def look(self, ledger: Ledger) -> Node:
        tree = self.tree()
        state = searched(self.ground, held(self.ground, read(tree, ledger, self.found)), self.topology.online)
        self.found = refreshed(self.found, tree, state, self.topology)
        return Node(
            tree, state, self.found, self.topology, self.enforcement, self.names, self.reserved, refused=self.refused
        )

    def held(self, ledger: Ledger) -> Held:
        return self.look(ledger).held

    def layout(self, ledger: Ledger) -> Layout:
        return wanted(self.look(ledger), ledger, self.topology.online - ledger.owned)

    def plan(self, ledger: Ledger) -> tuple[Write, ...]:
        """The writes of one pass; what they will replace is noted."""
        node = self.look(ledger)
        writes = ordered(node.held, wanted(node, ledger, self.topology.online - ledger.owned))
        self.found = noted(self.found, node.held, writes)
        return writes

    def step(self, ledger: Ledger) -> tuple[Outcome, ...]:
        """One pass of the loop."""
        held = self.held(ledger)
        if are_lost(held):
            mend(self.ground, held[ROOT].lost)
        return execute(self.plan(ledger), self.ground)

    def settle(self, ledger: Ledger) -> tuple[Write, ...]:
        """Passes until there is nothing to write; every write done, and what the kernel says is what is wanted."""
        done: list[Write] = []
        for _ in range(4):
            outcomes = self.step(ledger)
            assert [one for one in outcomes if one.result is not Result.DONE] == []
            if not outcomes:
                break
            done += [one.write for one in outcomes]
        else:
            raise AssertionError(f"still writing: {done}")
        drift = verify(self.layout(ledger), self.held(ledger), self.topology.online)
        assert drift == (), drift
        return tuple(done)

    def twin(self, ground: Ground) -> Self:
        """The same on another kernel."""
        return replace(self, ground=ground, names=dict(self.names))

    # --- everybody else -----------------------------------------------------------------------------------------

    def start_pod(self, number: int, qos: QosClass = QosClass.GUARANTEED) -> CgroupPath:
        path = pod_path(number, qos)
        self.ground.make(path)
        return path

    def start_container(self, pod: CgroupPath, number: int, container: int, name: str | None) -> CgroupPath:
        """As a runtime does: the controllers enabled on the way, the cgroup made, a process put in."""
        for path in (*reversed(tuple(above(pod))), pod):
            self.ground.write(path, File.SUBTREE_CONTROL, "+cpuset")
        path = container_path(pod, number, container)
        self.ground.make(path)
        self.ground.spawn(path)
        if name is not None:
            self.names[container_id(number, container)] = name
        return path

    def end_processes(self, pod: CgroupPath) -> None:
        for path in self.paths(pod):
            self.ground.end(path)

    def end_pod(self, pod: CgroupPath) -> None:
        self.end_processes(pod)
        for path in reversed(self.paths(pod)):
            self.ground.remove(path)

    def lose_controller(self) -> None:
        """As systemd does when the last delegated scope has ended."""
        for path in reversed(self.paths()):
            self.ground.write(path, File.SUBTREE_CONTROL, "-cpuset")

    def is_partition(self, path: CgroupPath) -> bool:
        return self.ground.read(path, File.PARTITION) in {"root", "isolated"}

    def allowed(self) -> dict[CgroupPath, CpuSet]:
        """The CPUs of each process that a cpuset can hold, by its cgroup, as the scheduler has it."""
        return {path: cpus for path, cpus in self.ground.allowed().items() if path != ROOT or not self.shrinks}

    def effective(self) -> dict[CgroupPath, CpuSet]:
        """The same as the cpusets have it; nobody is without."""
        effective = {path: self._effective(path) for path in self.allowed()}
        assert all(cpus & self.ground.online for cpus in effective.values()), f"somebody has no CPU: {effective}"
        return effective

    def _effective(self, path: CgroupPath) -> CpuSet:
        texts = (self.ground.read(one, File.CPUS_EFFECTIVE) for one in (path, *above(path)))
        return CpuSet.parse(next(text for text in texts if text is not None))
