"""Which CPUs each interrupt should go to, so that the CPUs that pods own are spared.

Pure. "Found" is what the last *other* writer left in an affinity: what stands there and is none of ours, a driver, a
person or irqbalance wrote since.
Source: kernel document core-api/irq/irq-affinity.rst, irq_setup_affinity() in kernel/irq/manage.c.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger

IrqId = NewType("IrqId", str)
"""The number of an IRQ, DEFAULT, WORKQUEUES or BANNED."""
DEFAULT = IrqId("default")
"""``default_smp_affinity``: what a new IRQ begins with."""
WORKQUEUES = IrqId("unbound-workqueues")
"""Not an IRQ, and steered as one: the CPUs of the kernel's workers that are bound to none."""
BANNED = IrqId("irqbalance")
"""The CPUs that irqbalance never gives an IRQ to."""


class IrqGuard(StrEnum):
    """Which CPUs interrupts and the kernel's unbound workers are kept off."""

    OFF = "off"
    SLICES = "slices"
    """The exclusive slices: what one container owns alone."""
    POOLS = "pools"
    """Everything that pods own."""


def guarded(guard: IrqGuard, ledger: Ledger) -> CpuSet:
    match guard:
        case IrqGuard.OFF:
            return CpuSet()
        case IrqGuard.SLICES:
            return CpuSet.union(cpus for entry in ledger.entries.values() for cpus in entry.slices.values())
        case IrqGuard.POOLS:
            return ledger.owned


@dataclass(frozen=True, slots=True)
class Irq:
    cpus: CpuSet
    """``smp_affinity_list``: which CPUs it may go to. The kernel takes one of them, or several."""
    node: int = -1
    """The NUMA node of its device; -1: none."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An affinity, or a list of banned CPUs, that Pinfold changed."""

    found: CpuSet
    ours: CpuSet


Irqs = Mapping[IrqId, Irq]
Moves = Mapping[IrqId, Moved]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where interrupts may go and where not."""

    guarded: CpuSet
    online: CpuSet
    nodes: Mapping[int, CpuSet] = field(default_factory=dict)
    """NUMA node → its online CPUs."""

    def aside(self, found: CpuSet, node: int) -> CpuSet:
        """What *found* has beside the guarded CPUs; if nothing, the other CPUs of the device's node, or all others."""
        rest, others = found - self.guarded, self.online - self.guarded
        if rest & self.online:
            return rest
        return (self.nodes.get(node, CpuSet()) & others) or others or found


def wanted(held: Irqs, before: Moves, ground: Ground, born: Collection[IrqId] = ()) -> Moves:
    """What is to be moved off the guarded CPUs, of the IRQs *held*, and whereto.

    *before* is what Pinfold moved already; *born* are the IRQs that have come since: one that has our default would
    have had the default that was found.
    """
    now: dict[IrqId, Moved] = {}
    default = before.get(DEFAULT)
    for irq, one in held.items():
        known = before.get(irq)
        found = one.cpus
        if known and one.cpus == known.ours:
            found = known.found
        elif default and irq in born:
            found = _unguided(one, default, ground)
        if not found.isdisjoint(ground.guarded):
            now[irq] = Moved(found, ground.aside(found, one.node))
    return now


def _unguided(irq: Irq, default: Moved, ground: Ground) -> CpuSet:
    """Its affinity as the kernel would have made it of the default that was found.

    Before a driver asks for the IRQ that is the whole default, then what of it is online, in the device's node.
    """
    near = ground.nodes.get(irq.node, CpuSet()) & ground.online
    for scope in (default.found | default.ours, ground.online, near):
        if irq.cpus == default.ours & scope:
            return (default.found & scope) or irq.cpus
    return irq.cpus


def writes(held: Irqs, before: Moves, after: Moves) -> dict[IrqId, CpuSet]:
    """Which affinities to set so that *held* becomes *after*; what is moved no more gets back what was found.

    The default first, so that an IRQ born meanwhile begins well.
    """
    to = {irq: one.found for irq, one in before.items() if irq in held and held[irq].cpus == one.ours}
    to |= {irq: one.ours for irq, one in after.items()}
    ordered = sorted(to, key=lambda irq: (irq != DEFAULT, len(irq), irq))
    return {irq: to[irq] for irq in ordered if held[irq].cpus != to[irq]}


def drifted(held: Irqs, before: Moves, guarded: CpuSet) -> frozenset[IrqId]:
    """IRQs that Pinfold moved off and somebody put back on guarded CPUs."""
    return frozenset(
        irq
        for irq, one in before.items()
        if irq in held and held[irq].cpus != one.ours and not held[irq].cpus.isdisjoint(guarded)
    )


def to_text(moves: Moves) -> dict[str, tuple[str, str]]:
    """For the checkpoint: IRQ → (found, ours)."""
    return {irq: (str(one.found), str(one.ours)) for irq, one in moves.items()}


def from_text(text: Mapping[str, tuple[str, str]]) -> Moves:
    """Raises ValueError where a list is none."""
    return {IrqId(irq): Moved(CpuSet.parse(found), CpuSet.parse(ours)) for irq, (found, ours) in text.items()}
