"""Taking CPUs so that whole sockets, NUMA nodes, caches and cores stay together.

Pure: bits in, bits out. Source: the kubelet's ``takeByTopologyNUMAPacked``; KEP-4176 (spread), KEP-4800 (caches).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pinfold.planning.order import Order
from pinfold.planning.policy import CpuOption, Rules
from pinfold.planning.units import Unit, Units


@dataclass(frozen=True, slots=True)
class Packing:
    """How CPUs are packed on one machine, under one set of options and rules."""

    units: Units
    spread: bool
    by_cache: bool
    full_cores: bool
    rules: Rules

    @classmethod
    def under(cls, units: Units, options: frozenset[CpuOption], rules: Rules) -> "Packing":
        return cls(
            units,
            spread=CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES in options,
            by_cache=CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE in options,
            full_cores=CpuOption.FULL_PCPUS_ONLY in options,
            rules=rules,
        )

    def pack(self, free: int, need: int) -> int:
        """*need* of the *free* CPUs, which are at least as many."""
        steps, taken = self._steps(), 0
        while need:
            got = next(steps)(free & ~taken, need)
            taken |= got
            need -= got.bit_count()
        return taken

    def _steps(self) -> Iterator[Callable[[int, int], int]]:
        yield from (self._nodes, self._sockets) if self.units.numa_first else (self._sockets, self._nodes)
        if self.by_cache:
            yield self._caches
        if not self.spread:
            yield self._cores
        yield self._cpus

    def _nodes(self, free: int, need: int) -> int:
        return _needed(self.whole_nodes(free), need)

    def _sockets(self, free: int, need: int) -> int:
        return _needed(self.whole_sockets(free), need)

    def _caches(self, free: int, need: int) -> int:
        """Whole caches; then all of the rest out of one cache, the first in the same order that fits."""
        order, taken = list(Order(self.units, free).caches()), 0
        if self.rules.core_threads_counted or need >= self.units.cpus_per_cache:
            taken = _needed(_whole(order, free), need)
        rest = need - taken.bit_count()
        fits = self._packed_in if self.rules.cache_rest_packed else self._lowest_in
        fitting = (fits(cache, free & ~taken, rest) for cache in order)
        return taken | next((cpus for cpus in fitting if cpus), 0)

    def _cores(self, free: int, need: int) -> int:
        return _needed(self.whole_cores(free), need)

    def whole_nodes(self, free: int) -> Iterator[Unit]:
        """NUMA nodes of which every CPU is free, in order."""
        return _whole(Order(self.units, free).nodes(), free)

    def whole_sockets(self, free: int) -> Iterator[Unit]:
        return self._of_size(_whole(Order(self.units, free).sockets(), free), self.units.cpus_per_socket)

    def whole_cores(self, free: int) -> Iterator[Unit]:
        return self._of_size(_whole(Order(self.units, free).cores(), free), self.units.cpus_per_core)

    def _of_size(self, whole: Iterator[Unit], average: int) -> Iterator[Unit]:
        """Without the units of another size, which the kubelet takes for broken ones."""
        if self.rules.core_threads_counted:
            return whole
        return (unit for unit in whole if unit.cpus.bit_count() == average)

    def _cpus(self, free: int, need: int) -> int:
        taken = 0
        for cpu in Order(self.units, free).cpus(self.spread):
            if not need:
                break
            if not taken >> cpu & 1:
                taken |= 1 << cpu
                need -= 1
        return taken

    def _packed_in(self, cache: Unit, free: int, need: int) -> int:
        """*need* CPUs of *cache*, whole cores first; under full-pcpus-only nothing but whole cores."""
        inside = free & cache.cpus
        if inside.bit_count() < need:
            return 0
        got = self._cores(inside, need)
        if rest := need - got.bit_count():
            got |= 0 if self.full_cores else self._cpus(inside & ~got, rest)
        return got if got.bit_count() == need else 0

    def _lowest_in(self, cache: Unit, free: int, need: int) -> int:
        """The lowest cores of *cache* with a free CPU, as many as *need* fills, if they are free for just that."""
        per_core = self.units.cpus_per_core
        cores = [free & core.cpus for core in self.units.cores_on[cache.id] if free & core.here]
        got = 0
        for core in cores[: -(-need // per_core)]:
            got |= core
        if need % 2 and per_core > 1 and got.bit_count() > need:
            got ^= 1 << (got.bit_length() - 1)
        return got if got.bit_count() == need else 0


def _whole(order: Iterable[Unit], free: int) -> Iterator[Unit]:
    return (unit for unit in order if unit.cpus & free == unit.cpus)


def _needed(whole: Iterable[Unit], need: int) -> int:
    """As many of the *whole* units, in order, as are needed whole."""
    taken = 0
    for unit in whole:
        count = unit.cpus.bit_count()
        if count <= need and not unit.cpus & taken:
            taken |= unit.cpus
            need -= count
            if not need:
                break
    return taken
