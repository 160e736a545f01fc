"""How a pod pool is divided: exclusive slices, and the pod shared pool that is left.

Pure. Which CPUs of a set a slice gets is asked of *take*; what is decided here is out of which set.
Source: the kubelet's ``staticPolicy.AllocatePod`` and ``validatePodScopeResources``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation
from pinfold.pods.model import Container, ContainerKind

Take = Callable[[CpuSet, int, CpuSet], CpuSet]
"""(free CPUs, how many of them, those to keep or to be near to) → which."""


def emptied_by(containers: Iterable[Container], slices: Mapping[str, int], size: int) -> str | None:
    """The container whose slice leaves nothing of a pool of *size* to one that has to share it; None: nobody starves.

    Sizes are CPUs or bytes; who is not in *slices* shares. Where nobody does in the end, nothing needs to be left.
    """
    taken = 0  # by sidecars, as long as init containers are looked at: those come first in the spec
    last: str | None = None
    sharing = False
    for one in containers:
        alone, share = one.name in slices, slices.get(one.name, 0)
        if one.kind is ContainerKind.INIT:
            if alone and share > size - taken:
                return one.name
            if not alone and taken >= size:
                return last
        elif one.kind is not ContainerKind.EPHEMERAL:
            taken += share
            sharing = sharing or not alone
            last = one.name if share else last
    return last if sharing and taken >= size else None


def left_to_share(containers: Sequence[Container], slices: Mapping[str, int], size: int) -> dict[str, int]:
    """*slices* without those that would empty the shared pool: the last one shares, until nobody starves."""
    kept = dict(slices)
    while (container := emptied_by(containers, kept, size)) is not None:
        del kept[container]
    return kept


def divide(
    pool: CpuSet,
    containers: Iterable[Container],
    slices: Mapping[str, int],
    held: Mapping[str, CpuSet],
    take: Take,
) -> tuple[ContainerEntry, ...]:
    """Give each container its slice of *pool*, or what it shares, in spec order; ephemeral ones get no entry.

    Where there is no pool, all run in the node shared pool.

    What a container held before stays with it as far as it lies in the pool and its slice is not smaller now.
    """
    lasting = [one for one in containers if one.kind is not ContainerKind.EPHEMERAL]
    if not pool:
        return tuple(ContainerEntry(one.name, Isolation.HOST, kind=one.kind) for one in lasting)
    kept = {
        one.name: take(own, min(len(own), slices[one.name]), own)
        for one in lasting
        if one.name in slices and (own := held.get(one.name, CpuSet()) & pool)
    }
    claimed = CpuSet.union(kept[one.name] for one in lasting if one.name in kept and one.kind is not ContainerKind.INIT)
    cut: dict[str, CpuSet] = {}
    before: dict[str, CpuSet] = {}
    free = pool
    for one in lasting:
        before[one.name] = free
        if not (size := slices.get(one.name)):
            continue
        candidates = free if one.kind is ContainerKind.INIT else free - (claimed - kept.get(one.name, CpuSet()))
        cut[one.name] = take(candidates, size, kept.get(one.name, CpuSet()))
        free = free if one.kind is ContainerKind.INIT else free - cut[one.name]
    return tuple(
        ContainerEntry(one.name, Isolation.CONTAINER, cut[one.name], kind=one.kind)
        if one.name in cut
        else ContainerEntry(
            one.name, Isolation.POD, before[one.name] if one.kind is ContainerKind.INIT else free, kind=one.kind
        )
        for one in lasting
    )
