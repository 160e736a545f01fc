"""Pools held where there are no remote partitions: everybody else's cpusets are narrowed to the node shared pool.

Pure. The kubepods root and the cgroups on the way to it are never written: the kubelet and systemd rewrite them.
So the cgroups beside the way, the QoS slices and the pods are narrowed; user tasks in the root cgroup by `tasks`.
"""

from collections.abc import Container, Iterator, Mapping

from pinfold.cgroups.held import CpusetState
from pinfold.cgroups.layout import Node, Piece, Want, container_sets, slice_sets
from pinfold.cgroups.paths import CgroupPath, parent
from pinfold.cgroups.tree import PodCgroup
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import PodEntry


def shrinking(
    node: Node, entries: Mapping[PodCgroup, PodEntry], shared: CpuSet, partitioned: Container[CgroupPath]
) -> Iterator[Piece]:
    """What the pods *entries* need so that nobody else runs on their CPUs; all others run on *shared*.

    But for the pods that are *partitioned* themselves: the kernel holds those.
    """
    yield from pods_narrowed(node, entries, shared, partitioned)
    for path in node.tree.outsiders:
        if not node.is_theirs(path):
            yield path, _kept_off(_narrowed(node, path, shared))


def pods_narrowed(
    node: Node, entries: Mapping[PodCgroup, PodEntry], shared: CpuSet, partitioned: Container[CgroupPath]
) -> Iterator[Piece]:
    """The part of it that lies in the kubepods root; pods that own nothing stay off `Node.reserved`, too."""
    shared = (shared - node.reserved) or shared
    rooms = {path: _narrowed(node, path, shared) for path in node.tree.qos_slices.values()}
    rooms[node.tree.kubepods] = shared
    pools: dict[CgroupPath, CpuSet] = {}
    for pod, entry in entries.items():
        why = f"pool of {entry.namespace}/{entry.name}"
        if entry.cpus:
            pools[pod.path] = entry.cpus
            owners = {pod.path: entry.cpus, **container_sets(entry, pod, node.names)}
        else:
            owners = slice_sets(entry, pod, node.names, node.held)
            rest = _narrowed(node, pod.path, rooms[parent(pod.path)])
            pools[pod.path] = rest | entry.owned  # whoever is to own a slice finds it when he comes
            yield pod.path, _kept_off(pools[pod.path])
            yield from ((one.path, _kept_off(rest)) for one in pod.containers if one.path not in owners)
        for path, cpus in owners.items():
            yield path, Want(why, entry.uid, cpus=cpus, owns=cpus)
    for path in node.tree.qos_slices.values():
        below = CpuSet.union(cpus for pod, cpus in pools.items() if parent(pod) == path)
        yield path, _kept_off(rooms[path] | below)
    mixed = {node.tree.kubepods, *map(parent, pools)}
    for path in (pod.path for pod in node.tree.pods.values()):
        is_valid = node.held.get(path, CpusetState()).is_partition  # else it is confined to its set like a member
        if parent(path) in mixed and path not in partitioned and not (is_valid and node.is_theirs(path)):
            yield path, _kept_off(_narrowed(node, path, rooms[parent(path)]))


def _kept_off(cpus: CpuSet) -> Want:
    return Want("kept off the pools", cpus=cpus, within=cpus)


def _narrowed(node: Node, path: CgroupPath, shared: CpuSet) -> CpuSet:
    """What others gave the cgroup, as far as it lies in *shared*; all of *shared* where that is nothing."""
    return (node.given(path) & shared) or shared
