"""The pods as the snapshot has them: what was made of the same things is not made a second time."""

from collections.abc import Mapping
from dataclasses import dataclass

from pinfold.agent.kernel_view import pods_in_kernel
from pinfold.cgroups.layout import Node
from pinfold.cgroups.verify import Drift
from pinfold.planning.planner import Plan
from pinfold.pods.model import Pod, PodUid
from pinfold.report.snapshot import PodInKernel, PodStatus, Statuses

APPEARS_WITHIN_S = 60.0
"""A pod whose cgroup has not appeared for so long is told about: its CPUs lie idle."""

View = Mapping[PodUid, PodInKernel]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the kernel held of each pod, and what that was read from."""

    node: Node
    drift: tuple[Drift, ...]
    view: View

    def differing(self, node: Node, drift: tuple[Drift, ...]) -> set[PodUid]:
        """The pods of *node* of which something is another now."""
        before = self.node
        owners, states, held = node.tree.owners, before.held, node.held
        uids = {owners.get(path) for path, state in held.items() if states.get(path) is not state}
        uids |= {owners.get(path) for path in states.keys() - held.keys()}
        if None in uids:  # a cgroup above: some pods may have no cpuset files, so that its sets are theirs
            pods = node.tree.pods
            uids |= {uid for uid, pod in pods.items() if pod.path in held and held[pod.path].cpus_effective is None}
        uids |= {one.pod for one in (*drift, *self.drift)}
        if node.tree is not before.tree:
            pods = before.tree.pods
            uids |= {uid for uid, pod in node.tree.pods.items() if pods.get(uid) is not pod}
        if node.names is not before.names and (ids := {one for one, _ in node.names.items() ^ before.names.items()}):
            pods = node.tree.pods
            uids |= {uid for uid, pod in pods.items() if not ids.isdisjoint([one.id or "" for one in pod.containers])}
        return {uid for uid in uids if uid and uid in node.tree.pods}


class Showing:
    def __init__(self) -> None:
        self._seen: _Seen | None = None
        self._shown: Statuses | None = None
        self._owners: tuple[PodStatus, ...] = ()
        self._unseen_since: dict[PodUid, float] = {}

    def view(self, node: Node, drift: tuple[Drift, ...]) -> View:
        """What the kernel holds of each pod."""
        seen = self._seen
        uids = node.tree.pods.keys() if seen is None else seen.differing(node, drift)
        if seen and not uids and node.tree.pods.keys() == seen.view.keys():
            view = seen.view
        else:
            fresh = pods_in_kernel(node, drift, uids)
            before = seen.view if seen else {}
            view = {uid: fresh[uid] if uid in fresh else before[uid] for uid in node.tree.pods}
        self._seen = _Seen(node, drift, view)
        return view

    def statuses(self, pods: tuple[Pod, ...], decided: Plan, view: View) -> Statuses:
        statuses = Statuses(pods, decided, view)
        if self._shown != statuses:
            self._shown, self._owners = statuses, statuses.owners()
        return self._shown

    @property
    def owners(self) -> tuple[PodStatus, ...]:
        """Of the last statuses those of pods that own something; the same value as long as nothing is another."""
        return self._owners

    def unseen(self, now_s: float, decided: Plan, view: View) -> tuple[str, ...]:
        """Pods that own CPUs and whose cgroup does not appear, one sentence each."""
        missing = decided.ledger.entries.keys() - view.keys()
        self._unseen_since = {uid: self._unseen_since.get(uid, now_s) for uid in missing}
        late = [uid for uid, since in self._unseen_since.items() if now_s - since >= APPEARS_WITHIN_S]
        names = (decided.ledger.entries[uid] for uid in late)
        return tuple(
            f"{one.namespace}/{one.name} owns CPUs {one.owned}, but its cgroup has not appeared for "
            f"{APPEARS_WITHIN_S:.0f} s: does the kubelet run it here?"
            for one in names
        )
