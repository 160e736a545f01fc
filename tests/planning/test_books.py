"""The books of memory: the examples of the specification, and what holds for any sequence of bookings."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import NodeSet
from pinfold.planning.books import Books, NodeBook, Table, empty_books, reserved_in_proportion
from pinfold.planning.ledger import Block
from pinfold.pods.model import MEMORY
from tests.machines import GIB, H12, machine

GI1, MI2 = "hugepages-1Gi", "hugepages-2Mi"
TWO = empty_books(machine(H12.cpus, 10 * GIB), {})
"""Two nodes with 10Gi each."""


def memory(nodes: str, gib: float) -> Block:
    return Block(NodeSet.parse(nodes), MEMORY, int(gib * GIB))


def reserved(books: Books) -> list[float]:
    return [book.tables[MEMORY].reserved_bytes / GIB for book in books.nodes.values()]


def groups(books: Books) -> list[str]:
    return [str(book.group) for book in books.nodes.values()]


def test_6_1_huge_pages_and_reserved_memory_are_not_for_booking() -> None:
    topology = machine(H12.cpus, 10 * GIB, {GI1: 2 * GIB, MI2: GIB})
    books = empty_books(topology, {0: {MEMORY: GIB, GI1: GIB}})
    assert books.nodes[0] == NodeBook(
        {
            MEMORY: Table(10 * GIB, GIB, 6 * GIB),
            GI1: Table(2 * GIB, GIB, GIB),
            MI2: Table(GIB, 0, GIB),
        },
        NodeSet.of([0]),
    )
    assert books.nodes[1].tables[MEMORY] == Table(10 * GIB, 0, 7 * GIB)
    assert books.allocatable(GI1) == {0: GIB, 1: 2 * GIB}


def test_more_reserved_than_there_is_leaves_nothing_and_owes_nothing() -> None:
    books = empty_books(machine(H12.cpus, {0: GIB, 1: 0}), {0: {MEMORY: 2 * GIB}})
    assert books.free(MEMORY) == {0: 0, 1: 0}


def test_6_2_amounts_fill_the_nodes_in_ascending_order() -> None:
    books = TWO.booked([memory("0-1", 15)])
    assert reserved(books) == [10, 5]
    assert groups(books) == ["0-1", "0-1"]
    assert [book.assignments for book in books.nodes.values()] == [1, 1]


def test_6_2_a_booking_counts_once_for_each_resource() -> None:
    books = TWO.booked([memory("1", 4), Block(NodeSet.of([1]), GI1, 0)])
    assert [book.assignments for book in books.nodes.values()] == [0, 2]
    assert books.unused == NodeSet.of([0])


def test_6_2_freeing_empties_the_nodes_in_ascending_order() -> None:
    """15Gi fill node 0, then 3Gi go to node 1; when the 15Gi go, ten come from node 0 and five from node 1."""
    books = TWO.booked([memory("0-1", 15), memory("0-1", 3)]).released([memory("0-1", 15)])
    assert reserved(books) == [0, 3]
    assert groups(books) == ["0-1", "0-1"]


def test_6_2_a_node_that_is_free_again_is_a_group_of_itself() -> None:
    books = TWO.booked([memory("0-1", 15)])
    assert groups(books.released([memory("0-1", 15)])) == ["0", "1"]


def test_what_does_not_fit_is_not_booked() -> None:
    assert reserved(TWO.booked([memory("0", 15)])) == [10, 0]


def test_a_block_on_a_node_that_is_gone_is_passed_over() -> None:
    books = TWO.booked([memory("0,7", 12)])
    assert reserved(books) == [10, 0]
    assert books.released([memory("0,7", 12)]) == TWO


def test_a_resource_that_no_node_has_is_counted_and_not_booked() -> None:
    books = TWO.booked([Block(NodeSet.of([0]), GI1, GIB)])
    assert books.free(GI1) == {}
    assert books.nodes[0].assignments == 1


@pytest.mark.parametrize(
    ("reserved_bytes", "spread"),
    [
        pytest.param({MEMORY: 4 * GIB}, [{MEMORY: GIB}, {MEMORY: 3 * GIB}], id="6.1-in-proportion-to-the-memory"),
        pytest.param({MEMORY: 5}, [{MEMORY: 2}, {MEMORY: 3}], id="the-lowest-node-gets-what-is-left-over"),
        pytest.param({GI1: GIB}, [{GI1: GIB}, {GI1: 0}], id="huge-pages-where-they-are"),
        pytest.param({MI2: GIB}, [{MI2: 0}, {MI2: 0}], id="nothing-where-there-is-none"),
        pytest.param({}, [{}, {}], id="nothing-reserved"),
    ],
)
def test_reserved_memory_is_spread_over_the_nodes(reserved_bytes: dict[str, int], spread: list[dict[str, int]]) -> None:
    topology = machine(H12.cpus, {0: 16 * GIB, 1: 48 * GIB})
    topology = replace(topology, nodes=(replace(topology.nodes[0], hugepages_bytes={GI1: 2 * GIB}), topology.nodes[1]))
    assert reserved_in_proportion(topology, reserved_bytes) == dict(enumerate(spread))


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**12), min_size=2, max_size=2).filter(any))
def test_the_spread_adds_up(amount: int, sizes: list[int]) -> None:
    spread = reserved_in_proportion(machine(H12.cpus, dict(enumerate(sizes))), {MEMORY: amount})
    assert sum(part[MEMORY] for part in spread.values()) == amount


BLOCKS = st.builds(
    Block,
    st.sets(st.integers(0, 1), min_size=1).map(NodeSet.of),
    st.sampled_from([MEMORY, GI1]),
    st.integers(0, 12 * GIB),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(BLOCKS, max_size=6))
def test_the_books_balance_after_any_booking_and_release(blocks: list[Block]) -> None:
    books = empty_books(machine(H12.cpus, 10 * GIB, {GI1: 2 * GIB}), {})
    empty, booked = books, []
    for block in blocks:
        if sum(books.free(block.resource)[node] for node in block.nodes) >= block.size_bytes:
            books = books.booked([block])
            booked.append(block)
        for book in books.nodes.values():
            assert all(0 <= table.reserved_bytes <= table.allocatable_bytes for table in book.tables.values())
    for resource in (MEMORY, GI1):
        taken = sum(block.size_bytes for block in booked if block.resource == resource)
        assert sum(empty.free(resource).values()) - sum(books.free(resource).values()) == taken
    assert books.released(booked).free(MEMORY) == empty.free(MEMORY)
    assert books.released(booked) == empty
