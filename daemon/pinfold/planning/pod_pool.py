"""Regime D: the pod's pool is taken as a unit and divided among its containers.

Pure. Source: KEP-5526; the kubelet's ``staticPolicy.AllocatePod``.
"""

from collections.abc import Mapping
from dataclasses import replace

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.hinting import Hinted, hint
from pinfold.planning.ledger import Block, Isolation, PodEntry
from pinfold.planning.nearest import resized
from pinfold.planning.policy import CpuOption
from pinfold.planning.pools import Take, divide
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.regime import Wanted
from pinfold.planning.take import take
from pinfold.planning.units import units
from pinfold.planning.vacancy import Held, NotPlaced, Placed, Vacant, take_near, whole_cores
from pinfold.pods.model import ContainerKind, Pod
from pinfold.topology.model import Topology


def place_pool(
    pod: Pod, want: Wanted, vacant: Vacant, held: Held, hinted: Hinted | NotPlaced | None = None
) -> Placed | NotPlaced:
    """Place *pod* around what it *held*; *hinted* is its hint, where that is known before."""
    missing = want.starved or want.starved_memory
    if missing is not None and not want.policy.rules.last_slice_shared:
        return NotPlaced(missing)
    slices = want.slices
    topology, count, keep = vacant.topology, want.pool_cpus, held.cpus
    refused = vacant.misaligned(want.policy, count) if len(keep) != count else None
    refused = refused or uneven(want, topology)
    if len(keep) > count:
        keep = resized(topology, keep, count, CpuSet(), spared=_lasting(pod, slices, held, topology))
    free = vacant.candidates(want, count, keep)
    if hinted is None:
        hinted = hint(want, vacant, count, free, keep, want.memory, held.mems)
    if isinstance(hinted, NotPlaced):
        return hinted
    pool = refused or take_near(vacant, want.policy, free, count, hinted.hint.nodes, keep)
    if isinstance(pool, Refused):
        return NotPlaced(pool, hinted.weighed)
    containers = divide(pool, pod.containers, slices, held.slices, cutter(want, topology))
    booking = vacant.booked(want.memory, hinted.hint, held.mems)
    if isinstance(booking, Refused):
        if held.mems or not pool or not vacant.does_without(want.memory, want.policy):
            return NotPlaced(booking, hinted.weighed)
        missing = want.starved or booking
    blocks = () if isinstance(booking, Refused) else booking.blocks
    mems = NodeSet.union(block.nodes for block in blocks)
    entry = PodEntry(
        pod.uid,
        pod.namespace,
        pod.name,
        pool,
        mems,
        tuple(replace(one, blocks=_own_blocks(want, one.name, mems)) for one in containers),
        blocks,
        want.asked,
        want.isolated is not None,
    )
    if refused := _unbalanced(want, entry) or vacant.too_few_left(pool):
        return NotPlaced(refused, hinted.weighed)
    return Placed(entry, hinted.weighed, missing or broken_cores(want, topology, entry))


def _lasting(pod: Pod, slices: Mapping[str, int], held: Held, topology: Topology) -> CpuSet:
    """What the slices that live as long as the pod keep of their CPUs."""
    return CpuSet.union(
        resized(topology, own, slices[one.name], own)
        for one in pod.containers
        if one.kind is not ContainerKind.INIT and one.name in slices and (own := held.slices.get(one.name))
    )


def _own_blocks(want: Wanted, container: str, mems: NodeSet) -> tuple[Block, ...]:
    """Bookkeeping inside the pod's blocks."""
    amounts = want.container_memory.get(container, {}) if mems else {}
    return tuple(Block(mems, resource, size) for resource, size in amounts.items())


def cutter(want: Wanted, topology: Topology) -> Take:
    """How a slice is taken out of what is free in the pool, which is enough: by whole cores, if that is asked for."""
    options, rules = want.policy.cpu_options, want.policy.rules

    def cut(free: CpuSet, count: int, keep: CpuSet) -> CpuSet:
        if CpuOption.SLICE_FULL_CORES in options and len(whole := whole_cores(topology, free)) >= count:
            free = whole
        if keep & free:
            return resized(topology, keep & free, count, free)
        cpus = take(topology, free, count, options, rules)
        return cpus if isinstance(cpus, CpuSet) else free

    return cut


def uneven(want: Wanted, topology: Topology) -> Refused | None:
    """Why slices of these sizes can never be whole cores, where that is asked for."""
    per_core = units(topology).cpus_per_core
    odd = {name: count for name, count in want.slices.items() if count % per_core}
    if not odd or CpuOption.SLICE_FULL_CORES not in want.policy.cpu_options:
        return None
    name, count = next(iter(odd.items()))
    return Refused(
        Word.SMT_ALIGNMENT,
        f"SMT Alignment Error: the slice of {name} has {count} cpus, not multiple cpus per core = {per_core}",
        can_pass=False,
        remedy=f"slices of whole cores, or no {CpuOption.SLICE_FULL_CORES}",
    )


def broken_cores(want: Wanted, topology: Topology, entry: PodEntry) -> Refused | None:
    """Which slices are not made of whole cores, though that is asked for."""
    if CpuOption.SLICE_FULL_CORES not in want.policy.cpu_options:
        return None
    broken = [f"{name} {cpus}" for name, cpus in entry.slices.items() if whole_cores(topology, cpus) != cpus]
    if not broken or not entry.cpus:
        return None
    return Refused(
        Word.SMT_ALIGNMENT,
        f"SMT Alignment Error: its pool {entry.cpus} has too few whole cores for the slices {', '.join(broken)}",
        can_pass=False,
        remedy="a pool that is taken anew when more whole cores are free",
    )


def _unbalanced(want: Wanted, entry: PodEntry) -> Refused | None:
    """An isolated partition balances no load: several CPUs that containers share would not be shared."""
    sharing = any(one.isolation is Isolation.POD for one in entry.containers)
    if want.isolated != "true" or not sharing or len(entry.shared) < 2:
        return None
    return Refused(
        Word.INVALID_ANNOTATION,
        f"pinfold.dev/isolated: its load is not balanced, and containers would share {len(entry.shared)} CPUs of it",
        can_pass=False,
        remedy='slices for all but one CPU, or pinfold.dev/isolated: "insist"',
    )
