"""Regimes B and C: one container after the other gets its slice of the node; there is no pool.

Pure. Source: the kubelet's ``staticPolicy.Allocate``, called in spec order; KEP-693 (scopes).
"""

from collections.abc import Mapping
from dataclasses import replace

from pinfold.cpuset import CpuSet
from pinfold.planning.hinting import Hinted, hint
from pinfold.planning.ledger import ContainerEntry, Isolation, PodEntry
from pinfold.planning.nearest import resized
from pinfold.planning.policy import TopologyScope
from pinfold.planning.reasons import HintWeighed, Refused, Regime
from pinfold.planning.regime import Wanted
from pinfold.planning.reuse import reusable_after
from pinfold.planning.vacancy import NotPlaced, Placed, Vacant, take_near
from pinfold.pods.model import ContainerKind, Pod
from pinfold.pods.needs import together


def place_containers(pod: Pod, want: Wanted, vacant: Vacant, held: Mapping[str, CpuSet]) -> Placed | NotPlaced:
    """Place the containers of *pod*, each around what it *held*."""
    lasting = [one for one in pod.containers if one.kind is not ContainerKind.EPHEMERAL]
    kept = {name: _trimmed(vacant, cpus, want.slices[name]) for name, cpus in held.items() if name in want.slices}
    free = vacant.candidates(want, want.cpus) - CpuSet.union(kept.values())
    for_all: Hinted | NotPlaced | None = None
    if want.regime is Regime.CONTAINER and want.policy.scope is TopologyScope.POD:
        need = together((one.kind, want.slices.get(one.name, 0)) for one in lasting)
        for_all = hint(want, vacant, need, free, CpuSet.union(kept.values()))
    entries: list[ContainerEntry] = []
    reusable, taken = CpuSet(), CpuSet()
    weighed: tuple[HintWeighed, ...] = ()
    for one in lasting:
        count, keep = want.slices.get(one.name, 0), kept.get(one.name, CpuSet())
        if not count:
            entries.append(ContainerEntry(one.name, Isolation.HOST, kind=one.kind))
            continue
        hinted = for_all or hint(want, vacant, count, free, keep | reusable)
        if isinstance(hinted, NotPlaced):
            return hinted
        weighed = hinted.weighed
        others = replace(vacant, owned=vacant.owned | taken)
        refused = others.misaligned(want.policy, count) if len(keep) != count else None
        cpus = refused or take_near(others, want.policy, free, count, hinted.nodes, keep, reusable)
        if isinstance(cpus, Refused):
            return NotPlaced(cpus, weighed)
        entries.append(ContainerEntry(one.name, Isolation.CONTAINER, cpus, kind=one.kind))
        free, taken = free - cpus, taken | cpus
        reusable = reusable_after(reusable, one.kind, cpus)
    if refused := vacant.too_few_left(taken):
        return NotPlaced(refused, weighed)
    entry = PodEntry(
        pod.uid,
        pod.namespace,
        pod.name,
        containers=tuple(entries),
        asked=want.asked,
        isolated=want.isolated is not None,
    )
    return Placed(entry, weighed)


def _trimmed(vacant: Vacant, cpus: CpuSet, size: int) -> CpuSet:
    return resized(vacant.topology, cpus, min(size, len(cpus)), CpuSet())
