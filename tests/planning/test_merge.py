"""The merge of what resources say: the examples of the specification, the kubelet's own way, and large machines."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.closeness import Distances
from pinfold.planning.hints import Hint, Hints, Room, cpu_hints
from pinfold.planning.merge import Merged, merge
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.planning.sets import Amount, fewest
from tests.machines import D80, W80, regular
from tests.planning.kubelet_merge import merge_all

NONE, BEST_EFFORT = TopologyPolicy.NONE, TopologyPolicy.BEST_EFFORT
RESTRICTED, SINGLE = TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE
BY_SOCKET = CpuOption.ALIGN_BY_SOCKET
FOUR = NodeSet.of(range(4))
NEAR_PAIRS: Distances = {
    one: {two: 10 if one == two else 11 if one // 2 == two // 2 else 12 for two in range(4)} for one in range(4)
}
"""0 and 1 are near, 2 and 3 are; else far."""


def listed(*hints: tuple[str, bool]) -> Hints:
    return Hints(("device",), tuple(Hint(NodeSet.parse(nodes), preferred) for nodes, preferred in hints))


def shown(merged: Merged) -> tuple[str | None, bool, bool]:
    nodes = None if merged.hint.nodes is None else str(merged.hint.nodes)
    return nodes, merged.hint.preferred, merged.admit


@pytest.mark.parametrize(
    ("free", "count", "restricted", "single"),
    [
        pytest.param("1-39,41-79", 39, ("1", True, True), ("1", True, True), id="5.1-D80-39-fits-on-node-1"),
        pytest.param("1-35,41-79", 39, ("0-1", False, False), (None, False, False), id="5.1-D80-39-fits-on-no-node"),
        pytest.param("1-39,41-79", 42, ("0-1", True, True), (None, False, False), id="5.1-D80-42-needs-both"),
    ],
)
def test_cpus_are_admitted_by_policy(
    free: str, count: int, restricted: tuple[str, bool, bool], single: tuple[str | None, bool, bool]
) -> None:
    said = [cpu_hints(D80, CpuSet.parse(free), CpuSet(), count)]
    assert shown(merge(RESTRICTED, NodeSet.of([0, 1]), said)) == restricted
    assert shown(merge(SINGLE, NodeSet.of([0, 1]), said)) == single
    nodes, preferred, _ = restricted
    assert shown(merge(BEST_EFFORT, NodeSet.of([0, 1]), said)) == (nodes, preferred, True)


PAIRS = [NodeSet.of([one, two]) for two in range(4) for one in range(two)]


@pytest.mark.parametrize(
    ("full", "narrowest", "closest"),
    [
        pytest.param([], "0-1", "0-1", id="5.2-all-free-by-the-lower-mask"),
        pytest.param([0], "1-2", "2-3", id="5.2-node-0-is-full"),
        pytest.param([1], "0,2", "2-3", id="5.2-node-1-is-full-0-2-is-the-lower-mask"),
    ],
)
def test_of_two_nodes_the_lower_mask_or_the_nearer_wins(full: list[int], narrowest: str, closest: str) -> None:
    said = [listed(*((str(pair), True) for pair in PAIRS if pair.isdisjoint(NodeSet.of(full))))]
    assert shown(merge(RESTRICTED, FOUR, said)) == (narrowest, True, True)
    assert shown(merge(RESTRICTED, FOUR, said, NEAR_PAIRS)) == (closest, True, True)


@pytest.mark.parametrize(
    ("said", "merged"),
    [
        pytest.param([], ("0-3", True, True), id="5.2-nobody-asked"),
        pytest.param([None, None], ("0-3", True, True), id="5.2-all-say-any-preferred"),
        pytest.param([Hints(("cpu",))], ("0-3", False, True), id="5.1-an-empty-list-is-any-not-preferred"),
        pytest.param(
            [listed(("0", True)), listed(("1", True))], ("0-3", False, True), id="5.2-every-combination-dropped"
        ),
        pytest.param(
            [listed(("1", True)), listed(("0-1", True))], ("1", False, True), id="5.2-preferred-only-if-equal"
        ),
        pytest.param([listed(("1", True)), Hints(("cpu",))], ("1", False, True), id="5.2-preferred-only-if-all-are"),
        pytest.param([listed(("0,3", True), ("1-2", True))], ("1-2", True, True), id="5.2-9-loses-to-6"),
        pytest.param([listed(("0-1", False), ("2", False))], ("2", False, True), id="5.2-the-narrowest-is-aimed-at"),
        pytest.param(
            [listed(("0-1", False), ("0-2", False)), listed(("0-3", False), ("0,2", False))],
            ("0-1", False, True),
            id="5.2-size-2-is-aimed-at",
        ),
    ],
)
def test_hints_are_combined(said: list[Hints | None], merged: tuple[str, bool, bool]) -> None:
    assert shown(merge(BEST_EFFORT, FOUR, said)) == merged
    assert merge(BEST_EFFORT, FOUR, said) == merge_all(BEST_EFFORT, FOUR, said, None)


def test_5_2_policy_none_admits_all_without_a_hint() -> None:
    assert merge(NONE, FOUR, [Hints(("cpu",))]) == Merged(Hint(None, preferred=False), admit=True)


@pytest.mark.parametrize(
    ("said", "merged"),
    [
        pytest.param([None], (None, True, True), id="5.2-nobody-cares"),
        pytest.param([listed(("0-1", True), ("3", False))], (None, False, False), id="5.2-nothing-is-left"),
        pytest.param([listed(("0", True), ("2", True)), listed(("2", True))], ("2", True, True), id="5.2-one-node"),
    ],
)
def test_single_numa_node_drops_all_but_one_preferred_node(
    said: list[Hints | None], merged: tuple[str | None, bool, bool]
) -> None:
    assert shown(merge(SINGLE, FOUR, said)) == merged


def test_5_2_all_nodes_become_any_on_a_machine_with_one_node() -> None:
    assert shown(merge(SINGLE, NodeSet.of([0]), [listed(("0", True))])) == (None, True, True)


def test_hints_for_nodes_that_the_machine_has_not_are_no_hints() -> None:
    assert shown(merge(BEST_EFFORT, FOUR, [listed(("1,9", True), ("8", True))])) == ("1", True, True)
    assert shown(merge(RESTRICTED, FOUR, [listed(("9", True))], NEAR_PAIRS)) == ("0-3", False, False)


def test_untold_distances_are_those_of_the_kernel() -> None:
    said = [listed(("0-1", True), ("2-3", True))]
    assert shown(merge(RESTRICTED, FOUR, said, {2: {3: 12}, 3: {2: 12}})) == ("2-3", True, True)


def test_5_2_smaller_than_aimed_at_beats_larger() -> None:
    """Each resource needs two nodes; what remains is {3} or {0,1,2}."""
    said = [listed(("0-2", False), ("3-4", False)), listed(("0-2", False), ("3,5", False))]
    assert shown(merge(BEST_EFFORT, NodeSet.of(range(6)), said)) == ("3", False, True)
    assert merge(BEST_EFFORT, NodeSet.of(range(6)), said) == merge_all(BEST_EFFORT, NodeSet.of(range(6)), said, None)


def open_room(name: str, need: int, free: list[int]) -> Hints:
    """Of which one node could hold everything, if nothing were in use."""
    nodes = NodeSet.of(range(len(free)))
    return Hints((name,), room=Room(nodes, NodeSet(), (Amount(need, dict(enumerate(free))),), 1))


@pytest.mark.parametrize(
    ("said", "nodes"),
    [
        pytest.param(
            [open_room("cpu", 8, [0, 0, 0, 10, 0]), listed(("0-2", False), ("4", False))],
            "0",
            id="the-cpus-of-a-set-lie-outside-of-the-group",
        ),
        pytest.param(
            [open_room("cpu", 20, [1, 1, 1, 10, 10, 10, 10]), open_room("memory", 20, [1, 1, 1, 10, 10, 10, 10])],
            "0-1",
            id="each-resource-leaves-out-two-of-the-four-nodes-that-hold-most",
        ),
        pytest.param(
            [open_room("cpu", 20, [1, 1, 1, 10, 10, 10, 10]), open_room("memory", 31, [1, 1, 1, 10, 10, 10, 10])],
            "0-3",
            id="together-they-can-leave-out-three",
        ),
        pytest.param(
            [open_room("cpu", 9, [4, 4, 6, 5]), open_room("memory", 16, [3, 3, 9, 11])],
            "0-1",
            id="the-cpus-leave-out-node-3-because-memory-cannot",
        ),
    ],
)
def test_what_remains_when_hints_are_intersected(said: list[Hints | None], nodes: str) -> None:
    """The kubelet's answer, though it holds what nobody wants."""
    machine = NodeSet.of(range(7))
    assert shown(merge(BEST_EFFORT, machine, said)) == (nodes, False, True)
    assert merge(BEST_EFFORT, machine, said) == merge_all(BEST_EFFORT, machine, said, None)


SIZE = 10
"""What each node has of everything."""


@st.composite
def rooms(draw: st.DrawFn, nodes: list[int], kinds: int = 1) -> Room:
    """Some of the amounts in use; mostly there is enough on some of the nodes."""
    held = st.lists(st.integers(0, SIZE), min_size=len(nodes), max_size=len(nodes))
    of = [draw(st.one_of(held, st.just([SIZE] * len(nodes)))) for _ in range(kinds)]
    needs = [draw(st.integers(1, sum(one) + 1)) for one in of]
    free = [Amount(need, dict(zip(nodes, held, strict=True))) for need, held in zip(needs, of, strict=True)]
    all_of_it = [Amount(need, dict.fromkeys(nodes, SIZE)) for need in needs]
    bits = NodeSet.of(nodes).bits
    return Room(NodeSet.of(nodes), NodeSet(), tuple(free), fewest(bits, 0, all_of_it) or len(nodes))


@st.composite
def cpus_said(draw: st.DrawFn, nodes: list[int]) -> Hints:
    own = sorted(draw(st.sets(st.sampled_from(nodes), min_size=1)))
    room = draw(rooms(own))
    if draw(st.booleans()):
        per_socket = draw(st.integers(1, 3))
        sockets = {place // per_socket: NodeSet() for place in range(len(own))}
        for place, node in enumerate(own):
            sockets[place // per_socket] |= NodeSet.of([node])
        room = replace(room, sockets=sockets, span=draw(st.integers(1, 4)))
    return Hints(("cpu",), room=replace(room, required=NodeSet.of(draw(st.sets(st.sampled_from(own), max_size=1)))))


@st.composite
def memory_said(draw: st.DrawFn, nodes: list[int]) -> Hints:
    """Nodes in use, alone or in groups; and a room of the others."""
    kinds = draw(st.integers(1, 3))
    room = draw(rooms(nodes, kinds))
    used = draw(st.permutations(nodes))[: draw(st.sampled_from([0, 0, 1, 2, len(nodes)]))]
    listed_sets = []
    while used:
        group, used = NodeSet.of(used[: (size := draw(st.integers(1, 3)))]), used[size:]
        if draw(st.booleans()):
            listed_sets.append(Hint(group, len(group) == room.narrowest))
        room = replace(room, nodes=room.nodes - group)
    has_room = bool(room.nodes) and bool(draw(st.integers(0, 4)))
    return Hints(tuple(f"memory-{kind}" for kind in range(kinds)), tuple(listed_sets), room if has_room else None)


@st.composite
def devices_said(draw: st.DrawFn, nodes: list[int]) -> Hints:
    sets = st.sets(st.sampled_from(nodes), min_size=1).map(NodeSet.of)
    hints = st.builds(Hint, st.one_of(st.none(), sets, sets), st.booleans())
    return Hints(("device",), tuple(draw(st.lists(hints, max_size=4))))


@st.composite
def merges(draw: st.DrawFn) -> tuple[TopologyPolicy, NodeSet, list[Hints | None], Distances | None]:
    ids = draw(st.permutations(range(9)))
    nodes = sorted(ids[: draw(st.integers(1, 5))])
    cpus, memory, devices = cpus_said(nodes), memory_said(nodes), devices_said(nodes)
    mixes: list[list[st.SearchStrategy[Hints]]] = [
        *([[cpus]] * 3),
        *([[cpus, memory]] * 3),
        [memory, cpus, devices],
        [memory],
        [devices, devices],
    ]
    said: list[Hints | None] = [draw(one) for one in draw(st.sampled_from(mixes))]
    if not draw(st.integers(0, 9)):
        said.append(None)
    distance = st.sampled_from([11, 12, 21, 32])
    far = {one: {two: 10 if one == two else draw(distance) for two in nodes} for one in nodes}
    policy = draw(st.sampled_from([BEST_EFFORT, BEST_EFFORT, RESTRICTED, RESTRICTED, SINGLE]))
    return policy, NodeSet.of(nodes), said, draw(st.sampled_from([None, far]))


@settings(max_examples=1000, deadline=None)
@given(merges())
def test_the_merge_is_the_kubelets(
    case: tuple[TopologyPolicy, NodeSet, list[Hints | None], Distances | None],
) -> None:
    policy, nodes, said, distances = case
    assert merge(policy, nodes, said, distances) == merge_all(policy, nodes, said, distances)


@settings(max_examples=100, deadline=None)
@given(merges(), st.randoms(use_true_random=False))
def test_the_order_in_which_resources_are_asked_does_not_matter(
    case: tuple[TopologyPolicy, NodeSet, list[Hints | None], Distances | None], random: Random
) -> None:
    policy, nodes, said, distances = case
    shuffled = random.sample(said, len(said))
    assert merge(policy, nodes, said, distances) == merge(policy, nodes, shuffled, distances)


LARGE = regular(16, 128, 2, nodes_per_socket=4)
"""4,096 CPUs on 64 NUMA nodes."""
LARGE_NODES = NodeSet.of(LARGE.node)
LARGE_DISTANCES = {node.id: node.distances for node in LARGE.nodes}


@pytest.mark.parametrize(
    ("options", "memory", "merged"),
    [
        pytest.param([], None, ("0-1", False, False), id="4.8-without-the-option-not-admitted"),
        pytest.param([BY_SOCKET], None, ("0-1", True, True), id="4.8-the-socket-is-preferred"),
        pytest.param([BY_SOCKET], 1, ("0-1", False, False), id="4.8-memory-prefers-one-node-and-no-set-is-common"),
        pytest.param([BY_SOCKET], 2, ("0-1", True, True), id="4.8-memory-needs-two-nodes-too"),
        pytest.param([BY_SOCKET], 3, ("0-2", False, False), id="4.8-memory-needs-three-which-span-two-sockets"),
    ],
)
def test_w80_ten_cpus_with_six_and_eight_free(
    options: list[CpuOption], memory: int | None, merged: tuple[str, bool, bool]
) -> None:
    nodes = NodeSet.of(range(4))
    said: list[Hints | None] = [cpu_hints(W80, CpuSet.parse("0-5,10-17"), CpuSet(), 10, frozenset(options))]
    if memory is not None:
        amount = Amount(memory, dict.fromkeys(nodes, 1))
        said.append(Hints(("memory",), room=Room(nodes, NodeSet(), (amount,), memory)))
    assert shown(merge(RESTRICTED, nodes, said)) == merged
    assert merge(RESTRICTED, nodes, said) == merge_all(RESTRICTED, nodes, said, None)


def test_align_by_socket_finds_the_lowest_of_many_sockets() -> None:
    """Sixteen sockets of four nodes; a node could hold the request, and only socket 3 has so much free, in parts."""
    free = CpuSet.union(LARGE.node_cpus[node].first(32) for node in range(12, 16))
    said = [cpu_hints(LARGE, free, CpuSet(), 64, frozenset({BY_SOCKET}))]
    assert shown(merge(RESTRICTED, LARGE_NODES, said)) == ("12-13", True, True)


def room_of(need: int, free: dict[int, int], size: int) -> Hints:
    narrowest = fewest(LARGE_NODES.bits, 0, [Amount(need, dict.fromkeys(free, size))]) or len(free)
    return Hints(("cpu",), room=Room(LARGE_NODES, NodeSet(), (Amount(need, free),), narrowest))


@pytest.mark.parametrize("distances", [None, LARGE_DISTANCES], ids=["narrowest", "closest"])
def test_five_of_64_nodes_are_found(distances: Distances | None) -> None:
    """There are 7,624,512 sets of five; only these five nodes are empty."""
    free = {node: 64 if node in {3, 17, 18, 40, 63} else 32 for node in LARGE_NODES}
    merged = merge(RESTRICTED, LARGE_NODES, [room_of(320, free, 64), room_of(320, free, 64)], distances)
    assert shown(merged) == ("3,17-18,40,63", True, True)


def test_of_equal_sets_of_64_nodes_the_lowest_is_found() -> None:
    free = dict.fromkeys(LARGE_NODES, 64)
    assert shown(merge(RESTRICTED, LARGE_NODES, [room_of(600, free, 64)])) == ("0-9", True, True)


def test_the_closest_of_64_nodes_share_a_socket() -> None:
    free = {node: 64 if node > 1 else 0 for node in LARGE_NODES}
    merged = merge(RESTRICTED, LARGE_NODES, [room_of(256, free, 64)], LARGE_DISTANCES)
    assert shown(merged) == ("4-7", True, True)


def test_what_fits_on_no_few_of_64_nodes_is_given_the_fewest_that_hold_it() -> None:
    """One node could hold 64; each has 10 free: seven are needed."""
    free = dict.fromkeys(LARGE_NODES, 10)
    merged = merge(BEST_EFFORT, LARGE_NODES, [room_of(64, free, 64), room_of(64, free, 64)])
    assert shown(merged) == ("0-6", False, True)


def test_a_machine_that_nearly_all_is_wanted_of_still_gets_an_answer() -> None:
    """Nodes have little or much of both: neither can leave out what the other has not, and the search is given up."""
    free = {node: node * 37 % 64 + 1 for node in LARGE_NODES}
    said = [room_of(sum(free.values()) * 9 // 10, free, 64), room_of(sum(free.values()) * 9 // 10 + 3, free, 64)]
    merged = merge(BEST_EFFORT, LARGE_NODES, said)
    assert merged.admit
    assert not merged.hint.preferred
    assert merged.hint.nodes
