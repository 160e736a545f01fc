"""How a set of CPUs grows and shrinks with the least disturbance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from pinfold.planning.nearest import resized
from pinfold.topology.model import Topology
from tests.machines import D80, H12, Q32, U32, W80


@pytest.mark.parametrize(
    ("machine", "held", "size", "free", "got"),
    [
        pytest.param(H12, "2", 2, "3-11", "2,8", id="7.2-the-sibling-first"),
        pytest.param(H12, "2,8", 3, "1,4,7,10", "2,4,8", id="7.2-then-the-same-socket"),
        pytest.param(H12, "2,8", 4, "1,4,7", "1-2,4,8", id="7.2-then-another"),
        pytest.param(H12, "2,8", 4, "0,4,6,10", "0,2,6,8", id="7.2-whole-cores"),
        pytest.param(H12, "2,8", 4, "0,4,10", "2,4,8,10", id="7.2-a-whole-core-before-a-broken-one"),
        pytest.param(U32, "4,20", 4, "1,5,17,21", "4-5,20-21", id="7.2-then-the-same-l3"),
        pytest.param(W80, "10", 2, "0,20", "0,10", id="7.2-then-the-same-socket-of-two-nodes"),
        pytest.param(D80, "", 2, "3-5,43", "3,43", id="from-nothing"),
        pytest.param(H12, "2", 4, "8", "2,8", id="as-far-as-it-goes"),
    ],
)
def test_a_set_grows_by_what_is_nearest(machine: Topology, held: str, size: int, free: str, got: str) -> None:
    assert str(resized(machine, CpuSet.parse(held), size, CpuSet.parse(free))) == got


@pytest.mark.parametrize(
    ("machine", "held", "size", "spared", "got"),
    [
        pytest.param(H12, "1,2,4,8,10", 4, "", "2,4,8,10", id="7.2-the-lonely-socket-first"),
        pytest.param(H12, "1,2,4,7,8", 4, "", "1-2,4,8", id="7.2-even-if-a-core-is-broken-for-it"),
        pytest.param(H12, "2,4,8", 2, "", "2,8", id="7.2-then-the-broken-core"),
        pytest.param(H12, "2,4,8,10", 2, "", "2,8", id="7.2-of-equals-the-highest"),
        pytest.param(Q32, "0-3,4", 4, "4", "0-2,4", id="7.2-what-is-spared-stays"),
        pytest.param(H12, "2,4", 1, "2,4", "2", id="7.2-unless-there-is-nothing-else"),
        pytest.param(H12, "2,4", 2, "", "2,4", id="7.2-or-nothing-to-do"),
    ],
)
def test_a_set_shrinks_by_what_is_loneliest(machine: Topology, held: str, size: int, spared: str, got: str) -> None:
    assert str(resized(machine, CpuSet.parse(held), size, CpuSet(), CpuSet.parse(spared))) == got


@given(st.sampled_from([H12, D80, W80, U32]), st.data())
def test_growing_keeps_and_shrinking_adds_nothing(machine: Topology, data: st.DataObject) -> None:
    cpus = list(machine.online)
    held = CpuSet.of(data.draw(st.lists(st.sampled_from(cpus), max_size=12)))
    free = CpuSet.of(data.draw(st.lists(st.sampled_from(cpus), max_size=12)))
    size = data.draw(st.integers(0, 20))
    got = resized(machine, held, size, free)
    assert len(got) == min(size, max(len(held | free), 0)) or len(got) == size
    assert held <= got <= held | free if size >= len(held) else got <= held
