"""What the loop publishes: the planner's wish beside the kernel's word."""

from dataclasses import replace

import pytest
from tests.report.samples import BIG, ENGINE, guaranteed, machine, picture, pinned, pod, pooled, refused

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.planner import Plan
from pinfold.planning.reasons import Outcome, Word
from pinfold.pods.model import Container, ContainerKind, PodUid
from pinfold.report.counters import Counters, Histogram
from pinfold.report.snapshot import RECENT_LIMIT, Moment, PodStatus, Statuses, pod_statuses, remembered

ONLINE = machine(2, 2, 20, 2).online


def only(pods: tuple[PodStatus, ...]) -> PodStatus:
    (status,) = pods
    return status


def test_a_standard_inits_slice_is_no_lasting_one() -> None:
    """The worked example of semantics §3.2: init-a's six CPUs overlap the sidecar's and the app's."""
    of = pod(
        "a/b",
        1,
        guaranteed("init-a", 6, kind=ContainerKind.INIT),
        guaranteed("mesh", 2, kind=ContainerKind.SIDECAR),
        Container("init-b", ContainerKind.INIT),
        Container("tail", ContainerKind.SIDECAR),
        guaranteed("app", 4),
        Container("debugger", ContainerKind.EPHEMERAL),
        cpus=8,
    )
    sets = {
        "init-a": (Isolation.CONTAINER, "20-22,60-62"),
        "mesh": (Isolation.CONTAINER, "20,60"),
        "init-b": (Isolation.POD, "21-23,61-63"),
        "tail": (Isolation.POD, "23,63"),
        "app": (Isolation.CONTAINER, "21-22,61-62"),
    }
    kinds = {one.name: one.kind for one in of.containers}
    entry = PodEntry(
        of.uid,
        "a",
        "b",
        cpus=CpuSet.parse("20-23,60-63"),
        containers=tuple(
            ContainerEntry(name, how, CpuSet.parse(cpus), kind=kinds[name]) for name, (how, cpus) in sets.items()
        ),
    )
    status = only(pod_statuses([of], Plan(Ledger({of.uid: entry}), (pinned(of, entry),), ONLINE - entry.cpus)))
    assert (str(status.exclusive), str(status.shared)) == ("20-22,60-62", "23,63")
    assert {one.name: str(one.cpus) for one in status.containers} == {
        **{name: cpus for name, (_, cpus) in sets.items()},
        "debugger": "23,63",
    }


def test_where_all_of_the_pool_is_slices_an_ephemeral_container_has_the_whole_pool() -> None:
    of = pod("a/b", 1, guaranteed("app", 2), Container("debugger", ContainerKind.EPHEMERAL), cpus=2)
    entry = pooled(of, "2-3", "0", app="2-3")
    status = only(pod_statuses([of], Plan(Ledger({of.uid: entry}), (pinned(of, entry),), ONLINE - entry.cpus)))
    assert str(status.containers[1].cpus) == "2-3"
    assert not status.shared


def test_a_slice_without_a_pool_is_owned_and_the_rest_of_the_pod_runs_in_the_node_shared_pool() -> None:
    of = pod("a/b", 1, guaranteed("app", 2), Container("log", ContainerKind.APP), cpus=3)
    entry = PodEntry(
        of.uid,
        "a",
        "b",
        containers=(
            ContainerEntry("app", Isolation.CONTAINER, CpuSet.parse("2-3")),
            ContainerEntry("log", Isolation.HOST),
        ),
    )
    shared = ONLINE - CpuSet.parse("2-3")
    status = only(pod_statuses([of], Plan(Ledger({of.uid: entry}), (pinned(of, entry),), shared)))
    assert (str(status.pool), str(status.owned), str(status.shared)) == ("", "2-3", "")
    assert [one.cpus for one in status.containers] == [CpuSet.parse("2-3"), shared]


def test_a_pod_that_is_gone_is_shown_for_as_long_as_the_ledger_holds_its_cpus() -> None:
    entry = pooled(ENGINE, "2-5", "0", engine="2-4")
    status = only(pod_statuses([], Plan(Ledger({ENGINE.uid: entry}), (), ONLINE - entry.cpus)))
    assert (status.full_name, status.decision, str(status.owned)) == ("trading/match-engine", None, "2-5")


def test_a_kernel_view_of_a_pod_that_nobody_knows_is_not_shown() -> None:
    shown = pod_statuses([], Plan(Ledger(), (), ONLINE), {PodUid("who"): picture().pods[0].kernel})
    assert shown == ()


def test_statuses_are_made_when_somebody_looks_and_are_equal_when_made_of_the_same() -> None:
    of, idle = pod("a/b", 1, guaranteed("app", 2), cpus=2), pod("a/c", 2, guaranteed("app", 1))
    entry = pooled(of, "2-3", "0", app="2-3")
    plan = Plan(Ledger({of.uid: entry}), (pinned(of, entry), refused(idle, 1, "no room")), ONLINE)
    statuses = Statuses((of, idle), plan, {})
    assert statuses == Statuses((of, idle), plan, {})
    assert statuses != Statuses((of,), plan, {})
    assert tuple(statuses) == pod_statuses((of, idle), plan)
    assert statuses.owners() == tuple(one for one in statuses if one.owned)


def test_the_time_line_forgets_its_oldest() -> None:
    line: tuple[Moment, ...] = ()
    for second in range(RECENT_LIMIT + 5):
        line = remembered(line, [Moment(second, "pool.pinned", "a/b", "")])
    assert (len(line), line[0].at, line[-1].at) == (RECENT_LIMIT, 5, RECENT_LIMIT + 4)


@pytest.mark.parametrize(
    ("value", "cumulative"),
    [
        pytest.param(0.5, (1, 1, 1), id="below-the-first-bound"),
        pytest.param(1.0, (1, 1, 1), id="a-bound-is-inclusive"),
        pytest.param(1.5, (0, 1, 1), id="between"),
        pytest.param(9.0, (0, 0, 1), id="above-the-last"),
    ],
)
def test_a_histogram_counts_as_prometheus_does(value: float, cumulative: tuple[int, ...]) -> None:
    seen = Histogram((1.0, 2.0)).observed(value)
    assert (seen.cumulative, seen.sum) == (cumulative, value)


def test_a_pod_is_counted_when_it_is_placed_and_a_refusal_once_for_each_reason() -> None:
    entry = pooled(ENGINE, "2-5", "0", engine="2-4")
    plan = Plan(Ledger({ENGINE.uid: entry}), (pinned(ENGINE, entry), refused(BIG, 24, "no room")), ONLINE - entry.cpus)
    once = Counters().decided({}, Ledger(), plan)
    assert (once.pods_requested, once.refusals, once.assignments) == (2, {Word.TOPOLOGY_AFFINITY: 1}, {"pod": 3})

    told = {decision.uid: decision for decision in plan.decisions}
    assert once.decided(told, plan.ledger, plan) == once

    other = replace(plan.decisions[1].refusal or pytest.fail("it is refused"), word=Word.NODE_SHARED_POOL_EXHAUSTED)
    later = replace(plan, decisions=(plan.decisions[0], replace(plan.decisions[1], refusal=other)))
    assert once.decided(told, plan.ledger, later).refusals == {
        Word.TOPOLOGY_AFFINITY: 1,
        Word.NODE_SHARED_POOL_EXHAUSTED: 1,
    }


def test_what_the_checkpoint_brought_back_is_not_counted_again() -> None:
    entry = pooled(ENGINE, "2-5", "0", engine="2-4")
    ledger = Ledger({ENGINE.uid: entry})
    after = Counters().decided({}, ledger, Plan(ledger, (pinned(ENGINE, entry),), ONLINE - entry.cpus))
    assert (after.pods_requested, after.assignments) == (0, {})


def test_an_unmanaged_pod_asks_for_nothing() -> None:
    counters = picture().counters
    unmanaged = [pod for pod in picture().pods if pod.decision and pod.decision.outcome is Outcome.UNMANAGED]
    assert (len(unmanaged), counters.pods_requested) == (1, 3)


def test_a_fault_keeps_its_count_and_its_last_message() -> None:
    counters = Counters().failed("OSError", 1.0, "first").failed("OSError", 2.0, "second")
    fault = counters.faults["OSError"]
    assert (fault.count, fault.at, fault.message) == (2, 2.0, "second")
