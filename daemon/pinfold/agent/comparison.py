"""The kernel against the ledger on disk, without the loop: what ``pinfold verify`` tells. Nothing is written."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pinfold.agent.enforcement import Kept, NodeCgroups
from pinfold.cgroups.layout import Node
from pinfold.cgroups.paths import ROOT, File
from pinfold.cgroups.strangers import Owned, Stranger, strangers
from pinfold.cgroups.tree import NoTree, Tree
from pinfold.cgroups.verify import Drift, verify
from pinfold.cgroups.wanted import wanted
from pinfold.config import Config
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import Ledger
from pinfold.sources.bundles import Bundles
from pinfold.state import boot_id, load
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


def compare(config: Config, *, tasks: bool = False) -> Comparison:
    """Read back what the kernel holds of the checkpoint's ledger; nothing is written. Raises PinfoldError.

    *tasks*: look for those too that may run on what pods own and are no part of them.
    """
    checkpoint = load(Path(config.state_dir), boot_id())
    if checkpoint is None:
        raise NodeError(f"no checkpoint in {config.state_dir}: Pinfold has pinned nothing on this node.")
    with closing(NodeCgroups(config)) as cgroups:
        topology = read_topology(Path(config.sysfs_root))
        tree = tree_of(cgroups)
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


def tree_of(cgroups: NodeCgroups) -> Tree:
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
