"""How much a pod's containers need at the same time.

Pure. Source: KEP-753, "Resources calculation for scheduling and pod admission"; component-helpers' PodRequests.
"""

from collections.abc import Iterable, Mapping

from pinfold.pods.model import Container, ContainerKind


def together(needs: Iterable[tuple[ContainerKind, int]]) -> int:
    """The most that the containers' needs, in spec order, add up to at any moment of the pod's life.

    A standard init container runs beside the sidecars declared before it; the app containers beside all sidecars.
    """
    sidecars = apps = most = 0
    for kind, amount in needs:
        if kind is ContainerKind.INIT:
            most = max(most, sidecars + amount)
        elif kind is ContainerKind.SIDECAR:
            sidecars += amount
        elif kind is ContainerKind.APP:
            apps += amount
    return max(most, sidecars + apps)


def requests(containers: Iterable[Container]) -> Mapping[str, int]:
    """What the containers request together: what the scheduler counts where the pod itself requests nothing."""
    these = tuple(containers)
    names = sorted({name for one in these for name in one.requests})
    return {name: together((one.kind, one.requests.get(name, 0)) for one in these) for name in names}
