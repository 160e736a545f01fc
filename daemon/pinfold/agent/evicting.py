"""Whom to evict, and when: pods that are refused what they ask for, where ``onUnsatisfied: evict`` says so.

Pure. An eviction helps only where a controller makes the pod anew and another node may have room; and it must never
become a storm: hence a budget for the node, and a pause for each controller that grows. Times are seconds of one
monotonic clock.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pinfold.planning.policy import OnUnsatisfied
from pinfold.planning.reasons import Decision, Outcome, Word
from pinfold.pods.model import Intent, Pod, PodUid

PATIENCE_S = 30.0
"""For so long a pod has been refused: who goes meanwhile leaves CPUs to it."""
BURST = 3
"""Evictions on this node at once, and after that one in so many seconds:"""
EVERY_S = 600.0
FIRST_PAUSE_S = 60.0
"""After a pod of a controller no other one of it is evicted for so long; then for twice as long, up to:"""
LONGEST_PAUSE_S = 3600.0
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})\b")
_COME_BACK_HERE = ("DaemonSet/", "Node/")


@dataclass(frozen=True, slots=True)
class Candidate:
    uid: PodUid
    api_uid: str
    namespace: str
    name: str
    controller: str
    """Namespace, kind and name."""
    reason: Word

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


def candidates(
    decisions: Iterable[Decision], pods: Iterable[Pod], asked: OnUnsatisfied, started_at: float, own: PodUid | None
) -> tuple[Candidate, ...]:
    """Who is to be evicted, oldest first; *asked* is the node's setting, *own* the pod that Pinfold runs in.

    Only pods that started after Pinfold did, at *started_at* in seconds since the epoch: what it finds it leaves
    alone. No static pods, none without a controller, none of one that makes them anew on the same node.
    """
    refused = {one.uid: one for one in decisions if one.outcome is Outcome.SHARED and one.refusal}
    if not refused:
        return ()
    found = [
        Candidate(pod.uid, pod.api_uid, pod.namespace, pod.name, f"{pod.namespace}/{pod.owner}", refusal.word)
        for pod in sorted(pods, key=lambda pod: (pod.started_at, pod.uid))
        if pod.uid in refused
        and (refusal := refused[pod.uid].refusal)
        and refusal.can_pass
        and refusal.word is not Word.KUBELET_OWNS_CPUSETS
        and _is_asked(pod, asked)
        and pod.uid != own
        and pod.owner
        and not (pod.static or pod.deleting or pod.terminal or pod.owner.startswith(_COME_BACK_HERE))
        and _began(pod) > started_at
    ]
    return tuple(found)


def own_pod(cgroup: str) -> PodUid | None:
    """The pod that a process with this ``/proc/self/cgroup`` runs in, where that is seen."""
    match = _POD.search(cgroup)
    return PodUid(match[1].replace("_", "-")) if match else None


def _is_asked(pod: Pod, node: OnUnsatisfied) -> bool:
    own = pod.intent.on_unsatisfied if isinstance(pod.intent, Intent) else None
    return OnUnsatisfied(own or node) is OnUnsatisfied.EVICT


def _began(pod: Pod) -> float:
    return datetime.fromisoformat(pod.started_at).timestamp() if pod.started_at else 0.0


@dataclass(frozen=True, slots=True)
class _Pause:
    until_s: float
    length_s: float

    def again(self, now_s: float) -> "_Pause":
        """The next one: twice as long, unless all was quiet for as long as the longest."""
        length_s = min(2 * self.length_s, LONGEST_PAUSE_S) if now_s - self.until_s < LONGEST_PAUSE_S else FIRST_PAUSE_S
        return _Pause(now_s + length_s, length_s)


_NONE = _Pause(float("-inf"), 0.0)


@dataclass(frozen=True, slots=True)
class Restraint:
    """What was done lately, and so what may be done now."""

    allowance: float = float(BURST)
    at_s: float = 0.0
    """When that was so."""
    since: Mapping[PodUid, float] = field(default_factory=dict)
    """Candidate → since when it is one."""
    controllers: Mapping[str, _Pause] = field(default_factory=dict)
    postponed: Mapping[PodUid, float] = field(default_factory=dict)
    """Candidate → not to be tried before."""

    def hearing(self, wanted: Iterable[Candidate], now_s: float) -> "Restraint":
        """Who is a candidate now."""
        uids = [one.uid for one in wanted]
        allowance = min(float(BURST), self.allowance + (now_s - self.at_s) / EVERY_S)
        return replace(
            self,
            allowance=allowance,
            at_s=now_s,
            since={uid: self.since.get(uid, now_s) for uid in uids},
            postponed={uid: self.postponed[uid] for uid in uids if uid in self.postponed},
        )

    def allows(self, one: Candidate, now_s: float) -> bool:
        return (
            self.allowance >= 1.0
            and now_s - self.since.get(one.uid, now_s) >= PATIENCE_S
            and now_s >= self.controllers.get(one.controller, _NONE).until_s
            and now_s >= self.postponed.get(one.uid, now_s)
        )

    def evicted(self, one: Candidate, now_s: float) -> "Restraint":
        pause = self.controllers.get(one.controller, _NONE).again(now_s)
        after = self.postpone(one, float("inf"))
        return replace(after, allowance=self.allowance - 1, controllers={**self.controllers, one.controller: pause})

    def postpone(self, one: Candidate, until_s: float) -> "Restraint":
        """It could not be done."""
        return replace(self, postponed={**self.postponed, one.uid: until_s})
