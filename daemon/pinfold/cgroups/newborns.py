"""What a container is given that appears now, before anybody has looked at the node anew.

Pure. Only within a pod that is confined already, and only narrowed: whatever is decided at the next look, no one else
had those CPUs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from pinfold.cgroups.layout import Node, container_sets, slice_sets
from pinfold.cgroups.paths import CgroupPath, parent
from pinfold.cgroups.tree import PodCgroup, container
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger, PodEntry
from pinfold.pods.model import PodUid


@dataclass(frozen=True, slots=True)
class Newborn:
    path: CgroupPath
    pod: PodUid
    cpus: CpuSet
    """Its slice, or what its pod's containers share."""
    name: str
    """Empty where it is no container of the pod's spec."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands after a look at the node: which pods are confined, and who is in them."""

    pods: Mapping[CgroupPath, tuple[PodCgroup, PodEntry]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """Runtime's id → container name, of those whose name is one in their pod's spec."""
    holders: tuple[CgroupPath, ...] = ()
    """The cgroups in which pods appear."""
    seen: frozenset[CgroupPath] = frozenset()
    """All cgroups of pods and containers that were there."""

    @classmethod
    def of(cls, node: Node, ledger: Ledger, drifting: Collection[CgroupPath]) -> "Standing":
        """*drifting*: cgroups that are not as the ledger wants them."""
        tree = node.tree
        confined = {
            pod.path: (pod, entry)
            for uid, entry in ledger.entries.items()
            if entry.owned and (pod := tree.pods.get(uid)) and pod.path not in drifting
        }
        seen = frozenset(path for pod in tree.pods.values() for path in (pod.path, *(c.path for c in pod.containers)))
        return cls(confined, node.names, (tree.kubepods, *tree.qos_slices.values()), seen)

    def given(self, path: CgroupPath, name: str) -> Newborn | None:
        """What the container at *path* is given, which its bundle calls *name*; None where nothing can be said yet."""
        pod, entry = self.pods.get(parent(path), (None, None))
        born = container(path)
        if pod is None or entry is None or born.id is None:
            return None
        named = name if any(one.name == name for one in entry.containers) else ""
        inside = replace(pod, containers=(*pod.containers, born))
        names = {**self.names, born.id: named}
        sets = container_sets(entry, inside, names) if entry.cpus else slice_sets(entry, inside, names, {})
        return Newborn(path, pod.uid, sets[path], named) if path in sets else None
