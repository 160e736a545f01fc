"""Sets of ids: the kernel's list format, the algebra, and that text from anywhere can do no harm."""

from collections.abc import Set as AbstractSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.cpuset import CpuListError, CpuSet, NodeSet
from pinfold.errors import PinfoldError

IDS = st.sets(st.integers(0, 300))


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        pytest.param("", [], id="blank-inherits-from-the-parent"),
        pytest.param(" \n", [], id="only-a-newline"),
        pytest.param("0-2,8\n", [0, 1, 2, 8], id="newline-as-the-kernel-writes-it"),
        pytest.param("63-64", [63, 64], id="across-a-machine-word"),
        pytest.param("5-5", [5], id="a-range-of-one"),
        pytest.param("8,0-2", [0, 1, 2, 8], id="in-any-order"),
        pytest.param("0-3,2-5", [0, 1, 2, 3, 4, 5], id="overlapping"),
        pytest.param("007", [7], id="leading-zeros"),
        pytest.param("99999", [99999], id="five-digits"),
    ],
)
def test_a_list_of_the_kernel_is_read(text: str, cpus: list[int]) -> None:
    assert list(CpuSet.parse(text)) == cpus


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("3-1", "runs backwards", id="backwards"),
        pytest.param("0,", "neither N nor N-M", id="ends-in-a-comma"),
        pytest.param(",", "neither N nor N-M", id="only-a-comma"),
        pytest.param("a", "neither N nor N-M", id="a-letter"),
        pytest.param("-1", "neither N nor N-M", id="a-negative-number"),
        pytest.param("1-", "neither N nor N-M", id="an-open-range"),
        pytest.param("0 1", "neither N nor N-M", id="a-blank-between"),
        pytest.param("0-7:2/4", "neither N nor N-M", id="a-stride"),
        pytest.param("0x3", "neither N nor N-M", id="hexadecimal"),
        pytest.param("٣", "neither N nor N-M", id="a-digit-of-another-script"),
        pytest.param("100000", "neither N nor N-M", id="too-large-for-any-machine"),
        pytest.param("0-999999999999", "neither N nor N-M", id="a-range-that-would-fill-the-memory"),
    ],
)
def test_other_text_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(CpuListError, match=why) as refused:
        CpuSet.parse(text)
    assert isinstance(refused.value, PinfoldError)


@given(st.text(alphabet="0123456789,- \nx٣", max_size=12))
def test_any_text_is_a_set_or_a_cpu_list_error(text: str) -> None:
    try:
        cpus = CpuSet.parse(text)
    except CpuListError:
        return
    assert CpuSet.parse(str(cpus)) == cpus


@pytest.mark.parametrize(
    ("cpus", "text"),
    [
        pytest.param([], "", id="empty"),
        pytest.param([0], "0", id="one"),
        pytest.param([0, 1], "0-1", id="two-are-a-range"),
        pytest.param([0, 2, 4], "0,2,4", id="alternating"),
        pytest.param([1, 2, 3, 7, 64, 65], "1-3,7,64-65", id="ranges-and-singles"),
        pytest.param(range(4096), "0-4095", id="a-large-machine"),
    ],
)
def test_a_set_is_written_as_the_kernel_writes_it(cpus: list[int], text: str) -> None:
    assert str(CpuSet.of(cpus)) == text
    assert repr(NodeSet.of(cpus)) == f"NodeSet.parse({text!r})"


@given(IDS)
def test_what_is_written_is_read_back(ids: AbstractSet[int]) -> None:
    assert CpuSet.parse(str(CpuSet.of(ids))) == CpuSet.of(ids)


@given(IDS, IDS)
def test_the_algebra_is_that_of_sets(one: set[int], other: set[int]) -> None:
    a, b = CpuSet.of(one), CpuSet.of(other)
    assert set(a & b) == one & other
    assert set(a | b) == one | other
    assert set(a - b) == one - other
    assert (a <= b) == (one <= other)
    assert (a < b) == (one < other)
    assert a.isdisjoint(b) == one.isdisjoint(other)
    assert (a == b) == (one == other)
    assert CpuSet.union([a, b, a]) == a | b


@given(IDS, st.integers(-3, 310))
def test_members_are_counted_found_and_come_in_order(ids: set[int], one: int) -> None:
    cpus = CpuSet.of(ids)
    assert len(cpus) == len(ids)
    assert bool(cpus) == bool(ids)
    assert list(cpus) == sorted(ids)
    assert (one in cpus) == (one in ids)


@given(IDS, st.integers(0, 310))
def test_the_first_are_the_lowest(ids: set[int], count: int) -> None:
    assert list(CpuSet.of(ids).first(count)) == sorted(ids)[:count]
    assert CpuSet.of(ids or {7}).lowest() == min(ids or {7})


def test_an_empty_set_has_no_lowest_id() -> None:
    with pytest.raises(ValueError, match="an empty set has no lowest id"):
        CpuSet().lowest()


def test_union_of_nothing_is_empty() -> None:
    assert CpuSet.union([]) == CpuSet()


def test_cpus_and_nodes_are_never_equal() -> None:
    nodes: object = NodeSet.of([1])
    assert CpuSet.of([1]) != nodes
    assert isinstance(NodeSet.of([1, 2]) & NodeSet.of([2]), NodeSet)


def test_a_set_can_be_a_key() -> None:
    assert {CpuSet.of([1, 2]): "pool"}[CpuSet.parse("1-2")] == "pool"
