"""The machine as the take sees it: NUMA nodes, sockets, caches and cores as bits, each within what encloses it.

Pure, and computed once for each topology. Source: the kubelet's ``topology.CPUDetails``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pinfold.cpuset import CpuSet
from pinfold.topology.model import Topology


class Unit(NamedTuple):
    """A NUMA node, socket, cache or core."""

    id: int
    cpus: int
    """The bits of all its CPUs."""
    here: int
    """Those inside the enclosing unit: odd machines have sockets that span nodes, or core ids used twice."""


@dataclass(frozen=True, slots=True)
class Units:
    numa_first: bool
    """Whether NUMA nodes enclose sockets: there are at least as many sockets as nodes."""
    nodes: tuple[Unit, ...]
    sockets: tuple[Unit, ...]
    sockets_in: Mapping[int, tuple[Unit, ...]]
    """NUMA node → its sockets."""
    nodes_in: Mapping[int, tuple[Unit, ...]]
    """Socket → its NUMA nodes."""
    caches_in: Mapping[int, tuple[Unit, ...]]
    """NUMA node → its uncore caches."""
    cores_in: Mapping[int, tuple[Unit, ...]]
    """Lower of socket and NUMA node → its cores."""
    cores_on: Mapping[int, tuple[Unit, ...]]
    """Uncore cache → its cores."""
    cpus_per_core: int
    """All CPUs divided by all cores, as the kubelet does; so are the next two."""
    cpus_per_socket: int
    cpus_per_cache: int


class _Same:
    """A topology that equals only itself: to compare two machines costs more than to divide one into units."""

    __slots__ = ("topology",)

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.topology is other.topology

    def __hash__(self) -> int:
        return id(self.topology)


def units(topology: Topology) -> Units:
    return _units(_Same(topology))


@lru_cache(maxsize=8)
def _units(same: _Same) -> Units:
    topology = same.topology
    nodes, sockets = topology.node_cpus, topology.sockets
    cpus = len(topology.cpus)
    numa_first = len(sockets) >= len(nodes)
    return Units(
        numa_first,
        nodes=_within(~0, nodes),
        sockets=_within(~0, sockets),
        sockets_in=_nested(nodes, sockets),
        nodes_in=_nested(sockets, nodes),
        caches_in=_nested(nodes, topology.uncores),
        cores_in=_nested(sockets if numa_first else nodes, topology.cores),
        cores_on=_nested(topology.uncores, topology.cores),
        cpus_per_core=cpus // max(len(topology.cores), 1),
        cpus_per_socket=cpus // max(len(sockets), 1),
        cpus_per_cache=cpus // max(len(topology.uncores), 1),
    )


def _within(enclosing: int, parts: Mapping[int, CpuSet]) -> tuple[Unit, ...]:
    return tuple(Unit(id_, part.bits, part.bits & enclosing) for id_, part in parts.items() if part.bits & enclosing)


def _nested(wholes: Mapping[int, CpuSet], parts: Mapping[int, CpuSet]) -> Mapping[int, tuple[Unit, ...]]:
    return {id_: _within(whole.bits, parts) for id_, whole in wholes.items()}


def fullest_first(group: Iterable[Unit], free: int) -> list[Unit]:
    """Those with a free CPU, the ones with the fewest first, then by id."""
    found = [((free & unit.cpus).bit_count(), unit.id, unit) for unit in group if free & unit.here]
    found.sort()
    return [unit for _, _, unit in found]
