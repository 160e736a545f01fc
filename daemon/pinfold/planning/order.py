"""In which order units and CPUs are tried: the fullest first, so that large requests find room later.

Pure. *free* is the bits of the CPUs that may be taken. Source: the kubelet's ``cpuAccumulator``, ``sortAvailable…``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pinfold.cpuset import CpuSet
from pinfold.planning.units import Unit, Units, fullest_first


@dataclass(frozen=True, slots=True)
class Order:
    """Units with a free CPU, in the order they are tried, as of one moment."""

    units: Units
    free: int

    def nodes(self) -> Iterator[Unit]:
        if self.units.numa_first:
            yield from fullest_first(self.units.nodes, self.free)
        else:
            for socket in self.sockets():
                yield from fullest_first(self.units.nodes_in[socket.id], self.free)

    def sockets(self) -> Iterator[Unit]:
        if self.units.numa_first:
            for node in self.nodes():
                yield from fullest_first(self.units.sockets_in[node.id], self.free)
        else:
            yield from fullest_first(self.units.sockets, self.free)

    def caches(self) -> Iterator[Unit]:
        for node in self.nodes():
            yield from fullest_first(self.units.caches_in[node.id], self.free)

    def cores(self) -> Iterator[Unit]:
        for lower in self.sockets() if self.units.numa_first else self.nodes():
            yield from fullest_first(self.units.cores_in[lower.id], self.free)

    def cpus(self, spread: bool) -> Iterator[int]:
        """Core by core; or *spread*, socket by socket with no regard to cores."""
        for unit in self.sockets() if spread else self.cores():
            yield from CpuSet(self.free & unit.cpus)
