"""Regime D: the pod's pool is taken as a unit and divided among its containers.

Pure. Source: KEP-5526; the kubelet's ``staticPolicy.AllocatePod``.
"""

from collections.abc import Mapping
from dataclasses import replace

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.hinting import Hinted, hint
from pinfold.planning.ledger import Block, Isolation, PodEntry
from pinfold.planning.nearest import resized
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.planning.pools import Take, divide, emptied_by, left_to_share
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.regime import Wanted
from pinfold.planning.take import take
from pinfold.planning.vacancy import Held, NotPlaced, Placed, Vacant, not_enough, take_near, whole_cores
from pinfold.pods.model import MEMORY, ContainerKind, Pod
from pinfold.topology.model import Topology


def place_pool(
    pod: Pod, want: Wanted, vacant: Vacant, held: Held, hinted: Hinted | NotPlaced | None = None
) -> Placed | NotPlaced:
    """Place *pod* around what it *held*; *hinted* is its hint, where that is known before."""
    slices, missing = pool_slices(pod, want)
    if missing is not None and not want.policy.rules.last_slice_shared:
        return NotPlaced(missing)
    topology, count, keep = vacant.topology, want.pool_cpus, held.cpus
    refused = vacant.misaligned(want.policy, count) if len(keep) != count else None
    if len(keep) > count:
        kept = [resized(topology, cpus, slices[name], cpus) for name, cpus in held.slices.items() if name in slices]
        keep = resized(topology, keep, count, CpuSet(), spared=CpuSet.union(kept))
    free = vacant.candidates(want, count) - keep
    if hinted is None:
        hinted = hint(want, vacant, count, free, keep, vacant.said_of_memory(want.memory, held.mems))
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
        missing = pool_slices(pod, want.without_memory({}))[1] or booking
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


def pool_slices(pod: Pod, want: Wanted) -> tuple[Mapping[str, int], Refused | None]:
    """The slices that leave something to those who share, and what it says where that is not all of them.

    Memory is checked like CPUs, with what guaranteed-equivalent containers have for themselves; huge pages only by the
    kubelet's rules. Nobody's memory is taken away for that: it is a budget inside the pod's.
    """
    slices = want.slices
    if emptied_by(pod.containers, slices, want.pool_cpus) is not None:
        kept = left_to_share(pod.containers, slices, want.pool_cpus)
        sharing = ", ".join(name for name in slices if name not in kept)
        return kept, _nothing_left(
            want, f"all {want.pool_cpus} CPUs", f"one CPU more in its pool, or less for {sharing}"
        )
    for resource in emptied_memory(pod, want):
        if resource == MEMORY or not want.policy.rules.empty_shared_pool_by_cpu_and_memory_only:
            return slices, _nothing_left(
                want, f"all its {resource}", f"more {resource} in its pool, or less in a slice"
            )
    return slices, None


def emptied_memory(pod: Pod, want: Wanted) -> tuple[str, ...]:
    """The resources, memory or sizes of huge pages, that slices take wholly though containers share them."""
    return tuple(
        resource
        for resource, size in want.memory.items()
        if emptied_by(
            pod.containers,
            {name: amounts.get(resource, 0) for name, amounts in want.container_memory.items()},
            size,
        )
        is not None
    )


def traps(pod: Pod, want: Wanted) -> tuple[str, ...]:
    """What is surprising about the pool that *pod* asks for, though it can be had."""
    found = []
    hugepages = [resource for resource in emptied_memory(pod, want) if resource != MEMORY]
    if hugepages and want.policy.rules.empty_shared_pool_by_cpu_and_memory_only:
        found.append(
            f"the kubelet would refuse it ({Word.EMPTY_POD_SHARED_POOL.value}): its guaranteed containers take all"
            f" {', '.join(hugepages)} and leave none to the others"
        )
    lasting = [one for one in pod.containers if one.kind in {ContainerKind.SIDECAR, ContainerKind.APP}]
    idle = want.pool_cpus - sum(want.slices.get(one.name, 0) for one in lasting)
    if want.pool_cpus and lasting and idle > 0 and all(one.name in want.slices for one in lasting):
        found.append(f"every container has a slice, and {idle} CPUs of the pool are left over for nobody")
    return tuple(found)


def _nothing_left(want: Wanted, what: str, remedy: str) -> Refused:
    """Under a strict policy the kubelet finds this while it asks for hints: no hint is possible then."""
    strict = want.policy.topology_policy in {TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE}
    degrades = want.policy.rules.last_slice_shared
    return Refused(
        Word.TOPOLOGY_AFFINITY if strict and not degrades else Word.EMPTY_POD_SHARED_POOL,
        f"its slices take {what} of the pool and leave nothing to the containers that share",
        can_pass=False,
        remedy=remedy,
    )


def cutter(want: Wanted, topology: Topology) -> Take:
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
