"""Pools held by the kernel: who owns CPUs is a remote cpuset partition.

Pure. The pod's cgroup is the partition and its containers are plain members; where a pod has slices but no pool, each
slice's container is one. A partition obeys ``cpuset.cpus.exclusive`` alone; every cgroup above holds a superset in
that file and stays a member. Nested partitions are not used: they may overlap (6.12, 7.3).
"""

from collections.abc import Iterable, Iterator, Mapping

from pinfold.cgroups.found import found_in
from pinfold.cgroups.layout import Kind, Node, Piece, Want, container_sets, slice_sets
from pinfold.cgroups.lost import MENDING
from pinfold.cgroups.paths import ROOT, CgroupPath, File, above, parent
from pinfold.cgroups.tree import PodCgroup
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import PodEntry


def partitions(
    node: Node, entries: Mapping[PodCgroup, PodEntry], shared: CpuSet, others: Mapping[CgroupPath, CpuSet]
) -> Iterator[Piece]:
    """What the pods *entries* need so that nobody else runs on their CPUs; all others run on *shared*.

    *others*: as `strangers` gives it.
    """
    owned: dict[CgroupPath, CpuSet] = {}
    for pod, entry in entries.items():
        why = f"pool of {entry.namespace}/{entry.name}"
        kind = Kind.ISOLATED if entry.isolated else Kind.ROOT
        if entry.cpus:
            own = {pod.path: entry.cpus}
            for path, cpus in container_sets(entry, pod, node.names).items():
                yield path, Want(why, entry.uid, cpus=cpus, owns=cpus)
        else:
            own = slice_sets(entry, pod, node.names, node.held)
            yield pod.path, Want(why, entry.uid, exclusive=CpuSet.union(own.values()))
        for path, cpus in own.items():
            # Of offline CPUs alone 6.12 makes a partition whose tasks have none.
            made = None if cpus.isdisjoint(node.topology.online) else kind
            yield path, Want(why, entry.uid, _own_text(node, path, cpus), cpus, made, owns=cpus)
        owned |= own
        yield from members(pod)
    unions = {path: cpus | others.get(path, CpuSet()) for path, cpus in _unions(node, owned).items()}
    yield from ((path, Want("pools below", exclusive=cpus)) for path, cpus in unions.items())
    yield from _trims(node, owned, unions, shared)


def _own_text(node: Node, path: CgroupPath, cpus: CpuSet) -> CpuSet | None:
    """``cpuset.cpus`` of a partition means nothing and is left alone; but not as Pinfold left it for another pool.

    It cannot be given back: no partition takes the empty set (EBUSY, 6.12).
    """
    return None if found_in(node.found, path, File.CPUS) is None else cpus


def members(pod: PodCgroup) -> Iterator[Piece]:
    """No partition in a pod but those that are asked for: one that somebody made would overlap when the pool moves."""
    for path in (pod.path, *(one.path for one in pod.containers)):
        yield path, Want("no partition of its own", pod.uid, exclusive=CpuSet(), partition=Kind.MEMBER)


def strangers(node: Node, entries: Iterable[PodCgroup]) -> dict[CgroupPath, CpuSet]:
    """For every cgroup above, the exclusive CPUs that somebody else gave (CRI-O to a pod): it must go on to hold them.

    *entries*: the pods that Pinfold gives some.
    """
    places = (*node.tree.outsiders, *[pod.path for pod in node.tree.pods.values()])
    ours = {pod.path for pod in entries}
    given = {
        path: state.exclusive
        for path in places
        if (state := node.held.get(path))
        and state.exclusive
        and path not in ours
        and found_in(node.found, path, File.EXCLUSIVE) is None
    }
    return _unions(node, given)


def held_by_others(node: Node) -> dict[CgroupPath, CpuSet]:
    """Cgroups to which somebody else gave CPUs alone, by partition or exclusive set: no pool can have those.

    A partition above the pods is none of them: the pods lie in it.
    """
    held: dict[CgroupPath, CpuSet] = {}
    for path in (*node.tree.outsiders, *[pod.path for pod in node.tree.pods.values()]):
        state = node.held.get(path)
        if state is None or not (state.is_partition or state.exclusive):
            continue
        cpus = CpuSet()
        if state.is_partition and node.is_theirs(path):
            cpus |= state.cpus_effective or cpus
        if found_in(node.found, path, File.EXCLUSIVE) is None:
            cpus |= state.exclusive or cpus
        if cpus and path != MENDING:
            held[path] = cpus
    return held


def _unions(node: Node, owned: Mapping[CgroupPath, CpuSet]) -> dict[CgroupPath, CpuSet]:
    """For every cgroup above an owner, but the root, the CPUs owned below it.

    A partition that somebody made there before gives its own CPUs, and would become smaller by that set.
    """
    unions: dict[CgroupPath, CpuSet] = {}
    for path, cpus in owned.items():
        for outer in above(path):
            was_theirs = node.is_theirs(outer) and found_in(node.found, outer, File.EXCLUSIVE) is None
            if outer != ROOT and not was_theirs:
                unions[outer] = unions.get(outer, CpuSet()) | cpus
    return unions


def _trims(
    node: Node, owned: Mapping[CgroupPath, CpuSet], unions: Mapping[CgroupPath, CpuSet], shared: CpuSet
) -> Iterator[Piece]:
    """Sets that somebody gave a cgroup beside an owner or beside a union, without the CPUs of that.

    On 6.12 an overlap beside an owner breaks the partition, or keeps it from being made; and a union that holds all of
    a set beside it is refused (EINVAL, 6.12 and 7.3): that cannot be where the set is all CPUs. Where nothing is left
    the cgroup gets its own CPUs, or *shared*. What lies in a union as it is now may have to step aside till that moved.
    """
    owners, exclusive = _by_parent(owned), _by_parent({**unions, **owned})
    for path, state in node.held.items():
        neighbours = exclusive.get(parent(path))
        if neighbours is None or not (state.cpus or path in node.found) or not (cpus := node.given(path)):
            continue
        if node.topology.online <= cpus:
            neighbours = owners.get(parent(path), {})
        beside = CpuSet.union(one for other, one in neighbours.items() if other != path)
        now = [node.held[other].exclusive for other in neighbours if other != path and other in node.held]
        is_met = not cpus.isdisjoint(beside) or any(one and cpus <= one for one in now)
        if is_met and (path in owned or not node.is_theirs(path)):
            yield path, Want("beside a pool", cpus=cpus - beside or owned.get(path, shared))


def _by_parent(sets: Mapping[CgroupPath, CpuSet]) -> dict[CgroupPath, dict[CgroupPath, CpuSet]]:
    grouped: dict[CgroupPath, dict[CgroupPath, CpuSet]] = {}
    for path, cpus in sets.items():
        grouped.setdefault(parent(path), {})[path] = cpus
    return grouped
