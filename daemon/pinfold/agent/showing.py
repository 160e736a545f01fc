"""The pods as the snapshot has them: what was made of the same things is not made a second time."""

from collections.abc import Mapping

from pinfold.agent.kernel_view import pods_in_kernel
from pinfold.cgroups.held import Held
from pinfold.cgroups.layout import Node
from pinfold.cgroups.tree import Tree
from pinfold.cgroups.verify import Drift
from pinfold.planning.planner import Plan
from pinfold.pods.model import Pod, PodUid
from pinfold.report.snapshot import PodInKernel, PodStatus, pod_statuses

APPEARS_WITHIN_S = 60.0
"""A pod whose cgroup has not appeared for so long is told about: its CPUs lie idle."""

View = Mapping[PodUid, PodInKernel]


class Showing:
    def __init__(self) -> None:
        self._seen: tuple[Held, Tree, Mapping[str, str], tuple[Drift, ...], View] | None = None
        self._shown: tuple[tuple[Pod, ...], Plan, View, tuple[PodStatus, ...]] | None = None
        self._unseen_since: dict[PodUid, float] = {}

    def view(self, node: Node, drift: tuple[Drift, ...]) -> View:
        """What the kernel holds of each pod."""
        of = node.held, node.tree, node.names, drift
        if self._seen is None or self._seen[:4] != of:
            self._seen = *of, pods_in_kernel(node, drift)
        return self._seen[4]

    def statuses(self, pods: tuple[Pod, ...], decided: Plan, view: View) -> tuple[PodStatus, ...]:
        if self._shown is None or self._shown[:3] != (pods, decided, view):
            self._shown = pods, decided, view, pod_statuses(pods, decided, view)
        return self._shown[3]

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
