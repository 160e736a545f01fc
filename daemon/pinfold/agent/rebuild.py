"""A ledger read off the kernel, where the checkpoint was lost: running pods keep what they have.

Pure. What the pods ask for is planned afresh, which tells the shape; the CPUs come from what their cgroups hold, where
these fit that shape, and so do the memory nodes: nobody's memory moves. What does not fit is left to the planner.
"""

from dataclasses import replace

from pinfold.cgroups.held import CpusetState
from pinfold.cgroups.layout import Node
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tree import PodCgroup
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import CPU


def rebuilt(afresh: Ledger, node: Node, allocatable: CpuSet) -> Ledger:
    """*afresh*: as if nobody owned anything yet; *allocatable*: the CPUs that pods may own."""
    ledger = Ledger()
    for uid, entry in afresh.entries.items():
        pod = node.tree.pods.get(uid)
        own = _entry(entry, pod, node) if pod else None
        if own and own.owned <= allocatable and own.owned.isdisjoint(ledger.owned):
            ledger = ledger.with_entry(own)
    return ledger


def _entry(entry: PodEntry, pod: PodCgroup, node: Node) -> PodEntry | None:
    """*entry* with the CPUs that the pod's cgroups hold; None where those are not of its sizes."""
    pool = _cpus(node.held.get(pod.path)) if entry.cpus else CpuSet()
    if len(pool) != len(entry.cpus):
        return None
    mems = _mems(pod.path, node)
    names = {node.names.get(one.id or ""): one.path for one in pod.containers}
    containers: list[ContainerEntry] = []
    taken = CpuSet()
    for one in entry.containers:
        if one.isolation is Isolation.CONTAINER:
            cpus = _cpus(node.held.get(names[one.name])) if one.name in names else CpuSet()
            if len(cpus) != len(one.cpus) or not cpus.isdisjoint(taken) or (pool and not cpus <= pool):
                continue  # an init container that has ended, or one not started yet: the planner cuts its slice anew
            taken |= cpus
            bound = one.mems == _mems(names[one.name], node)
            blocks = _moved(one.blocks, mems) if entry.blocks else one.blocks if bound else ()
            containers.append(replace(one, cpus=cpus, blocks=blocks))
    if not pool and not containers:
        return None
    own = replace(entry, cpus=pool, mems=mems, containers=tuple(containers), blocks=_moved(entry.blocks, mems))
    booked = {CPU, *(block.resource for block in own.booked)}  # of what is not bound nobody says that it should be
    return replace(own, asked={name: amount for name, amount in own.asked.items() if name in booked})


def _moved(blocks: tuple[Block, ...], mems: NodeSet) -> tuple[Block, ...]:
    return tuple(replace(block, nodes=mems) for block in blocks if mems)


def _mems(path: CgroupPath, node: Node) -> NodeSet:
    """What a cgroup's memory is bound to; empty: to nothing."""
    state = node.held.get(path, CpusetState())
    mems = state.mems or NodeSet()
    return mems if mems < node.topology.memory_nodes else NodeSet()


def _cpus(state: CpusetState | None) -> CpuSet:
    """What a cgroup owns: as a partition its exclusive CPUs, else those it is confined to."""
    if state is None:
        return CpuSet()
    return (state.exclusive if state.is_partition else None) or state.cpus or CpuSet()
