"""A ledger made true in the kernel: look, order the writes, put on disk what they will replace, write, look again.

What to write is decided in ``cgroups``; here it is done, in an order that survives a crash after any step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pinfold.cgroups import watch
from pinfold.cgroups.capability import Capability, capability, may_administer
from pinfold.cgroups.executor import Kernel, Outcome, Result, execute
from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.found import Found, noted, refreshed
from pinfold.cgroups.held import Held, Reading, held
from pinfold.cgroups.layout import Enforcement, Layout, Node
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.tree import Driver, Listing, NoTree, Tree, discover
from pinfold.cgroups.verify import Drift, verify
from pinfold.cgroups.wanted import wanted
from pinfold.config import CgroupDriver, Config, Exclusivity
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.pods.model import PodUid
from pinfold.topology.model import Topology

ROUNDS = 4
"""How often the writes are ordered anew after a refusal, before the rest is left to the next reconcile."""

_ASKED = {
    Exclusivity.AUTO: None,
    Exclusivity.PARTITION: Enforcement.PARTITION,
    Exclusivity.SHRINK: Enforcement.SHRINK,
}


@dataclass(frozen=True, slots=True)
class Enforced:
    """What came of it."""

    node: Node
    """As it was read after the last write; its ``found`` is what is on disk."""
    layout: Layout
    outcomes: tuple[Outcome, ...]
    drift: tuple[Drift, ...]
    """What still differs."""

    def count(self, result: Result) -> int:
        return sum(outcome.result is result for outcome in self.outcomes)


class NodeFs(Listing, Reading, Kernel, Protocol):
    """`files.Cgroupfs`, or what wraps it."""

    def close(self) -> None: ...


class NodeCgroups:
    """This node's cgroup tree, as the configuration says where it is and how pools are held."""

    def __init__(self, config: Config, fs: NodeFs | None = None) -> None:
        """Raises CgroupError where cgroup2 is not mounted as configured."""
        self.fs: NodeFs = fs or Cgroupfs(Path(config.cgroup_mount))
        self._root = config.cgroup_root
        self._driver = None if config.cgroup_driver is CgroupDriver.AUTO else Driver(config.cgroup_driver)
        self._asked = _ASKED[config.exclusivity]
        self._may_administer = may_administer()

    def close(self) -> None:
        self.fs.close()

    def discover(self) -> Tree | NoTree:
        return discover(self.fs, self._root, self._driver)

    def capability(self, held: Held) -> Capability:
        return capability(held, may_administer=self._may_administer, asked=self._asked)

    def look(
        self,
        tree: Tree,
        ledger: Ledger,
        topology: Topology,
        found: Found,
        names: Mapping[str, str],
        refused: frozenset[PodUid] = frozenset(),
    ) -> Node:
        """Read everything that a layout depends on."""
        state = held(self.fs, watch.read(tree, ledger, found))
        return Node(
            tree=tree,
            held=state,
            found=refreshed(found, tree, state, topology),
            topology=topology,
            enforcement=self.capability(state).enforcement,
            names=names,
            refused=refused,
        )

    def enforce(self, node: Node, ledger: Ledger, node_shared: CpuSet, commit: Callable[[Found], None]) -> Enforced:
        """Make *ledger* true. *commit* puts what was found on disk; where it raises, nothing has been written yet."""
        outcomes: tuple[Outcome, ...] = ()
        for _ in range(ROUNDS):
            layout = wanted(node, ledger, node_shared)
            writes = ordered(node.held, layout)
            found = noted(node.found, node.held, writes)
            commit(found)
            node = replace(node, found=found)
            if not writes:
                break
            done = execute(writes, self.fs)
            outcomes += done
            refused = {one.write.pod for one in done if one.result is Result.REFUSED and one.write.pod}
            node = self.look(node.tree, ledger, node.topology, node.found, node.names, node.refused | refused)
        layout = wanted(node, ledger, node_shared)
        return Enforced(node, layout, outcomes, verify(layout, node.held, node.topology.online))
