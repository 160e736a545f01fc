"""What can remain when each resource chooses a set of NUMA nodes, against a walk over all choices."""

from itertools import combinations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pinfold.cpuset import NodeSet
from pinfold.planning.closeness import closeness
from pinfold.planning.hints import Room
from pinfold.planning.intersection import Intersection
from pinfold.planning.sets import Amount, Patience

NODES = range(6)
FAR = {one: {two: 10 + (one ^ two) % 5 for two in NODES} for one in NODES}


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    """With not much to spare."""
    nodes = draw(st.sets(st.sampled_from(NODES), min_size=4))
    required = draw(st.sets(st.sampled_from(sorted(nodes)), max_size=1))
    amounts = []
    for _ in range(draw(st.integers(1, 2))):
        held = {node: draw(st.integers(0, 4)) for node in sorted(nodes)}
        amounts.append(Amount(max(sum(held.values()) - draw(st.integers(0, 6)), 0), held))
    return Room(NodeSet.of(nodes), NodeSet.of(required), tuple(amounts), 1)


def choices(room: Room) -> list[NodeSet]:
    nodes = list(room.nodes)
    sets = (NodeSet.of(ids) for size in range(len(nodes) + 1) for ids in combinations(nodes, size))
    return [one for one in sets if room.holds(one)]


@settings(max_examples=700, deadline=None)
@given(st.lists(rooms(), min_size=1, max_size=3), st.integers(1, 5), st.booleans())
def test_the_best_that_can_remain_is_found(several: list[Room], size: int, by_distance: bool) -> None:
    nodes = NodeSet.of(NODES)
    for room in several:
        nodes &= room.nodes
    assume(size < len(nodes))
    near = closeness(nodes, FAR) if by_distance else None
    left = {nodes.bits}
    for room in several:
        left = {rest & chosen.bits for rest in left for chosen in choices(room)}
    remaining = [one for one in left if one.bit_count() == size]
    found = Intersection(nodes.bits, several, Patience(nodes.bits)).best(size, near)
    assert found == min(remaining, key=lambda one: (near.cost(one) if near else 0, one), default=None)
