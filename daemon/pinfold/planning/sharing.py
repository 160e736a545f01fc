"""Whether a pool leaves something to the containers that share it, and what its author should know about that.

Pure. None may be left empty: an empty cpuset means all CPUs. Source: the kubelet's ``validatePodScopeResources``.
"""

from collections.abc import Iterator
from dataclasses import replace

from pinfold.planning.policy import TopologyPolicy
from pinfold.planning.pools import emptied_by, left_to_share
from pinfold.planning.reasons import Refused, Regime, Word
from pinfold.planning.regime import Wanted
from pinfold.pods.model import MEMORY, ContainerKind, Pod


def shared_out(pod: Pod, want: Wanted) -> Wanted:
    """*want* with slices that leave something to those who share, and what it says where that is not all of them.

    Memory is checked like CPUs, with what guaranteed-equivalent containers have for themselves; huge pages only by the
    kubelet's rules. Nobody's memory is taken away for that: it is a budget inside the pod's.
    """
    if want.regime is not Regime.POD_POOL or want.refused:
        return want
    emptied = _emptied_memory(pod, want)
    counted = [
        one for one in emptied if one == MEMORY or not want.policy.rules.empty_shared_pool_by_cpu_and_memory_only
    ]
    told = (*_nobody_shares(pod, want), *_hugepages([one for one in emptied if one not in counted]))
    starved_memory = None
    if counted:
        remedy = f"more {counted[0]} for the pod, or less for a container that has its own"
        starved_memory = _nothing_left(want, f"all {counted[0]}", remedy)
    if emptied_by(pod.containers, want.slices, want.pool_cpus) is None:
        return replace(want, starved_memory=starved_memory, traps=told) if starved_memory or told else want
    kept = left_to_share(pod.containers, want.slices, want.pool_cpus)
    remedy = f"one CPU more in its pool, or one less for {', '.join(name for name in want.slices if name not in kept)}"
    starved = _nothing_left(want, f"all {want.pool_cpus} CPUs", remedy)
    return replace(want, slices=kept, starved=starved, starved_memory=starved_memory, traps=told)


def _emptied_memory(pod: Pod, want: Wanted) -> tuple[str, ...]:
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


def _nobody_shares(pod: Pod, want: Wanted) -> Iterator[str]:
    """Whole CPUs that a LimitRange or a webhook gives to a bare sidecar make it the owner of a slice, too."""
    lasting = [one for one in pod.containers if one.kind in {ContainerKind.SIDECAR, ContainerKind.APP}]
    if not want.pool_cpus or not lasting or any(one.name not in want.slices for one in lasting):
        return
    if len(lasting) > 1:
        yield (
            "every container owns CPUs alone: one that a LimitRange or a webhook gave whole CPUs does so, too,"
            " and needs a CPU request of its own to share"
        )
    if idle := want.pool_cpus - sum(want.slices[one.name] for one in lasting):
        yield f"{idle} CPUs of the pool are left over for nobody"


def _hugepages(emptied: list[str]) -> tuple[str, ...]:
    if not emptied:
        return ()
    all_of_it = f"its guaranteed containers take all {', '.join(emptied)} and leave none to the others"
    return (f"the kubelet would refuse it ({Word.EMPTY_POD_SHARED_POOL.value}): {all_of_it}",)
