"""What the machine is: CPUs, cores, sockets, uncore caches and NUMA nodes, as values.

Pure. The reader of sysfs stands next door; nothing here opens a file.
Source of the words: the kubelet's ``topology.CPUTopology``; kernel documents cputopology.rst and sysfs-devices-node.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from pinfold.cpuset import CpuSet, NodeSet


@dataclass(frozen=True, slots=True)
class Cpu:
    """One online logical CPU and where it sits. Ids are unique over the machine, except ``die``: within its socket."""

    id: int
    core: int
    """The lowest online CPU id among its thread siblings."""
    socket: int
    """The physical package id; where that is not told or not unique, the lowest online CPU of the socket."""
    node: int
    """The NUMA node id; 0 where the machine has no node directory."""
    uncore: int
    """Lowest CPU of the L3 it shares with more than its core and fewer than its whole node, else the socket id.

    On a machine with both kinds, the latter are named by their lowest CPU too, so that no two groups share an id.
    """
    die: int = 0


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A NUMA node; it may have no CPU (memory only) or no memory."""

    id: int
    cpus: CpuSet
    """Online ones."""
    memory_bytes: int = 0
    """MemTotal of the node, preallocated huge pages included."""
    hugepages_bytes: Mapping[str, int] = field(default_factory=dict)
    """Preallocated, by Kubernetes resource name: ``hugepages-2Mi`` → bytes."""
    distances: Mapping[int, int] = field(default_factory=dict)
    """Node id → ACPI SLIT distance, itself included; empty where the machine does not tell."""


_Group = TypeVar("_Group", int, tuple[int, int])


def grouped(pairs: Iterable[tuple[_Group, int]]) -> dict[_Group, CpuSet]:
    """(group, CPU) pairs as group → its CPUs, ascending by group."""
    bits: dict[_Group, int] = {}
    for group, cpu in pairs:
        bits[group] = bits.get(group, 0) | 1 << cpu
    return {group: CpuSet(bits[group]) for group in sorted(bits)}


@dataclass(frozen=True)
class Topology:
    """A machine. Groupings hold online CPUs only, keyed by ascending id.

    Two topologies are equal when every CPU, node, and the possible, offline and isolated sets are.
    """

    cpus: tuple[Cpu, ...]
    """Online, ascending by id."""
    nodes: tuple[NumaNode, ...]
    """Online, ascending by id; at least one."""
    offline: CpuSet = CpuSet()
    """Present, but offline now."""
    possible: CpuSet = CpuSet()
    """What the kernel could ever bring online; a cpuset file accepts no more. Empty: not told."""
    isolated: CpuSet = CpuSet()
    """Booted with ``isolcpus=``."""

    @cached_property
    def online(self) -> CpuSet:
        return CpuSet.of(cpu.id for cpu in self.cpus)

    @cached_property
    def by_id(self) -> Mapping[int, Cpu]:
        return {cpu.id: cpu for cpu in self.cpus}

    @cached_property
    def cores(self) -> Mapping[int, CpuSet]:
        return grouped((cpu.core, cpu.id) for cpu in self.cpus)

    @cached_property
    def sockets(self) -> Mapping[int, CpuSet]:
        return grouped((cpu.socket, cpu.id) for cpu in self.cpus)

    @cached_property
    def uncores(self) -> Mapping[int, CpuSet]:
        return grouped((cpu.uncore, cpu.id) for cpu in self.cpus)

    @cached_property
    def dies(self) -> Mapping[tuple[int, int], CpuSet]:
        """(socket, die) → CPUs."""
        return grouped(((cpu.socket, cpu.die), cpu.id) for cpu in self.cpus)

    @cached_property
    def node_cpus(self) -> Mapping[int, CpuSet]:
        """NUMA nodes that have CPUs → their CPUs."""
        return grouped((cpu.node, cpu.id) for cpu in self.cpus)

    @cached_property
    def node(self) -> Mapping[int, NumaNode]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def memory_nodes(self) -> NodeSet:
        """Nodes that have memory: what ``cpuset.mems`` may hold."""
        return NodeSet.of(node.id for node in self.nodes if node.memory_bytes)

    def without(self, cpus: CpuSet) -> "Topology":
        """The machine as if *cpus* were offline."""
        if cpus.isdisjoint(self.online):
            return self
        return replace(
            self,
            cpus=tuple(cpu for cpu in self.cpus if cpu.id not in cpus),
            nodes=tuple(replace(node, cpus=node.cpus - cpus) for node in self.nodes),
            offline=self.offline | (self.online & cpus),
        )

    def nodes_of(self, cpus: CpuSet) -> NodeSet:
        """The NUMA nodes that *cpus* touch."""
        return NodeSet.of(node for node, own in self.node_cpus.items() if own.bits & cpus.bits)

    def cpus_of(self, nodes: NodeSet) -> CpuSet:
        """All online CPUs of *nodes*."""
        return CpuSet.union(own for node, own in self.node_cpus.items() if node in nodes)
