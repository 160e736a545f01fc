"""Whether what a pod owns still fits it.

Pure. A pool that stands is not judged again by the rules for new ones: settings of the node hold for new pools.
"""

from dataclasses import replace
from enum import StrEnum

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Isolation, PodEntry
from pinfold.planning.pod_pool import pool_slices
from pinfold.planning.reasons import Refused, Regime, Word
from pinfold.planning.regime import Wanted
from pinfold.pods.model import CPU, ContainerKind, Intent, Pod, QosClass


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
    return Standing.FITS if complete and not _asks_otherwise(pod, want, entry) else Standing.CHANGES


def _left_out_by_the_node(pod: Pod, want: Wanted, entry: PodEntry) -> bool:
    """Whether the pod asks for what it always did, and only the node no longer manages pods of its kind."""
    opted_out = isinstance(pod.intent, Intent) and pod.intent.managed == frozenset()
    return not want.asked_for and not opted_out and not entry.cpus and pod.qos is QosClass.GUARANTEED


def _asks_otherwise(pod: Pod, want: Wanted, entry: PodEntry) -> bool:
    """What is not in the entry's amounts was not placed with it: memory of a pod that was found running."""
    if any(want.asked.get(name) != amount for name, amount in entry.asked.items()):
        return True
    if (CPU in want.asked) != (CPU in entry.asked):
        return True
    if bool(entry.cpus) != bool(want.pool_cpus):
        return False  # the node's scope or policy is another now: that holds for new pools
    slices = pool_slices(pod, want)[0] if want.pool_cpus else want.slices
    sizes = {name: len(cpus) for name, cpus in entry.slices.items()}
    return (len(entry.cpus), sizes, entry.isolated) != (want.pool_cpus, slices, want.isolated is not None)


def surviving(entry: PodEntry, may_own: CpuSet) -> PodEntry | None:
    """*entry* with nothing but the CPUs that it *may_own*; None where that is nothing.

    Whose slice is gone shares what is left of the pool.
    """
    pool = entry.cpus & may_own
    if entry.cpus and not pool:
        return None
    containers = tuple(replace(one, cpus=one.cpus & may_own) for one in entry.containers)
    left = replace(entry, cpus=pool, containers=tuple(one for one in containers if one.cpus))
    homeless = Isolation.POD if pool else Isolation.HOST
    rest = left.shared or pool
    containers = tuple(one if one.cpus else replace(one, isolation=homeless, cpus=rest) for one in containers)
    return replace(left, containers=containers) if left.owned else None


def missing_of(pod: Pod, want: Wanted, entry: PodEntry) -> Refused | None:
    """What *entry* lacks of what the pod wanted when it was placed."""
    bound = want if entry.booked else want.without_memory({})
    same_form = want.regime is Regime.POD_POOL and bool(entry.cpus) == bool(want.pool_cpus)
    if same_form and (refused := pool_slices(pod, bound)[1]):
        return refused
    if want.memory:
        lacking = not entry.blocks
    else:
        lacking = any(one.name in want.container_memory and not one.blocks for one in entry.containers)
    if not lacking or entry.asked.keys() <= {CPU}:
        return None
    return Refused(
        Word.UNEXPECTED_ADMISSION,
        "its memory is not bound to NUMA nodes: when it was placed, none had room for it",
        can_pass=True,
        remedy="start the pod again when memory is free",
    )
