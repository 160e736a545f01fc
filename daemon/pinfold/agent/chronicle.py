"""What is told, once each: log events, the time line of the page, and the counts that no snapshot can give.

It remembers what it has told already; nothing else depends on that.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import structlog

from pinfold.agent.enforcement import Enforced
from pinfold.cgroups.executor import Outcome as WriteOutcome
from pinfold.cgroups.executor import Result
from pinfold.cgroups.newcomers import Confined, Late
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.verify import Cause, Drift
from pinfold.interrupts import files as irq_files
from pinfold.interrupts.guard import Guarded
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import Plan
from pinfold.planning.reasons import Decision, Outcome
from pinfold.planning.regime import NO_INTENT
from pinfold.pods.model import InvalidPod, Pod, PodUid
from pinfold.report.counters import Counters
from pinfold.report.snapshot import Moment, remembered

INTERRUPT = "interrupt"
"""What it is counted under that somebody put an interrupt back."""

log = structlog.get_logger()


class Chronicle:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._decisions: dict[PodUid, Decision] = {}
        self._traps: dict[PodUid, tuple[str, ...]] = {}
        self._invalid: frozenset[InvalidPod] = frozenset()
        self._residual: frozenset[Drift] = frozenset()
        self.counters = Counters()
        self.recent: tuple[Moment, ...] = ()

    def failed(self, error: Exception) -> None:
        """An error that the loop outlives."""
        self.counters = self.counters.failed(type(error).__name__, self._now(), str(error))

    def moment(self, event: str, pod: str, message: str) -> None:
        self.recent = remembered(self.recent, (Moment(self._now(), event, pod, message),))

    def invalid(self, invalid: Iterable[InvalidPod]) -> None:
        """Objects that cannot be taken as pods: each is told when it comes and when it is mended."""
        now = frozenset(invalid)
        for one in sorted(now - self._invalid, key=lambda bad: bad.where):
            log.error("pod.invalid", where=one.where, reason=one.reason, message=one.message)
            self.moment("pod.invalid", "", f"{one.where}: {one.reason}: {one.message}")
        for one in sorted(self._invalid - now, key=lambda bad: bad.where):
            log.info("pod.mended", where=one.where)
        self._invalid = now

    def recalled(self, plan: Plan) -> Plan:
        """*plan* with the hints that were weighed when each pool was made: of a pool that stands nothing is weighed.

        A decision that was told before is the same value.
        """

        def weighed(decision: Decision) -> Decision:
            if (before := self._decisions.get(decision.uid)) is None:
                return decision
            if before.hints and before.pool == decision.pool and not decision.hints:
                decision = replace(decision, hints=before.hints)
            return before if before == decision else decision

        return replace(plan, decisions=tuple(map(weighed, plan.decisions)))

    def decided(self, plan: Plan, held: Ledger, saved: Ledger) -> tuple[Decision, ...]:
        """What *plan*, which started from *held*, decided otherwise than was told before; those decisions.

        Who has what the checkpoint's ledger, *saved*, gives him was told of it by the process before a restart.
        """
        self.counters = self.counters.decided(self._decisions, held, plan)
        fresh = tuple(one for one in plan.decisions if not self._was_told(one, saved))
        for one in fresh:
            if one.outcome is not Outcome.UNMANAGED:
                self._tell(one)
        for uid, entry in held.entries.items():
            if uid not in plan.ledger.entries:
                log.info("pool.freed", pod=f"{entry.namespace}/{entry.name}", pod_uid=uid, cpus=str(entry.owned))
                self.moment("pool.freed", f"{entry.namespace}/{entry.name}", f"CPUs {entry.owned} are free again")
        self._decisions = {one.uid: one for one in plan.decisions}
        return fresh

    def _was_told(self, decision: Decision, saved: Ledger) -> bool:
        """By this process, or by the one before: of what a refusal said, the ledger knows nothing."""
        if (before := self._decisions.get(decision.uid)) is not None:
            return not _differs(before, decision)
        entry = saved.entries.get(decision.uid)
        if entry is None or decision.outcome is not Outcome.PINNED:
            return False
        if stands := (entry.cpus, entry.mems) == (decision.pool, decision.mems):
            log.debug("pool.stands", **_facts(decision))
        return stands

    def trapped(self, plan: Plan, pods: Iterable[Pod]) -> tuple[Decision, ...]:
        """Decisions whose notes were not told yet; a pod that asks for nothing is in no trap."""
        asking = {pod.uid for pod in pods if pod.resources or pod.intent != NO_INTENT}
        noted = {
            one.uid: one
            for one in plan.decisions
            if one.notes and (one.outcome is not Outcome.UNMANAGED or one.uid in asking)
        }
        fresh = tuple(one for uid, one in noted.items() if one.notes != self._traps.get(uid))
        for one in fresh:
            log.warning("pod.trapped", pod=one.full_name, pod_uid=one.uid, notes=one.notes)
        self._traps = {uid: one.notes for uid, one in noted.items()}
        return fresh

    def _tell(self, decision: Decision) -> None:
        facts = _facts(decision)
        if (no := decision.refusal) is None:
            log.info("pool.pinned", **facts)
            self.moment(
                "pool.pinned", decision.full_name, f"owns CPUs {decision.pool}" if decision.pool else decision.because
            )
            return
        event = "pool.degraded" if decision.outcome is Outcome.DEGRADED else "pool.refused"
        log.warning(event, **facts, reason=no.word.value, message=no.message, remedy=no.remedy)
        self.moment(event, decision.full_name, f"{no.word}: {no.message}")

    def fought(self, path: CgroupPath, pod: str) -> str:
        """Somebody rewrites *path* as fast as it is repaired: told once; what is said of it."""
        note = f"somebody keeps rewriting cgroup {path}: from now on it is repaired at intervals"
        log.error("cpuset.fought", pod=pod, cgroup=path, remedy="find who writes there, and stop it")
        self.moment("cpuset.fought", pod, note)
        return note

    def calmed(self, path: CgroupPath) -> None:
        """Nobody rewrites *path* any more."""
        log.info("cpuset.calmed", cgroup=path)
        self.moment("cpuset.calmed", "", f"nobody rewrites cgroup {path} any more")

    def enforced(
        self,
        enforced: Enforced,
        drifted: Iterable[Drift],
        names: Mapping[PodUid, str],
        fought: Collection[CgroupPath] = (),
    ) -> None:
        """What was written, what had *drifted* before that, and what still does; of the latter only what is new.

        Of cgroups that are *fought* over it is counted only: that they are was told. What somebody wrote amid the turn
        is left for the next one, which comes at once: it says what it found and what became of it.
        """
        for outcome in enforced.outcomes:
            if outcome.write.path not in fought:
                _told_write(outcome, _name(names, outcome.write.pod))
        repaired: dict[str, int] = {}
        places = {(one.path, one.file) for one in enforced.drift}
        for one in drifted:
            if one in self._residual and one.path not in fought:
                continue
            if one.path not in fought:
                self._tell_drift(one, _name(names, one.pod))
            if (one.path, one.file) not in places:
                repaired[one.cause.value] = repaired.get(one.cause.value, 0) + 1
        residual = frozenset(enforced.drift) & (self._residual if enforced.is_cut_short else frozenset(enforced.drift))
        for one in sorted(residual - self._residual, key=lambda drift: (drift.path, drift.file)):
            if one.path in fought:
                continue
            tell = log.warning if one.cause is Cause.MEMORY_NOT_MOVED else log.error
            tell(
                "cpuset.unmended",
                pod=_name(names, one.pod),
                cgroup=one.path,
                file=one.file.value,
                want=one.want,
                have=one.have,
                reason=one.cause.value,
            )
        self._residual = residual
        self.counters = self.counters.mended(repaired)

    def _tell_drift(self, drift: Drift, pod: str) -> None:
        log.warning(
            "cpuset.drifted",
            pod=pod,
            cgroup=drift.path,
            file=drift.file.value,
            want=drift.want,
            have=drift.have,
            reason=drift.cause.value,
        )
        self.moment("cpuset.drifted", pod, f"{drift.path}/{drift.file}: {drift.have!r} instead of {drift.want!r}")

    def started(self, late: Iterable[Late], names: Mapping[PodUid, str]) -> None:
        """Containers whose program ran before it was confined."""
        for one in late:
            pod = _name(names, one.pod)
            log.warning("container.started_outside", pod=pod, container=one.container, outside_pool=one.outside_pool)
            where = "its pod's pool" if one.outside_pool else "what it is given of its pod's pool"
            self.moment("container.started_outside", pod, f"{one.container or 'a container'} started outside {where}")
            self.counters = self.counters.started_outside(one.outside_pool, 1)

    def confined(self, confined: Iterable[Confined]) -> None:
        for one in confined:
            self.counters = self.counters.confined(
                one.scope.value, {phase.value: seconds for phase, seconds in one.after_s.items()}
            )

    def guarded(self, done: Guarded) -> None:
        """What became of interrupts; one sentence for all that went well, since a machine may have thousands."""
        moved = [one for one in done.outcomes if one.result is irq_files.Result.DONE]
        if moved:
            log.info("irqs.moved", irqs=len(moved), kept_off=len(done.moves))
        for one in done.outcomes:
            if one.result is irq_files.Result.REFUSED:
                log.warning("irq.refused", irq=one.irq, want=str(one.cpus), reason=one.message)
            elif one.result is not irq_files.Result.DONE:
                log.debug("irq.passed_over", irq=one.irq, want=str(one.cpus), reason=one.result.value)
        if done.drifted:
            irqs = ", ".join(sorted(done.drifted, key=lambda irq: (len(irq), irq)))
            log.warning("irqs.drifted", irqs=irqs)
            self.moment("irqs.drifted", "", f"interrupts {irqs} were put back on guarded CPUs")
            self.counters = self.counters.mended({INTERRUPT: len(done.drifted)})

    def reconciled(self, seconds: float, enforced: Enforced | None) -> None:
        done = enforced.count(Result.DONE) if enforced else 0
        refused = enforced.count(Result.REFUSED) if enforced else 0
        self.counters = self.counters.reconciled(seconds, done + refused, refused)


def _differs(before: Decision, after: Decision) -> bool:
    """Whether a person would call it another decision: the hints that were weighed change with every neighbour."""
    return before is not after and any(
        getattr(before, name) != getattr(after, name) for name in ("outcome", "pool", "mems", "refusal")
    )


def _facts(decision: Decision) -> dict[str, str]:
    return {
        "pod": decision.full_name,
        "pod_uid": decision.uid,
        "cpus": str(decision.pool),
        "mems": str(decision.mems),
    }


def _told_write(outcome: WriteOutcome, pod: str) -> None:
    write = outcome.write
    facts = {"pod": pod, "cgroup": write.path, "file": write.file.value, "want": write.value, "reason": write.why}
    if outcome.result is Result.REFUSED:
        log.warning("cgroup.refused", **facts, message=outcome.message)
    elif outcome.result is Result.DONE:
        log.info("cgroup.written", **facts)
    else:
        log.debug("cgroup.passed_over", **facts, message=outcome.result.value)


def _name(names: Mapping[PodUid, str], uid: PodUid | None) -> str:
    """namespace/name; empty for what serves several pods, the UID for a pod that no source knows any more."""
    return names.get(uid, uid) if uid else ""
