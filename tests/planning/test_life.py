"""What a pool lives through: restarts, resizes, lost CPUs, pods that linger, and those that wait."""

from dataclasses import replace

import pytest

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.planner import Plan, World, own_device, plan
from pinfold.planning.policy import CpuOption, Manage, MemoryPolicy, Policy, TopologyPolicy, TopologyScope
from pinfold.planning.reasons import Decision, Outcome, Regime, Word
from pinfold.pods.model import CPU, MEMORY, ContainerKind, Intent, InvalidIntent, Managed, Pod, PodResources, QosClass
from pinfold.topology.model import Cpu, Topology
from tests.machines import D80, GIB, H12, Q32, W80, machine, regular
from tests.planning.pods import amounts, annotated, app, init, pod, sidecar

POLICY = Policy(CpuSet.parse("0,6"))
ENGINE = pod(app("engine", 3, 1), app("log"), cpu=4, gib=8, number=1)
NO_LEDGER = Ledger()
CONTAINERS = replace(POLICY, manage=Manage.GUARANTEED)
"""Pods without amounts of their own: each container is placed, and has memory of its own."""


def planned(
    *pods: Pod, machine: Topology = H12, policy: Policy = POLICY, ledger: Ledger = NO_LEDGER, **rest: frozenset[str]
) -> Plan:
    return plan(World(machine, policy, pods, **rest), ledger)  # type: ignore[arg-type]


def entry_of(answer: Plan, what: Pod) -> PodEntry:
    return answer.ledger.entries[what.uid]


def decision_of(answer: Plan, what: Pod) -> Decision:
    return next(one for one in answer.decisions if one.uid == what.uid)


def word_of(answer: Plan, what: Pod) -> Word | None:
    refusal = decision_of(answer, what).refusal
    return refusal.word if refusal else None


def asking(what: Pod, cpu: float, gib: float = 8) -> Pod:
    own = amounts(cpu, gib)
    return replace(what, resources=PodResources(own, own))


def cpus(entry: PodEntry) -> dict[str, str]:
    return {one.name: str(one.cpus) for one in entry.containers}


def holding(pool: CpuSet, *containers: ContainerEntry) -> PodEntry:
    return PodEntry(ENGINE.uid, ENGINE.namespace, ENGINE.name, pool, containers=containers)


def without(topology: Topology, lost: str) -> Topology:
    gone = CpuSet.parse(lost)
    return machine([cpu for cpu in topology.cpus if cpu.id not in gone])


class TestRestart:
    def test_a_full_ledger_changes_nothing_though_it_would_be_refused_as_new(self) -> None:  # 4.5, 7.4
        before = planned(ENGINE)
        whole_cores = replace(POLICY, cpu_options=frozenset({CpuOption.FULL_PCPUS_ONLY}))
        odd = asking(ENGINE, 3)
        standing = planned(odd, ledger=planned(odd).ledger, policy=whole_cores)
        assert entry_of(standing, odd) == entry_of(planned(odd), odd)
        assert word_of(planned(odd, policy=whole_cores), odd) is Word.SMT_ALIGNMENT
        assert planned(ENGINE, ledger=before.ledger).ledger == before.ledger

    def test_what_is_missing_of_a_pods_entry_is_cut_from_its_own_pool(self) -> None:  # 7.4
        first = ContainerEntry("engine", Isolation.CONTAINER, CpuSet.parse("4,8,10"))
        ledger = Ledger().with_entry(holding(CpuSet.parse("2,4,8,10"), first))
        assert cpus(entry_of(planned(ENGINE, ledger=ledger), ENGINE)) == {"engine": "4,8,10", "log": "2"}

    def test_an_entry_with_a_hole_in_spec_order_is_taken_anew(self) -> None:  # 7.4
        last = ContainerEntry("log", Isolation.POD, CpuSet.parse("11"))
        ledger = Ledger().with_entry(holding(CpuSet.parse("5,7,9,11"), last))
        assert str(entry_of(planned(ENGINE, ledger=ledger), ENGINE).cpus) == "2,4,8,10"

    def test_two_entries_for_one_cpu_are_not_both_believed(self) -> None:
        other = replace(ENGINE, uid=pod(number=2).uid, name="other")
        entry = entry_of(planned(ENGINE), ENGINE)
        ledger = Ledger({ENGINE.uid: entry, other.uid: replace(entry, uid=other.uid)})
        answer = planned(ENGINE, other, ledger=ledger)
        assert entry_of(answer, ENGINE) == entry
        assert entry_of(answer, other).cpus.isdisjoint(entry.cpus)
        assert len(entry_of(answer, other).cpus) == 4

    def test_settings_of_the_node_hold_for_new_pools(self) -> None:  # 9.2
        before = planned(ENGINE)
        for policy in (
            replace(POLICY, scope=TopologyScope.CONTAINER),
            replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE),
            replace(POLICY, memory_policy=MemoryPolicy.NONE),
        ):
            assert planned(ENGINE, ledger=before.ledger, policy=policy).ledger == before.ledger
        guaranteed = pod(app("a", 2, 1), number=3)
        managed = planned(guaranteed, policy=replace(POLICY, manage=Manage.GUARANTEED))
        assert planned(guaranteed, ledger=managed.ledger).ledger == managed.ledger
        opted_out = replace(guaranteed, intent=Intent(managed=frozenset()))
        assert planned(opted_out, ledger=managed.ledger).ledger == Ledger()
        burstable = replace(guaranteed, qos=QosClass.BURSTABLE)
        assert planned(burstable, ledger=managed.ledger).ledger == Ledger()

    def test_all_that_stands_is_booked_before_what_is_new(self) -> None:
        two = [pod(app("a"), cpu=1, gib=30, number=number) for number in (1, 2)]
        policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        machine = without(H12, "1,3,5,7,9,11")
        before = planned(*two, machine=machine, policy=policy)
        third = pod(app("a"), cpu=1, gib=10, number=3)
        after = planned(*two, third, machine=machine, ledger=before.ledger, policy=policy)
        assert after.ledger == before.ledger
        assert word_of(after, third) is Word.UNEXPECTED_ADMISSION

    @pytest.mark.parametrize("pooled", [False, True], ids=["by-container", "as-a-pool"])
    def test_who_was_placed_without_its_memory_is_told_so_as_long_as_it_stands(self, pooled: bool) -> None:
        policy = replace(POLICY, manage=Manage.GUARANTEED, scope=TopologyScope.CONTAINER)
        fills = [pod(app("a", 1, 60), number=number) for number in (1, 2)]
        late = pod(app("a", 1, 20), app("b", 1, 1), number=3)
        late = replace(late, resources=PodResources(amounts(2, 21), amounts(2, 21))) if pooled else late
        before = planned(*fills, late, policy=policy)
        stands = planned(*fills, late, policy=policy, ledger=before.ledger)
        assert stands.ledger == before.ledger
        told = decision_of(stands, late)
        assert told.outcome is Outcome.DEGRADED
        assert told.refusal
        assert (told.refusal.word, told.refusal.can_pass) == (Word.UNEXPECTED_ADMISSION, True)
        assert "its memory is not bound to NUMA nodes" in told.refusal.message
        assert "start the pod again" in told.refusal.remedy
        assert {decision_of(stands, one).outcome for one in fills} == {Outcome.PINNED}

    @pytest.mark.parametrize(("shares", "outcome"), [(1.5, Outcome.PINNED), (2.5, Outcome.SHARED)])
    def test_of_a_pod_with_slices_the_shared_pool_owes_what_they_do_not_cover(
        self, shares: float, outcome: Outcome
    ) -> None:
        """Two CPUs are left to it, the reserved ones."""
        policy = replace(POLICY, manage=Manage.GUARANTEED)
        half = pod(app("a", 2, 1), app("b", shares, 1), number=1, started_at="2026-01-01T00:00:00Z")
        large = pod(app("c"), cpu=8, gib=1, number=2)
        answer = planned(half, large, policy=policy)
        assert [len(one.cpus) for one in entry_of(answer, half).containers] == [2, 0]
        assert decision_of(answer, large).outcome is outcome

    def test_what_was_decided_tells_where_the_pod_is_now_and_later(self) -> None:
        before = planned(ENGINE)
        entry = entry_of(before, ENGINE)
        for answer in (before, planned(ENGINE, ledger=before.ledger)):
            told = decision_of(answer, ENGINE)
            assert (told.pool, told.mems, told.wanted_cpus) == (entry.cpus, entry.mems, 4)
            assert (told.namespace, told.name, told.regime) == (ENGINE.namespace, ENGINE.name, Regime.POD_POOL)
        assert decision_of(before, ENGINE).hints


class TestEnd:
    def test_a_pod_that_is_gone_gives_everything_back(self) -> None:
        assert planned(ledger=planned(ENGINE).ledger) == Plan(Ledger(), (), node_shared=H12.online)

    def test_a_pod_whose_processes_linger_keeps_what_it_owns(self) -> None:
        before = planned(ENGINE)
        other = pod(app("a"), cpu=4, gib=1, number=2)
        answer = planned(other, ledger=before.ledger, lingering=frozenset({ENGINE.uid, pod(number=9).uid}))
        assert entry_of(answer, ENGINE) == entry_of(before, ENGINE)
        assert entry_of(answer, other).cpus.isdisjoint(entry_of(before, ENGINE).cpus)
        assert [one.uid for one in answer.decisions] == [other.uid]
        assert answer.ledger.owned == H12.online - answer.node_shared

    def test_a_pod_that_no_longer_asks_gives_its_pool_back(self) -> None:  # 8, rule 4
        before = planned(ENGINE)
        none = replace(ENGINE, intent=Intent(managed=frozenset(), given=frozenset({"managed-resources"})))
        answer = planned(none, ledger=before.ledger)
        assert answer.ledger == Ledger()
        assert decision_of(answer, none).outcome is Outcome.UNMANAGED

    def test_a_pod_on_its_way_out_is_not_placed_any_more(self) -> None:
        leaving = replace(ENGINE, deleting=True)
        assert planned(leaving).ledger == Ledger()
        decision = decision_of(planned(leaving), leaving)
        assert "is being deleted" in decision.because
        assert decision.outcome is Outcome.UNMANAGED
        before = planned(ENGINE)
        assert planned(leaving, ledger=before.ledger).ledger == before.ledger

    def test_a_bad_annotation_comes_too_late_for_a_pool_that_stands(self) -> None:  # 8
        before = planned(ENGINE)
        bad = replace(ENGINE, intent=InvalidIntent(("pinfold.dev/scope: x",)))
        answer = planned(bad, ledger=before.ledger)
        assert answer.ledger == before.ledger
        assert (decision_of(answer, bad).outcome, word_of(answer, bad)) == (Outcome.DEGRADED, Word.INVALID_ANNOTATION)
        assert (decision_of(planned(bad), bad).outcome, word_of(planned(bad), bad)) == (
            Outcome.SHARED,
            Word.INVALID_ANNOTATION,
        )


class TestResize:
    def test_a_pool_grows_around_what_it_has(self) -> None:  # 7.2
        before = planned(ENGINE, machine=Q32, policy=Policy(CpuSet.parse("0,16")))
        grown = planned(asking(ENGINE, 7), machine=Q32, policy=Policy(CpuSet.parse("0,16")), ledger=before.ledger)
        had, has = entry_of(before, ENGINE), entry_of(grown, ENGINE)
        assert had.cpus < has.cpus
        assert len(has.cpus) == 7
        assert has.slices == had.slices
        assert has.mems == had.mems

    def test_a_pool_that_cannot_grow_stays_with_the_reason(self) -> None:  # 7.2
        single = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        before = planned(ENGINE, policy=single)
        answer = planned(asking(ENGINE, 6), policy=single, ledger=before.ledger)
        assert answer.ledger == before.ledger
        assert (decision_of(answer, ENGINE).outcome, word_of(answer, ENGINE)) == (
            Outcome.DEGRADED,
            Word.TOPOLOGY_AFFINITY,
        )

    def test_a_pool_shrinks_by_what_is_shared_and_slices_keep_what_fits(self) -> None:  # 7.2
        what = pod(app("engine", 2, 1), app("log"), cpu=8, gib=8)
        policy = Policy(CpuSet.parse("0,40"))
        before = planned(what, machine=D80, policy=policy)
        after = planned(asking(what, 3), machine=D80, policy=policy, ledger=before.ledger)
        had, has = entry_of(before, what), entry_of(after, what)
        assert has.cpus < had.cpus
        assert (len(has.cpus), has.slices) == (3, had.slices)

    def test_a_slice_grows_and_shrinks_in_its_pool(self) -> None:
        what = pod(app("engine", 2, 1), app("feed", 1, 1), app("log"), cpu=8, gib=8)
        policy = Policy(CpuSet.parse("0,40"))
        before = planned(what, machine=D80, policy=policy)
        for size in (4, 1):
            other = replace(what, containers=(app("engine", size, 1), *what.containers[1:]))
            has = entry_of(planned(other, machine=D80, policy=policy, ledger=before.ledger), what)
            had = entry_of(before, what)
            assert has.cpus == had.cpus
            assert has.slices["feed"] == had.slices["feed"]
            assert len(has.slices["engine"]) == size
            assert has.slices["engine"] <= had.slices["engine"] or had.slices["engine"] <= has.slices["engine"]

    def test_one_pods_growth_may_wait_for_anothers_shrinking(self) -> None:
        large, small = pod(app("a"), cpu=6, gib=1, number=2), pod(app("a"), cpu=2, gib=1, number=1)
        before = planned(large, small, policy=Policy(CpuSet.parse("0")))
        swapped = [asking(large, 3, 1), asking(small, 6, 1)]
        answer = planned(*swapped, policy=Policy(CpuSet.parse("0")), ledger=before.ledger)
        assert [len(entry_of(answer, one).cpus) for one in swapped] == [3, 6]
        assert [decision_of(answer, one).outcome for one in swapped] == [Outcome.PINNED] * 2

    def test_more_memory_is_booked_on_the_same_nodes_or_these_and_more(self) -> None:
        small = machine(H12.cpus, {0: 8 * GIB, 1: 8 * GIB})
        before = planned(asking(ENGINE, 4, 4), machine=small)
        more = planned(asking(ENGINE, 4, 6), machine=small, ledger=before.ledger)
        assert (entry_of(more, ENGINE).blocks, entry_of(more, ENGINE).mems) == (
            (Block(NodeSet.of([0]), MEMORY, 6 * GIB),),
            NodeSet.of([0]),
        )
        most = planned(asking(ENGINE, 4, 12), machine=small, ledger=before.ledger)
        assert entry_of(most, ENGINE).mems == NodeSet.of([0, 1])
        assert entry_of(most, ENGINE).cpus == entry_of(before, ENGINE).cpus

    @pytest.mark.parametrize("cpu", [pytest.param(0.5, id="alone"), pytest.param(1, id="beside-a-slice")])
    def test_memory_of_a_container_grows_where_it_is(self, cpu: float) -> None:
        """Not where it would be placed today: its pages would move."""
        policy = replace(CONTAINERS, scope=TopologyScope.CONTAINER)
        small = machine(H12.cpus, {0: 8 * GIB, 1: 8 * GIB})
        full = pod(app("a", 0.5, 7), number=2)
        what = pod(app("a", cpu, 2), app("b", 0.5, 1), number=1)
        before = planned(full, machine=small, policy=policy)
        before = planned(full, what, machine=small, policy=policy, ledger=before.ledger)
        assert [one.mems for one in entry_of(before, what).containers] == [NodeSet.of([1]), NodeSet.of([0])]
        larger = pod(app("a", cpu, 3), app("b", 0.5, 1), number=1)
        after = planned(larger, machine=small, policy=policy, ledger=before.ledger)
        assert [one.blocks for one in entry_of(after, what).containers] == [
            (Block(NodeSet.of([1]), MEMORY, 3 * GIB),),
            (Block(NodeSet.of([0]), MEMORY, GIB),),
        ]

    def test_memory_that_cannot_grow_leaves_the_whole_pool_as_it_is(self) -> None:  # 7.2
        before = planned(ENGINE)
        answer = planned(asking(ENGINE, 5, 1000), ledger=before.ledger)
        assert answer.ledger == before.ledger
        assert word_of(answer, ENGINE) is Word.UNEXPECTED_ADMISSION

    def test_a_slice_of_the_node_grows_around_what_it_has(self) -> None:
        what, policy = pod(init("i", 2, 1), app("a", 2, 1), number=1), replace(POLICY, manage=Manage.GUARANTEED)
        before = planned(what, policy=policy)
        other = replace(what, containers=(init("i", 2, 1), app("a", 3, 1)))
        has = entry_of(planned(other, policy=policy, ledger=before.ledger), what)
        assert entry_of(before, what).slices["a"] < has.slices["a"]
        assert len(has.slices["a"]) == 3

    def test_no_container_takes_what_a_later_one_keeps(self) -> None:
        what, policy = (
            pod(init("i", 2, 1), sidecar("s", 1, 1), app("a", 1, 1)),
            replace(POLICY, manage=Manage.GUARANTEED),
        )
        before = planned(what, policy=policy)
        assert cpus(entry_of(before, what)) == {"i": "2,8", "s": "2", "a": "8"}
        after = planned(what, policy=policy, machine=without(H12, "2"), ledger=before.ledger)
        assert cpus(entry_of(after, what)) == {"i": "4,8", "s": "4", "a": "8"}

    def test_a_pool_that_shrinks_gives_an_init_containers_cpus_before_those_of_slices_that_last(self) -> None:
        what = pod(init("i", 4, 1), app("a", 1, 1), app("log"), cpu=8, gib=8)
        slices = (("i", "20-22,60", ContainerKind.INIT), ("a", "63", ContainerKind.APP))
        held = holding(
            CpuSet.parse("20-23,60-63"),
            *(ContainerEntry(name, Isolation.CONTAINER, CpuSet.parse(own), kind=kind) for name, own, kind in slices),
            ContainerEntry("log", Isolation.POD, CpuSet.parse("20-23,60-62")),
        )
        ledger = Ledger().with_entry(held)
        has = entry_of(planned(asking(what, 4), machine=D80, policy=Policy(CpuSet.parse("0,40")), ledger=ledger), what)
        assert has.slices["a"] == CpuSet.parse("63")
        assert has.slices["i"] == has.cpus < held.cpus

    def test_a_pool_may_become_slices_of_the_node_and_back(self) -> None:
        before = planned(ENGINE)
        alone = replace(asking(ENGINE, 5), intent=Intent(scope="container", given=frozenset({"scope"})))
        slices = planned(alone, ledger=before.ledger)
        assert (str(entry_of(slices, ENGINE).cpus), cpus(entry_of(slices, ENGINE))) == (
            "",
            {"engine": "2,4,8", "log": ""},
        )
        pooled = planned(ENGINE, ledger=slices.ledger)
        assert entry_of(slices, ENGINE).owned < entry_of(pooled, ENGINE).cpus

    def test_a_request_that_is_no_longer_whole_gives_the_pool_back(self) -> None:
        before = planned(ENGINE)
        has = entry_of(planned(asking(ENGINE, 4.5), ledger=before.ledger), ENGINE)
        assert (str(has.cpus), has.mems) == ("", NodeSet.of([0]))
        assert {one.isolation for one in has.containers} == {Isolation.HOST}

    def test_what_the_kubelet_has_not_allocated_changes_nothing(self) -> None:  # 7.2
        before = planned(ENGINE)
        pending = replace(asking(ENGINE, 5), resize_pending="Infeasible")
        answer = planned(pending, ledger=before.ledger)
        assert answer.ledger == before.ledger
        assert "infeasible" in decision_of(answer, pending).notes[0]

    def test_whole_cores_grow_by_whole_cores(self) -> None:
        policy = replace(POLICY, reserved=CpuSet.parse("0"), cpu_options=frozenset({CpuOption.FULL_PCPUS_ONLY}))
        what = pod(app("a"), cpu=2, gib=1)
        before = planned(what, policy=policy)
        assert cpus(entry_of(before, what)) == {"a": "2,8"}
        assert str(entry_of(planned(asking(what, 4, 1), policy=policy, ledger=before.ledger), what).cpus) == "2,4,8,10"
        broken = replace(policy, reserved=CpuSet.parse("0,10"))
        far = planned(asking(what, 4, 1), policy=broken, ledger=before.ledger)
        assert str(entry_of(far, what).cpus) == "1-2,7-8"
        refused = planned(asking(what, 3, 1), policy=policy, ledger=before.ledger)
        assert refused.ledger == before.ledger
        assert word_of(refused, what) is Word.SMT_ALIGNMENT


class TestLostCpus:
    def test_a_pool_that_lost_a_cpu_keeps_the_others_and_gets_a_near_one(self) -> None:  # 7.3 P
        other = pod(app("a"), cpu=2, gib=1, number=2)
        before = planned(ENGINE, other, machine=Q32, policy=Policy(CpuSet.parse("0,16")))
        lost = entry_of(before, ENGINE).cpus.first(1)
        after = planned(
            ENGINE, other, machine=without(Q32, str(lost)), policy=Policy(CpuSet.parse("16")), ledger=before.ledger
        )
        had, has = entry_of(before, ENGINE), entry_of(after, ENGINE)
        assert had.cpus - lost < has.cpus
        assert len(has.cpus) == 4
        assert entry_of(after, other) == entry_of(before, other)

    def test_a_new_reserved_set_moves_only_the_pools_that_it_touches(self) -> None:
        other = pod(app("a"), cpu=2, gib=1, number=2)
        before = planned(ENGINE, other)
        after = planned(ENGINE, other, policy=Policy(CpuSet.parse("0,10")), ledger=before.ledger)
        assert str(entry_of(after, ENGINE).cpus) == "2,4,6,8"
        assert entry_of(after, other) == entry_of(before, other)

    def test_what_cannot_be_replaced_is_kept_without(self) -> None:
        policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        before = planned(ENGINE, policy=policy)
        after = planned(ENGINE, machine=without(H12, "8"), policy=policy, ledger=before.ledger)
        assert cpus(entry_of(after, ENGINE)) == {"engine": "2,4", "log": "10"}
        assert str(entry_of(after, ENGINE).cpus) == "2,4,10"
        kept = [(one.blocks, one.isolation) for one in entry_of(after, ENGINE).containers]
        assert kept == [(one.blocks, one.isolation) for one in entry_of(before, ENGINE).containers]
        assert any(blocks for blocks, _ in kept)
        assert decision_of(after, ENGINE).hints
        assert (decision_of(after, ENGINE).outcome, word_of(after, ENGINE)) == (
            Outcome.DEGRADED,
            Word.TOPOLOGY_AFFINITY,
        )
        back = planned(ENGINE, policy=policy, ledger=after.ledger)
        assert entry_of(back, ENGINE) == entry_of(before, ENGINE)

    def test_a_pool_that_cannot_be_mended_where_it_is_moves(self) -> None:  # 9.2
        policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE, memory_policy=MemoryPolicy.NONE)
        before = planned(ENGINE, policy=policy)
        after = planned(ENGINE, machine=without(H12, "8"), policy=policy, ledger=before.ledger)
        assert str(entry_of(after, ENGINE).cpus) == "1,3,7,9"
        assert decision_of(after, ENGINE).outcome is Outcome.PINNED

    def test_a_pool_that_lost_all_is_taken_anew_with_its_memory_where_it_is(self) -> None:
        before = planned(ENGINE)
        after = planned(
            ENGINE,
            machine=machine([cpu for cpu in H12.cpus if cpu.id % 2], {0: 64 * GIB, 1: 64 * GIB}),
            policy=Policy(CpuSet.parse("1")),
            ledger=before.ledger,
        )
        assert str(entry_of(after, ENGINE).cpus) == "3,5,9,11"
        assert entry_of(after, ENGINE).mems == entry_of(before, ENGINE).mems

    def test_a_pod_that_lost_all_and_finds_nothing_shares(self) -> None:
        before = planned(ENGINE)
        after = planned(
            ENGINE, machine=without(H12, "2,4,8,10"), policy=Policy(CpuSet.parse("0,1,3,5-7")), ledger=before.ledger
        )
        assert after.ledger == Ledger()
        assert decision_of(after, ENGINE).outcome is Outcome.SHARED
        assert word_of(after, ENGINE) is Word.UNEXPECTED_ADMISSION

    def test_of_two_that_change_at_once_neither_gets_the_others_memory(self) -> None:
        two = [pod(app("a"), cpu=1, gib=30, number=number) for number in (1, 2)]
        policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        machine = without(H12, "1,3,5,7,9,11")
        before = planned(*two, machine=machine, policy=policy)
        after = planned(
            asking(two[0], 1, 40), asking(two[1], 2, 30), machine=machine, ledger=before.ledger, policy=policy
        )
        assert entry_of(after, two[0]) == entry_of(before, two[0])
        assert word_of(after, two[0]) is Word.UNEXPECTED_ADMISSION
        assert decision_of(after, two[0]).hints
        assert len(entry_of(after, two[1]).cpus) == 2

    def test_slices_of_the_node_keep_what_is_left_of_them(self) -> None:
        what = pod(app("a", 4, 1), app("b", 1, 1), number=1)
        policy = replace(
            POLICY,
            manage=Manage.GUARANTEED,
            topology_policy=TopologyPolicy.SINGLE_NUMA_NODE,
            scope=TopologyScope.CONTAINER,
        )
        before = planned(what, policy=policy)
        assert cpus(entry_of(before, what)) == {"a": "2,4,8,10", "b": "1"}
        after = planned(what, machine=without(H12, "1,2,3,5,7,9,11"), policy=policy, ledger=before.ledger)
        assert cpus(entry_of(after, what)) == {"a": "4,8,10", "b": ""}
        assert [one.isolation for one in entry_of(after, what).containers] == [Isolation.CONTAINER, Isolation.HOST]
        gone = planned(
            what,
            machine=without(H12, "1-5,7-11"),
            policy=replace(policy, reserved=CpuSet.parse("0")),
            ledger=before.ledger,
        )
        assert gone.ledger == Ledger()


class TestWaiting:
    def test_who_is_oldest_is_placed_first(self) -> None:  # 9.1
        young = pod(app("a"), cpu=4, gib=1, number=1, started_at="2026-01-02T00:00:00Z")
        old = pod(app("a"), cpu=4, gib=1, number=2, started_at="2026-01-01T00:00:00Z")
        unborn = pod(app("a"), cpu=4, gib=1, number=0)
        policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE, reserved=CpuSet.parse("0,6,1,7"))
        answer = planned(unborn, young, old, policy=policy)
        assert {one.uid: one.outcome for one in answer.decisions} == {
            old.uid: Outcome.PINNED,
            young.uid: Outcome.PINNED,
            unborn.uid: Outcome.SHARED,
        }

    def test_who_was_refused_is_placed_when_cpus_come_free(self) -> None:  # 9.1
        first, second = pod(app("a"), cpu=8, gib=1, number=1), pod(app("a"), cpu=8, gib=1, number=2)
        before = planned(first, second)
        assert word_of(before, second) is Word.UNEXPECTED_ADMISSION
        assert decision_of(planned(second, ledger=before.ledger), second).outcome is Outcome.PINNED

    @pytest.mark.parametrize("strict", [False, True])
    def test_the_node_shared_pool_keeps_what_it_owes(self, strict: bool) -> None:  # 4.8 P
        options = frozenset({CpuOption.STRICT_CPU_RESERVATION}) if strict else frozenset[CpuOption]()
        policy = replace(POLICY, cpu_options=options)
        busy = pod(app("a", 3.5), qos=QosClass.BURSTABLE, number=2)
        fits, too_large = pod(app("a"), cpu=6, gib=1), pod(app("a"), cpu=9, gib=1)
        assert decision_of(planned(busy, fits, policy=policy), fits).outcome is Outcome.PINNED
        answer = planned(busy, too_large, policy=policy)
        assert word_of(answer, too_large) is Word.NODE_SHARED_POOL_EXHAUSTED
        refusal = decision_of(answer, too_large).refusal
        assert refusal is not None
        assert refusal.can_pass
        assert f"leave {1 if strict else 3} CPUs to the node shared pool, which owes 4" in refusal.message

    def test_the_node_shared_pool_may_be_emptied_by_the_kubelets_rules_only(self) -> None:
        all_of_it = pod(app("a"), cpu=10, gib=1)
        strict = replace(POLICY, cpu_options=frozenset({CpuOption.STRICT_CPU_RESERVATION}))
        assert word_of(planned(all_of_it, policy=strict), all_of_it) is Word.NODE_SHARED_POOL_EXHAUSTED
        lax = replace(strict, rules=replace(strict.rules, shared_pool_kept=False))
        answer = planned(all_of_it, policy=lax)
        assert decision_of(answer, all_of_it).outcome is Outcome.PINNED
        assert answer.node_shared == CpuSet.parse("0,6")

    def test_slices_of_the_node_leave_the_shared_pool_what_it_owes(self) -> None:
        policy = replace(POLICY, manage=Manage.GUARANTEED, min_shared_cpus=6)
        alone = pod(app("a", 7, 1))
        assert word_of(planned(alone, policy=policy), alone) is Word.NODE_SHARED_POOL_EXHAUSTED

    def test_a_refused_pods_request_is_owed_from_then_on(self) -> None:
        policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        large, small = pod(app("a"), cpu=8, gib=1, number=1), pod(app("a"), cpu=5, gib=1, number=2)
        answer = planned(large, small, policy=policy)
        assert word_of(answer, large) is Word.TOPOLOGY_AFFINITY
        assert word_of(answer, small) is Word.NODE_SHARED_POOL_EXHAUSTED

    def test_nothing_is_owed_to_a_pod_that_no_node_like_this_one_could_run(self) -> None:
        absurd, small = pod(app("a"), cpu=10**9, gib=1, number=1), pod(app("a"), cpu=5, gib=1, number=2)
        assert decision_of(planned(absurd, small), small).outcome is Outcome.PINNED
        all_there_are = pod(app("a"), cpu=10, gib=1, number=1)
        policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        assert word_of(planned(all_there_are, small, policy=policy), small) is Word.NODE_SHARED_POOL_EXHAUSTED

    def test_who_was_refused_is_tried_again_when_others_have_taken_theirs(self) -> None:
        """Its first container goes where the next ones find no room, until a smaller pod has taken a CPU there."""
        two_nodes = regular(2, 4)
        policy = Policy(CpuSet.parse("0"), TopologyPolicy.RESTRICTED, TopologyScope.CONTAINER, manage=Manage.GUARANTEED)
        greedy = pod(init("i", 3, 1), sidecar("s", 1, 1), init("j", 3, 1), app("a"), number=1)
        small, hopeless = pod(app("a", 1, 1), number=2), pod(app("a", 5, 1), number=3)
        answer = planned(greedy, small, hopeless, machine=two_nodes, policy=policy)
        outcomes = {one.uid: one.outcome for one in answer.decisions}
        assert outcomes == {greedy.uid: Outcome.PINNED, small.uid: Outcome.PINNED, hopeless.uid: Outcome.SHARED}
        assert cpus(entry_of(answer, greedy)) == {"i": "4-6", "s": "4", "j": "5-7", "a": ""}
        again = planned(greedy, small, hopeless, machine=two_nodes, policy=policy, ledger=answer.ledger)
        assert again.ledger == answer.ledger


class TestManaged:
    def test_cpus_may_be_managed_later_too(self) -> None:  # 8, rule 4
        memory_alone = replace(ENGINE, intent=Intent(managed=frozenset({Managed.MEMORY})))
        before = planned(memory_alone)
        assert not entry_of(before, ENGINE).cpus
        after = entry_of(planned(ENGINE, ledger=before.ledger), ENGINE)
        assert (str(after.cpus), after.mems) == ("2,4,8,10", entry_of(before, ENGINE).mems)

    def test_memory_alone_takes_no_slice_of_the_node(self) -> None:
        alone = pod(app("a", 2, 1), intent=Intent(managed=frozenset({Managed.MEMORY}), given=frozenset({"x"})))
        entry = entry_of(planned(alone), alone)
        assert (entry.slices, entry.containers[0].mems) == ({}, NodeSet.of([0]))


class TestFoundRunning:
    def test_it_gets_cpus_at_once_and_its_memory_stays(self) -> None:  # 9.1
        answer = planned(ENGINE, found_running=frozenset({ENGINE.uid}))
        entry = entry_of(answer, ENGINE)
        assert (str(entry.cpus), entry.mems, entry.booked) == ("2,4,8,10", NodeSet(), ())
        assert decision_of(answer, ENGINE).outcome is Outcome.PINNED
        later = planned(ENGINE, ledger=answer.ledger)
        assert later.ledger == answer.ledger
        assert decision_of(later, ENGINE).outcome is Outcome.PINNED

    def test_nor_does_a_resize_bind_it(self) -> None:
        before = planned(ENGINE, found_running=frozenset({ENGINE.uid}))
        after = planned(asking(ENGINE, 5), ledger=before.ledger)
        assert (len(entry_of(after, ENGINE).cpus), entry_of(after, ENGINE).mems) == (5, NodeSet())


class TestMemory:
    def test_the_pods_memory_is_booked_once_and_all_containers_get_its_nodes(self) -> None:  # 6.2
        what = pod(app("engine", 3, 8), app("log"), cpu=4, gib=12)
        entry = entry_of(planned(what), what)
        assert entry.blocks == entry.booked == (Block(NodeSet.of([0]), MEMORY, 12 * GIB),)
        assert entry.mems == NodeSet.of([0])
        assert [one.blocks for one in entry.containers] == [(Block(NodeSet.of([0]), MEMORY, 8 * GIB),), ()]

    def test_cpus_and_memory_are_on_the_same_nodes(self) -> None:
        tight = machine(H12.cpus, {0: 4 * GIB, 1: 64 * GIB})
        entry = entry_of(planned(ENGINE, machine=tight), ENGINE)
        assert (H12.nodes_of(entry.cpus), entry.mems) == (NodeSet.of([1]), NodeSet.of([1]))

    def test_memory_that_cannot_be_had_leaves_the_cpus(self) -> None:  # 9.1
        what = asking(ENGINE, 4, 1000)
        answer = planned(what)
        assert (str(entry_of(answer, what).cpus), entry_of(answer, what).mems) == ("2,4,8,10", NodeSet())
        told = (Outcome.DEGRADED, Word.UNEXPECTED_ADMISSION)
        assert (decision_of(answer, what).outcome, word_of(answer, what)) == told
        again = planned(what, ledger=answer.ledger)
        assert again.ledger == answer.ledger
        assert (decision_of(again, what).outcome, word_of(again, what)) == told

    def test_of_two_things_that_are_missing_the_shared_pool_is_told(self) -> None:
        both = pod(app("engine", 4, 1), app("log"), cpu=4, gib=1000)
        answer = planned(both)
        assert word_of(answer, both) is Word.EMPTY_POD_SHARED_POOL
        assert word_of(planned(both, ledger=answer.ledger), both) is Word.EMPTY_POD_SHARED_POOL

    def test_by_the_kubelets_rules_memory_refuses_the_pod(self) -> None:
        what = asking(ENGINE, 4, 1000)
        policy = replace(POLICY, rules=replace(POLICY.rules, cpus_without_memory=False))
        assert decision_of(planned(what, policy=policy), what).outcome is Outcome.SHARED

    def test_no_pod_waits_for_memory_that_the_node_does_not_have(self) -> None:
        policy = replace(POLICY, topology_policy=TopologyPolicy.RESTRICTED)
        answer = planned(what := pod(app("a"), cpu=2, gib=1000), policy=policy)
        assert (str(entry_of(answer, what).cpus), decision_of(answer, what).outcome) == ("2,8", Outcome.DEGRADED)

    def test_a_pod_that_only_wants_memory_that_cannot_be_had_shares(self) -> None:
        what = replace(asking(ENGINE, 4, 1000), intent=Intent(managed=frozenset({Managed.MEMORY})))
        assert decision_of(planned(what), what).outcome is Outcome.SHARED

    def test_a_policy_that_promises_alignment_waits_for_memory_that_may_come_free(self) -> None:
        small = machine(H12.cpus, 8 * GIB)
        policy = replace(POLICY, topology_policy=TopologyPolicy.RESTRICTED)
        both = pod(app("a"), cpu=1, gib=12, number=1)
        one = pod(app("a"), cpu=1, gib=1, number=2, started_at="2026-01-01T00:00:00Z")
        assert decision_of(planned(both, one, machine=small, policy=policy), both).outcome is Outcome.SHARED

    def test_what_one_container_booked_the_next_cannot(self) -> None:
        small = machine(H12.cpus, 4 * GIB)
        what = pod(app("a", 1, 3), app("b", 1, 3))
        policy = replace(POLICY, manage=Manage.GUARANTEED, topology_policy=TopologyPolicy.NONE)
        entry = entry_of(planned(what, machine=small, policy=policy), what)
        assert [one.mems for one in entry.containers] == [NodeSet.of([0]), NodeSet.of([1])]

    def test_memory_that_nobody_is_left_to_share_is_told_as_long_as_the_pod_lives(self) -> None:
        what = pod(app("engine", 3, 8), app("log"), cpu=4, gib=8)
        answer = planned(what)
        assert word_of(answer, what) is Word.EMPTY_POD_SHARED_POOL
        assert planned(what, ledger=answer.ledger).decisions[0].refusal == answer.decisions[0].refusal

    def test_init_containers_leave_their_memory_to_later_ones(self) -> None:  # 3.2
        what = pod(init("i", 1, 4), init("j", 1, 3), app("a", 1, 2), app("b", 1, 1))
        one_node = machine([cpu for cpu in D80.cpus if cpu.node == 0], 64 * GIB)
        policy = Policy(CpuSet.parse("0,40"), manage=Manage.GUARANTEED, topology_policy=TopologyPolicy.NONE)
        entry = entry_of(planned(what, machine=one_node, policy=policy), what)
        assert [one.blocks[0].size_bytes // GIB for one in entry.containers] == [0, 1, 2, 1]
        assert sum(block.size_bytes for block in entry.booked) == 4 * GIB
        assert len(entry.booked) == 4

    def test_containers_without_memory_of_their_own_are_told_once(self) -> None:
        what = pod(app("a", 1, 1000), app("b", 1, 1))
        policy = replace(POLICY, manage=Manage.GUARANTEED)
        answer = planned(what, policy=replace(policy, scope=TopologyScope.CONTAINER))
        assert [bool(one.blocks) for one in entry_of(answer, what).containers] == [False, True]
        assert word_of(answer, what) is Word.UNEXPECTED_ADMISSION
        again = planned(what, policy=replace(policy, scope=TopologyScope.CONTAINER), ledger=answer.ledger)
        assert word_of(again, what) is Word.UNEXPECTED_ADMISSION
        lonely = pod(app("a", 0.5, 1000))
        assert decision_of(planned(lonely, policy=policy), lonely).outcome is Outcome.SHARED
        strict = replace(policy, rules=replace(policy.rules, cpus_without_memory=False))
        assert decision_of(planned(what, policy=strict), what).outcome is Outcome.SHARED


class TestRefusals:
    @pytest.mark.parametrize(
        ("cpu", "policy", "word"),
        [
            pytest.param(3, "0", Word.SMT_ALIGNMENT, id="4.5-no-multiple-of-a-core"),
            pytest.param(12, "0", Word.UNEXPECTED_ADMISSION, id="4.5-more-than-there-is"),
        ],
    )
    def test_full_cores(self, cpu: int, policy: str, word: Word) -> None:
        options = frozenset({CpuOption.FULL_PCPUS_ONLY})
        what = pod(app("a"), cpu=cpu, gib=1)
        settings = Policy(CpuSet.parse(policy), TopologyPolicy.NONE, cpu_options=options)
        assert word_of(planned(what, policy=settings), what) in {word, Word.SMT_ALIGNMENT}

    def test_slices_of_whole_cores_are_whole_or_refused(self) -> None:  # 2.5 P
        policy = replace(POLICY, cpu_options=frozenset({CpuOption.SLICE_FULL_CORES}))
        two = pod(app("a", 2, 1), app("b"), cpu=4, gib=8)
        assert cpus(entry_of(planned(two, policy=policy), two)) == {"a": "2,8", "b": "4,10"}
        refusal = decision_of(planned(ENGINE, policy=policy), ENGINE).refusal
        assert refusal is not None
        assert (refusal.word, refusal.can_pass) == (Word.SMT_ALIGNMENT, False)
        assert "the slice of engine has 3 cpus, not multiple cpus per core = 2" in refusal.message

    def test_a_pool_with_too_few_whole_cores_for_its_slices_is_told(self) -> None:
        options = frozenset({CpuOption.SLICE_FULL_CORES, CpuOption.DISTRIBUTE_CPUS_ACROSS_CORES})
        policy = Policy(CpuSet.parse("0,40"), cpu_options=options)
        what = pod(app("a", 2, 1), app("b"), cpu=4, gib=8)
        answer = planned(what, machine=D80, policy=policy)
        assert cpus(entry_of(answer, what)) == {"a": "1-2", "b": "3-4"}
        assert decision_of(answer, what).outcome is Outcome.DEGRADED
        assert word_of(answer, what) is Word.SMT_ALIGNMENT
        again = planned(what, machine=D80, policy=policy, ledger=answer.ledger)
        assert again.decisions[0].refusal == answer.decisions[0].refusal

    def test_by_the_kubelets_rules_an_empty_shared_pool_refuses_the_pod(self) -> None:  # 2.6
        starved = pod(app("engine", 4, 1), app("log"), cpu=4, gib=8)
        policy = replace(POLICY, rules=replace(POLICY.rules, last_slice_shared=False))
        assert word_of(planned(starved, policy=policy), starved) is Word.EMPTY_POD_SHARED_POOL
        assert planned(starved, policy=policy).ledger == Ledger()
        shared = planned(starved)
        assert cpus(entry_of(shared, starved)) == {"engine": "2,4,8,10", "log": "2,4,8,10"}
        assert decision_of(shared, starved).outcome is Outcome.DEGRADED

    def test_options_that_contradict_each_other_are_refused_on_that_pod_alone(self) -> None:  # 4.10
        both = frozenset({"full-pcpus-only", "distribute-cpus-across-cores"})
        bad = pod(app("a"), cpu=2, gib=1, number=2, intent=Intent(cpu_options=both, given=frozenset({"cpu-options"})))
        answer = planned(ENGINE, bad)
        assert word_of(answer, bad) is Word.INVALID_ANNOTATION
        assert entry_of(answer, ENGINE) == entry_of(planned(ENGINE), ENGINE)

    def test_an_isolated_pool_is_refused_where_several_cpus_would_be_shared(self) -> None:  # 8
        isolated = Intent(isolated="true", given=frozenset({"isolated"}))
        shares_two = pod(app("a", 2, 1), app("b"), cpu=4, gib=8, intent=isolated)
        assert word_of(planned(shares_two), shares_two) is Word.INVALID_ANNOTATION
        insists = replace(shares_two, intent=replace(isolated, isolated="insist"))
        assert entry_of(planned(insists), insists).isolated
        shares_one = replace(ENGINE, intent=isolated)
        assert entry_of(planned(shares_one), ENGINE).isolated
        assert not entry_of(planned(ENGINE), ENGINE).isolated

    def test_isolation_may_be_asked_for_later(self) -> None:
        before = planned(ENGINE)
        after = planned(replace(ENGINE, intent=Intent(isolated="true")), ledger=before.ledger)
        assert entry_of(after, ENGINE) == replace(entry_of(before, ENGINE), isolated=True)

    def test_a_slice_without_a_pool_may_be_isolated_too(self) -> None:
        what = pod(app("a", 2, 1), intent=Intent(isolated="true", given=frozenset({"isolated"})))
        assert entry_of(planned(what, policy=CONTAINERS), what).isolated

    def test_of_the_cpus_booted_as_isolated_each_pod_has_its_own(self) -> None:
        booted = replace(H12, isolated=CpuSet.parse("3-5,9-11"))
        pods = [pod(app("a"), cpu=2, gib=1, number=number, intent=Intent(isolated="insist")) for number in range(1, 4)]
        entries = planned(*pods, machine=booted).ledger.entries
        assert CpuSet.union(entries[one.uid].cpus for one in pods) == booted.isolated

    def test_cpus_booted_as_isolated_are_for_pods_that_ask_for_them(self) -> None:  # 9.1
        booted = replace(H12, isolated=CpuSet.parse("2,4,8,10"))
        plain, isolated = ENGINE, replace(ENGINE, uid=pod(number=2).uid, intent=Intent(isolated="insist"))
        answer = planned(plain, isolated, machine=booted)
        assert str(entry_of(answer, plain).cpus) == "1,3,7,9"
        assert str(entry_of(answer, isolated).cpus) == "2,4,8,10"
        assert answer.node_shared == CpuSet.parse("0,5,6,11")
        large = pod(app("a"), cpu=6, gib=1, intent=Intent(isolated="insist"))
        assert len(entry_of(planned(large, machine=booted), large).cpus) == 6

    @pytest.mark.parametrize(
        ("devices", "policy", "nodes"),
        [
            pytest.param({"example.com/nic": NodeSet.of([1])}, "restricted", NodeSet.of([1]), id="8-its-node"),
            pytest.param({"example.com/nic": NodeSet.of([0, 1])}, "restricted", NodeSet.of([0]), id="8-one-of-them"),
            pytest.param({"example.com/nic": NodeSet()}, "restricted", NodeSet.of([0]), id="8-nobody-knows-its-node"),
            pytest.param({}, "restricted", None, id="8-no-such-device"),
            pytest.param({}, "best-effort", NodeSet.of([0]), id="8-no-such-device-and-no-promise"),
        ],
    )
    def test_a_pod_is_placed_near_its_device(
        self, devices: dict[str, NodeSet], policy: str, nodes: NodeSet | None
    ) -> None:
        what = replace(ENGINE, intent=Intent(near_device="example.com/nic", numa_policy=policy))
        answer = plan(World(H12, POLICY, (what,), devices=devices), NO_LEDGER)
        if nodes is None:
            refusal = decision_of(answer, what).refusal
            assert refusal is not None
            assert refusal.word is Word.TOPOLOGY_AFFINITY
            assert "to be near example.com/nic" in refusal.message
        else:
            assert H12.nodes_of(entry_of(answer, what).cpus) == nodes

    def test_a_pod_is_placed_near_the_device_that_it_was_given_itself(self) -> None:
        nic = "example.com/nic"
        what = replace(ENGINE, intent=Intent(near_device=nic, numa_policy="restricted"))
        devices = {nic: NodeSet.of([0]), own_device(what.uid, nic): NodeSet.of([1])}
        answer = plan(World(H12, POLICY, (what,), devices=devices), NO_LEDGER)
        assert H12.nodes_of(entry_of(answer, what).cpus) == NodeSet.of([1])

    def test_with_align_by_socket_a_socket_is_as_good_as_a_node(self) -> None:  # 4.8
        """Eight CPUs are free on each of four nodes, which have twenty: twelve would have fit on one."""
        full = Policy(
            CpuSet.parse("0-5,10-15,20-25,30-35,40-45,50-55,60-65,70-75"),
            TopologyPolicy.RESTRICTED,
            memory_policy=MemoryPolicy.NONE,
        )
        what = pod(app("a"), cpu=12, gib=8)
        assert word_of(planned(what, machine=W80, policy=full), what) is Word.TOPOLOGY_AFFINITY
        policy = replace(full, cpu_options=frozenset({CpuOption.ALIGN_BY_SOCKET}))
        assert W80.nodes_of(entry_of(planned(what, machine=W80, policy=policy), what).cpus) == NodeSet.of([0, 1])

    @pytest.mark.parametrize(
        ("closest", "nodes"),
        [pytest.param(False, [0, 1], id="lowest"), pytest.param(True, [0, 2], id="3.4-closest")],
    )
    def test_a_pool_of_several_nodes_lies_on_those_that_are_close_where_that_is_preferred(
        self, closest: bool, nodes: list[int]
    ) -> None:
        far = {0: {0: 10, 1: 21, 2: 11}, 1: {0: 21, 1: 10, 2: 21}, 2: {0: 11, 1: 21, 2: 10}}
        three = machine([Cpu(id=cpu, core=cpu, socket=0, node=cpu // 4, uncore=0) for cpu in range(12)], distances=far)
        what = pod(app("a"), cpu=7, gib=8)
        policy = Policy(CpuSet.parse("4"), prefer_closest_numa_nodes=closest)
        assert three.nodes_of(entry_of(planned(what, machine=three, policy=policy), what).cpus) == NodeSet.of(nodes)

    @pytest.mark.parametrize(
        ("scope", "nodes"),
        [
            pytest.param(TopologyScope.POD, ([1], [1], [1]), id="one-for-all"),
            pytest.param(TopologyScope.CONTAINER, ([0], [1], [0]), id="one-for-each"),
        ],
    )
    def test_the_scope_says_whether_containers_are_placed_together(
        self, scope: TopologyScope, nodes: tuple[list[int], ...]
    ) -> None:
        what = pod(app("a", 3, 1), app("b", 3, 1), app("c", 0.5, 1))
        containers = entry_of(planned(what, policy=replace(CONTAINERS, scope=scope)), what).containers
        assert [str(H12.nodes_of(one.cpus) or one.mems) for one in containers] == [
            str(NodeSet.of(one)) for one in nodes
        ]

    def test_who_has_no_slice_asks_for_no_cpu_of_the_node_that_all_are_to_fit_on(self) -> None:
        what = pod(app("a", 4, 1), app("b", 0.5, 1))
        policy = replace(CONTAINERS, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        assert cpus(entry_of(planned(what, policy=policy), what)) == {"a": "2,4,8,10", "b": ""}

    def test_whole_cores_that_an_earlier_container_took_are_not_there_for_a_later_one(self) -> None:
        policy = replace(CONTAINERS, cpu_options=frozenset({CpuOption.FULL_PCPUS_ONLY}))
        assert word_of(planned(two := pod(app("a", 8, 1), app("b", 4, 1)), policy=policy), two) is Word.SMT_ALIGNMENT

    @pytest.mark.parametrize(
        ("cpu", "outcome", "slices"),
        [
            pytest.param(2, Outcome.DEGRADED, {"a": "2,8"}, id="its-slice-is-left"),
            pytest.param(0.5, Outcome.SHARED, None, id="nothing-is-left"),
        ],
    )
    def test_a_container_whose_memory_cannot_be_had_has_what_else_it_asked_for(
        self, cpu: float, outcome: Outcome, slices: dict[str, str] | None
    ) -> None:
        answer = planned(what := pod(app("a", cpu, 1000)), policy=CONTAINERS)
        assert (decision_of(answer, what).outcome, word_of(answer, what)) == (outcome, Word.UNEXPECTED_ADMISSION)
        held = answer.ledger.entries.get(what.uid)
        assert (cpus(held) if held else None) == slices

    def test_a_container_that_finds_no_place_refuses_its_whole_pod(self) -> None:
        what = pod(app("a", 4, 1), app("b", 6, 1))
        policy = replace(
            POLICY,
            manage=Manage.GUARANTEED,
            topology_policy=TopologyPolicy.SINGLE_NUMA_NODE,
            scope=TopologyScope.CONTAINER,
        )
        answer = planned(what, policy=replace(policy, reserved=CpuSet.parse("0,6,1")))
        assert answer.ledger == Ledger()
        assert word_of(answer, what) is Word.TOPOLOGY_AFFINITY

    def test_a_hint_holds_the_nodes_of_what_an_init_container_leaves(self) -> None:  # 3.2
        what = pod(init("i", 4, 1), app("a", 6, 1))
        policy = replace(POLICY, manage=Manage.GUARANTEED, scope=TopologyScope.CONTAINER)
        settings = replace(policy, topology_policy=TopologyPolicy.RESTRICTED, memory_policy=MemoryPolicy.NONE)
        assert word_of(planned(what, policy=settings), what) is Word.TOPOLOGY_AFFINITY
        alone = pod(app("i", 4, 1), app("a", 6, 1))
        assert cpus(entry_of(planned(alone, policy=settings), alone)) == {"i": "2,4,8,10", "a": "1,3,5,7,9,11"}

    def test_one_hint_for_the_pods_sum_refuses_what_each_container_alone_would_get(self) -> None:  # 2.2 B
        what = pod(app("a", 4, 1), app("b", 4, 1))
        policy = replace(POLICY, manage=Manage.GUARANTEED, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
        assert word_of(planned(what, policy=policy), what) is Word.TOPOLOGY_AFFINITY
        alone = replace(policy, scope=TopologyScope.CONTAINER)
        assert decision_of(planned(what, policy=alone), what).outcome is Outcome.PINNED

    def test_a_container_whose_cpus_fill_no_core_refuses_its_pod(self) -> None:
        policy = replace(POLICY, manage=Manage.GUARANTEED, cpu_options=frozenset({CpuOption.FULL_PCPUS_ONLY}))
        what = pod(app("a", 2, 1), app("b", 3, 1))
        assert word_of(planned(what, policy=policy), what) is Word.SMT_ALIGNMENT

    @pytest.mark.parametrize("cpu", [0.5, 10**9])
    def test_odd_requests_are_answered(self, cpu: float) -> None:
        what = pod(app("a"), cpu=cpu, gib=1, number=2)
        answer = planned(ENGINE, what)
        assert decision_of(answer, ENGINE).outcome is Outcome.PINNED
        assert decision_of(answer, what).outcome is (Outcome.PINNED if cpu < 1 else Outcome.SHARED)

    def test_annotated_pods_are_placed_like_others(self) -> None:  # 8
        what = annotated(
            *(replace(one, limits={}) for one in (app("engine", 3), app("log", 1))),
            intent=Intent(
                amounts=amounts(4, 8), exclusive_cpus={"engine": 3}, given=frozenset({"pod-cpu", "pod-memory"})
            ),
        )
        assert cpus(entry_of(planned(what), what)) == {"engine": "2,4,8", "log": "10"}


def test_a_sidecar_and_an_init_container_keep_what_they_had_when_a_pool_grows() -> None:
    what = pod(init("i", 3, 1), sidecar("s", 1, 1), app("a", 2, 1), app("b"), cpu=6, gib=8)
    policy = Policy(CpuSet.parse("0,40"))
    before = planned(what, machine=W80, policy=policy)
    after = planned(asking(what, 8), machine=W80, policy=policy, ledger=before.ledger)
    assert entry_of(after, what).slices == entry_of(before, what).slices
    assert [one.kind for one in entry_of(after, what).containers] == [
        ContainerKind.INIT,
        ContainerKind.SIDECAR,
        ContainerKind.APP,
        ContainerKind.APP,
    ]
    assert entry_of(after, what).asked[CPU] == 8000
