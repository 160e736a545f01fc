"""Whether what a pod owns still fits it.

Pure. A pool that stands is not judged again by the rules for new ones: settings of the node hold for new pools.
"""

from dataclasses import replace
from enum import StrEnum

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Isolation, PodEntry
from pinfold.planning.pod_pool import broken_cores
from pinfold.planning.pools import divide, left_to_share
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.regime import Wanted
from pinfold.pods.model import CPU, ContainerKind, Intent, Pod, QosClass
from pinfold.topology.model import Topology


class Standing(StrEnum):
    FITS = "fits"
    CHANGES = "changes"
    """It asks for other amounts now, or has lost CPUs."""
    ENDS = "ends"
    """It asks for nothing any more."""


def standing(pod: Pod, want: Wanted, entry: PodEntry, may_own: CpuSet) -> Standing:
    """How *entry* suits *pod*, which *may_own* these CPUs: usable ones that no other pod has."""
    if not entry.owned <= may_own:
        return Standing.CHANGES
    if pod.resize_pending or want.refused:
        return Standing.FITS
    if not want.anything:
        return Standing.FITS if _left_out_by_the_node(pod, want, entry) else Standing.ENDS
    lasting = [one.name for one in pod.containers if one.kind is not ContainerKind.EPHEMERAL]
    complete = [one.name for one in entry.containers] == lasting
    return Standing.FITS if complete and not _asks_otherwise(want, entry) else Standing.CHANGES


def _left_out_by_the_node(pod: Pod, want: Wanted, entry: PodEntry) -> bool:
    """Whether the pod asks for what it always did, and only the node no longer manages pods of its kind."""
    opted_out = isinstance(pod.intent, Intent) and pod.intent.managed == frozenset()
    return not want.asked_for and not opted_out and not entry.cpus and pod.qos is QosClass.GUARANTEED


def _asks_otherwise(want: Wanted, entry: PodEntry) -> bool:
    """What is not in the entry's amounts was not placed with it: memory of a pod that was found running."""
    if any(want.asked.get(name) != amount for name, amount in entry.asked.items()):
        return True
    if (CPU in want.asked) != (CPU in entry.asked):
        return True
    if bool(entry.cpus) != bool(want.pool_cpus):
        return False  # the node's scope or policy is another now: that holds for new pools
    sizes = {name: len(cpus) for name, cpus in entry.slices.items()}
    return (len(entry.cpus), sizes, entry.isolated) != (want.pool_cpus, want.slices, want.isolated is not None)


def surviving(pod: Pod, entry: PodEntry, may_own: CpuSet) -> PodEntry | None:
    """*entry* with nothing but the CPUs that it *may_own*; None where that is nothing.

    In a pool that shrank, slices keep what they have of it as long as something is left to share.
    """
    pool = entry.cpus & may_own
    left = {name: cpus & may_own for name, cpus in entry.slices.items() if cpus & may_own}
    if not entry.cpus:
        containers = tuple(
            replace(one, cpus=left[one.name])
            if one.name in left
            else replace(one, cpus=CpuSet(), isolation=Isolation.HOST)
            for one in entry.containers
        )
        return replace(entry, containers=containers) if left else None
    if not pool:
        return None
    slices = left_to_share(pod.containers, {name: len(cpus) for name, cpus in left.items()}, len(pool))
    divided = divide(pool, pod.containers, slices, left, _what_it_keeps)
    blocks = {one.name: one.blocks for one in entry.containers}
    containers = tuple(replace(one, blocks=blocks.get(one.name, ())) for one in divided)
    return replace(entry, cpus=pool, containers=containers)


def _what_it_keeps(_free: CpuSet, _count: int, keep: CpuSet) -> CpuSet:
    return keep


def missing_of(want: Wanted, topology: Topology, entry: PodEntry) -> Refused | None:
    """What *entry* lacks of what the pod wanted when it was placed."""
    starved = want.starved or (want.starved_memory if entry.booked else None)
    if starved and bool(entry.cpus) == bool(want.pool_cpus):
        return starved
    if want.memory:
        lacking = not entry.blocks
    else:
        lacking = any(one.name in want.container_memory and not one.blocks for one in entry.containers)
    if not lacking or entry.asked.keys() <= {CPU}:
        return broken_cores(want, topology, entry)
    return Refused(
        Word.UNEXPECTED_ADMISSION,
        "its memory is not bound to NUMA nodes: when it was placed, none had room for it",
        can_pass=True,
        remedy="start the pod again when memory is free",
    )
