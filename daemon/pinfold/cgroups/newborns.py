"""What a container is given that appears now, before anybody has looked at the node anew.

Pure. A container of a pod that owns CPUs is narrowed to its part of them, whether the kernel keeps others off these yet
or not: it is where it belongs from its first instruction on. Only new containers, and only narrowed.

Where only cpusets keep others off what a pod owns, the container of a pod that owns nothing, or is not known yet, is
kept off at once, too, until its pod's cgroup is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pinfold.cgroups.layout import container_sets, slice_sets
from pinfold.cgroups.paths import CgroupPath, parent
from pinfold.cgroups.tree import Tree, container, pod_at
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.pods.model import PodUid


@dataclass(frozen=True, slots=True)
class Newborn:
    path: CgroupPath
    pod: PodUid
    cpus: CpuSet
    """Its slice, or what its pod's containers share; of one that is promised nothing, what nobody owns."""
    name: str
    """Empty where it is no container of the pod's spec."""
    pool: CpuSet = CpuSet()
    """The pod's pool, where there is one."""

    @property
    def is_promised(self) -> bool:
        return bool(self.pool or self.name)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who owns what by the last decision, and who was there at the last look."""

    tree: Tree
    ledger: Ledger
    names: Mapping[str, str]
    """Runtime's id → container name, of those whose name is one in their pod's spec."""
    shared: CpuSet = CpuSet()
    """What nobody owns, where only cpusets keep others off the rest; else empty."""

    @property
    def holders(self) -> tuple[CgroupPath, ...]:
        """The cgroups in which pods appear."""
        return self.tree.kubepods, *self.tree.qos_slices.values()

    @property
    def pods(self) -> frozenset[CgroupPath]:
        return frozenset(pod.path for pod in self.tree.pods.values())

    @property
    def seen(self) -> frozenset[CgroupPath]:
        """All cgroups of pods and containers."""
        return self.pods.union(one.path for pod in self.tree.pods.values() for one in pod.containers)

    def given(self, path: CgroupPath, name: str) -> Newborn | None:
        """What the container at *path* is given, which its bundle calls *name*; None where nothing can be said yet."""
        born, pod = container(path), pod_at(self.tree, parent(path))
        if pod is None or born.id is None:
            return None
        if (entry := self.ledger.entries.get(pod.uid)) is not None:
            there = self.tree.pods.get(pod.uid, pod)
            inside = replace(there, containers=(*(one for one in there.containers if one.path != path), born))
            named = name if any(one.name == name for one in entry.containers) else ""
            names = {**self.names, born.id: named}
            sets = container_sets(entry, inside, names) if entry.cpus else slice_sets(entry, inside, names, {})
            if path in sets:
                return Newborn(path, pod.uid, sets[path], named, entry.cpus)
        return Newborn(path, pod.uid, self.shared, "") if self.shared else None
