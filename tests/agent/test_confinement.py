"""How long a pod and its containers were there before they were confined, and who ran too early: on a model kernel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pinfold.agent.narrowing import Narrowed
from pinfold.cgroups.files import CgroupGoneError
from pinfold.cgroups.newborns import Newborn, Standing
from pinfold.cgroups.newcomers import Late
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.pods.model import QosClass
from pinfold.report.counters import Counters
from tests.agent.bench import Bench, pod
from tests.cgroups.node import container_id, container_path, pod_path, uid
from tests.cpuset_model import KERNELS
from tests.cpuset_model.kernel import V6_1

POD = pod_path(1, QosClass.GUARANTEED)
ENGINE, PROXY = container_path(POD, 1, 1), container_path(POD, 1, 2)


@pytest.fixture(params=KERNELS, ids=str)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench.boot(request.param, tmp_path, apiServer={"enabled": False})
    made.start()
    made.turn()
    yield made
    made.stop()


def named(raw: dict[str, Any]) -> dict[str, Any]:
    """As a pod's status names its containers, where there are no bundles."""
    statuses = [
        {"name": name, "containerID": f"containerd://{container_id(1, number)}"}
        for number, name in enumerate(("engine", "proxy"), 1)
    ]
    return {**raw, "status": {"containerStatuses": statuses}}


def begin(bench: Bench, path: CgroupPath, *, runs: bool = False) -> None:
    """The runtime makes a container; it *runs* where it was told to start, too."""
    assert bench.fs.world.mkdir(path) is None
    bench.fs.world.spawn(path, path)
    if runs:
        bench.fs.running.add(path)


def counted(counters: Counters, scope: str, phase: str) -> int:
    histogram = counters.confinement_seconds.get((scope, phase))
    return histogram.cumulative[-1] if histogram else 0


def late(counters: Counters) -> tuple[int, int]:
    return counters.started_outside_pool, counters.started_outside_slice


def test_who_is_confined_before_it_starts_is_measured_and_not_late(bench: Bench) -> None:
    bench.put(named(pod(1, 4, engine=3)))
    bench.turn()
    bench.appear(1, populated=False)
    bench.turn()
    for path in (ENGINE, PROXY):
        begin(bench, path)
    bench.turn()
    bench.fs.running |= {ENGINE, PROXY}
    counters = bench.turn().counters
    assert {phase: counted(counters, "pod", phase) for _, phase in counters.confinement_seconds} == dict.fromkeys(
        ("seen", "known", "decided", "written", "verified"), 1
    )
    assert counted(counters, "container", "verified") == 2
    assert late(counters) == (0, 0)


def test_a_program_that_runs_before_its_container_is_narrowed_is_late_once(bench: Bench) -> None:
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    bench.turn()
    begin(bench, ENGINE, runs=True)
    begin(bench, PROXY)
    snapshot = bench.turn()
    assert late(snapshot.counters) == (0, 1), "it had the pod's pool from its birth"
    assert [one.message for one in snapshot.recent if one.event == "container.started_outside"] == [
        "engine started outside what it is given of its pod's pool"
    ]
    assert late(bench.turn().counters) == (0, 1)


def test_a_program_that_begins_amid_the_writes_is_late_whichever_came_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    bench.turn()
    begin(bench, ENGINE)
    write = bench.fs.write

    def and_it_begins(path: CgroupPath, file: str, value: str) -> None:
        write(path, file, value)
        if path == ENGINE:
            bench.fs.running.add(ENGINE)

    monkeypatch.setattr(bench.fs, "write", and_it_begins)
    assert late(bench.turn().counters) == (0, 1)
    assert late(bench.turn().counters) == (0, 1), "it is told once"


@pytest.mark.parametrize(
    ("unconfined", "counted_late"),
    [pytest.param(False, 0, id="confined-by-then"), pytest.param(True, 1, id="not-yet")],
)
def test_a_program_that_begins_after_its_own_write_and_amid_those_of_others_is_late_only_where_it_could_be_outside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, unconfined: bool, counted_late: int
) -> None:
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    bench.turn()
    for path in (ENGINE, PROXY):
        begin(bench, path)
    write, read = bench.fs.write, bench.fs.read
    done: list[CgroupPath] = []

    def and_the_other_begins(path: CgroupPath, file: str, value: str) -> None:
        write(path, file, value)
        if file == File.CPUS and path in {ENGINE, PROXY}:
            done.append(path)
            if len(done) == 2:
                bench.fs.running.add(ENGINE)

    def and_it_is_wider(path: CgroupPath, file: str) -> str | None:
        return "0-15" if file == File.CPUS_EFFECTIVE and path == ENGINE else read(path, file)

    monkeypatch.setattr(bench.fs, "write", and_the_other_begins)
    if unconfined:
        monkeypatch.setattr(bench.fs, "read", and_it_is_wider)
    counters = bench.turn().counters
    assert done == [ENGINE, PROXY]
    assert late(counters) == (0, counted_late)


def test_a_program_that_begins_amid_a_turn_that_leaves_it_unconfined_is_late_though_the_next_finds_it_confined(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    (engine,) = (one for one in bench.status(1).containers if one.name == "engine")
    begin(bench, ENGINE)
    write = bench.fs.write

    def and_it_is_undone(path: CgroupPath, file: str, value: str) -> None:
        write(path, file, value)
        if path == ENGINE and file == File.CPUS:
            bench.fs.running.add(ENGINE)
            write(path, file, "0-15")

    with monkeypatch.context() as patched:
        patched.setattr(bench.fs, "write", and_it_is_undone)
        assert bench.agent
        bench.agent.reconcile()
    bench.fs.write(ENGINE, File.CPUS, str(engine.cpus))
    assert late(bench.turn().counters) == (0, 1)


def test_a_program_that_runs_before_its_pod_is_known_is_outside_its_pool(bench: Bench) -> None:
    """The watch lags: until then its cgroup is in the node shared pool."""
    bench.appear(1)
    begin(bench, ENGINE, runs=True)
    bench.fs.made[POD] = bench.now_s - 0.5
    bench.turn()
    bench.now_s += 3.0
    bench.put(named(pod(1, 4, engine=3)))
    counters = bench.turn().counters
    assert late(counters) == (1, 1)
    assert counters.confinement_seconds["pod", "seen"].sum == pytest.approx(0.5)
    assert counters.confinement_seconds["pod", "known"].sum == pytest.approx(3.5)
    assert counters.confinement_seconds["container", "verified"].sum == pytest.approx(3.5, abs=0.6)


def test_what_started_while_the_daemon_was_down_is_counted_when_it_is_back(bench: Bench) -> None:
    bench.put(named(pod(2, 2)))
    bench.appear(2)
    bench.turn()
    bench.stop()
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    for path in (ENGINE, PROXY):
        begin(bench, path, runs=True)
    bench.start()
    assert late(bench.turn().counters) == (2, 2)


def test_pods_of_before_pinfold_first_came_are_no_late_starts(bench: Bench, tmp_path: Path) -> None:
    bench.stop()
    (tmp_path / "state" / "checkpoint.json").unlink(missing_ok=True)
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    begin(bench, ENGINE, runs=True)
    bench.start()
    counters = bench.turn().counters
    assert late(counters) == (0, 0)
    assert not counters.confinement_seconds
    begin(bench, PROXY, runs=True)
    assert late(bench.turn().counters) == (0, 1)


def test_a_restart_measures_nobody_again(bench: Bench) -> None:
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    for path in (ENGINE, PROXY):
        begin(bench, path)
    bench.turn()
    bench.fs.running |= {ENGINE, PROXY}
    bench.start()
    counters = bench.turn().counters
    assert late(counters) == (0, 0)
    assert not counters.confinement_seconds


def test_a_pod_that_waited_for_cpus_is_not_measured(bench: Bench) -> None:
    bench.put(pod(2, 12))
    bench.appear(2)
    bench.turn()
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    begin(bench, ENGINE, runs=True)
    before = bench.turn().counters
    bench.take(2)
    bench.fs.world.exit("pause-2")
    counters = bench.turn().counters
    assert bench.status(1).pool
    assert (counters.confinement_seconds, late(counters)) == (before.confinement_seconds, late(before))


def test_a_container_that_nobody_can_name_waits_in_the_pool_and_is_late_when_it_is_named(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.turn()
    begin(bench, ENGINE, runs=True)
    assert late(bench.turn().counters) == (0, 0)
    bench.put(named(pod(1, 4, engine=3)))
    counters = bench.turn().counters
    assert late(counters) == (0, 1)
    assert counted(counters, "container", "verified") == 1


def test_a_container_that_ran_before_its_pod_was_confined_is_outside_the_pool_though_it_is_named_later(
    bench: Bench,
) -> None:
    bench.appear(1)
    for path in (ENGINE, PROXY):
        begin(bench, path, runs=True)
    bench.turn()
    bench.put(pod(1, 4, engine=3))
    assert late(bench.turn().counters) == (0, 0)
    bench.put(named(pod(1, 4, engine=3)))
    assert late(bench.turn().counters) == (2, 2)
    assert late(bench.turn().counters) == (2, 2), "it is told once"


def test_a_container_that_ran_before_its_pod_was_confined_is_outside_the_pool_though_it_is_narrowed_beside_the_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.appear(1)
    begin(bench, ENGINE, runs=True)
    bench.turn()
    bench.put(pod(1, 4, engine=3))
    assert late(bench.turn().counters) == (0, 0)
    (engine,) = (one for one in bench.status(1).containers if one.name == "engine")
    bench.fs.write(ENGINE, File.CPUS, str(engine.cpus))
    newborn = Newborn(ENGINE, uid(1), engine.cpus, "engine", bench.status(1).pool)
    answers = [[Narrowed(newborn, bench.now_s, bench.now_s, None, is_confined=True)]]
    assert bench.agent
    monkeypatch.setattr(bench.agent._narrowing, "taken", lambda: answers.pop() if answers else [])
    bench.put(named(pod(1, 4, engine=3)))
    assert late(bench.turn().counters) == (1, 1)
    assert late(bench.turn().counters) == (1, 1), "it is told once"


def test_a_container_that_came_and_went_between_two_looks_is_late_where_it_could_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(named(pod(1, 4, engine=3)))
    bench.put(pod(2, 2))
    for number in (1, 2):
        bench.appear(number)
    bench.turn()
    assert bench.agent
    gone = {container_path(pod_path(number, QosClass.GUARANTEED), number, 9) for number in (1, 2)}
    answers = [gone]
    monkeypatch.setattr(bench.agent.sources, "passed", lambda: answers.pop() if answers else set())
    assert late(bench.turn().counters) == (0, 1), (
        "the second pod has no slice: whoever is born in it is where it belongs"
    )


def ended(raw: dict[str, Any], number: int) -> dict[str, Any]:
    """As a pod's status tells that its engine ended that had the container *number*."""
    state = {"terminated": {"exitCode": 0, "containerID": f"containerd://{container_id(1, number)}"}}
    return {**raw, "status": {"containerStatuses": [{"name": "engine", "state": state}]}}


def test_a_container_that_was_gone_before_its_pod_was_known_is_late_when_the_pods_status_tells_of_it(
    bench: Bench,
) -> None:
    bench.appear(1)
    bench.turn()
    bench.put(ended(pod(1, 4, engine=3), 1))
    snapshot = bench.turn()
    assert late(snapshot.counters) == (1, 1)
    assert [one.message for one in snapshot.recent if one.event == "container.started_outside"] == [
        "engine started outside its pod's pool"
    ]
    assert late(bench.turn().counters) == (1, 1), "it is told once"


def test_a_container_that_ended_where_it_belonged_is_not_late(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.turn()
    begin(bench, ENGINE)
    bench.put(named(pod(1, 4, engine=3)))
    bench.turn()
    bench.fs.world.exit(ENGINE)
    assert bench.fs.world.rmdir(ENGINE) is None
    bench.put(ended(pod(1, 4, engine=3), 1))
    assert late(bench.turn().counters) == (0, 0)


def test_of_a_container_that_crashes_for_months_only_the_last_ends_are_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinfold.cgroups.newcomers._REMEMBERED", 3)
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.turn()
    assert bench.agent
    for number in range(1, 15):
        path = container_path(POD, 1, number)
        begin(bench, path)
        bench.put(named_as(number))
        bench.turn()
        bench.fs.running.add(path)
        bench.turn()
        bench.fs.world.exit(path)
        assert bench.fs.world.rmdir(path) is None
        bench.put(ended(pod(1, 4, engine=3), number))
        assert late(bench.turn().counters) == (0, 0)
    assert len(bench.agent._newcomers.judged) < 12
    assert container_id(1, 14) in bench.agent._newcomers.judged


def named_as(number: int) -> dict[str, Any]:
    """The pod, its engine in the container *number*."""
    raw = pod(1, 4, engine=3)
    status = {"name": "engine", "containerID": f"containerd://{container_id(1, number)}"}
    return {**raw, "status": {"containerStatuses": [status]}}


def test_what_ended_before_this_pinfold_came_is_not_late(bench: Bench) -> None:
    bench.stop()
    bench.put(ended(pod(1, 4, engine=3), 1))
    bench.appear(1)
    bench.start()
    assert late(bench.turn().counters) == (0, 0)


def test_new_containers_are_narrowed_before_the_node_is_looked_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.agent
    looked: list[bool] = []

    def decided(standing: Standing) -> None:
        looked.append(uid(1) in standing.ledger.entries)

    def look(*_: object) -> NoReturn:
        raise CgroupGoneError("it takes too long")

    monkeypatch.setattr(bench.agent._narrowing, "decided", decided)
    monkeypatch.setattr(bench.agent._cgroups, "look", look)
    bench.put(pod(1, 4, engine=3))
    bench.agent.sources.refresh()
    bench.agent.reconcile()
    assert looked == [True]
    assert uid(1) in bench.agent._books.checkpoint.ledger.entries, "on disk first"


def narrowed(bench: Bench, *, was_running: bool) -> Narrowed:
    """The engine appears, and the thread beside the loop gives it its slice; the loop was not told yet."""
    bench.put(named(pod(1, 4, engine=3)))
    bench.appear(1)
    (engine,) = (one for one in bench.status(1).containers if one.name == "engine")
    begin(bench, ENGINE, runs=was_running)
    bench.fs.write(ENGINE, File.CPUS, str(engine.cpus))
    late = Late(uid(1), "engine", outside_pool=False) if was_running else None
    return Narrowed(Newborn(ENGINE, uid(1), engine.cpus, "engine"), bench.now_s, bench.now_s, late, is_confined=True)


@pytest.mark.parametrize(("was_running", "counted_late"), [(False, 0), (True, 1)], ids=["in-time", "too-late"])
def test_who_was_narrowed_beside_the_loop_is_measured_and_told_where_it_ran_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, was_running: bool, counted_late: int
) -> None:
    answers = [[narrowed(bench, was_running=was_running)]]
    assert bench.agent
    monkeypatch.setattr(bench.agent._narrowing, "taken", lambda: answers.pop() if answers else [])
    counters = bench.turn().counters
    assert counted(counters, "container", "verified") == 1
    assert late(counters) == (0, counted_late)
    assert late(bench.turn().counters) == (0, counted_late), "it is told once"
    assert bench.agent._books.kept.files[ENGINE][File.CPUS].found == "", "what Pinfold wrote is given back"


def test_who_was_narrowed_too_late_amid_a_turn_is_counted_in_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That turn finds him confined."""
    one = narrowed(bench, was_running=True)
    assert late(bench.turn().counters) == (0, 0)
    answers = [[one]]
    assert bench.agent
    monkeypatch.setattr(bench.agent._narrowing, "taken", lambda: answers.pop() if answers else [])
    assert late(bench.turn().counters) == (0, 1)


def test_what_was_narrowed_by_a_pinfold_that_died_right_then_is_given_back(bench: Bench) -> None:
    narrowed(bench, was_running=False)
    agent = bench.start()
    bench.turn()
    assert agent._books.kept.files[ENGINE][File.CPUS].found == ""


@pytest.mark.parametrize("bench", [V6_1], indirect=True, ids=str)
def test_what_keeps_an_unknown_pod_off_the_pools_is_given_back_by_the_next_pinfold_if_that_one_died(
    bench: Bench,
) -> None:
    """Where only cpusets do."""
    bench.put(pod(2, 2))
    bench.appear(2)
    bench.turn()
    bench.appear(1)
    bench.fs.write(POD, File.SUBTREE_CONTROL, "+cpuset")
    begin(bench, ENGINE)
    bench.fs.write(ENGINE, File.CPUS, "0-1")
    bench.start()
    bench.turn()
    assert bench.fs.read(ENGINE, File.CPUS) == "0-15"
    assert bench.status(2).pool, "nor does it take what pods own"
