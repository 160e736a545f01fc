"""Sets of NUMA nodes that hold enough: how few nodes can, and the best of all sets of one size.

Pure. A set is the bits of its node ids. Of two sets of one size the better has the smaller sum of distances, where
distances count, and then the lower bits: the kubelet's "narrowest" and "closest". The kubelet looks at every set of
nodes; here the highest node is fixed first, and a branch is left as soon as the nodes below it cannot hold the rest.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pinfold.cpuset import NodeSet
from pinfold.planning.closeness import Closeness


class Patience:
    """How much more the searches of one decision may look at: the amount of one thing on one node, again and again.

    On machines of up to eight NUMA nodes, where the kubelet runs, there is no end. On larger ones a search that may
    look no further gives the best that it has found. That is a matter of a tenth of a second, and happens where nearly
    all that is free is wanted and the nodes' amounts do not fit together.
    """

    __slots__ = ("looks",)

    def __init__(self, nodes: int) -> None:
        self.looks = 1 << 16 if nodes.bit_count() > 8 else 1 << 62

    def __bool__(self) -> bool:
        return self.looks > 0

    def spend(self, looks: int) -> None:
        self.looks -= looks


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
    patience = Patience(nodes)
    if len(amounts) > 1:
        while size < nodes.bit_count() and best(nodes, required, size, amounts, patience=patience) is None:
            size += 1
    return size


def best(
    nodes: int,
    required: int,
    size: int,
    amounts: Sequence[Amount],
    near: Closeness | None = None,
    accepted: Callable[[int], bool] = lambda _: True,
    patience: Patience | None = None,
) -> int | None:
    """The best set of *size* of the *nodes* that includes *required*, holds the *amounts* and is *accepted*, if any."""
    picks = size - required.bit_count()
    ids = list(NodeSet(nodes & ~required))
    if required & ~nodes or not 0 <= picks <= len(ids):
        return None
    columns = [column for amount in amounts if (column := _column(amount, required, ids, picks)) is not None]
    if len(columns) > 1:
        columns.append(_together(columns))
    patience = Patience(nodes) if patience is None else patience
    search = _Search(ids, [column for column, _ in columns], near, accepted, patience)
    return search.run(required, picks, [need for _, need in columns])


def _column(amount: Amount, required: int, ids: Sequence[int], picks: int) -> tuple[list[int], int] | None:
    """What each of *ids* has, and what *picks* of them must hold; None where any of them do."""
    need = max(amount.need - amount.held_by(required), 0)
    column = [min(amount.of.get(node, 0), need) for node in ids]
    return None if sum(sorted(column)[:picks]) >= need else (column, need)


def _together(columns: Sequence[tuple[list[int], int]]) -> tuple[list[int], int]:
    """All amounts in one sum, of equal weight: few sets hold it that do not hold each of them."""
    largest = max(need for _, need in columns)
    weights = [largest // need for _, need in columns]
    rows = zip(*(column for column, _ in columns), strict=True)
    summed = [sum(weight * held for weight, held in zip(weights, row, strict=True)) for row in rows]
    return summed, sum(weight * need for weight, (_, need) in zip(weights, columns, strict=True))


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
    near: Closeness | None
    accepted: Callable[[int], bool]
    patience: Patience
    found: int | None = None
    found_cost: int = 0

    def run(self, required: int, picks: int, needs: list[int]) -> int | None:
        """Walk the sets in the order of their bits, so that of equal ones the first found is the best."""
        walk = [iter([self._begun(required, picks, needs)])]
        while walk and self.patience and not (self.found is not None and self.near is None):
            begun = next(walk[-1], None)
            if begun is None:
                walk.pop()
            elif begun.picks:
                self.patience.spend(len(begun.below) * (1 + len(self.columns)))
                walk.append(self._continued(begun))
            elif all(need <= 0 for need in begun.needs) and self.accepted(begun.chosen):
                self.found, self.found_cost = begun.chosen, begun.cost
        return self.found

    def _begun(self, required: int, picks: int, needs: list[int]) -> _Begun:
        cost, added = 0, [0] * len(self.ids)
        if self.near is not None:
            cost, far = self.near.cost(required), self.near.far
            added = [far[node][node] + sum(far[node][other] for other in NodeSet(required)) for node in self.ids]
        return _Begun(required, picks, list(range(len(self.ids))), needs, cost, added)

    def _continued(self, begun: _Begun) -> Iterator[_Begun]:
        """*begun* with one more node: every one that can still lead to a set that holds enough and is better."""
        others, added = begun.picks - 1, begun.added
        least = begun.cost
        if self.near is not None:
            least += self.near.least[begun.picks] + sum(sorted(added[place] for place in begun.below)[:others])
        places = [place for place in begun.below if self.found is None or least + added[place] < self.found_cost]
        able: Iterable[int] = range(others, len(places))
        for need, column in zip(begun.needs, self.columns, strict=True):
            held = [column[place] for place in places]
            below = _fullest(held, others)
            able = [count for count in able if held[count] + below[count] >= need]
        for count in able:
            if self.found is None or least + added[places[count]] < self.found_cost:
                yield self._with(begun, places[count], places[:count])

    def _with(self, begun: _Begun, place: int, below: list[int]) -> _Begun:
        node, cost, added = self.ids[place], begun.cost, begun.added
        needs = [need - column[place] for need, column in zip(begun.needs, self.columns, strict=True)]
        if self.near is not None:
            far = self.near.far[node]
            cost, added = cost + added[place], [more + far[other] for more, other in zip(added, self.ids, strict=True)]
        return _Begun(begun.chosen | 1 << node, begun.picks - 1, below, needs, cost, added)


def _fullest(held: Sequence[int], count: int) -> Sequence[int]:
    """For each place: what the *count* fullest before it hold together, or all where there are fewer."""
    if not count:
        return [0] * len(held)
    sums, total = [], 0
    fullest: list[int] = []
    for has in held:
        sums.append(total)
        if len(fullest) < count:
            total += has
            insort(fullest, has)
        elif has > fullest[0]:
            total += has - fullest[0]
            del fullest[0]
            insort(fullest, has)
    return sums
