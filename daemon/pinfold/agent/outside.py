"""Everything is given back, without the loop: what ``pinfold release`` does."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from pinfold.agent.comparison import tree_of
from pinfold.agent.enforcement import Enforced, Kept, NodeCgroups
from pinfold.cgroups.executor import Result
from pinfold.cgroups.found import adopted
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.systemd_bus import BusError, SystemdBus
from pinfold.cgroups.systemd_properties import Values, given_back
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.writes import Write
from pinfold.config import Config
from pinfold.cpuset import CpuSet
from pinfold.interrupts.affinities import Ground, IrqId, Moves
from pinfold.interrupts.files import IrqError
from pinfold.interrupts.guard import Guard, Guarded
from pinfold.planning.ledger import Ledger
from pinfold.state import Checkpoint, StateDirectory, StateError, boot_id
from pinfold.topology.sysfs import read_topology


@dataclass(frozen=True, slots=True)
class Release:
    """What gives everything back, and what came of it."""

    writes: tuple[Write, ...]
    """In order; with *dry_run* what would be written first."""
    irqs: Mapping[IrqId, CpuSet]
    """The affinities that are given back, first of all."""
    enforced: Enforced | None = None
    """None: nothing was done."""
    guarded: Guarded = Guarded()  # noqa: RUF009 immutable
    """What became of the interrupts."""
    warnings: tuple[str, ...] = ()
    properties: Values = field(default_factory=dict)
    """Of systemd's units, given back too."""
    deaf: bool = False
    """systemd could not be told."""

    @property
    def is_whole(self) -> bool:
        """Whether all was given back, as far as it was tried."""
        return self.enforced is None or not (
            self.enforced.drift or self.enforced.count(Result.REFUSED) or self.guarded.moves or self.deaf
        )


def release(config: Config, *, dry_run: bool = False) -> Release:
    """Give everything back as it was found. Raises PinfoldError: StateError while a daemon runs, which would pin anew.

    Without a readable checkpoint, what Pinfold must have written is read off the kernel.
    """
    boot = boot_id()
    with closing(StateDirectory(Path(config.state_dir))) as state, closing(NodeCgroups(config)) as cgroups:
        topology = read_topology(Path(config.sysfs_root))
        tree = tree_of(cgroups)
        warnings: tuple[str, ...] = ()
        checkpoint = Checkpoint()
        try:
            checkpoint = state.load(boot) or checkpoint
            kept = Kept.of(checkpoint)
        except (StateError, ValueError) as error:
            warnings = (f"{error} What Pinfold wrote is read off the kernel.",)
            kept = Kept(adopted(tree, cgroups.look(tree, Ledger(), topology, {}, {}).held))
        node = cgroups.look(tree, Ledger(), topology, kept.files, {})
        layout = wanted(node, Ledger(), topology.online)
        writes = ordered(node.held, layout)
        properties = given_back(node, checkpoint.properties)
        with closing(Guard()) as guard:
            try:
                irqs = guard.returns(kept.irqs)
            except IrqError as error:
                irqs, warnings = {}, (*warnings, str(error))
            if dry_run:
                return Release(writes, irqs, warnings=warnings, properties=properties)
            fault = _told(properties)
            untold = checkpoint.properties if fault else frozenset[tuple[str, str]]()

            def commit(left: Kept) -> None:
                """What is left to give back stays on disk, so that a release that dies can be repeated."""
                state.save(left.into(Checkpoint(properties=untold)), boot)

            def commit_moves(moves: Moves) -> None:
                commit(replace(kept, irqs=moves))

            guarded = guard.keep(Ground(CpuSet(), topology.online, topology.node_cpus), kept.irqs, commit_moves)
        kept = replace(kept, irqs=guarded.moves)
        if properties:  # systemd has written by now: what it left is given back by file
            node = cgroups.look(tree, Ledger(), topology, node.found, {})
        enforced = cgroups.enforce(node, Ledger(), topology.online, layout, kept, commit)
        told = (*warnings, *([fault] if fault else ()), *guarded.warnings)
        done = Release(writes, irqs, enforced, guarded, told, properties, deaf=bool(fault))
        if done.is_whole:
            state.discard()
        return done


def _told(properties: Values) -> str:
    """Give *properties* back; why systemd could not be told, empty where it was."""
    try:
        with closing(SystemdBus()) as bus:
            from pinfold.agent.systemd_units import tell  # which logs: that library is half the time of a command

            tell(bus, properties)
    except BusError as error:
        return f"{error} What systemd was told to keep in its slices, it keeps."
    return ""
