"""When the interrupts of this machine are looked at: when other CPUs are to be spared than before, and at the timer.

A look reads every affinity of the machine, tens of milliseconds on a large one: no turn pays for it without a cause.
"""

from collections.abc import Callable

from pinfold.interrupts.affinities import Ground, IrqGuard, Moves, guarded
from pinfold.interrupts.guard import Guard, Guarded
from pinfold.planning.ledger import Ledger
from pinfold.topology.model import Topology


class Irqs:
    def __init__(self, asked: IrqGuard, guard: Guard | None = None) -> None:
        self._asked, self._guard = asked, guard or Guard()
        self._ground: Ground | None = None
        """What the last look was for."""

    def close(self) -> None:
        self._guard.close()

    def keep(
        self, ledger: Ledger, topology: Topology, before: Moves, commit: Callable[[Moves], None], *, due: bool
    ) -> Guarded | None:
        """Keep interrupts off what *ledger* guards; None: no look was *due*. As ``Guard.keep``."""
        ground = Ground(guarded(self._asked, ledger), topology.online, topology.node_cpus)
        if ground == self._ground and not due:
            return None
        done = self._guard.keep(ground, before, commit)
        self._ground = ground
        commit(done.moves)
        return done
