"""Somebody who rewrites what is repaired: by the rule alone, and in the loop on a model kernel."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from pinfold.agent.loop import RETRY_S
from pinfold.agent.patience import BURST, CALM_S, LONGEST_S, PER_S, QUIET_S, Patience
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.pods.model import QosClass
from pinfold.report.snapshot import Exclusivity
from pinfold.sources.wakeup import Timer
from tests.agent.bench import Bench, pod
from tests.cgroups.node import container_path, pod_path
from tests.cpuset_model import V6_12

ONE, OTHER = CgroupPath("kubepods/a"), CgroupPath("kubepods/b")
SOME = st.sets(st.sampled_from([ONE, OTHER]))
ENGINE = container_path(pod_path(1, QosClass.GUARANTEED), 1, 0)


@given(st.lists(st.floats(1 / PER_S, 100), max_size=40))
def test_whoever_writes_now_and_then_is_repaired_at_once_for_ever(gaps_s: list[float]) -> None:
    patience, now_s = Patience(), 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        patience = patience.after((), {ONE}, now_s)
        assert not patience.muted
        assert not patience.is_due(CALM_S, stirred=True, quiet=True), "whatever happens rings"


@given(st.floats(0.0001, QUIET_S), st.floats(0.0001, 0.1), st.floats(1, 60))
def test_whoever_writes_without_end_costs_few_turns(gap_s: float, turn_s: float, fight_s: float) -> None:
    patience, now_s, turns = Patience(), 0.0, 0
    while now_s < fight_s:
        turned_s = now_s
        while patience.muted and not patience.is_due(now_s - turned_s, stirred=True, quiet=False):
            now_s += QUIET_S
        now_s += turn_s + (0 if patience.muted else gap_s)
        patience = patience.after((), {ONE}, now_s)
        turns += 1
    assert turns <= BURST + 5 + fight_s / LONGEST_S


@given(st.lists(st.tuples(st.floats(0, 5), SOME, SOME), max_size=60), st.floats(0, CALM_S))
def test_what_was_written_is_looked_at_when_he_pauses_and_at_last_though_he_does_not(
    turns: list[tuple[float, set[CgroupPath], set[CgroupPath]]], waited_s: float
) -> None:
    patience, now_s = Patience(), 0.0
    for gap_s, written, repaired in turns:
        now_s += gap_s
        patience = patience.after(written, repaired, now_s)
        assert patience.fought <= patience.muted
        is_muted = bool(patience.muted)
        assert patience.is_due(waited_s, stirred=True, quiet=True) is is_muted
        assert patience.is_due(LONGEST_S, stirred=True, quiet=False) is is_muted
        assert patience.is_due(CALM_S, stirred=False, quiet=True) is is_muted, "so that its end is seen"


def test_a_fight_ends_when_nothing_was_repaired_for_a_while() -> None:
    patience = Patience()
    for turn in range(10):
        patience = patience.after((), {ONE}, turn / 100)
    assert patience.fought == {ONE}
    assert patience.after((), (), 0.09 + CALM_S - 0.01).fought == {ONE}
    calm = patience.after((), (), 0.1 + CALM_S)
    assert not calm.muted
    assert calm.after((), {ONE}, 0.2 + CALM_S).fought == {ONE}, "he goes on"
    assert calm.after((), (), 0.2 + CALM_S + BURST / PER_S) == Patience()


def test_only_the_cgroup_that_is_fought_over_is() -> None:
    patience = Patience()
    for turn in range(10):
        patience = patience.after((), {ONE, OTHER} if turn == 0 else {ONE}, turn / 100)
    assert patience.fought == patience.muted == {ONE}


def test_whoever_writes_what_need_not_be_repaired_is_no_fighter_and_costs_no_more() -> None:
    patience = Patience()
    for turn in range(10):
        patience = patience.after({ONE}, (), turn / 100)
    assert patience.muted == {ONE}
    assert not patience.fought
    assert patience.after((), {ONE}, 0.2).fought == {ONE}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False})
    made.put(pod(1, 4, engine=3))
    made.appear(1)
    made.start()
    made.turn()
    yield made
    made.stop()


def rewritten(
    bench: Bench, times: int, path: CgroupPath = ENGINE, file: str = "cpuset.cpus", text: str = "0-15"
) -> None:
    assert bench.agent
    for _ in range(times):
        assert bench.fs.world.write(path, file, text) is None
        bench.now_s += 0.01
        bench.agent.reconcile()


def test_a_fight_is_told_once_and_so_is_its_end(bench: Bench) -> None:
    before = bench.fs.read(ENGINE, "cpuset.cpus")
    rewritten(bench, 40)
    assert bench.fs.read(ENGINE, "cpuset.cpus") == before
    snapshot = bench.turn()
    assert snapshot.fought == (ENGINE,)
    assert [one for one in snapshot.warnings if ENGINE in one]
    assert snapshot.counters.repaired == {"rewritten": 40}
    told = [(one.event, one.pod) for one in snapshot.recent]
    assert told.count(("cpuset.fought", "test/p1")) == 1
    assert told.count(("cpuset.drifted", "test/p1")) <= BURST + 1
    bench.now_s += CALM_S
    snapshot = bench.turn()
    assert not snapshot.fought
    assert not [one for one in snapshot.warnings if ENGINE in one]
    assert [one.event for one in snapshot.recent][-1] == "cpuset.calmed"
    bench.now_s += BURST / PER_S
    rewritten(bench, 1)
    assert bench.turn().recent[-1].event == "cpuset.drifted"


@pytest.mark.parametrize(
    ("writes", "sleeps_s"),
    [(0, CALM_S), (1, 2 * QUIET_S), (6, 7 * QUIET_S), (1000, LONGEST_S)],
    ids=["no more", "once", "for a while", "without end"],
)
def test_the_loop_sleeps_until_a_fighter_pauses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, writes: int, sleeps_s: float
) -> None:
    rewritten(bench, 40)
    file = Path(bench.config.cgroup_mount) / ENGINE / "cpuset.cpus"
    file.parent.mkdir(parents=True)
    assert bench.agent
    sleeps = 0

    def sleep(timeout_s: float) -> bool:
        nonlocal sleeps
        bench.now_s += timeout_s
        sleeps += 1
        if sleeps <= writes:
            file.write_text("0-15")
        return False

    monkeypatch.setattr(bench.agent.sources, "wait", sleep)
    began_s = bench.now_s
    bench.agent._sleep(Timer(60, bench.now_s + 60))
    assert bench.now_s - began_s == pytest.approx(sleeps_s)


def test_a_resize_is_no_fight(bench: Bench) -> None:
    for cpus in (6, 4) * 10:
        bench.put(pod(1, cpus, engine=3))
        snapshot = bench.turn()
    assert not snapshot.fought
    assert not snapshot.counters.repaired


def test_a_quota_that_comes_back_with_another_period_is_drift(bench: Bench) -> None:
    pool = pod_path(1, QosClass.GUARANTEED)
    bench.fs.texts[pool, File.CPU_MAX] = "400000 100000"
    bench.put(pod(1, 4, engine=3))
    bench.turn()
    assert bench.fs.texts[pool, File.CPU_MAX].startswith("max")
    bench.fs.texts[pool, File.CPU_MAX] = "1000 50000"
    snapshot = bench.turn()
    assert bench.fs.texts[pool, File.CPU_MAX] == "max 50000"
    assert snapshot.counters.repaired == {"rewritten": 1}


def test_what_is_written_amid_a_turn_is_drift_for_the_next_and_no_failure_of_this_one(bench: Bench) -> None:
    """As when systemd sets the quota of a slice while its pool is being made."""
    assert bench.agent
    pool = pod_path(1, QosClass.GUARANTEED)
    bench.fs.texts[pool, File.CPU_MAX] = "max 100000"
    bench.put(pod(1, 4, engine=3))
    bench.turn()
    bench.fs.meddled = {(pool, "cpuset.cpus.partition"): (pool, File.CPU_MAX, "400000 100000")}
    with capture_logs() as log:
        rewritten(bench, 1, pool, "cpuset.cpus.partition", "member")
        assert bench.fs.texts[pool, File.CPU_MAX] == "400000 100000"
        assert bench.agent._look_at_s <= bench.now_s + LONGEST_S, "the next turn does not wait for a ring"
        bench.fs.meddled = {}
        bench.turn()
    assert bench.fs.texts[pool, File.CPU_MAX] == "max 100000"
    assert [one["event"] for one in log if one["log_level"] == "error"] == []
    assert [one["have"] for one in log if one["event"] == "cpuset.drifted"] == ["member", "400000 100000"]


def test_a_partition_that_somebody_unmakes_all_the_time_is_made_again_as_soon_as_he_stops(bench: Bench) -> None:
    """Read back, his word looks like a refusal; but the kernel refuses nothing."""
    pool = pod_path(1, QosClass.GUARANTEED)
    bench.fs.meddled = {(pool, "cpuset.cpus.partition"): (pool, "cpuset.cpus.partition", "member")}
    rewritten(bench, 10, pool, "cpuset.cpus.partition", "member")
    assert bench.turn().fought
    bench.fs.meddled = {}
    snapshot = bench.turn()
    assert bench.fs.read(pool, "cpuset.cpus.partition") == "root"
    assert snapshot.exclusivity is Exclusivity.PARTITION


def test_a_partition_that_the_kernel_refused_is_tried_again_without_a_ring(bench: Bench) -> None:
    pool = pod_path(1, QosClass.GUARANTEED)
    agent = bench.agent
    assert agent
    bench.fs.refused = {bench.fs.count: errno.EPERM}
    rewritten(bench, 1, pool, "cpuset.cpus.partition", "member")
    assert bench.fs.read(pool, "cpuset.cpus.partition") == "member"
    assert agent._look_at_s <= bench.now_s + RETRY_S
    bench.now_s = agent._look_at_s
    bench.turn()
    assert bench.fs.read(pool, "cpuset.cpus.partition") == "root"
