"""The settings that a decision depends on, in the kubelet's words.

Source: KEP-2625, 2902, 3327, 3545, 4176, 4540, 4622, 4800 (options), KEP-693 (policies and scopes), KEP-1769 (memory).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from pinfold.cpuset import CpuSet


class TopologyPolicy(StrEnum):
    NONE = "none"
    BEST_EFFORT = "best-effort"
    RESTRICTED = "restricted"
    SINGLE_NUMA_NODE = "single-numa-node"


class TopologyScope(StrEnum):
    CONTAINER = "container"
    POD = "pod"


class MemoryPolicy(StrEnum):
    NONE = "None"
    STATIC = "Static"


class CpuOption(StrEnum):
    FULL_PCPUS_ONLY = "full-pcpus-only"
    DISTRIBUTE_CPUS_ACROSS_NUMA = "distribute-cpus-across-numa"
    DISTRIBUTE_CPUS_ACROSS_CORES = "distribute-cpus-across-cores"
    ALIGN_BY_SOCKET = "align-by-socket"
    STRICT_CPU_RESERVATION = "strict-cpu-reservation"
    PREFER_ALIGN_CPUS_BY_UNCORECACHE = "prefer-align-cpus-by-uncorecache"
    SLICE_FULL_CORES = "slice-full-cores"
    """Pinfold's own: exclusive slices inside a pod pool are whole cores too."""


class OnUnsatisfied(StrEnum):
    SHARE = "share"
    EVICT = "evict"


class Manage(StrEnum):
    REQUESTED = "requested"
    """Pods with pod-level resources or a ``pinfold.dev/`` annotation."""
    GUARANTEED = "guaranteed"
    """Those, and every other Guaranteed pod as the kubelet's static policy would."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Where Pinfold decides otherwise than the kubelet; each a switch. All off is "kubelet mode"."""

    core_threads_counted: bool = True
    """A core is whole by its own thread count, not by the machine's average (hybrid machines)."""
    shared_pool_kept: bool = True
    """The node shared pool never falls below what it owes (NodeSharedPoolExhausted)."""
    empty_shared_pool_by_cpu_and_memory_only: bool = True
    """Huge pages wholly taken by slices do not refuse a pod (§2.6)."""
    pools_without_hint: bool = True
    """Scope pod makes a pod pool also under topology policy none."""
    last_slice_shared: bool = True
    """An empty pod shared pool degrades the pod (last slice shared) instead of refusing it (§9.1)."""
    cache_rest_packed: bool = True
    """What one uncore cache gives is packed by whole cores, not made of its lowest core ids (§4.9)."""
    cpus_without_memory: bool = True
    """A pod whose memory cannot be booked keeps its CPUs and runs on all nodes' memory (§9.1)."""


KUBELET_RULES = Rules(*[False] * len(fields(Rules)))


@dataclass(frozen=True, slots=True)
class Policy:
    """One node's settings. Annotations may override ``topology_policy``, ``scope``, ``cpu_options`` per pod."""

    reserved: CpuSet
    """Never owned by a pod; not empty."""
    topology_policy: TopologyPolicy = TopologyPolicy.BEST_EFFORT
    scope: TopologyScope = TopologyScope.POD
    cpu_options: frozenset[CpuOption] = frozenset()
    prefer_closest_numa_nodes: bool = False
    memory_policy: MemoryPolicy = MemoryPolicy.STATIC
    reserved_memory: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """NUMA node → resource name → bytes that no pod may book."""
    manage: Manage = Manage.REQUESTED
    on_unsatisfied: OnUnsatisfied = OnUnsatisfied.SHARE
    min_shared_cpus: int = 1
    allow_unscheduled_pools: bool = False
    annotation_namespaces: frozenset[str] | None = None
    """Namespaces whose annotations are heard; None: all."""
    memory_min_namespaces: frozenset[str] = frozenset()
    """Namespaces whose pods may have memory that is never reclaimed; those of others get ``low`` for ``min``."""
    rules: Rules = Rules()
