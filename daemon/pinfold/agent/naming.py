"""What containers are called: by their bundles, else by their runtime, else by their pods' status.

Asked again only where something is new.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tree import PodCgroup, Tree
from pinfold.pods.model import Pod
from pinfold.sources.bundles import Bundles
from pinfold.sources.cri import Cri


@dataclass(frozen=True, slots=True)
class _Named:
    """What the containers of a pod are called."""

    cgroup: PodCgroup
    pod: Pod | None
    names: Mapping[str, str]


class Naming:
    def __init__(self, cri: Cri | None = None) -> None:
        self._bundles = Bundles()
        self._cri = cri
        self._by_runtime: Mapping[str, str] = {}
        """What the runtime had told at the last look."""
        self._named: dict[CgroupPath, _Named] = {}
        self._last: tuple[Tree | None, Iterable[Pod], Mapping[str, str]] = (None, (), {})
        """What `names` were asked for last, and they."""

    def refresh(self) -> None:
        """For the timer: who has no name may have one by now."""
        if self._cri:
            self._cri.again()
        self._forget()

    def _forget(self) -> None:
        """Who has no name."""
        self._bundles.look()
        self._named = {path: one for path, one in self._named.items() if self._is_whole(one)}
        self._last = None, (), {}

    def names(self, tree: Tree, pods: Iterable[Pod]) -> Mapping[str, str]:
        """Runtime's id → container name, for the containers whose name is one in their pod's spec.

        The bundle is there before the cgroup; the pod's status comes seconds later, and is asked where there is none.
        Whoever has no name is asked for again when his pod changes, when the runtime has told, and at the timer.
        """
        if self._cri and self._cri.names is not self._by_runtime:
            self._by_runtime = self._cri.names
            self._forget()
        if self._last[0] is tree and self._last[1] is pods:
            return self._last[2]
        self._bundles.look()
        by_uid = {pod.uid: pod for pod in pods}
        names: dict[str, str] = {}
        before, self._named = self._named, {}
        for cgroup in tree.pods.values():
            pod = by_uid.get(cgroup.uid)
            known = before.get(cgroup.path)
            if known is None or known.pod is not pod or known.cgroup != cgroup:
                known = _Named(cgroup, pod, self._names(cgroup, pod))
            self._named[cgroup.path] = known
            names |= known.names
        if self._named.keys() != before.keys() or any(one is not before[path] for path, one in self._named.items()):
            self._bundles.keep({one.id for it in self._named.values() for one in it.cgroup.containers if one.id})
        if self._cri:
            unnamed = (it for it in self._named.values() if not self._is_whole(it))
            self._cri.ask({one.id for it in unnamed for one in it.cgroup.containers if one.id} - names.keys())
        self._last = tree, pods, names
        return names

    def _is_whole(self, named: _Named) -> bool:
        """Whether it is known of each container what it is; of a sandbox its bundle says that it is one."""
        ids = (one.id for one in named.cgroup.containers if one.id)
        return all(one in named.names or self._bundles.name_of(one) for one in ids)

    def _names(self, cgroup: PodCgroup, pod: Pod | None) -> dict[str, str]:
        """Of a pod that no source knows (yet, or while it is away) the bundles are believed: so its pins stay."""
        names: dict[str, str] = {}
        for container in cgroup.containers:
            if container.id is not None:
                bundle = self._bundles.name_of(container.id)
                told = self._by_runtime.get(container.id) or (pod.container_ids.get(container.id, "") if pod else "")
                name = bundle.name if bundle else told
                if name and (pod is None or any(one.name == name for one in pod.containers)):
                    names[container.id] = name
        return names
