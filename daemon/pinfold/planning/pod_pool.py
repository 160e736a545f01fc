"""Regime D: the pod's pool is taken as a unit and divided among its containers.

Pure. Source: KEP-5526; the kubelet's ``staticPolicy.AllocatePod``.
"""

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
from pinfold.planning.vacancy import Held, NotPlaced, Placed, Vacant, not_enough, take_near, whole_cores
from pinfold.pods.model import Pod
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
    if len(keep) > count:
        kept = [resized(topology, cpus, slices[name], cpus) for name, cpus in held.slices.items() if name in slices]
        keep = resized(topology, keep, count, CpuSet(), spared=CpuSet.union(kept))
    free = vacant.candidates(want, count, keep)
    if hinted is None:
        hinted = hint(want, vacant, count, free, keep, want.memory, held.mems)
    if isinstance(hinted, NotPlaced):
        return hinted
    pool = refused or take_near(vacant, want.policy, free, count, hinted.hint.nodes, keep)
    if isinstance(pool, Refused):
        return NotPlaced(pool, hinted.weighed)
    containers = divide(pool, pod.containers, slices, held.slices, cutter(want, topology))
    if isinstance(containers, Refused):
        return NotPlaced(containers, hinted.weighed)
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
    return Placed(entry, hinted.weighed, missing)


def _own_blocks(want: Wanted, container: str, mems: NodeSet) -> tuple[Block, ...]:
    """Bookkeeping inside the pod's blocks."""
    amounts = want.container_memory.get(container, {}) if mems else {}
    return tuple(Block(mems, resource, size) for resource, size in amounts.items())


def cutter(want: Wanted, topology: Topology) -> Take[Refused]:
    """How a slice is taken out of what is free in the pool."""
    options, rules = want.policy.cpu_options, want.policy.rules
    full_cores = CpuOption.SLICE_FULL_CORES in options

    def cut(free: CpuSet, count: int, keep: CpuSet) -> CpuSet | Refused:
        free = whole_cores(topology, free) if full_cores else free
        keep &= free
        cpus = resized(topology, keep, count, free) if keep else take(topology, free, count, options, rules)
        if isinstance(cpus, Refused):
            return cpus
        if len(cpus) < count:
            return not_enough(count, len(free))
        if full_cores and whole_cores(topology, cpus) != cpus:
            return Refused(
                Word.SMT_ALIGNMENT,
                f"SMT Alignment Error: {count} CPUs of the pool are no whole cores",
                can_pass=False,
                remedy=f"slices of whole cores, or no {CpuOption.SLICE_FULL_CORES}",
            )
        return cpus

    return cut


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
