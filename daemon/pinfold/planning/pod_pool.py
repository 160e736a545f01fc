"""Regime D: the pod's pool is taken as a unit and divided among its containers.

Pure. Source: KEP-5526; the kubelet's ``staticPolicy.AllocatePod``.
"""

from collections.abc import Mapping

from pinfold.cpuset import CpuSet
from pinfold.planning.hinting import hint
from pinfold.planning.ledger import Isolation, PodEntry
from pinfold.planning.nearest import resized
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.planning.pools import Take, divide, emptied_by, left_to_share
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.regime import Wanted
from pinfold.planning.take import take
from pinfold.planning.vacancy import NotPlaced, Placed, Vacant, not_enough, take_near, whole_cores
from pinfold.pods.model import Pod
from pinfold.topology.model import Topology


def place_pool(pod: Pod, want: Wanted, vacant: Vacant, keep: CpuSet, held: Mapping[str, CpuSet]) -> Placed | NotPlaced:
    """Place *pod* around the CPUs to *keep* of its pool; *held* are its slices."""
    slices, missing = pool_slices(pod, want)
    if missing is not None and not want.policy.rules.last_slice_shared:
        return NotPlaced(missing)
    topology, count = vacant.topology, want.pool_cpus
    refused = vacant.misaligned(want.policy, count) if len(keep) != count else None
    if len(keep) > count:
        kept = [resized(topology, cpus, slices[name], cpus) for name, cpus in held.items() if name in slices]
        keep = resized(topology, keep, count, CpuSet(), spared=CpuSet.union(kept))
    free = vacant.candidates(want, count) - keep
    hinted = hint(want, vacant, count, free, keep)
    if isinstance(hinted, NotPlaced):
        return hinted
    pool = refused or take_near(vacant, want.policy, free, count, hinted.nodes, keep)
    if isinstance(pool, Refused):
        return NotPlaced(pool, hinted.weighed)
    containers = divide(pool, pod.containers, slices, held, cutter(want, vacant.topology))
    if isinstance(containers, Refused):
        return NotPlaced(containers, hinted.weighed)
    entry = PodEntry(
        pod.uid,
        pod.namespace,
        pod.name,
        pool,
        containers=containers,
        asked=want.asked,
        isolated=want.isolated is not None,
    )
    if refused := _unbalanced(want, entry) or vacant.too_few_left(pool):
        return NotPlaced(refused, hinted.weighed)
    return Placed(entry, hinted.weighed, missing)


def pool_slices(pod: Pod, want: Wanted) -> tuple[Mapping[str, int], Refused | None]:
    """The slices that leave something to those who share, and what it says where that is not all of them."""
    starving = emptied_by(pod.containers, want.slices, want.pool_cpus)
    if starving is None:
        return want.slices, None
    kept = left_to_share(pod.containers, want.slices, want.pool_cpus)
    sharing = ", ".join(name for name in want.slices if name not in kept)
    kubelet_says_so = want.policy.topology_policy in {TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE}
    degrades = want.policy.rules.last_slice_shared
    return kept, Refused(
        Word.TOPOLOGY_AFFINITY if kubelet_says_so and not degrades else Word.EMPTY_POD_SHARED_POOL,
        f"its slices take all {want.pool_cpus} CPUs of the pool and leave none to the containers that share"
        + (f": {sharing} shares, too" if degrades else ""),
        can_pass=False,
        remedy=f"at least one CPU more in spec.resources, or one less for {sharing}",
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
