"""How a set of CPUs grows and shrinks with the least disturbance: nobody moves.

Pure. What is added is as near as can be to what is held; what is dropped is the farthest from the rest.
"""

from collections import Counter
from collections.abc import Iterator

from pinfold.cpuset import CpuSet
from pinfold.topology.model import Cpu, Topology


def resized(topology: Topology, held: CpuSet, size: int, free: CpuSet, spared: CpuSet = CpuSet()) -> CpuSet:
    """*held* grown to *size* out of *free*, as far as that goes, or shrunk to it.

    In shrinking, CPUs of *spared* are dropped only when there are no others.
    """
    return _shrunk(topology, held, size, spared) if size < len(held) else _grown(topology, held, size, free - held)


def _grown(topology: Topology, held: CpuSet, size: int, free: CpuSet) -> CpuSet:
    """First cores that are touched already, then the same cache, NUMA node, socket; whole cores before broken ones."""
    touched = Counter(unit for cpu in held for unit in _units(topology.by_id[cpu]))
    whole = {core for core, cpus in topology.cores.items() if cpus <= free}
    grown, rest = held, set(free)
    while len(grown) < size and rest:
        nearest = min(
            rest, key=lambda cpu: (*_strange(topology.by_id[cpu], touched), topology.by_id[cpu].core not in whole, cpu)
        )
        touched.update(_units(topology.by_id[nearest]))
        grown |= CpuSet.of([nearest])
        rest.remove(nearest)
    return grown


def _shrunk(topology: Topology, held: CpuSet, size: int, spared: CpuSet) -> CpuSet:
    """The emptiest socket, NUMA node, cache and core give first; of equals the highest CPU."""
    counts = Counter(unit for cpu in held for unit in _units(topology.by_id[cpu]))
    kept = held
    while len(kept) > size:
        loneliest = min(
            kept - spared or kept,
            key=lambda cpu: (*(counts[unit] for unit in reversed(tuple(_units(topology.by_id[cpu])))), -cpu),
        )
        counts.subtract(_units(topology.by_id[loneliest]))
        kept -= CpuSet.of([loneliest])
    return kept


def _units(cpu: Cpu) -> Iterator[tuple[str, int]]:
    """What a CPU shares with its neighbours, the nearest first."""
    yield "core", cpu.core
    yield "uncore", cpu.uncore
    yield "node", cpu.node
    yield "socket", cpu.socket


def _strange(cpu: Cpu, touched: Counter[tuple[str, int]]) -> Iterator[bool]:
    return (not touched[unit] for unit in _units(cpu))
