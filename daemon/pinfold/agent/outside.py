"""What the command line does without the loop: compare the kernel with the ledger, and give everything back."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from pinfold.agent.enforcement import Enforced, Kept, NodeCgroups
from pinfold.agent.systemd_units import tell
from pinfold.cgroups.executor import Result
from pinfold.cgroups.found import adopted
from pinfold.cgroups.layout import Node
from pinfold.cgroups.paths import ROOT, File
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.strangers import Owned, Stranger, strangers
from pinfold.cgroups.systemd_bus import BusError, SystemdBus
from pinfold.cgroups.systemd_properties import Values, given_back
from pinfold.cgroups.tree import NoTree, Tree
from pinfold.cgroups.verify import Drift, verify
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.writes import Write
from pinfold.config import Config
from pinfold.cpuset import CpuSet
from pinfold.errors import PinfoldError
from pinfold.interrupts.affinities import Ground, IrqId, Moves
from pinfold.interrupts.files import IrqError
from pinfold.interrupts.guard import Guard, Guarded
from pinfold.planning.ledger import Ledger
from pinfold.sources.bundles import Bundles
from pinfold.state import Checkpoint, StateDirectory, StateError, boot_id, load
from pinfold.topology.sysfs import read_topology


class NodeError(PinfoldError):
    """This node has no kubepods cgroup to look at, or no checkpoint to compare it with."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The kernel against the ledger."""

    ledger: Ledger
    drift: tuple[Drift, ...]
    strangers: tuple[Stranger, ...] | None = None
    """None: nobody looked."""
    hidden: bool = False
    """Some processes lie in a PID namespace that we do not see."""


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


def compare(config: Config, *, tasks: bool = False) -> Comparison:
    """Read back what the kernel holds of the checkpoint's ledger; nothing is written. Raises PinfoldError.

    *tasks*: look for those too that may run on what pods own and are no part of them.
    """
    checkpoint = load(Path(config.state_dir), boot_id())
    if checkpoint is None:
        raise NodeError(f"no checkpoint in {config.state_dir}: Pinfold has pinned nothing on this node.")
    with closing(NodeCgroups(config)) as cgroups:
        topology = read_topology(Path(config.sysfs_root))
        tree = _tree(cgroups)
        node = cgroups.look(
            tree, checkpoint.ledger, topology, Kept.of(checkpoint).files, _names(tree, checkpoint.ledger)
        )
        layout = wanted(node, checkpoint.ledger, topology.online - checkpoint.ledger.owned)
        drift = verify(layout, node.held, topology.online)
        if not tasks:
            return Comparison(checkpoint.ledger, drift)
        hidden = "0" in (cgroups.fs.read_all(ROOT, (File.PROCS,)).get(File.PROCS) or "").split()
        return Comparison(checkpoint.ledger, drift, tuple(strangers(_owned(node, checkpoint.ledger))), hidden)


def _owned(node: Node, ledger: Ledger) -> Iterator[Owned]:
    """Pools and slices whose cgroups are there."""
    for uid, entry in ledger.entries.items():
        if pod := node.tree.pods.get(uid):
            if entry.cpus:
                yield Owned(pod.path, entry.cpus)
            slices = entry.slices
            for one in pod.containers:
                if cpus := slices.get(node.names.get(one.id or "", "")):
                    yield Owned(one.path, cpus)


def release(config: Config, *, dry_run: bool = False) -> Release:
    """Give everything back as it was found. Raises PinfoldError: StateError while a daemon runs, which would pin anew.

    Without a readable checkpoint, what Pinfold must have written is read off the kernel.
    """
    boot = boot_id()
    with closing(StateDirectory(Path(config.state_dir))) as state, closing(NodeCgroups(config)) as cgroups:
        topology = read_topology(Path(config.sysfs_root))
        tree = _tree(cgroups)
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
            tell(bus, properties)
    except BusError as error:
        return f"{error} What systemd was told to keep in its slices, it keeps."
    return ""


def _tree(cgroups: NodeCgroups) -> Tree:
    tree = cgroups.discover()
    if isinstance(tree, NoTree):
        raise NodeError(tree.message)
    return tree


def _names(tree: Tree, ledger: Ledger) -> Mapping[str, str]:
    """Runtime's id → container name, as the bundles have it; only names that the ledger knows in that pod."""
    bundles = Bundles()
    names: dict[str, str] = {}
    for pod in tree.pods.values():
        known = {one.name for one in ledger.entries[pod.uid].containers} if pod.uid in ledger.entries else set()
        for container in pod.containers:
            bundle = bundles.name_of(container.id) if container.id else None
            if container.id and bundle and bundle.name in known:
                names[container.id] = bundle.name
    return names
