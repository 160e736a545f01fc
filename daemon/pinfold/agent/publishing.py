"""What the loop publishes at the end of a turn: one immutable picture of the node, with what a person should know."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pinfold import __version__
from pinfold.agent.beside import Beside
from pinfold.agent.chronicle import Chronicle
from pinfold.agent.deciding import Deciding
from pinfold.agent.fights import Fights
from pinfold.agent.handover import Handover
from pinfold.agent.kernel_view import not_isolated
from pinfold.agent.machine import Machine
from pinfold.agent.outbox import Outbox
from pinfold.agent.showing import Showing
from pinfold.agent.sources import Sources
from pinfold.agent.warnings import fights, strangers, weakly_protected
from pinfold.agent.witness import Witness
from pinfold.cgroups.capability import Capability
from pinfold.cgroups.numa_stat import Bytes
from pinfold.interrupts.guard import Guarded
from pinfold.planning.planner import Plan
from pinfold.pods.model import InvalidPod, Pod, PodUid
from pinfold.report.snapshot import Exclusivity, Interrupts, Mode, PodInKernel, Snapshot

FAILED = "the last turn failed, all stays as it is and is tried again: "


class Picture:
    def __init__(
        self,
        machine: Machine,
        sources: Sources,
        chronicle: Chronicle,
        outbox: Outbox,
        handover: Handover,
        beside: Beside,
        deciding: Deciding,
        fights: Fights,
        witness: Witness,
        capability: Capability,
        now: Callable[[], float],
    ) -> None:
        self._machine, self._sources, self._chronicle, self._outbox = machine, sources, chronicle, outbox
        self._handover, self._beside, self._deciding, self._fights = handover, beside, deciding, fights
        self._witness, self._now, self._started_at = witness, now, now()
        self.showing = Showing()
        self.snapshot: Snapshot | None = None
        """The newest; None before the first turn is done. Read from other threads too."""
        self.capability = capability
        """How pools are held."""
        self.guarded = Guarded()
        """What became of the interrupts."""
        self.memory: Mapping[PodUid, Bytes] = {}
        """Where the memory of pods lies."""
        self.hidden: tuple[str, ...] = ()
        """Who cannot be kept off the pools, in a sentence."""

    def failed(self, error: Exception) -> None:
        """An error that the loop outlives: told until a turn succeeds."""
        self._chronicle.failed(error)
        if self.snapshot:
            told = tuple(one for one in self.snapshot.warnings if not one.startswith(FAILED))
            self.snapshot = replace(
                self.snapshot, counters=self._chronicle.counters, warnings=(*told, f"{FAILED}{error}")
            )

    def publish(
        self,
        began: float,
        pods: tuple[Pod, ...],
        invalid: tuple[InvalidPod, ...],
        decided: Plan,
        kernel: Mapping[PodUid, PodInKernel],
        mode: Mode,
        reason: str,
    ) -> None:
        before = self.snapshot
        statuses = self.showing.statuses(pods, decided, kernel)
        self._witness.follow(self.showing.owners if mode is Mode.ENFORCING else ())
        after = Snapshot(
            node=self._machine.config.node_name or platform.node(),
            version=__version__,
            generation=before.generation if before else 1,
            at=before.at if before else self._now(),
            started_at=self._started_at,
            mode=mode,
            mode_reason=reason,
            exclusivity=Exclusivity(self.capability.enforcement.value),
            exclusivity_reason=self.capability.reason,
            topology=self._machine.topology,
            policy=self._machine.policy,
            node_shared=decided.node_shared,
            pods=statuses,
            invalid=invalid,
            sources=self._sources.health(),
            counters=self._chronicle.counters,
            events=self._outbox.event_counts,
            evictions=self._outbox.evictions,
            recent=self._chronicle.recent,
            fought=tuple(sorted(self._fights.patience.fought)),
            interrupts=Interrupts(len(self.guarded.moves), len(self.guarded.stays)),
            memory=self.memory,
            migrated=self._beside.migrated,
            warnings=(
                *self._machine.warnings,
                *self._handover.warnings,
                *self.hidden,
                *self._outbox.warnings,
                *self.guarded.warnings,
                *self._beside.warnings(),
                *weakly_protected(decided.ledger, Path(self._machine.config.sysfs_root)),
                *fights(self._fights.patience),
                *strangers(self._deciding.held_by_others or {}),
                *not_isolated(decided.ledger, kernel),
                *self.showing.unseen(began, decided, kernel),
            ),
        )
        changed = before is None or _still(after, before) != before
        self.snapshot = replace(after, generation=after.generation + changed, at=self._now())
        self._outbox.publish(self.snapshot)


def _still(after: Snapshot, before: Snapshot) -> Snapshot:
    """*after* without what moves while nothing changes."""
    return replace(after, counters=before.counters, memory=before.memory)
