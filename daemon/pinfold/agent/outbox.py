"""What the API server is told: Events on pods, the node's NodeResourceTopology, and who is to be evicted.

Each has a thread of its own, where it is asked for and there is a server: nothing here waits.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from pinfold.agent.evicting import candidates, own_pod
from pinfold.agent.evictor import Evictor
from pinfold.agent.publisher import TopologyPublisher
from pinfold.config import Config
from pinfold.planning.reasons import Decision, Outcome
from pinfold.planning.words import event, trap_event
from pinfold.pods.model import Pod, PodUid
from pinfold.report.counters import Evictions
from pinfold.report.event_sender import EventSender
from pinfold.report.events import EventCounts, EventType, Occurrence
from pinfold.report.snapshot import Snapshot
from pinfold.sources.client import ApiServer

FOUGHT = "CgroupFoughtOver"
"""The reason of the Event on a pod whose cgroups somebody keeps rewriting."""


class Outbox:
    def __init__(
        self,
        server: ApiServer | None,
        config: Config,
        clock: Callable[[], float],
        now: Callable[[], float],
        known: Iterable[PodUid] = (),
    ) -> None:
        """*known*: pods on which the process before decided."""
        self._server, self._clock, self._now = server, clock, now
        self._on_unsatisfied, self._started_at = config.on_unsatisfied, now()
        self._own_pod = own_pod(Path("/proc/self/cgroup").read_text())
        self._events: EventSender | None = None
        self._known = frozenset(known)
        """Pods on which there was a decision before: another one is a change."""
        self._publisher: TopologyPublisher | None = None
        self.evictor: Evictor | None = None
        """From the first candidate on."""
        if server and config.report.events:
            self._events = EventSender(server.send, f"pinfold-{config.node_name}", clock=clock, now=now)
            self._events.start()
        if server and config.report.node_resource_topology:
            self._publisher = TopologyPublisher(server, config.node_name)
            self._publisher.start()

    @property
    def event_counts(self) -> EventCounts:
        return self._events.counts if self._events else EventCounts()

    @property
    def evictions(self) -> Evictions:
        return self.evictor.counts if self.evictor else Evictions()

    @property
    def warnings(self) -> tuple[str, ...]:
        return (self._publisher.fault,) if self._publisher and self._publisher.fault else ()

    def close(self) -> None:
        for sender in (self._events, self._publisher, self.evictor):
            if sender:
                sender.close()

    def decided(self, fresh: Iterable[Decision], trapped: Iterable[Decision], pods: Iterable[Pod]) -> None:
        """Events on the pods whose decision is another one than before, and on those whose spec fell into a trap."""
        if self._events is None:
            return
        by_uid = {pod.uid: pod for pod in pods}
        for decision in fresh:
            if decision.outcome is not Outcome.UNMANAGED:
                reason, note = event(decision)
                kind = EventType.WARNING if decision.refusal else EventType.NORMAL
                happened = Occurrence.of(by_uid[decision.uid], reason, "Pinning", note, self._now(), kind)
                self._events.tell(replace(happened, is_change=decision.uid in self._known))
        self._known = frozenset(by_uid)
        for decision in trapped:
            reason, note = trap_event(decision)
            self._events.tell(Occurrence.of(by_uid[decision.uid], reason, "Reading", note, self._now()))

    def fought(self, pod: Pod, note: str) -> None:
        """An Event on a pod whose cgroups somebody keeps rewriting."""
        if self._events:
            self._events.tell(Occurrence.of(pod, FOUGHT, "Repairing", note, self._now()))

    def evict(self, decisions: Iterable[Decision], pods: Iterable[Pod]) -> None:
        """Have those evicted that are to go by *decisions*."""
        if self._server is None:
            return
        wanted = candidates(decisions, pods, self._on_unsatisfied, self._started_at, self._own_pod)
        if wanted and self.evictor is None:
            self.evictor = Evictor(self._server, self._clock)
            self.evictor.start()
        if self.evictor:
            self.evictor.want(wanted)

    def publish(self, snapshot: Snapshot) -> None:
        if self._publisher:
            self._publisher.tell(snapshot)
