"""Taking CPUs in equal shares from as few NUMA nodes as can give them, so that what stays free is level.

Pure: bits in, bits out. Source: KEP-2902; the kubelet's ``takeByTopologyNUMADistributed``. Of equally level choices
the first in the order of ``order.py`` stands; the kubelet overwrites its best one for four, and for six and more,
nodes, and hangs where a choice of nodes for the rest has room for it only in parts of groups.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, isqrt

from pinfold.planning.order import Order
from pinfold.planning.packed import Packing

_WEIGHED = 4096
"""Up to so many choices are all weighed; of more, only those of the nodes with the most free CPUs."""


@dataclass(frozen=True, slots=True)
class _Share:
    nodes: tuple[int, ...]
    each: int
    """CPUs that every node gives."""
    rounds: tuple[int, ...]
    """The nodes that give one group more, in turn."""


def distribute(packing: Packing, free: int, need: int, group: int) -> int:
    """*need* of the *free* CPUs, which are at least as many, handed out in groups of *group* CPUs."""
    share = None if need % group else _share(packing, free, need, group)
    if share is None:
        return packing.pack(free, need)
    cpus = {unit.id: unit.cpus for unit in packing.units.nodes}
    taken = 0
    for node in share.nodes:
        taken |= packing.pack(free & cpus[node], share.each)
    for node in share.rounds:
        taken |= packing.pack(free & cpus[node] & ~taken, group)
    return taken


def _share(packing: Packing, free: int, need: int, group: int) -> _Share | None:
    """The most level share of the fewest nodes that have one."""
    nodes = packing.units.nodes
    counts = {unit.id: (free & unit.cpus).bit_count() for unit in Order(packing.units, free).nodes()}
    machine_groups = _up(sum(unit.cpus.bit_count() for unit in nodes), group)
    groups = need // group
    fewest = _up(groups, _up(machine_groups, len(nodes)))
    for size in range(fewest, min(groups, len(counts)) + 1):
        if share := _most_level(counts, size, groups, group):
            return share
    return None


def _most_level(counts: Mapping[int, int], size: int, groups: int, group: int) -> _Share | None:
    each, rest = divmod(groups, size)
    able = [node for node, count in counts.items() if count >= each * group]
    all_weighed = comb(len(able), size) << (size if rest else 0) <= _WEIGHED
    best, best_unevenness = None, None
    for nodes in _choices(able, size, counts, all_weighed):
        left = {node: counts[node] - each * group for node in nodes}
        for rounds in _rounds(left, rest, group, all_weighed):
            after = {**counts, **left}
            for node in rounds:
                after[node] -= group
            unevenness = _deviation(after.values())
            if best_unevenness is None or unevenness < best_unevenness:
                best, best_unevenness = _Share(nodes, each * group, rounds), unevenness
    return best


def _choices(nodes: Sequence[int], size: int, free: Mapping[int, int], every: bool) -> Iterable[tuple[int, ...]]:
    """Choices of *size* of the *nodes*: every one, or only that of the most free."""
    if every or len(nodes) < size:
        return combinations(nodes, size)
    chosen = set(sorted(nodes, key=lambda node: -free[node])[:size])
    return [tuple(node for node in nodes if node in chosen)]


def _rounds(left: Mapping[int, int], rest: int, group: int, every: bool) -> Iterator[tuple[int, ...]]:
    """The ways to hand out *rest* groups in turn, to many nodes before few."""
    if not rest:
        yield ()
    able = [node for node, cpus in left.items() if cpus >= group]
    for size in range(len(able) if rest else 0, 0, -1):
        for nodes in _choices(able, size, left, every):
            room = {node: left[node] // group for node in nodes}
            if sum(room.values()) >= rest:
                yield _in_turn(room, rest)


def _in_turn(room: dict[int, int], rest: int) -> tuple[int, ...]:
    turns: list[int] = []
    while len(turns) < rest:
        for node in [node for node in room if room[node]][: rest - len(turns)]:
            room[node] -= 1
            turns.append(node)
    return tuple(turns)


def _deviation(counts: Iterable[int]) -> int:
    """Standard deviation in thousandths, rounded; of counts that differ from a mean rounded to thousandths."""
    values = list(counts)
    mean = (2000 * sum(values) // len(values) + 1) // 2
    squares = sum((1000 * value - mean) ** 2 for value in values)
    return (isqrt(4 * squares // len(values)) + 1) // 2


def _up(count: int, by: int) -> int:
    return -(-count // by)
