"""The layout of a node: what each cgroup should hold so that the ledger is true. Pure."""

from collections.abc import Iterator, Mapping

from pinfold.cgroups.held import CpusetState
from pinfold.cgroups.layout import Enforcement, Layout, Node, Piece, controllers, memory, merged, quotas, returns
from pinfold.cgroups.memory_protection import protected
from pinfold.cgroups.partitions import members, partitions, strangers
from pinfold.cgroups.shrinking import pods_narrowed, shrinking
from pinfold.cgroups.tree import PodCgroup
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger, PodEntry


def wanted(node: Node, ledger: Ledger, node_shared: CpuSet) -> Layout:
    """What the cgroups of *node* should hold so that *ledger* is true; an empty ledger gives everything back.

    *node_shared*: online CPUs that no pod owns. CPUs that the kernel was booted to isolate are in no shared pool.
    """
    shared = (node_shared - node.topology.isolated) or node_shared
    placed = {node.tree.pods[uid]: entry for uid, entry in ledger.entries.items() if uid in node.tree.pods}
    by_kernel = {pod: entry for pod, entry in placed.items() if entry.owned and _is_partition(node, pod)}
    by_others = {pod: entry for pod, entry in placed.items() if entry.owned and pod not in by_kernel}
    others = strangers(node, by_kernel)
    # Pods may own CPUs before their cgroups are there: without partitions only narrow cpusets keep these free.
    shrunk = bool(by_others) or (node.enforcement is Enforcement.SHRINK and bool(ledger.owned))

    def pieces() -> Iterator[Piece]:
        """The earlier piece holds: what pods need comes before what is given back."""
        pooled = {pod.path for pod, entry in by_kernel.items() if entry.cpus}
        if shrunk:
            yield from shrinking(node, by_others, shared, pooled)
        elif node.reserved and ledger.entries:
            yield from pods_narrowed(node, _held_by_sets(node, by_kernel), shared, pooled)
        yield from partitions(node, by_kernel, shared, others)
        for pod in by_others if node.enforcement is Enforcement.PARTITION else ():
            yield from members(pod)
        for pod, entry in placed.items():
            yield from memory(entry, pod, node.names)
            yield from quotas(entry, pod, node.names, node.held)
        yield from protected(node, ledger.protections)
        yield from controllers(node, placed)
        yield from returns(node, others)

    room = (shared - node.reserved) or shared
    return Layout(merged(pieces()), shared, shrunk, room if shrunk else CpuSet())


def _held_by_sets(node: Node, entries: Mapping[PodCgroup, PodEntry]) -> dict[PodCgroup, PodEntry]:
    """Pods that run on their pool by ``cpuset.cpus`` still: their QoS slice keeps it until their partition stands."""
    states = {pod: node.held.get(pod.path, CpusetState()) for pod in entries}
    return {
        pod: entry
        for pod, entry in entries.items()
        if not states[pod].is_partition and not entry.cpus.isdisjoint(states[pod].cpus or CpuSet())
    }


def _is_partition(node: Node, pod: PodCgroup) -> bool:
    return node.enforcement is Enforcement.PARTITION and pod.uid not in node.refused
