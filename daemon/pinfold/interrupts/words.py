"""What a person is told about interrupts that still reach guarded CPUs. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from pinfold.cpuset import CpuSet
from pinfold.interrupts.affinities import IrqId

SHOWN = 8
"""How many IRQs one sentence names."""


@dataclass(frozen=True, slots=True)
class Stays:
    """An IRQ that still goes to guarded CPUs."""

    irq: IrqId
    name: str
    """What its drivers call it; may be empty."""
    cpus: CpuSet
    """The guarded CPUs it interrupts."""
    message: str = ""
    """The kernel's reason; empty where no user may ever move it."""

    def __str__(self) -> str:
        name = f" ({self.name})" if self.name else ""
        return f"{self.irq}{name} on {self.cpus}" + (f": {self.message}" if self.message else "")


def immovable(stays: Iterable[Stays]) -> tuple[str, ...]:
    """One sentence, if any; it does not change while nothing does."""
    listed = _listed(one for one in stays if not one.message)
    return (f"interrupts that no one can move reach guarded CPUs, their drivers manage them: {listed}",) * bool(listed)


def refused(stays: Iterable[Stays]) -> tuple[str, ...]:
    listed = _listed(one for one in stays if one.message)
    return (f"interrupts still reach guarded CPUs, and are tried again: {listed}",) * bool(listed)


def unreachable(guarded: CpuSet) -> str:
    return (
        "irqbalance runs, does not answer, and may put interrupts back on guarded CPUs; they are moved off again at "
        f"each look. Give it IRQBALANCE_BANNED_CPULIST={guarded}, or stop it."
    )


def _listed(stays: Iterable[Stays]) -> str:
    texts = [str(one) for one in stays]
    more = [f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return "; ".join([*texts[:SHOWN], *more])
