"""Which cgroups to read, and which to watch for other writers. Pure."""

from pinfold.cgroups.found import Found
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tree import Tree
from pinfold.planning.ledger import Ledger


def read(tree: Tree, ledger: Ledger, found: Found) -> tuple[CgroupPath, ...]:
    """The cgroups whose files a layout depends on: all but the containers that Pinfold never wrote to."""
    return (*outer(tree), *sorted(inner(tree, ledger, found)))


def outer(tree: Tree) -> tuple[CgroupPath, ...]:
    """Of these, those above the pods, and beside their way."""
    return (*tree.way, *tree.outsiders, *tree.qos_slices.values())


def inner(tree: Tree, ledger: Ledger, found: Found) -> frozenset[CgroupPath]:
    """Of these, the pods and what is in them."""
    pods = (tree.pods[uid] for uid in ledger.entries.keys() | ledger.protections.keys() if uid in tree.pods)
    managed = (one.path for pod in pods for one in pod.containers)
    return frozenset([pod.path for pod in tree.pods.values()]).union(managed, found.keys() & tree.owners.keys())


def watched(tree: Tree, ledger: Ledger, found: Found, enforcement: Enforcement) -> frozenset[CgroupPath]:
    """The cgroup directories in which a new cgroup, or a write by somebody else, concerns Pinfold.

    None below a container's own: what its processes make there stays within it.
    """
    outsiders = tree.outsiders if enforcement is Enforcement.SHRINK else ()
    return inner(tree, ledger, found).union(tree.way, outsiders, tree.qos_slices.values())
