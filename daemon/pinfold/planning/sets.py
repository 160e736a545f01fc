"""Sets of NUMA nodes that hold enough: how few nodes can, and the best of all sets of one size.

Pure. A set is the bits of its node ids. Of two sets of one size the better has the smaller sum of distances, where
distances count, and then the lower bits: the kubelet's "narrowest" and "closest". The kubelet looks at every set of
nodes; here the highest node is fixed first, and a branch is left as soon as the nodes below it cannot hold the rest.
"""

from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pinfold.cpuset import NodeSet

Distances = Mapping[int, Mapping[int, int]]
"""Node → node → ACPI SLIT distance."""

PATIENCE = 1 << 15
"""Sets begun before a size is given up as if it had none. Fifteen nodes and fewer have no more sets."""

_LOCAL, _REMOTE = 10, 20  # what the kernel takes where the firmware tells no distance


@dataclass(frozen=True, slots=True)
class Amount:
    """What a set must hold of one thing."""

    need: int
    of: Mapping[int, int]
    """Node → what it has; absent: nothing."""

    def held_by(self, nodes: int) -> int:
        return sum(self.of.get(node, 0) for node in NodeSet(nodes))


def enough(nodes: int, amounts: Sequence[Amount]) -> bool:
    return all(amount.held_by(nodes) >= amount.need for amount in amounts)


def fewest(nodes: int, required: int, amounts: Sequence[Amount]) -> int | None:
    """The size of the smallest set of *nodes* that includes *required* and holds the *amounts*; None: there is none."""
    if required & ~nodes or not enough(nodes, amounts):
        return None
    sizes = [1, required.bit_count()]
    for amount in amounts:
        held, size = amount.held_by(required), required.bit_count()
        for most in sorted((amount.of.get(node, 0) for node in NodeSet(nodes & ~required)), reverse=True):
            if held >= amount.need:
                break
            held, size = held + most, size + 1
        sizes.append(size)
    size = max(sizes)
    while len(amounts) > 1 and best(nodes, required, size, amounts) is None:
        size += 1
    return size


def cost(nodes: int, distances: Distances | None) -> int:
    """The sum of the distances between all ordered pairs of *nodes*, each with itself included."""
    if distances is None:
        return 0
    ids = list(NodeSet(nodes))
    return sum(_distance(distances, one, two) for one in ids for two in ids)


def best(
    nodes: int,
    required: int,
    size: int,
    amounts: Sequence[Amount],
    distances: Distances | None = None,
    accepted: Callable[[int], bool] = lambda _: True,
) -> int | None:
    """The best set of *size* of the *nodes* that includes *required*, holds the *amounts* and is *accepted*, if any."""
    picks = size - required.bit_count()
    ids = list(NodeSet(nodes & ~required))
    if required & ~nodes or not 0 <= picks <= len(ids):
        return None
    needs = [amount.need - amount.held_by(required) for amount in amounts]
    columns = [
        ([min(amount.of.get(node, 0), need) for node in ids], need)
        for amount, need in zip(amounts, needs, strict=True)
        if need > 0
    ]
    if len(columns) > 1:
        columns.append(_together(columns))
    search = _Search(ids, [column for column, _ in columns], distances, accepted)
    return search.run(required, picks, [need for _, need in columns])


def _together(columns: Sequence[tuple[list[int], int]]) -> tuple[list[int], int]:
    """All amounts in one sum, of equal weight: few sets hold it that do not hold each of them."""
    largest = max(need for _, need in columns)
    weights = [largest // need for _, need in columns]
    rows = zip(*(column for column, _ in columns), strict=True)
    summed = [sum(weight * held for weight, held in zip(weights, row, strict=True)) for row in rows]
    return summed, sum(weight * need for weight, (_, need) in zip(weights, columns, strict=True))


def _distance(distances: Distances, one: int, two: int) -> int:
    return distances.get(one, {}).get(two, _LOCAL if one == two else _REMOTE)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A set of which the highest nodes are chosen."""

    chosen: int
    picks: int
    """How many more nodes it takes."""
    below: list[int]
    """Those it may take, ascending, as places in the search's ``ids``."""
    needs: list[int]
    """What they must hold, by column."""
    cost: int
    added: list[int]
    """Place → the distances that this node would add."""


@dataclass(slots=True)
class _Search:
    ids: list[int]
    columns: list[list[int]]
    """What each node has: one list for each amount, one value for each place in ``ids``."""
    distances: Distances | None
    accepted: Callable[[int], bool]
    found: int | None = None
    found_cost: int = 0
    patience: int = PATIENCE
    pairs: list[list[int]] = field(default_factory=list)
    """Place → place → distance there and back."""
    nearest: int = 0

    def run(self, required: int, picks: int, needs: list[int]) -> int | None:
        """Walk the sets in the order of their bits, so that of equal ones the first found is the best."""
        added = self._measure(required)
        begun = _Begun(required, picks, list(range(len(self.ids))), needs, cost(required, self.distances), added)
        walk = [iter([begun])]
        while walk and self.patience and not (self.found is not None and self.distances is None):
            begun_next = next(walk[-1], None)
            if begun_next is None:
                walk.pop()
            elif begun_next.picks:
                self.patience -= 1
                walk.append(self._continued(begun_next))
            elif all(need <= 0 for need in begun_next.needs) and self.accepted(begun_next.chosen):
                self.found, self.found_cost = begun_next.chosen, begun_next.cost
        return self.found

    def _measure(self, required: int) -> list[int]:
        """Lay out the distances; the distances that each node adds to *required*."""
        if self.distances is None:
            return []
        far = self.distances
        self.pairs = [[_distance(far, one, two) + _distance(far, two, one) for two in self.ids] for one in self.ids]
        self.nearest = min((row[two] for one, row in enumerate(self.pairs) for two in range(one)), default=0)
        return [cost(required | 1 << node, far) - cost(required, far) for node in self.ids]

    def _continued(self, begun: _Begun) -> Iterator[_Begun]:
        """*begun* with one more node: every one that can still lead to a set that holds enough and is better."""
        others = begun.picks - 1
        least = begun.cost + begun.picks * others // 2 * self.nearest
        least += sum(sorted(begun.added[place] for place in begun.below)[:others]) if self.distances else 0
        below: list[int] = []
        fullest = [_Fullest(others) for _ in self.columns]
        for place in begun.below:
            if self.found is not None and least + begun.added[place] >= self.found_cost:
                continue
            needs = [need - column[place] for need, column in zip(begun.needs, self.columns, strict=True)]
            if len(below) >= others and all(need <= full.sum for need, full in zip(needs, fullest, strict=True)):
                yield self._with(begun, place, below, needs)
            below.append(place)
            for column, full in zip(self.columns, fullest, strict=True):
                full.add(column[place])

    def _with(self, begun: _Begun, place: int, below: list[int], needs: list[int]) -> _Begun:
        chosen = begun.chosen | 1 << self.ids[place]
        if self.distances is None:
            return _Begun(chosen, begun.picks - 1, below.copy(), needs, 0, [])
        added = [more + far for more, far in zip(begun.added, self.pairs[place], strict=True)]
        return _Begun(chosen, begun.picks - 1, below.copy(), needs, begun.cost + begun.added[place], added)


class _Fullest:
    """The sum of the largest of the values seen, up to *count* of them."""

    __slots__ = ("count", "sum", "values")

    def __init__(self, count: int) -> None:
        self.count, self.sum = count, 0
        self.values: list[int] = []

    def add(self, value: int) -> None:
        if self.count:
            insort(self.values, value)
            self.sum += value
            if len(self.values) > self.count:
                self.sum -= self.values.pop(0)
