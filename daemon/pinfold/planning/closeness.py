"""How near to each other the NUMA nodes of a set are, and how near the nodes of a set of some size can be at best.

Pure. For prefer-closest-numa-nodes. Source: KEP-3545; the kubelet's ``NUMAInfo``; ACPI, System Locality Information.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pinfold.cpuset import NodeSet

Distances = Mapping[int, Mapping[int, int]]
"""Node → node → ACPI SLIT distance."""

_LOCAL, _REMOTE = 10, 20  # what the kernel takes where the firmware tells no distance


@dataclass(frozen=True, slots=True)
class Closeness:
    """How near to each other the nodes of a machine are."""

    far: Distances
    """Node → node → distance there and back; to itself: once."""
    least: Sequence[int]
    """Size of a set → what the distances between its nodes add up to, at the least."""

    def cost(self, nodes: int) -> int:
        """The sum of the distances between all ordered pairs of *nodes*, each with itself included."""
        ids = list(NodeSet(nodes))
        return sum(self.far[one][two] for place, one in enumerate(ids) for two in ids[: place + 1])


def closeness(nodes: NodeSet, distances: Distances) -> Closeness:
    """Kept for the machines asked about last: it takes longer than a search."""
    return _closeness(nodes, _Rows(distances))


class _Rows:
    """The distances of a machine, equal only to the very same rows: to compare all of them takes as long."""

    __slots__ = ("distances", "same")

    def __init__(self, distances: Distances) -> None:
        self.distances = dict(distances)
        self.same = tuple((node, id(row)) for node, row in distances.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rows) and self.same == other.same

    def __hash__(self) -> int:
        return hash(self.same)


@lru_cache(maxsize=8)
def _closeness(nodes: NodeSet, rows: _Rows) -> Closeness:
    def distance(one: int, two: int) -> int:
        return rows.distances.get(one, {}).get(two, _LOCAL if one == two else _REMOTE)

    far = {one: {two: distance(one, two) + (distance(two, one) if one != two else 0) for two in nodes} for one in nodes}
    return Closeness(far, _least(far))


def _least(far: Distances) -> Sequence[int]:
    """By size: nodes are joined nearest first, and two groups count as far apart as their nearest nodes are.

    Where the distances are those of a tree (node, socket, board) the closest sets add up to just that.
    """
    groups = {node: ({node}, [0, 0]) for node in far}
    pairs = sorted((row[two], one, two) for one, row in far.items() for two in row if two < one)
    for distance, one, two in pairs:
        (ours, our_least), (theirs, their_least) = groups[one], groups[two]
        if ours is not theirs:
            joined = ours | theirs, _joined(our_least, their_least, distance)
            groups |= dict.fromkeys(joined[0], joined)
    return max((least for _, least in groups.values()), key=len, default=[0])


def _joined(ours: Sequence[int], theirs: Sequence[int], distance: int) -> list[int]:
    """The least of the sets that take some nodes of one group and some of another."""
    return [
        min(
            ours[some] + theirs[size - some] + some * (size - some) * distance
            for some in range(max(0, size - len(theirs) + 1), min(size, len(ours) - 1) + 1)
        )
        for size in range(len(ours) + len(theirs) - 1)
    ]
