"""What the cgroups should hold, as a value.

Pure. Which cgroup gets what is decided by `partitions` and `shrinking`; what Pinfold once wrote and wants no longer
is given back here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pinfold.cgroups.found import Found
from pinfold.cgroups.held import Held
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tree import Tree
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Ledger
from pinfold.pods.model import PodUid
from pinfold.topology.model import Topology


class Enforcement(StrEnum):
    """How others are kept off the CPUs that a pod owns."""

    PARTITION = "partition"
    """By the kernel: who owns CPUs is a remote cpuset partition."""
    SHRINK = "shrink"
    """By narrowing everybody else's cpusets; ``cpuset.cpus.exclusive`` is never written."""


class Kind(StrEnum):
    """The words that ``cpuset.cpus.partition`` takes."""

    MEMBER = "member"
    ROOT = "root"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True)
class Want:
    """What one cgroup should hold; None: that file is not ours."""

    why: str
    """For whom, a few words."""
    pod: PodUid | None = None
    """None: it serves several pods."""
    cpus: CpuSet | None = None
    """The empty set where the cgroup takes one: it is given back, and inherits."""
    exclusive: CpuSet | None = None
    partition: Kind | None = None
    mems: NodeSet | None = None
    gives_cpuset: bool | None = None
    cpu_max: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    wants: Mapping[CgroupPath, Want] = field(default_factory=dict)
    shared: CpuSet = CpuSet()
    """The node shared pool: where everybody runs who owns nothing."""


@dataclass(frozen=True, slots=True)
class Node:
    """Everything that a layout depends on, besides who owns what."""

    tree: Tree
    held: Held
    """At least the cgroups of `watch.read`."""
    found: Found
    topology: Topology
    enforcement: Enforcement
    names: Mapping[str, str] = field(default_factory=dict)
    """Runtime's id → container name, of those whose name is one in their pod's spec."""
    refused: frozenset[PodUid] = frozenset()
    """Pods that the kernel would not make a partition for: their pools are held by shrinking everybody else."""


def wanted(node: Node, ledger: Ledger, node_shared: CpuSet) -> Layout:
    """What the cgroups of *node* should hold so that *ledger* is true; an empty ledger gives everything back.

    *node_shared*: online CPUs that no pod owns.
    """
    raise NotImplementedError
