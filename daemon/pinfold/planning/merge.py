"""From what each resource says to the one set of NUMA nodes that a pod or container is given, and whether it may run.

Pure. The kubelet combines every hint of each resource with every hint of the others; here the best combination is
looked for directly: a set that all resources prefer, else one that remains when their hints are intersected.
Source: the kubelet's ``HintMerger``; KEP-693, KEP-3545 (prefer-closest-numa-nodes).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from pinfold.cpuset import NodeSet
from pinfold.planning.closeness import Closeness, Distances, closeness
from pinfold.planning.hints import Hint, Hints, Room
from pinfold.planning.intersection import Intersection
from pinfold.planning.policy import TopologyPolicy
from pinfold.planning.sets import Patience, best

_SOCKETS_TRIED = 1024
"""Choices of sockets tried for align-by-socket. Twelve sockets and fewer have no more."""


@dataclass(frozen=True, slots=True)
class Merged:
    hint: Hint
    admit: bool


@dataclass(frozen=True, slots=True)
class _Said:
    """What one provider said, laid out for combining."""

    any: bool | None
    """Whether "any node" is preferred; None: it is no choice."""
    listed: Mapping[int, bool]
    """The bits of a set → whether it is preferred."""
    room: Room | None
    times: int
    """For how many resources."""

    @classmethod
    def of(cls, hints: Hints, machine: NodeSet) -> "_Said":
        room = hints.room if hints.room and hints.room.holds(hints.room.nodes) else None
        any_, listed = None, dict[int, bool]()
        for hint in hints.listed:
            if hint.nodes is None:
                any_ = bool(any_ or hint.preferred)
            elif nodes := (hint.nodes & machine).bits:
                listed[nodes] = listed.get(nodes, False) or hint.preferred
        impossible = room is None and any_ is None and not listed
        return cls(False if impossible else any_, listed, room, len(hints.resources))

    def prefers(self, nodes: int) -> bool:
        if self.any or self.listed.get(nodes):
            return True
        return self.room is not None and self.room.holds(NodeSet(nodes)) and self.room.prefers(NodeSet(nodes))

    def single(self) -> "_Said":
        """Only the hints for one node that are preferred, and "any" if it is."""
        listed = {nodes: True for nodes, preferred in self.listed.items() if preferred and nodes.bit_count() == 1}
        if self.room is not None:
            listed |= {1 << node: True for node in self.room.nodes if self.prefers(1 << node)}
        return _Said(self.any or None, listed, None, self.times)

    def narrowest(self) -> int:
        """The size of its smallest set; 0 where it has none."""
        sizes = [nodes.bit_count() for nodes in self.listed]
        if self.room is not None:
            sizes.append(self.room.fewest() or 0)
        return min(sizes, default=0)


def rank(hint: Hint, aim: int, near: Closeness | None) -> tuple[bool, bool, int, int, int]:
    """The place of a merged hint among others, the best first.

    Preferred ones come first, those of few nodes before those of many. Of the others the best has *aim* nodes, the
    most that any one resource needs; then come ever narrower ones, and then ever wider ones.
    """
    nodes = hint.nodes or NodeSet()
    away = (False, len(nodes)) if hint.preferred else (len(nodes) > aim, abs(len(nodes) - aim))
    return not hint.preferred, *away, _cost(nodes.bits, near), nodes.bits


def merge(
    policy: TopologyPolicy, nodes: NodeSet, hints: Iterable[Hints | None], distances: Distances | None = None
) -> Merged:
    """The best combination of the *hints*, one of each resource; None is said by a provider without preference.

    *nodes* are all NUMA nodes of the machine. *distances* count where they are given (prefer-closest-numa-nodes).
    """
    if policy is TopologyPolicy.NONE:
        return Merged(Hint(None, preferred=False), admit=True)
    said = [_Said.of(one, nodes) for one in hints if one is not None]
    if policy is TopologyPolicy.SINGLE_NUMA_NODE:
        hint = _preferred(nodes, [one.single() for one in said], None) or Hint(None, preferred=False)
        hint = Hint(None, hint.preferred) if hint.nodes == nodes else hint
    else:
        near = None if distances is None else closeness(nodes, distances)
        hint = _preferred(nodes, said, near) or _intersected(nodes, said, near)
    return Merged(hint, hint.preferred or policy is TopologyPolicy.BEST_EFFORT)


def _cost(nodes: int, near: Closeness | None) -> int:
    return 0 if near is None else near.cost(nodes)


def _preferred(nodes: NodeSet, said: Sequence[_Said], near: Closeness | None) -> Hint | None:
    """The best set that all prefer."""
    sets = {one for each in said for one, preferred in each.listed.items() if preferred}
    sets = {one for one in sets if all(each.prefers(one) for each in said)}
    rooms = [each.room for each in said if each.room is not None]
    if rooms and all(each.room or each.any for each in said) and (found := _in_all(rooms, near)):
        sets.add(found)
    if sets:
        return min((Hint(NodeSet(one), preferred=True) for one in sets), key=lambda one: rank(one, 0, near))
    return Hint(nodes, preferred=True) if all(each.any for each in said) else None


def _in_all(rooms: Sequence[Room], near: Closeness | None) -> int | None:
    """The best of the sets that all *rooms* have and prefer."""
    nodes, required = ~0, 0
    for room in rooms:
        nodes, required = nodes & room.nodes.bits, required | room.required.bits
    amounts = [amount for room in rooms for amount in room.amounts]

    def preferred(one: int) -> bool:
        return all(room.prefers(NodeSet(one)) for room in rooms)

    one_size = {room.narrowest for room in rooms if not room.span}
    sizes = sorted(one_size) or range(min(room.narrowest for room in rooms), nodes.bit_count() + 1)
    for size in sizes if len(one_size) < 2 else ():
        choices = _sockets_chosen(nodes, size, rooms)
        found = [best(within, required, size, amounts, near, preferred) for within in choices]
        if sets := [one for one in found if one is not None]:
            return min(sets, key=lambda one: (_cost(one, near), one))
    return None


def _sockets_chosen(nodes: int, size: int, rooms: Sequence[Room]) -> Iterator[int]:
    """The nodes among which all preferred sets of *size* are: all, or those of as many sockets as must be spanned."""
    spanning = [room for room in rooms if room.span and room.narrowest != size]
    if not spanning:
        yield nodes
    for room in spanning[:1]:
        left_out = max(len(room.sockets) - room.span, 0)
        for others in islice(combinations(room.sockets.values(), left_out), _SOCKETS_TRIED):
            within = nodes & ~NodeSet.union(others).bits
            if within.bit_count() >= size:
                yield within


def _intersected(nodes: NodeSet, said: Sequence[_Said], near: Closeness | None) -> Hint:
    """The best set that remains when one hint of each is chosen and all are intersected; all nodes where none does."""
    aim = max((each.narrowest() for each in said), default=0)
    rooms = [each.room for each in said]
    left: set[tuple[int, tuple[int, ...]]] = {(nodes.bits, ())}
    for place, each in enumerate(said):
        for _ in range(each.times):
            left = {(rest, used) for one in left for rest, used in _chosen(one, place, each) if rest}
    patience = Patience(nodes.bits)
    sets = (
        _remaining(Intersection(one, [room for place in used if (room := rooms[place])], patience), aim, near)
        for one, used in sorted(left)
    )
    found = (Hint(NodeSet(one), preferred=False) for one in sets)
    return min(found, key=lambda one: rank(one, aim, near), default=Hint(nodes, preferred=False))


def _chosen(left: tuple[int, tuple[int, ...]], place: int, said: _Said) -> Iterator[tuple[int, tuple[int, ...]]]:
    """*left*, nodes and the places of the rooms that may leave out some of them, once *said* has chosen as well."""
    nodes, used = left
    if said.any is not None:
        yield left
    for one in said.listed:
        yield nodes & one, used
    if said.room is not None:
        yield nodes & said.room.nodes.bits, (*used, place)


def _remaining(chosen: Intersection, aim: int, near: Closeness | None) -> int:
    """The best that can remain: of the size aimed at, else of the next smaller, else of the next larger."""
    for size in range(aim, chosen.nodes.bit_count()) if chosen.rooms else ():
        if not chosen.patience:
            break
        if (found := chosen.best(size, near)) is not None:
            return found
    return chosen.nodes
