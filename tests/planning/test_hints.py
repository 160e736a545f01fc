"""What CPUs and memory say about NUMA nodes: the examples of the specification, in the words of the kubelet's lists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.hints import Hint, Hints, Room, cpu_hints
from pinfold.planning.policy import CpuOption
from pinfold.planning.sets import Amount
from pinfold.topology.model import Cpu, Topology
from tests.machines import D80, H12, W80, machine
from tests.planning.drawn import legal_options, machines, parts
from tests.planning.kubelet_merge import spelled_out, subsets

BY_SOCKET = frozenset({CpuOption.ALIGN_BY_SOCKET})


def told(topology: Topology, free: str, count: int, options: frozenset[CpuOption] = frozenset()) -> dict[str, bool]:
    """Set of nodes → preferred, of every hint for *count* of the *free* CPUs."""
    hints = cpu_hints(topology, CpuSet.parse(free), CpuSet(), count, options)
    assert hints is not None
    return {str(hint.nodes): hint.preferred for hint in spelled_out(hints, NodeSet.of(topology.node))}


@pytest.mark.parametrize(
    ("free", "count", "hints"),
    [
        pytest.param("1-39,41-79", 39, {"1": True, "0-1": False}, id="5.1-D80-39-node-0-has-38-free"),
        pytest.param("1-35,41-79", 39, {"0-1": False}, id="5.1-D80-39-four-of-node-1-are-gone"),
        pytest.param("1-39,41-79", 42, {"0-1": True}, id="5.1-D80-42-no-node-could-hold-it"),
        pytest.param("1-39,41-79", 79, {}, id="5.1-D80-79-more-than-is-free"),
        pytest.param("1-39,41-79", 10**9, {}, id="5.1-D80-more-than-there-is"),
    ],
)
def test_preferred_is_about_the_machine_not_its_load(free: str, count: int, hints: dict[str, bool]) -> None:
    assert told(D80, free, count) == hints


def test_4_8_align_by_socket_prefers_the_sets_that_span_as_few_sockets() -> None:
    """W80: node 0 has 6 free and node 1 has 8; ten CPUs do not fit on a node, but on the socket."""
    free = "0-5,10-17"
    assert told(W80, free, 10)["0-1"] is False
    with_option = told(W80, free, 10, BY_SOCKET)
    assert with_option["0-1"] is True
    assert with_option["0-2"] is False


def test_align_by_socket_changes_nothing_where_sockets_outnumber_nodes() -> None:
    one_node = machine([Cpu(id=cpu, core=cpu, socket=cpu // 2, node=0, uncore=0) for cpu in range(4)])
    assert told(one_node, "0-3", 2, BY_SOCKET) == {"0": True}


def test_5_1_a_request_for_nothing_has_no_preference() -> None:
    assert cpu_hints(H12, H12.online, CpuSet(), 0) is None


def test_5_1_what_is_allocated_already_says_where_it_is() -> None:
    hints = cpu_hints(H12, CpuSet(), CpuSet.parse("0,6"), 2)
    assert hints is not None
    assert spelled_out(hints, NodeSet.of([0, 1])) == [Hint(NodeSet.of([0]), True), Hint(NodeSet.of([0, 1]), False)]


def test_3_2_every_hint_includes_the_nodes_of_the_reusable_cpus() -> None:
    hints = cpu_hints(W80, W80.online, CpuSet.parse("10,50"), 2)
    assert hints is not None
    assert all(1 in (hint.nodes or ()) for hint in spelled_out(hints, NodeSet.of(range(4))))


def test_nodes_without_cpus_are_in_no_hint() -> None:
    topology = machine(H12.cpus, {0: 1, 1: 1, 2: 1})
    assert told(topology, "0-11", 2) == {"0": True, "1": True, "0-1": False}


def test_a_listed_hint_holds_beside_the_room() -> None:
    room = Room(NodeSet.of([0, 1]), NodeSet(), (Amount(2, {0: 2, 1: 1}),), 1)
    hints = Hints(("memory",), (Hint(NodeSet.of([2]), False), Hint(NodeSet.of([2]), True), Hint(None, True)), room)
    assert hints.of(NodeSet.of([2])) == Hint(NodeSet.of([2]), True)
    assert hints.of(NodeSet.of([0])) == Hint(NodeSet.of([0]), True)
    assert hints.of(NodeSet.of([1])) is None
    assert hints.of(NodeSet()) is None
    assert Hints(("memory",)).of(NodeSet.of([0])) is None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_kubelets_list_is_what_the_description_describes(data: st.DataObject) -> None:
    """The list as the kubelet makes it: one set after the other, counting CPUs."""
    topology = data.draw(machines())
    free = data.draw(parts(topology))
    reusable = CpuSet.of(data.draw(st.sets(st.sampled_from(list(topology.online)), max_size=2))) - free
    options, count = data.draw(legal_options(topology)), data.draw(st.integers(1, len(topology.cpus) + 1))
    hints = cpu_hints(topology, free, reusable, count, options)
    assert hints is not None
    assert spelled_out(hints, NodeSet.of(topology.node)) == list_of_the_kubelet(
        topology, free, reusable, count, options
    )


def list_of_the_kubelet(
    topology: Topology, free: CpuSet, reusable: CpuSet, count: int, options: frozenset[CpuOption]
) -> list[Hint]:
    nodes = NodeSet.of(topology.node_cpus)
    narrowest = min((len(one) for one in subsets(nodes) if len(topology.cpus_of(one)) >= count), default=len(nodes))
    per_socket = len(nodes) // len(topology.sockets)
    found = []
    for one in subsets(nodes):
        cpus = topology.cpus_of(one)
        if reusable <= cpus and len(cpus & (free | reusable)) >= count:
            sockets = len({topology.by_id[cpu].socket for cpu in cpus})
            aligned = CpuOption.ALIGN_BY_SOCKET in options and per_socket and sockets == -(-narrowest // per_socket)
            found.append(Hint(one, len(one) == narrowest or bool(aligned)))
    return found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_best_hint_is_the_best_of_the_list(data: st.DataObject) -> None:
    nodes = range(data.draw(st.integers(1, 5)))
    amount = st.fixed_dictionaries({node: st.integers(0, 4) for node in nodes})
    amounts = [Amount(data.draw(st.integers(1, 6)), data.draw(amount)) for _ in range(data.draw(st.integers(1, 2)))]
    unused = data.draw(st.sets(st.sampled_from(nodes)))
    sets = st.sets(st.sampled_from(nodes), min_size=1)
    listed = tuple(
        Hint(NodeSet.of(one), data.draw(st.booleans()))
        for one in data.draw(st.lists(sets, max_size=3))
        if not one & unused
    )
    room = Room(NodeSet.of(unused), NodeSet(), tuple(amounts), data.draw(st.integers(1, 3)))
    hints = Hints(("memory",), listed, data.draw(st.sampled_from([room, None])))
    including = NodeSet.of(data.draw(st.sets(st.sampled_from(nodes), max_size=2)))
    fitting = [hint for hint in spelled_out(hints, NodeSet.of(nodes)) if hint.nodes and including <= hint.nodes]
    assert hints.best(including) == min(fitting, key=goodness, default=None)


def goodness(hint: Hint) -> tuple[bool, int, int]:
    assert hint.nodes is not None
    return not hint.preferred, len(hint.nodes), hint.nodes.bits
