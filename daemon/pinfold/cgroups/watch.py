"""Which cgroups to read, and which to watch for other writers. Pure."""

from pinfold.cgroups.found import Found
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tree import Tree
from pinfold.planning.ledger import Ledger


def read(tree: Tree, ledger: Ledger, found: Found) -> tuple[CgroupPath, ...]:
    """The cgroups whose files a layout depends on, outer ones first."""
    raise NotImplementedError


def watched(tree: Tree, ledger: Ledger, enforcement: Enforcement) -> frozenset[CgroupPath]:
    """The cgroup directories in which a new cgroup, or a write by somebody else, concerns Pinfold."""
    raise NotImplementedError
