"""What the cgroups should hold, as a value.

Pure. Which cgroup gets which CPUs is decided by `partitions` and `shrinking`; here stands what both have in common,
and what Pinfold once wrote and wants no longer is given back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from pinfold.cgroups.found import Found, found_in, given_back
from pinfold.cgroups.held import MEMBER, CpusetState, Held
from pinfold.cgroups.paths import ROOT, CgroupPath, File, parent
from pinfold.cgroups.tree import PodCgroup, Tree
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Isolation, PodEntry
from pinfold.pods.model import PodUid
from pinfold.topology.model import Topology

MOVE_BYTES = 32 << 20
"""How much memory a change of a populated cgroup's nodes may migrate: about a tenth of a second."""
_RETURNED = "given back as found"


class Enforcement(StrEnum):
    """How others are kept off the CPUs that a pod owns."""

    PARTITION = "partition"
    """By the kernel: who owns CPUs is a remote cpuset partition."""
    SHRINK = "shrink"
    """By narrowing everybody else's cpusets; ``cpuset.cpus.exclusive`` is never written."""


class Kind(StrEnum):
    """The words that ``cpuset.cpus.partition`` takes."""

    MEMBER = "member"
    ROOT = "root"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True)
class Want:
    """What one cgroup should hold; None: that file is not ours."""

    why: str
    """For whom, a few words."""
    pod: PodUid | None = None
    """None: it serves several pods."""
    cpus: CpuSet | None = None
    """The empty set where the cgroup takes one: it is given back, and inherits."""
    exclusive: CpuSet | None = None
    partition: Kind | None = None
    mems: NodeSet | None = None
    gives_cpuset: bool | None = None
    cpu_max: str | None = None
    memory_low: str | None = None
    memory_min: str | None = None
    owns: CpuSet | None = None
    """What its ``cpuset.cpus.effective`` is then."""
    within: CpuSet | None = None
    """What that is then no more than: it is kept off the rest."""

    def texts(self) -> dict[File, str]:
        """What is to stand in its files, as `held.CpusetState.text` gives it; a controller given back may stay on."""
        values: dict[File, object] = {
            File.CPUS: self.cpus,
            File.EXCLUSIVE: self.exclusive,
            File.PARTITION: self.partition,
            File.MEMS: self.mems,
            File.CPU_MAX: self.cpu_max,
            File.MEMORY_LOW: self.memory_low,
            File.MEMORY_MIN: self.memory_min,
            File.SUBTREE_CONTROL: "+cpuset" if self.gives_cpuset else None,
        }
        return {file: str(value) for file, value in values.items() if value is not None}

    def stands(self, state: CpusetState) -> bool:
        """Whether each file holds that, without making texts: almost all do at any time."""
        return (
            (self.cpus is None or self.cpus == state.cpus)
            and (self.exclusive is None or self.exclusive == state.exclusive)
            and (self.partition is None or self.partition == state.partition)
            and (self.mems is None or self.mems == state.mems)
            and (self.gives_cpuset is None or self.gives_cpuset is state.gives_cpuset)
            and (self.cpu_max is None or self.cpu_max == state.cpu_max)
            and (self.memory_low is None or self.memory_low == state.memory_low)
            and (self.memory_min is None or self.memory_min == state.memory_min)
        )


_PARTS = tuple(one.name for one in fields(Want))

Piece = tuple[CgroupPath, Want]
"""A part of a layout; several may speak of one cgroup, each of other files."""


@dataclass(frozen=True, slots=True)
class Layout:
    wants: Mapping[CgroupPath, Want] = field(default_factory=dict)
    shared: CpuSet = CpuSet()
    """The node shared pool: where everybody runs who owns nothing."""
    shrunk: bool = False
    """Everybody else is narrowed to it: user tasks in the root cgroup, too, which no cpuset reaches."""
    room: CpuSet = CpuSet()
    """Where pods are narrowed to who own nothing; empty where the kernel keeps them off the pools."""


@dataclass(frozen=True, slots=True)
class Node:
    """Everything that a layout depends on, besides who owns what."""

    tree: Tree
    held: Held
    """At least the cgroups of `watch.read`."""
    found: Found
    topology: Topology
    enforcement: Enforcement
    names: Mapping[str, str] = field(default_factory=dict)
    """Runtime's id → container name, of those whose name is one in their pod's spec."""
    reserved: CpuSet = CpuSet()
    """CPUs that no pod may run on, not even in the node shared pool (strict-cpu-reservation)."""
    refused: frozenset[PodUid] = frozenset()
    """Pods that the kernel would not make a partition for: their pools are held by shrinking everybody else."""

    def is_theirs(self, path: CgroupPath) -> bool:
        """Whether it is a partition that somebody else made: its CPUs are his."""
        state = self.held.get(path, CpusetState())
        return state.partition not in {None, MEMBER} and found_in(self.found, path, File.PARTITION) is None

    def given(self, path: CgroupPath) -> CpuSet:
        """``cpuset.cpus`` as others gave it to the cgroup, or as it is given back; empty where nobody did."""
        state = self.held.get(path, CpusetState())
        found = found_in(self.found, path, File.CPUS)
        if found is None:
            return state.cpus or CpuSet()
        return CpuSet.parse(given_back(found, File.CPUS, state, self.topology))


def may_move(want: Want, state: CpusetState, move_bytes: int) -> bool:
    """Whether its memory nodes may be changed now: nothing is there to migrate, or little, or nodes only come in.

    The kernel migrates inside the write, seconds for a GiB, and nobody can stop it.
    """
    now = state.mems_effective
    if not state.populated or (want.mems and now is not None and now <= want.mems):
        return True
    return state.memory_bytes is not None and state.memory_bytes <= move_bytes


def merged(pieces: Iterable[Piece]) -> dict[CgroupPath, Want]:
    """One want for each cgroup; of two pieces that speak of one file the earlier holds."""
    wants: dict[CgroupPath, dict[str, Any]] = {}
    for path, piece in pieces:
        want = wants.setdefault(path, {})
        for name in _PARTS:
            if name not in want and (value := getattr(piece, name)) is not None:
                want[name] = value
    return {path: Want(**want) for path, want in wants.items()}


def container_sets(entry: PodEntry, pod: PodCgroup, names: Mapping[str, str]) -> dict[CgroupPath, CpuSet]:
    """Which CPUs of its pool each cgroup in a pod may use.

    A slice is its owner's alone from the moment its cgroup is there. Whoever is no container of the spec (the pause
    container, ephemeral ones, unknown ones) runs in the pod shared pool; and where nothing is left, in the whole pool.
    """
    entries = {one.name: one for one in entry.containers}
    owners = {one.path: entries.get(names.get(one.id or "", "")) for one in pod.containers}
    slices = CpuSet.union(one.cpus for one in owners.values() if one and one.isolation is Isolation.CONTAINER)

    def cpus(path: CgroupPath) -> CpuSet:
        owner = owners[path]
        if owner and owner.isolation is Isolation.CONTAINER:
            return owner.cpus
        shared = owner.cpus if owner and owner.isolation is Isolation.POD else entry.shared
        return (shared - slices) or (entry.shared - slices) or entry.cpus

    return {path: cpus(path) for path in owners}


def slice_sets(entry: PodEntry, pod: PodCgroup, names: Mapping[str, str], held: Held) -> dict[CgroupPath, CpuSet]:
    """The slices of a pod without a pool, by the cgroups that are there.

    Containers that follow one another may be given the same CPUs: then they are whose processes live, and else the
    later one's in the spec.
    """
    order = {one.name: place for place, one in enumerate(entry.containers)}
    slices = entry.slices
    owners = {one.path: name for one in pod.containers if (name := names.get(one.id or "", "")) in slices}
    first = sorted(
        owners, key=lambda path: (path in held and held[path].populated, order[owners[path]], path), reverse=True
    )
    sets: dict[CgroupPath, CpuSet] = {}
    for path in first:
        cpus = slices[owners[path]]
        if all(cpus.isdisjoint(taken) for taken in sets.values()):
            sets[path] = cpus
    return sets


def memory(entry: PodEntry, pod: PodCgroup, names: Mapping[str, str]) -> Iterator[Piece]:
    """The memory nodes of a pod whose memory is booked as a unit, else of each container that has memory booked."""
    bound = {pod.path: entry.mems} if entry.cpus or entry.blocks else {}
    nodes = {one.name: one.mems for one in entry.containers}
    bound |= {one.path: nodes.get(names.get(one.id or "", ""), NodeSet()) for one in pod.containers if not bound}
    for path, mems in bound.items():
        if mems:
            yield path, Want(f"memory of {entry.namespace}/{entry.name}", entry.uid, mems=mems)


def quotas(entry: PodEntry, pod: PodCgroup, names: Mapping[str, str], held: Held) -> Iterator[Piece]:
    """No CFS quota on a container with a slice of its own, nor on a pod that has one.

    A quota as large as the slice throttles at ticks. Source: kubelet, DisableCPUQuotaWithExclusiveCPUs.
    """
    sliced = [one.path for one in pod.containers if names.get(one.id or "", "") in entry.slices]
    for path in (pod.path, *sliced) if entry.slices else ():
        state = held.get(path)
        if state and state.cpu_max:
            period = state.cpu_max.split()[-1]
            yield path, Want(f"slices of {entry.namespace}/{entry.name}", entry.uid, cpu_max=f"max {period}")


def controllers(node: Node, managed: Iterable[PodCgroup]) -> Iterator[Piece]:
    """The cpuset controller, enabled in every cgroup from the root down to each managed pod.

    A cgroup with processes of its own is left alone: enabling succeeds there, but nobody can enter its children.
    """
    paths = dict.fromkeys(path for pod in managed for path in (*node.tree.way, parent(pod.path), pod.path))
    for path in paths:
        state = node.held.get(path)
        if state and (path == ROOT or not state.has_tasks):
            yield path, Want("managed pods below", gives_cpuset=True)


def returns(node: Node, strangers: Mapping[CgroupPath, CpuSet]) -> Iterator[Piece]:
    """Everything that Pinfold ever wrote to, as it was found.

    An exclusive set counts as found only as far as *strangers* below need it: any other would keep CPUs from pools.
    """
    for path, records in node.found.items():
        if state := node.held.get(path):
            for file, record in records.items():
                text = given_back(record.found, file, state, node.topology)
                want = _returned(node, path, file, text)
                if want.exclusive:
                    want = replace(want, exclusive=want.exclusive & strangers.get(path, CpuSet()))
                yield path, want


def _returned(node: Node, path: CgroupPath, file: File, text: str) -> Want:
    pod = node.tree.owners.get(path)
    match file:
        case File.CPUS:
            return Want(_RETURNED, pod, cpus=CpuSet.parse(text))
        case File.EXCLUSIVE:
            return Want(_RETURNED, pod, exclusive=CpuSet.parse(text))
        case File.PARTITION:
            return Want(_RETURNED, pod, partition=Kind.MEMBER)
        case File.MEMS:
            return Want(_RETURNED, pod, mems=NodeSet.parse(text))
        case File.CPU_MAX:
            return Want(_RETURNED, pod, cpu_max=text)
        case File.MEMORY_LOW:
            return Want(_RETURNED, pod, memory_low=text)
        case File.MEMORY_MIN:
            return Want(_RETURNED, pod, memory_min=text)
        case File.SUBTREE_CONTROL if text == "-cpuset" and _may_lose_cpuset(node, path):
            return Want(_RETURNED, pod, gives_cpuset=False)
        case _:
            return Want(_RETURNED, pod)


def _may_lose_cpuset(node: Node, path: CgroupPath) -> bool:
    """Whether nobody below needs the controller that Pinfold enabled in *path*."""
    below = [state for one, state in node.held.items() if one and parent(one) == path]
    return not any(map(_uses_cpuset, below)) and not (path and node.held[path].populated)


def _uses_cpuset(state: CpusetState) -> bool:
    return state.gives_cpuset or bool(state.cpus) or bool(state.mems)
