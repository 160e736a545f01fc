"""Which CPUs of a pod its later containers may use again, and which come back when a record of it goes.

Pure; for pods placed container by container. Source: the kubelet's static policy, ``updateCPUsToReuse``,
``RemoveContainer``.
"""

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import PodEntry
from pinfold.pods.model import ContainerKind


def reusable_after(reusable: CpuSet, kind: ContainerKind, cpus: CpuSet) -> CpuSet:
    """The reusable CPUs of a pod once a container of *kind* has its *cpus*.

    A standard init container adds its own: it has ended when a later container runs. Any other takes its own out.
    """
    return reusable | cpus if kind is ContainerKind.INIT else reusable - cpus


def given_back(entry: PodEntry, container: str) -> CpuSet:
    """The CPUs that are free when only the record of *container* goes: those that no other record names."""
    own = CpuSet.union(cpus for name, cpus in entry.slices.items() if name == container)
    return own - CpuSet.union(cpus for name, cpus in entry.slices.items() if name != container)
