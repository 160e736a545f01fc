"""How near the NUMA nodes of a set can be, against all sets."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import NodeSet
from pinfold.planning.closeness import Closeness, closeness


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 6), st.data())
def test_no_set_is_nearer_than_the_least(count: int, data: st.DataObject) -> None:
    distance = st.sampled_from([10, 11, 16, 32])
    far = {one: {two: data.draw(distance) for two in range(count)} for one in range(count)}
    near = closeness(NodeSet.of(range(count)), far)
    for size in range(count + 1):
        costs = [between(near, ids) for ids in combinations(range(count), size)]
        assert near.least[size] <= min(costs)


def between(near: Closeness, ids: tuple[int, ...]) -> int:
    """The distances between the nodes, their own left out."""
    return sum(near.far[one][two] for one, two in combinations(ids, 2))


def test_the_least_is_exact_where_distances_are_those_of_a_tree() -> None:
    """Four sockets of four nodes: nine nodes are nearest as four, four and one."""
    far = {one: {two: 11 if one // 4 == two // 4 else 21 for two in range(16)} for one in range(16)}
    near = closeness(NodeSet.of(range(16)), far)
    assert near.least[9] == between(near, (0, 1, 2, 3, 4, 5, 6, 7, 8))


def test_the_closeness_of_a_machine_is_worked_out_once() -> None:
    rows = {node: {0: 10, 1: 20} for node in (0, 1)}
    nodes = NodeSet.of([0, 1])
    assert closeness(nodes, rows) is closeness(nodes, dict(rows))
    other = {node: {0: 10, 1: 30} for node in (0, 1)}
    assert closeness(nodes, other).far[0][1] != closeness(nodes, rows).far[0][1]
