"""What only ever grows: counts that no picture of the moment holds.

The loop carries one value of it from snapshot to snapshot. Everything that can be computed from a snapshot is not
counted here: a gauge that is counted along drifts from the truth. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Self

from pinfold.planning.ledger import Isolation, Ledger
from pinfold.planning.planner import Plan
from pinfold.planning.reasons import Decision, Outcome, Regime, Word
from pinfold.pods.model import PodUid

CONFINEMENT_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RECONCILE_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    bounds: tuple[float, ...]
    """Upper bounds, ascending, each inclusive; what lies above the last counts too."""
    counts: tuple[int, ...] = ()
    """One for each bound and one for what lies above; empty: nothing was observed."""
    sum: float = 0.0

    def observed(self, value: float) -> Self:
        slot = sum(bound < value for bound in self.bounds)
        counts = self.counts or (0,) * (len(self.bounds) + 1)
        return replace(self, counts=(*counts[:slot], counts[slot] + 1, *counts[slot + 1 :]), sum=self.sum + value)

    @property
    def cumulative(self) -> tuple[int, ...]:
        """As Prometheus has it: at or below each bound, the last for +Inf."""
        return tuple(accumulate(self.counts or (0,) * (len(self.bounds) + 1)))


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that the loop met and outlived."""

    count: int
    at: float
    """Of the last one, in seconds since the epoch."""
    message: str
    """The last one's."""


@dataclass(frozen=True, slots=True)
class Evictions:
    """What came of the requests."""

    evicted: int = 0
    held_back: int = 0
    """By a disruption budget."""
    refused: int = 0
    error: str = ""
    """Why the last request failed; empty when it did not."""


def _raised(counts: Mapping[str, int], by: Mapping[str, int]) -> Mapping[str, int]:
    return {**counts, **{key: counts.get(key, 0) + count for key, count in by.items()}}


@dataclass(frozen=True, slots=True)
class Counters:
    reconcile_seconds: Histogram = Histogram(RECONCILE_BOUNDS_SECONDS)
    writes: int = 0
    """Cgroup files written."""
    writes_refused: int = 0
    """Writes that the kernel refused."""
    repaired: Mapping[str, int] = field(default_factory=dict)
    """Cause of the drift (``rewritten``) → repairs."""
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """By kind: the class of the error."""
    pods_requested: int = 0
    """Managed pods that were placed or refused, once each."""
    refusals: Mapping[Word, int] = field(default_factory=dict)
    """Once for each pod and cause."""
    assignments: Mapping[str, int] = field(default_factory=dict)
    """Containers given CPUs of their own or of a pool, by where these came from: ``node`` or ``pod``."""
    confinement_seconds: Mapping[tuple[str, ...], Histogram] = field(default_factory=dict)
    """Scope (``pod``, ``container``) and phase (``seen``, … ``verified``) → from the cgroup made to that."""
    started_outside_pool: int = 0
    """Containers whose program ran before their pod was confined to its pool."""
    started_outside_slice: int = 0
    """Containers whose program ran before they were confined to their slice, or to their pod's shared pool."""

    def reconciled(self, seconds: float, writes: int = 0, writes_refused: int = 0) -> Self:
        return replace(
            self,
            reconcile_seconds=self.reconcile_seconds.observed(seconds),
            writes=self.writes + writes,
            writes_refused=self.writes_refused + writes_refused,
        )

    def confined(self, scope: str, after_s: Mapping[str, float]) -> Self:
        """*after_s*: phase → seconds from the moment in which the cgroup was made."""
        fresh = Histogram(CONFINEMENT_BOUNDS_SECONDS)
        observed: dict[tuple[str, ...], Histogram] = {
            (scope, phase): self.confinement_seconds.get((scope, phase), fresh).observed(max(0.0, seconds))
            for phase, seconds in after_s.items()
        }
        return replace(self, confinement_seconds={**self.confinement_seconds, **observed})

    def started_outside(self, pool: int, slices: int) -> Self:
        return replace(
            self,
            started_outside_pool=self.started_outside_pool + pool,
            started_outside_slice=self.started_outside_slice + slices,
        )

    def mended(self, repaired: Mapping[str, int]) -> Self:
        return replace(self, repaired=_raised(self.repaired, repaired))

    def failed(self, kind: str, at: float, message: str) -> Self:
        before = self.faults.get(kind)
        fault = Fault(before.count + 1 if before else 1, at, message)
        return replace(self, faults={**self.faults, kind: fault})

    def decided(self, told: Mapping[PodUid, Decision], held: Ledger, plan: Plan) -> Self:
        """Count what *plan* decided anew; *told* are the decisions and *held* the ledger that it started from.

        A pod that the ledger held already, after a restart too, was counted when it was placed.
        """
        requested = 0
        refusals: dict[Word, int] = {}
        assignments: dict[str, int] = {}
        for decision in plan.decisions:
            before = told.get(decision.uid)
            if decision.outcome is Outcome.UNMANAGED:
                continue
            requested += before is None and decision.uid not in held.entries
            if (no := decision.refusal) and not (before and before.refusal and before.refusal.word is no.word):
                refusals[no.word] = refusals.get(no.word, 0) + 1
            entry = plan.ledger.entries.get(decision.uid)
            if entry and decision.uid not in held.entries:
                source = "pod" if decision.regime is Regime.POD_POOL else "node"
                given = sum(one.isolation is not Isolation.HOST for one in entry.containers)
                assignments[source] = assignments.get(source, 0) + given
        return replace(
            self,
            pods_requested=self.pods_requested + requested,
            refusals={**self.refusals, **{word: self.refusals.get(word, 0) + n for word, n in refusals.items()}},
            assignments=_raised(self.assignments, assignments),
        )
