"""Which CPUs a request gets: every example of the specification, and what holds for all machines."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.order import Order
from pinfold.planning.policy import KUBELET_RULES, CpuOption, Rules
from pinfold.planning.reasons import Refused, Word
from pinfold.planning.take import allocate, reserved_from_count, take
from pinfold.planning.units import units
from pinfold.topology.model import Cpu, Topology
from tests.machines import D80, H12, HYBRID20, Q32, U32, V32, W80, machine, regular
from tests.planning.drawn import legal_options, machines, parts
from tests.planning.kubelet_take import take_like_the_kubelet

FULL = CpuOption.FULL_PCPUS_ONLY
ACROSS_NUMA = CpuOption.DISTRIBUTE_CPUS_ACROSS_NUMA
ACROSS_CORES = CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES
BY_SOCKET = CpuOption.ALIGN_BY_SOCKET
BY_CACHE = CpuOption.PREFER_ALIGN_CPUS_BY_UNCORECACHE

BOTH = pytest.mark.parametrize("rules", [KUBELET_RULES, Rules()], ids=["kubelet", "own"])
TWO_L3 = regular(1, 16, caches_per_node=2)


def taken(topology: Topology, used: str, count: int, rules: Rules, *options: CpuOption) -> str:
    return str(take(topology, topology.online - CpuSet.parse(used), count, frozenset(options), rules))


@BOTH
@pytest.mark.parametrize(
    ("topology", "used", "count", "cpus"),
    [
        pytest.param(H12, "0,6", 1, "2", id="4.4-H12-1-socket-0-has-fewer-free"),
        pytest.param(H12, "0,6", 2, "2,8", id="4.4-H12-2-a-whole-core"),
        pytest.param(H12, "0,6", 3, "2,4,8", id="4.4-H12-3-a-whole-core-and-one-more"),
        pytest.param(H12, "0,6", 5, "1-2,4,8,10", id="4.4-H12-5-two-whole-cores-then-socket-0-is-used-up"),
        pytest.param(H12, "0,6", 6, "1,3,5,7,9,11", id="4.4-H12-6-node-1-is-wholly-free"),
        pytest.param(H12, "0,2,6", 1, "8", id="4.4-H12-1-mends-a-broken-core"),
        pytest.param(H12, "0,2,6", 2, "4,10", id="4.4-H12-2-wants-a-whole-core"),
        pytest.param(D80, "0,40", 20, "1-10,41-50", id="4.4-D80-20"),
        pytest.param(D80, "0,40", 38, "1-19,41-59", id="4.4-D80-38"),
        pytest.param(D80, "0,40", 42, "1,20-39,41,60-79", id="4.4-D80-42-more-than-the-40-of-node-1"),
        pytest.param(W80, "0,40", 19, "1-10,41-49", id="4.4-W80-19-nine-cores-of-node-0-then-10"),
        pytest.param(W80, "0,40", 20, "10-19,50-59", id="4.4-W80-20-node-1-whole"),
        pytest.param(W80, "0,40", 21, "1,10-19,50-59", id="4.4-W80-21"),
        pytest.param(W80, "0,40", 40, "20-39,60-79", id="4.4-W80-40-socket-1-whole"),
        pytest.param(W80, "0,40", 58, "1-9,20-39,41-49,60-79", id="4.4-W80-58-then-cores-of-node-0"),
        pytest.param(Q32, "0,16", 12, "1-2,4-7,17-18,20-23", id="4.4-Q32-12-socket-1-whole-then-the-fullest"),
        pytest.param(H12, "0,6", 0, "", id="4.2-nothing-is-wanted"),
        pytest.param(H12, "", 12, "0-11", id="4.4-H12-12-everything"),
    ],
)
def test_a_request_is_packed(topology: Topology, used: str, count: int, cpus: str, rules: Rules) -> None:
    assert taken(topology, used, count, rules) == cpus


@BOTH
@pytest.mark.parametrize(
    ("topology", "used", "count", "options", "cpus"),
    [
        pytest.param(D80, "0,40", 50, [], "1-13,20-32,41-52,60-71", id="4.6-D80-50-half-on-each-node"),
        pytest.param(D80, "0,40", 50, [FULL], "1-12,20-32,41-52,60-72", id="4.6-D80-50-in-cores-leaves-14-and-14"),
        pytest.param(D80, "0,40", 8, [], "20-23,60-63", id="4.6-D80-8-the-emptier-node-balances-better"),
        pytest.param(H12, "0,6", 1, [], "1", id="4.6-H12-1"),
        pytest.param(H12, "0,6", 1, [FULL], "2", id="4.6-H12-1-is-no-whole-core-so-it-is-packed"),
        pytest.param(W80, "", 26, [], "0-6,10-16,40-45,50-55", id="4.6-W80-26"),
        pytest.param(W80, "", 26, [FULL], "0-6,10-15,40-46,50-55", id="4.6-W80-26-in-cores"),
        pytest.param(Q32, "0,16", 10, [], "4-6,8-10,20-21,24-25", id="4.6-Q32-10-two-whole-nodes"),
        pytest.param(Q32, "", 23, [], "0-11,16-26", id="4.6-Q32-23-the-rest-fits-on-no-single-node"),
        pytest.param(D80, "2-19,42-59", 44, [], "0-1,20-39,40-41,60-79", id="4.6-D80-44-no-node-can-give-half"),
    ],
)
def test_a_request_is_distributed_across_numa_nodes(
    topology: Topology, used: str, count: int, options: list[CpuOption], cpus: str, rules: Rules
) -> None:
    assert taken(topology, used, count, rules, ACROSS_NUMA, *options) == str(CpuSet.parse(cpus))


def test_4_6_the_size_of_the_groups_can_be_given() -> None:
    got = take(W80, W80.online, 26, frozenset({ACROSS_NUMA}), KUBELET_RULES, 2)
    assert str(got) == "0-6,10-15,40-46,50-55"


def test_a_core_whose_id_recurs_on_another_socket_is_taken_once() -> None:
    """CPUs 0 and 2 bear the same core id; the kubelet would count them a second time."""
    at = {0: (0, 0), 1: (1, 0), 2: (0, 1), 3: (3, 1), 4: (3, 1), 5: (5, 1)}
    recurring = machine([Cpu(cpu, core, socket, socket, socket) for cpu, (core, socket) in at.items()])
    assert taken(recurring, "1,5", 3, KUBELET_RULES) == "0,2-3"


@BOTH
@pytest.mark.parametrize(
    ("topology", "count", "cpus"),
    [
        pytest.param(H12, 2, "2,4", id="4.7-H12-2"),
        pytest.param(H12, 4, "2,4,8,10", id="4.7-H12-4"),
        pytest.param(H12, 5, "1-2,4,8,10", id="4.7-H12-5"),
        pytest.param(H12, 6, "1,3,5,7,9,11", id="4.7-H12-6-whole-nodes-still-come-first"),
        pytest.param(D80, 4, "1-4", id="4.7-D80-4"),
        pytest.param(D80, 22, "1-19,41-43", id="4.7-D80-22"),
    ],
)
def test_a_request_is_distributed_across_cores(topology: Topology, count: int, cpus: str, rules: Rules) -> None:
    used = "0,6" if topology is H12 else "0,40"
    assert taken(topology, used, count, rules, ACROSS_CORES) == cpus


@BOTH
@pytest.mark.parametrize(
    ("topology", "used", "counts", "aligned", "packed"),
    [
        pytest.param(
            V32, "0-1", [10, 8, 6], ["2-3,8-15", "16-23", "24-29"], ["2-11", "12-19", "20-25"], id="4.9-V32-10-8-6"
        ),
        pytest.param(
            TWO_L3, "0-1", [4, 4, 4], ["2-5", "8-11", "12-15"], ["2-5", "6-9", "10-13"], id="4.9-two-L3-4-4-4"
        ),
        pytest.param(U32, "0,16", [6], ["1-3,17-19"], ["1-3,17-19"], id="4.9-U32-6"),
        pytest.param(U32, "0,16", [8], ["4-7,20-23"], ["1-4,17-20"], id="4.9-U32-8"),
        pytest.param(U32, "0,16", [7], ["4-7,20-22"], ["1-4,17-19"], id="4.9-U32-7"),
    ],
)
def test_requests_are_aligned_by_uncore_cache(
    topology: Topology, used: str, counts: list[int], aligned: list[str], packed: list[str], rules: Rules
) -> None:
    assert taken_in_turn(topology, used, counts, rules, BY_CACHE) == aligned
    assert taken_in_turn(topology, used, counts, rules) == packed


def taken_in_turn(topology: Topology, used: str, counts: list[int], rules: Rules, *options: CpuOption) -> list[str]:
    got = []
    for count in counts:
        got.append(taken(topology, used, count, rules, *options))
        used = str(CpuSet.parse(used) | CpuSet.parse(got[-1]))
    return got


@pytest.mark.parametrize(
    ("options", "kubelet", "own"),
    [
        pytest.param([], "4,20", "3,19", id="4.9-U32-2-core-2-is-broken-core-3-is-whole"),
        pytest.param([FULL], "4,20", "3,19", id="4.9-U32-2-in-full-cores"),
    ],
)
def test_a_broken_lowest_core_makes_only_the_kubelet_pass_over_a_cache(
    options: list[CpuOption], kubelet: str, own: str
) -> None:
    assert taken(U32, "0,1,2,16,17", 2, KUBELET_RULES, BY_CACHE, *options) == kubelet
    assert taken(U32, "0,1,2,16,17", 2, Rules(), BY_CACHE, *options) == own


def test_a_cache_without_whole_cores_enough_gives_none_under_full_pcpus_only() -> None:
    """Cache 0 has four CPUs free, but one whole core."""
    used = "0-2,16,20-23,24-27"
    assert taken(U32, used, 4, Rules(), BY_CACHE) == "3,17-19"
    assert taken(U32, used, 4, Rules(), BY_CACHE, FULL) == "12-13,28-29"


@BOTH
@pytest.mark.parametrize(
    ("topology", "used", "count", "hint", "options", "cpus"),
    [
        pytest.param(W80, "0,40", 12, "1", [], "10-15,50-55", id="4.8-W80-12-on-the-hinted-node"),
        pytest.param(W80, "0,40", 12, "1", [BY_SOCKET], "1-6,41-46", id="4.8-W80-12-on-the-socket-of-the-node"),
        pytest.param(W80, "0,40", 12, "3", [BY_SOCKET], "20-25,60-65", id="4.8-W80-12-on-the-other-socket"),
        pytest.param(H12, "0,6", 8, "0", [], "1-2,4,7-8,10,3,9", id="4.2-H12-8-the-rest-from-elsewhere"),
        pytest.param(H12, "0,6", 2, None, [], "2,8", id="4.2-H12-2-no-hint"),
        pytest.param(H12, "0,6", 2, "1", [], "1,7", id="4.2-H12-2-hint-1"),
        pytest.param(H12, "0,6", 4, "0", [], "2,4,8,10", id="2.5-H12-the-pool-of-the-worked-example"),
        pytest.param(H12, "0,6", 0, "0", [], "", id="4.2-H12-0-takes-nothing"),
    ],
)
def test_a_hint_is_followed_as_far_as_there_are_cpus(
    topology: Topology, used: str, count: int, hint: str | None, options: list[CpuOption], cpus: str, rules: Rules
) -> None:
    free = topology.online - CpuSet.parse(used)
    nodes = None if hint is None else NodeSet.parse(hint)
    got = allocate(topology, free, CpuSet(), count, nodes, frozenset(options), rules)
    assert got == CpuSet.parse(cpus)


@BOTH
def test_3_2_reusable_cpus_are_candidates_like_available_ones(rules: Rules) -> None:
    """H12, reserved 0,6: an init container had 2,4,8,10; app A takes two of them, app B the rest and one more."""
    free, reusable = CpuSet.parse("1,3,5,7,9,11"), CpuSet.parse("2,4,8,10")
    app_a = allocate(H12, free, reusable, 2, None, frozenset(), rules)
    assert app_a == CpuSet.parse("2,8")
    app_b = allocate(H12, free, reusable - CpuSet.parse("2,8"), 3, None, frozenset(), rules)
    assert app_b == CpuSet.parse("1,4,10")


@BOTH
def test_4_1_reserved_cpus_are_taken_from_all_where_only_their_number_is_known(rules: Rules) -> None:
    assert str(reserved_from_count(H12, 2, frozenset(), rules)) == "0,6"


@pytest.mark.parametrize(
    ("spread", "order"),
    [
        pytest.param(False, [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11], id="4.3-H12-packed"),
        pytest.param(True, [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11], id="4.3-H12-spread"),
    ],
)
def test_free_cpus_have_an_order(spread: bool, order: list[int]) -> None:
    assert list(Order(units(H12), H12.online.bits).cpus(spread)) == order


def test_4_1_a_core_is_whole_by_its_own_threads_and_only_to_the_kubelet_by_the_average() -> None:
    """20 CPUs, 14 cores: the average is one, so that the kubelet breaks two-thread cores for single threads."""
    used = "1,12-19"
    assert taken(HYBRID20, used, 2, KUBELET_RULES) == "0,2"
    assert taken(HYBRID20, used, 2, Rules()) == "2-3"


def test_4_1_a_core_of_which_one_thread_is_free_is_never_taken_whole() -> None:
    """To the kubelet its one free thread is the average of a whole core; it would take the other thread too."""
    assert taken(HYBRID20, "1,12-19", 1, KUBELET_RULES) == "0"


@BOTH
@pytest.mark.parametrize("count", [13, 10**9])
def test_4_2_more_than_there_is_is_refused_with_the_figures(count: int, rules: Rules) -> None:
    for got in (
        take(H12, H12.online, count, frozenset(), rules),
        allocate(H12, H12.online, CpuSet(), count, NodeSet.of([0]), frozenset(), rules),
    ):
        assert isinstance(got, Refused)
        assert got.word is Word.UNEXPECTED_ADMISSION
        assert got.message == f"not enough cpus available to satisfy request: requested={count}, available=12"
        assert got.can_pass
        assert got.remedy == ("1 more free CPU" if count == 13 else "999999988 more free CPUs")


@BOTH
def test_offline_cpus_are_never_taken(rules: Rules) -> None:
    assert taken(H12, "1-11", 1, rules) == "0"
    short = take(H12, CpuSet.parse("0,50-60"), 2, frozenset(), rules)
    assert isinstance(short, Refused)
    assert "available=1" in short.message


@BOTH
def test_a_hint_for_a_node_without_cpus_is_no_obstacle(rules: Rules) -> None:
    assert allocate(H12, H12.online, CpuSet(), 2, NodeSet.of([7]), frozenset(), rules) == CpuSet.parse("0,6")


def test_4_6_many_nodes_are_weighed_in_no_time() -> None:
    """64 nodes, some fuller than others, 16 of them needed: there are 10^14 choices of nodes alone."""
    topology = regular(16, 16, 1, nodes_per_socket=4)
    used = CpuSet.of(range(0, 64, 3))
    got = take(topology, topology.online - used, 64, frozenset({ACROSS_NUMA}), Rules())
    assert isinstance(got, CpuSet)
    assert len(got) == 64
    assert len(topology.nodes_of(got)) == 16
    assert topology.nodes_of(got).isdisjoint(topology.nodes_of(used))


PLAIN = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PLAIN
@pytest.mark.parametrize(
    ("options", "most_nodes"),
    [
        pytest.param([], 4, id="packed"),
        pytest.param([ACROSS_CORES], 4, id="spread"),
        pytest.param([BY_CACHE], 3, id="by-cache"),
        pytest.param([ACROSS_NUMA], 6, id="distributed"),
        pytest.param([ACROSS_NUMA, FULL], 5, id="distributed-in-cores"),
    ],
)
@given(st.data())
def test_in_kubelet_mode_a_take_is_that_of_the_specification(
    options: list[CpuOption], most_nodes: int, data: st.DataObject
) -> None:
    topology = data.draw(machines(most_nodes))
    free = data.draw(parts(topology))
    count = data.draw(st.integers(0, len(free)))
    got = take(topology, free, count, frozenset(options), KUBELET_RULES)
    assert got == take_like_the_kubelet(topology, free, count, frozenset(options))


@PLAIN
@given(st.data())
def test_a_take_is_as_large_as_asked_for_and_free_or_refused(data: st.DataObject) -> None:
    topology = data.draw(machines(6))
    free, options = data.draw(parts(topology)), data.draw(legal_options(topology))
    count = data.draw(st.one_of(st.integers(0, len(topology.cpus) + 2), st.just(10**9)))
    got = take(topology, free, count, options, Rules())
    if isinstance(got, Refused):
        assert count > len(free)
    else:
        assert got <= free
        assert len(got) == count


@PLAIN
@given(st.data())
def test_a_take_with_a_hint_leaves_none_of_it_out(data: st.DataObject) -> None:
    topology = data.draw(machines(6))
    free, options = data.draw(parts(topology)), data.draw(legal_options(topology)) - {BY_SOCKET}
    hint = NodeSet.of(data.draw(st.sets(st.sampled_from(sorted(topology.node)))))
    count = data.draw(st.integers(0, len(free)))
    got = allocate(topology, free, CpuSet(), count, hint, options, Rules())
    assert isinstance(got, CpuSet)
    assert len(got & topology.cpus_of(hint)) == min(count, len(free & topology.cpus_of(hint)))


@PLAIN
@given(st.data())
def test_whole_cores_are_broken_only_for_what_no_whole_core_fills(data: st.DataObject) -> None:
    """Packed: of the cores that a request touches and that were whole, at most one is left broken."""
    topology = data.draw(machines())
    free = data.draw(parts(topology))
    count = data.draw(st.integers(0, len(free)))
    got = take(topology, free, count, frozenset(), Rules())
    assert isinstance(got, CpuSet)
    whole = [core for core in topology.cores.values() if core <= free]
    broken = [core for core in whole if core & got and not core <= got]
    assert len(broken) <= 1
