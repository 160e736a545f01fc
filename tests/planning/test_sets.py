"""Sets of NUMA nodes that hold enough, against a walk over all of them."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import NodeSet
from pinfold.planning.closeness import closeness
from pinfold.planning.sets import Amount, Patience, best, enough, fewest

NODES = st.sets(st.integers(0, 9), min_size=1, max_size=7)


@st.composite
def amounts(draw: st.DrawFn) -> list[Amount]:
    held = st.dictionaries(st.integers(0, 9), st.integers(0, 5))
    return [Amount(draw(st.integers(-1, 12)), draw(held)) for _ in range(draw(st.integers(0, 3)))]


def all_sets(nodes: NodeSet, required: NodeSet, asked: list[Amount]) -> list[NodeSet]:
    sets = (NodeSet.of(ids) for size in range(len(nodes) + 1) for ids in combinations(nodes, size))
    return [one for one in sets if required <= one and enough(one.bits, asked)]


@settings(max_examples=300, deadline=None)
@given(NODES, st.sets(st.integers(0, 9), max_size=2), amounts(), st.integers(0, 8), st.integers(0, 3), st.booleans())
def test_the_best_set_of_a_size_is_found(
    ids: set[int], required: set[int], asked: list[Amount], size: int, modulus: int, by_distance: bool
) -> None:
    nodes, must = NodeSet.of(ids), NodeSet.of(required)
    near = closeness(nodes | must, {one: {two: 10 + (one ^ two) % 5 for two in range(10)} for one in range(10)})

    def accepted(one: int) -> bool:
        return modulus == 0 or one % modulus == 0

    found = best(nodes.bits, must.bits, size, asked, near if by_distance else None, accepted)
    fitting = [one.bits for one in all_sets(nodes, must, asked) if len(one) == size and accepted(one.bits)]
    assert found == min(fitting, key=lambda one: (near.cost(one) if by_distance else 0, one), default=None)


@settings(max_examples=300, deadline=None)
@given(NODES, st.sets(st.integers(0, 9), max_size=2), amounts())
def test_the_smallest_size_is_found(ids: set[int], required: set[int], asked: list[Amount]) -> None:
    nodes, must = NodeSet.of(ids), NodeSet.of(required)
    sizes = [len(one) for one in all_sets(nodes, must, asked) if one]
    assert fewest(nodes.bits, must.bits, asked) == min(sizes, default=None)


@pytest.mark.parametrize(
    ("nodes", "ends"),
    [
        pytest.param(0xFF, False, id="up-to-eight-nodes-everything-is-looked-at"),
        pytest.param(0x1FF, True, id="on-more-the-search-ends"),
    ],
)
def test_patience_ends_only_where_the_kubelet_does_not_run(nodes: int, ends: bool) -> None:
    patience = Patience(nodes)
    patience.spend(1 << 20)
    assert bool(patience) is not ends


def test_a_search_without_patience_gives_the_best_that_it_has() -> None:
    nodes = (1 << 20) - 1
    far = {one: {two: 10 + abs(one - two) for two in range(20)} for one in range(20)}
    near = closeness(NodeSet(nodes), far)
    held = Amount(10, {node: node for node in range(20)})
    patience = Patience(nodes)
    patience.spend((1 << 16) - 100)
    found = best(nodes, 0, 4, [held], near, patience=patience)
    assert found is not None
    assert enough(found, [held])
    assert found.bit_count() == 4
    assert not patience
    assert best(nodes, 0, 4, [held], near, patience=patience) is None


def test_what_each_finds_on_one_node_may_together_need_two() -> None:
    cpus, memory = Amount(4, {0: 4, 1: 1}), Amount(8, {1: 8})
    assert [fewest(0b11, 0, [one]) for one in (cpus, memory)] == [1, 1]
    assert fewest(0b11, 0, [cpus, memory]) == 2
