"""Where memory and huge pages are booked: the examples of the specification, and the kubelet's own list of hints."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import NodeSet
from pinfold.planning.books import Books, empty_books
from pinfold.planning.hints import Hint, Hints
from pinfold.planning.ledger import Block
from pinfold.planning.memory import Booking, book, booked_hints, memory_hints
from pinfold.planning.reasons import Refused, Word
from pinfold.pods.model import CPU, MEMORY
from tests.machines import GIB, H12, Q32, machine
from tests.planning.kubelet_merge import spelled_out, subsets

GI1 = "hugepages-1Gi"
ANY, ANY_PREFERRED = Hint(None, preferred=False), Hint(None, preferred=True)


def nodes_of(count: int, gib: int, hugepages_gib: int = 0) -> Books:
    """Nodes with so much memory each, and huge pages beside it."""
    cpus = [cpu for cpu in Q32.cpus if cpu.node < count]
    hugepages = {GI1: hugepages_gib * GIB} if hugepages_gib else {}
    return empty_books(machine(cpus, (gib + hugepages_gib) * GIB, hugepages), {})


def block(nodes: str, gib: int, resource: str = MEMORY) -> Block:
    return Block(NodeSet.parse(nodes), resource, gib * GIB)


def hint(nodes: str, preferred: bool = True) -> Hint:
    return Hint(NodeSet.parse(nodes), preferred)


def told(books: Books, gib: int, *reusable: Block) -> dict[str, bool]:
    hints = memory_hints(books, {MEMORY: gib * GIB}, reusable)
    every = NodeSet.of(books.nodes)
    return {} if hints is None else {str(one.nodes): one.preferred for one in spelled_out(hints, every)}


def booked(books: Books, gib: int, given_hint: Hint, *reusable: Block) -> Booking:
    booking = book(books, {MEMORY: gib * GIB}, given_hint, reusable)
    assert isinstance(booking, Booking)
    return booking


def refusal(books: Books, gib: int, given_hint: Hint) -> str:
    refused = book(books, {MEMORY: gib * GIB}, given_hint)
    assert isinstance(refused, Refused)
    assert refused.word is Word.UNEXPECTED_ADMISSION
    assert refused.can_pass
    return refused.message


@pytest.mark.parametrize(
    ("in_use", "gib", "hints"),
    [
        pytest.param([], 15, {"0-1": True, "0,2": True, "1-2": True, "0-2": False}, id="5.1-two-nodes-could-hold-it"),
        pytest.param(
            [block("0", 1)],
            8,
            {"0": True, "1": True, "2": True, "1-2": False},
            id="5.1-a-node-in-use-alone-joins-no-other",
        ),
        pytest.param([block("0-1", 1)], 8, {"0-1": False, "2": True}, id="5.1-a-node-of-a-group-is-not-used-alone"),
        pytest.param([block("0-1", 1)], 15, {"0-1": True}, id="5.1-nor-in-another-group"),
        pytest.param([block("0-1", 9)], 15, {}, id="5.1-nothing-fits"),
    ],
)
def test_hints_keep_to_single_nodes_and_groups(in_use: list[Block], gib: int, hints: dict[str, bool]) -> None:
    assert told(nodes_of(3, 10).booked(in_use), gib) == hints


def test_5_1_every_resource_must_fit_and_each_says_the_same() -> None:
    books = nodes_of(2, 10, 2).booked([block("0", 2, GI1)])
    hints = memory_hints(books, {CPU: 2000, MEMORY: 2 * GIB, GI1: 2 * GIB})
    assert hints is not None
    assert hints.resources == (MEMORY, GI1)
    assert spelled_out(hints, NodeSet.of([0, 1])) == [hint("1")]


def test_5_1_a_request_without_memory_has_no_preference() -> None:
    assert memory_hints(nodes_of(2, 10), {CPU: 2000}) is None


def test_memory_that_is_nowhere_has_no_preference_and_is_refused_when_it_is_booked() -> None:
    """As in the kubelet: its memory manager gives no list at all, where its CPU manager gives an empty one."""
    assert memory_hints(nodes_of(2, 10), {MEMORY: 21 * GIB}) is None
    assert memory_hints(nodes_of(2, 10), {GI1: GIB}) is None
    assert refusal(nodes_of(2, 10), 21, ANY) == (
        "[memorymanager] failed to get the default NUMA affinity, no NUMA nodes with enough memory is available:"
        " memory wanted 21Gi, free 20Gi, at most 10Gi on one NUMA node"
    )


@pytest.mark.parametrize(
    ("blocks", "hints"),
    [
        pytest.param([block("1", 4)], [Hints((MEMORY,), (hint("1"),))], id="5.1-the-blocks-own-set"),
        pytest.param([block("0-1", 3)], [], id="5.1-another-size-says-nothing"),
        pytest.param([block("1", 4), block("1", 1, GI1)], [], id="5.1-another-type-says-nothing"),
    ],
)
def test_what_is_booked_already_says_where_it_is(blocks: list[Block], hints: list[Hints]) -> None:
    assert list(booked_hints(blocks, {MEMORY: 4 * GIB})) == hints


def test_6_2_a_pods_memory_is_booked_once_on_its_node() -> None:
    """12Gi, hint {1}: 12Gi more reserved on node 1, one more assignment, and one for each size of huge pages."""
    books = nodes_of(2, 16, 4)
    booking = book(books, {CPU: 4000, MEMORY: 12 * GIB, GI1: 2 * GIB}, hint("1"))
    assert isinstance(booking, Booking)
    assert booking.blocks == (block("1", 12), block("1", 2, GI1))
    assert booking.books.nodes[0] == books.nodes[0]
    assert booking.books.nodes[1].assignments == 2
    assert booking.books.free(MEMORY)[1] == 4 * GIB


def test_a_request_without_memory_books_nothing() -> None:
    books = nodes_of(2, 10)
    assert book(books, {CPU: 2000}, hint("0"), [block("0", 1)]) == Booking(books, (), (block("0", 1),))


def test_3_2_init_memory_is_used_again() -> None:
    """One node, inits 4Gi and 3Gi, apps 2Gi and 1Gi: records end as 0, 1, 2, 1; 4Gi reserved, four assignments."""
    books = nodes_of(1, 16)
    records: tuple[Block, ...] = ()
    apps: list[Block] = []
    for gib, is_init in ((4, True), (3, True), (2, False), (1, False)):
        booking = booked(books, gib, ANY, *records)
        books, records = booking.books, booking.reusable
        if is_init:
            records += booking.blocks
        else:
            apps += booking.blocks
    assert [one.size_bytes // GIB for one in (*records, *apps)] == [0, 1, 2, 1]
    assert books.nodes[0].tables[MEMORY].reserved_bytes == 4 * GIB
    assert books.nodes[0].assignments == 4


def test_3_2_only_memory_on_just_the_same_nodes_is_used_again() -> None:
    books = nodes_of(2, 4).booked([block("0-1", 6)])
    assert told(books, 6) == {}
    assert told(books, 6, block("0-1", 6)) == {"0-1": True}
    assert told(books, 6, block("0", 6)) == {}
    booking = booked(books, 6, hint("0-1"), block("0", 1), block("0-1", 6))
    assert booking.reusable == (block("0", 1), block("0-1", 0))
    assert sum(booking.books.free(MEMORY).values()) == 2 * GIB
    assert booking.books.nodes[0].assignments == 2


@pytest.mark.parametrize(
    ("in_use", "gib", "given_hint", "nodes"),
    [
        pytest.param([], 8, ANY, "0", id="6.2-any-the-best-of-its-own"),
        pytest.param([], 15, ANY_PREFERRED, "0-1", id="6.2-any-preferred-two-nodes"),
        pytest.param([block("0", 4)], 8, ANY, "1", id="6.2-any-where-it-fits"),
        pytest.param([block("0", 4), block("1", 4), block("2", 4)], 6, hint("1"), "1", id="6.2-the-hinted-node"),
        pytest.param([], 15, hint("1", preferred=False), "0-1", id="6.2-too-little-on-the-hint-is-extended"),
        pytest.param([block("2", 1)], 15, hint("1"), "0-1", id="6.2-extended-to-nodes-that-are-not-in-use"),
    ],
)
def test_a_booking_takes_the_hint_or_more(in_use: list[Block], gib: int, given_hint: Hint, nodes: str) -> None:
    assert booked(nodes_of(3, 10).booked(in_use), gib, given_hint).blocks == (block(nodes, gib),)


ONE_LARGE = empty_books(machine(H12.cpus, {0: 10 * GIB, 1: 5 * GIB, 2: 5 * GIB}), {})
"""8Gi fit on node 0 alone; on 1 and 2 together they are not preferred."""


@pytest.mark.parametrize(
    ("in_use", "given_hint", "why"),
    [
        pytest.param(
            [block("0-1", 8), block("2", 1)],
            ANY,
            "failed to get the default NUMA affinity, no NUMA nodes with enough memory is available",
            id="6.2-any-and-nothing-fits",
        ),
        pytest.param(
            [block("0", 5)],
            ANY_PREFERRED,
            "failed to find the default preferred hint",
            id="6.2-any-preferred-and-the-best-is-not",
        ),
        pytest.param(
            [block("1", 1)],
            hint("1"),
            "failed to find NUMA nodes to extend the current topology hint",
            id="6.2-nothing-includes-the-hint",
        ),
        pytest.param(
            [],
            hint("1"),
            "failed to find the extended preferred hint",
            id="6.2-the-hint-was-preferred-and-the-extended-one-is-not",
        ),
        pytest.param(
            [block("1", 1)],
            hint("0-1"),
            "preferred hint violates NUMA node allocation",
            id="6.2-a-node-in-use-alone-in-a-set-of-two",
        ),
        pytest.param(
            [block("0-1", 1)],
            hint("0"),
            "preferred hint violates NUMA node allocation",
            id="6.2-a-node-of-a-group-alone",
        ),
    ],
)
def test_a_booking_without_nodes_is_refused_in_the_kubelets_words(
    in_use: list[Block], given_hint: Hint, why: str
) -> None:
    told_why = refusal(ONE_LARGE.booked(in_use), 8, given_hint)
    assert told_why.startswith(f"[memorymanager] {why}: memory wanted 8Gi, free ")


def test_a_hint_for_nodes_without_books_is_extended_or_refused() -> None:
    assert "extend the current topology hint" in refusal(ONE_LARGE, 8, hint("9"))


@st.composite
def in_use(draw: st.DrawFn) -> Books:
    """Nodes booked alone, in groups, or not at all, of different sizes."""
    count = draw(st.integers(1, 5))
    sizes = {node: draw(st.integers(0, 4)) * GIB for node in range(count)}
    hugepages = {GI1: draw(st.integers(0, 1)) * GIB}
    books = empty_books(machine(Q32.cpus[:1], sizes, hugepages), {})
    rest = draw(st.permutations(range(count)))
    while rest:
        size = draw(st.integers(1, 3))
        group, rest = NodeSet.of(rest[:size]), rest[size:]
        for _ in range(draw(st.integers(0, 2))):
            books = books.booked([Block(group, MEMORY, draw(st.integers(0, 3)) * GIB)])
    return books


@settings(max_examples=200, deadline=None)
@given(in_use(), st.integers(1, 8), st.integers(0, 2))
def test_the_kubelets_list_is_what_the_description_describes(books: Books, gib: int, hugepages_gib: int) -> None:
    """The list as the kubelet makes it: one set after the other."""
    request = {MEMORY: gib * GIB, GI1: hugepages_gib * GIB}
    hints = memory_hints(books, request)
    every = NodeSet.of(books.nodes)
    assert ([] if hints is None else spelled_out(hints, every)) == list_of_the_kubelet(books, request)


def list_of_the_kubelet(books: Books, request: dict[str, int]) -> list[Hint]:
    every, found = NodeSet.of(books.nodes), []
    narrowest = len(every)
    for one in subsets(every):
        held = [books.nodes[node] for node in one]
        tables = {name: [book.tables[name] for book in held if name in book.tables] for name in request}
        if any(sum(table.allocatable_bytes for table in tables[name]) < need for name, need in request.items()):
            continue
        narrowest = min(narrowest, len(one))
        if len(one) == 1 and len(held[0].group) > 1:
            continue
        if len(one) > 1 and any(book.assignments and book.group != one for book in held):
            continue
        if all(sum(table.free_bytes for table in tables[name]) >= need for name, need in request.items()):
            found.append(one)
    return [Hint(one, len(one) == narrowest) for one in found]
