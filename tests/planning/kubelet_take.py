"""The take as the specification tells it, step by step, with sets of numbers and no thought for speed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from math import ceil, sqrt

from pinfold.cpuset import CpuSet
from pinfold.planning.policy import CpuOption
from pinfold.topology.model import Cpu, Topology

Key = Callable[[Cpu], int]


def node(cpu: Cpu) -> int:
    return cpu.node


def socket(cpu: Cpu) -> int:
    return cpu.socket


def core(cpu: Cpu) -> int:
    return cpu.core


def cache(cpu: Cpu) -> int:
    return cpu.uncore


class Take:
    """One request, in kubelet mode: what is free, what is taken, what is still needed."""

    def __init__(self, topology: Topology, free: Iterable[int], need: int, options: frozenset[CpuOption]) -> None:
        self.topology, self.options = topology, options
        self.free, self.need, self.taken = set(free), need, set[int]()
        self.numa_first = len(self.ids(socket)) >= len(self.ids(node))

    def ids(self, key: Key) -> set[int]:
        return {key(cpu) for cpu in self.topology.cpus}

    def all_in(self, key: Key, id_: int) -> set[int]:
        return {cpu.id for cpu in self.topology.cpus if key(cpu) == id_}

    def average(self, key: Key) -> int:
        return len(self.topology.cpus) // len(self.ids(key))

    def sort(self, key: Key, within: Iterable[int]) -> list[int]:
        """The units of those CPUs, ascending by their free CPUs, then by id."""
        found = {key(self.topology.by_id[cpu]) for cpu in within}
        return sorted(found, key=lambda id_: (len(self.all_in(key, id_) & self.free), id_))

    def nested(self, outer: Sequence[int], outer_key: Key, key: Key) -> list[int]:
        return [id_ for one in outer for id_ in self.sort(key, self.all_in(outer_key, one) & self.free)]

    def nodes(self) -> list[int]:
        return self.sort(node, self.free) if self.numa_first else self.nested(self.sockets(), socket, node)

    def sockets(self) -> list[int]:
        return self.nested(self.nodes(), node, socket) if self.numa_first else self.sort(socket, self.free)

    def cores(self) -> list[int]:
        if self.numa_first:
            return self.nested(self.sockets(), socket, core)
        return self.nested(self.nodes(), node, core)

    def caches(self) -> list[int]:
        return self.nested(self.nodes(), node, cache)

    def take(self, cpus: set[int]) -> None:
        self.taken |= cpus
        self.free -= cpus
        self.need -= len(cpus)

    def take_whole(self, key: Key, order: list[int], size: int | None = None) -> None:
        for id_ in order:
            whole = self.all_in(key, id_)
            if whole <= self.free and len(whole) <= self.need and size in (None, len(whole)):
                self.take(whole)

    def take_caches(self) -> None:
        order = self.caches()
        if self.need >= self.average(cache):
            self.take_whole(cache, order)
        for id_ in order:
            inside = self.all_in(cache, id_) & self.free
            lowest = sorted({self.topology.by_id[cpu].core for cpu in inside})
            fitting = lowest[: ceil(self.need / self.average(core))]
            cpus = sorted(cpu for cpu in self.free if self.topology.by_id[cpu].core in fitting)
            if self.need % 2 and self.average(core) > 1 and len(cpus) > self.need:
                cpus.pop()
            if self.need and len(cpus) == self.need:
                self.take(set(cpus))

    def take_single(self) -> None:
        spread = CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES in self.options
        key, order = (socket, self.sockets()) if spread else (core, self.cores())
        for cpu in [cpu for id_ in order for cpu in sorted(self.all_in(key, id_) & self.free)]:
            if self.need and cpu in self.free:
                self.take({cpu})

    def packed(self) -> set[int]:
        whole: list[tuple[Key, Callable[[], list[int]], int | None]] = [
            (node, self.nodes, None),
            (socket, self.sockets, self.average(socket)),
        ]
        for key, order, size in whole if self.numa_first else reversed(whole):
            self.take_whole(key, order(), size)
        if CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE in self.options:
            self.take_caches()
        if CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES not in self.options:
            self.take_whole(core, self.cores(), self.average(core))
        self.take_single()
        return self.taken


def packed(topology: Topology, free: Iterable[int], need: int, options: frozenset[CpuOption]) -> set[int]:
    return Take(topology, free, need, options).packed()


def distributed(topology: Topology, free: set[int], need: int, options: frozenset[CpuOption], group: int) -> set[int]:
    take = Take(topology, free, need, options)
    counts = {id_: len(take.all_in(node, id_) & free) for id_ in take.nodes()}
    per_node = ceil(ceil(len(topology.cpus) / group) / len(take.ids(node)))
    groups = ceil(need / group)
    sizes = range(ceil(groups / per_node), min(groups, len(counts)) + 1)
    for size in sizes if need and need % group == 0 else ():
        each = need // size // group * group
        best = best_of(counts, size, each, need - each * size, group)
        if best is not None:
            nodes, rest = best
            for id_ in nodes:
                take.take(packed(topology, take.all_in(node, id_) & take.free, each, options))
            while take.need:
                for id_ in rest:
                    here = take.all_in(node, id_) & take.free
                    if take.need and len(here) >= group:
                        take.take(packed(topology, here, group, options))
            return take.taken
    return packed(topology, free, need, options)


def best_of(
    counts: dict[int, int], size: int, each: int, rest: int, group: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    best, best_score = None, float("inf")
    for nodes in combinations(counts, size):
        if sum(counts[id_] // group for id_ in nodes) * group < each * size + rest:
            continue
        if any(counts[id_] < each for id_ in nodes):
            continue
        left = {id_: count - (each if id_ in nodes else 0) for id_, count in counts.items()}
        for handed_to in subsets(left, nodes, group) if rest else [()]:
            after = handed_out(left, handed_to, rest, group)
            if after is not None and (score := deviation(after.values())) < best_score:
                best, best_score = (nodes, handed_to), score
        if best_score == 0:
            break
    return best


def subsets(left: dict[int, int], nodes: tuple[int, ...], group: int) -> Iterator[tuple[int, ...]]:
    able = [id_ for id_ in nodes if left[id_] >= group]
    for size in range(len(able), 0, -1):
        yield from combinations(able, size)


def handed_out(left: dict[int, int], nodes: tuple[int, ...], rest: int, group: int) -> dict[int, int] | None:
    """What is left once *rest* is handed out round-robin; None where these nodes have no room for it."""
    after = dict(left)
    while rest:
        before = rest
        for id_ in nodes:
            if rest and after[id_] >= group:
                after[id_] -= group
                rest -= group
        if rest == before:
            return None
    return after


def deviation(counts: Iterable[int]) -> float:
    values = list(counts)
    mean = round(sum(values) / len(values), 3)
    return round(sqrt(sum((value - mean) ** 2 for value in values) / len(values)), 3)


def take_like_the_kubelet(topology: Topology, free: CpuSet, need: int, options: frozenset[CpuOption]) -> CpuSet:
    if CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA not in options:
        return CpuSet.of(packed(topology, free, need, options))
    group = len(topology.cpus) // len(topology.cores) if CpuOption.FULL_PCPUS_ONLY in options else 1
    return CpuSet.of(distributed(topology, set(free), need, options, group))
