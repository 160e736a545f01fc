"""Interrupts kept off guarded CPUs: look, put on disk what is about to be replaced, ban, move, and say what stays.

What to move is decided in `affinities`; here it is done, and what the kernel refused is remembered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pinfold.cpuset import CpuSet
from pinfold.interrupts import words
from pinfold.interrupts.affinities import BANNED, Ground, IrqId, Irqs, Moved, Moves, drifted, wanted, writes
from pinfold.interrupts.files import IrqError, IrqFiles, Outcome, Result
from pinfold.interrupts.irqbalance import Irqbalance
from pinfold.interrupts.words import Stays

_REMEDY = "Run Pinfold privileged, as a service without ProtectKernelTunables=, or with irqGuard: off."


@dataclass(frozen=True, slots=True)
class Guarded:
    """What came of one look."""

    moves: Moves = field(default_factory=dict)
    """What a release gives back."""
    outcomes: tuple[Outcome, ...] = ()
    drifted: frozenset[IrqId] = frozenset()
    """IRQs that somebody had put back on guarded CPUs."""
    stays: tuple[Stays, ...] = ()
    """IRQs that still go there."""
    warnings: tuple[str, ...] = ()


class Guard:
    """The interrupts of this machine. One for a process: it knows which IRQs were there before."""

    def __init__(self, files: IrqFiles | None = None, irqbalance: Irqbalance | None = None) -> None:
        self._files = files or IrqFiles()
        self._irqbalance = irqbalance or Irqbalance()
        self._seen: frozenset[IrqId] = frozenset()
        self._immovable: dict[IrqId, CpuSet] = {}
        """What stood in its affinity when the kernel said that no user may move it."""
        self._names: dict[IrqId, str] = {}
        self._told: tuple[Moved, ...] = ()
        """What irqbalance was told: until its next round, ten seconds, it answers with an older list."""

    def close(self) -> None:
        self._irqbalance.close()

    def returns(self, before: Moves) -> dict[IrqId, CpuSet]:
        """What a release would give back of *before*; nothing is written. Raises IrqError."""
        to = writes(self._files.look(), before, {}) if before else {}
        return to | ({BANNED: before[BANNED].found} if BANNED in before else {})

    def keep(self, ground: Ground, before: Moves, commit: Callable[[Moves], None]) -> Guarded:
        """Have no interrupt that can be moved go to ``ground.guarded``; *before* is what is moved already.

        Nothing guarded: all is given back. *commit* puts on disk what is about to be replaced; where it raises,
        nothing has been written yet.
        """
        if not ground.guarded and not before:
            self._seen = frozenset()
            return Guarded()
        try:
            return self._kept(ground, before, commit)
        except IrqError as error:
            return Guarded(before, warnings=(f"interrupts are not kept off guarded CPUs: {error}. {_REMEDY}",))

    def _kept(self, ground: Ground, before: Moves, commit: Callable[[Moves], None]) -> Guarded:
        held = self._files.look()
        self._immovable = {irq: cpus for irq, cpus in self._immovable.items() if irq in held and held[irq].cpus == cpus}
        movable = {irq: one for irq, one in held.items() if irq not in self._immovable}
        after = wanted(movable, before, ground, held.keys() - self._seen if self._seen else ())
        self._seen = frozenset(held)
        to = writes(movable, before, after)
        banned = self._irqbalance.banned()
        if ban := self._ban(banned, before.get(BANNED), ground.guarded):
            after = {**after, BANNED: ban}
        leaving = {irq: before[irq] for irq in (*to, BANNED) if irq in before}
        commit({**leaving, **after})
        self._tell(banned, before.get(BANNED), ban)
        outcomes = tuple(self._files.write(irq, cpus) for irq, cpus in to.items())
        self._immovable |= {one.irq: held[one.irq].cpus for one in outcomes if one.result is Result.IMMOVABLE}
        refused = {one.irq: one.message for one in outcomes if one.result is Result.REFUSED}
        stays = self._stays(held, ground.guarded, refused)
        warnings = (*words.immovable(stays), *words.refused(stays))
        if banned is None and ground.guarded and self._irqbalance.runs():
            warnings += (words.unreachable(ground.guarded),)
        still = {irq: one for irq, one in leaving.items() if irq in refused}
        return Guarded({**still, **after}, outcomes, drifted(movable, before, ground.guarded), stays, warnings)

    def _ban(self, banned: CpuSet | None, before: Moved | None, guarded: CpuSet) -> Moved | None:
        """What irqbalance should ban; while it does not answer, as before."""
        if banned is None:
            return before if guarded else None
        known = (one.found for one in (before, *self._told) if one and banned in {one.found, one.ours})
        found = next(known, banned)
        return None if guarded <= found else Moved(found, found | guarded)

    def _tell(self, banned: CpuSet | None, before: Moved | None, after: Moved | None) -> None:
        if banned is None:
            return
        if after and banned == after.ours:
            self._told = (after,)
        elif after and self._irqbalance.ban(after.ours):
            self._told = (*self._told, after)
        elif after is None and before and any(banned == one.ours for one in (before, *self._told)):
            self._irqbalance.ban(before.found)

    def _stays(self, held: Irqs, guarded: CpuSet, refused: Mapping[IrqId, str]) -> tuple[Stays, ...]:
        """Those of the IRQs that did not move which really interrupt guarded CPUs: most that may do not."""
        why = {**dict.fromkeys(self._immovable, ""), **refused}
        reached = {irq: self._files.effective(irq) & guarded for irq in held if irq in why}
        reached = {irq: cpus for irq, cpus in reached.items() if cpus}
        if reached.keys() - self._names.keys():
            self._names = self._files.names()
        return tuple(Stays(irq, self._names.get(irq, ""), cpus, why[irq]) for irq, cpus in reached.items())
