"""The loop beside an API server that comes, goes and hears Events: real HTTP, a real thread, the model's kernel."""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pinfold.cgroups.paths import CgroupPath
from pinfold.cpuset import CpuSet
from pinfold.pods.model import QosClass
from pinfold.sources.apiserver import ApiServerPods, Timing
from tests.agent.bench import Bench, pod
from tests.apiserver.faults import Slow
from tests.apiserver.server import LocalApiServer
from tests.apiserver.waiting import until
from tests.cgroups.node import container_id, container_path, pod_path, uid
from tests.cpuset_model import V6_12


@pytest.fixture
def server() -> Iterator[LocalApiServer]:
    with LocalApiServer() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, server: LocalApiServer) -> Iterator[Bench]:
    made = Bench.boot(V6_12, tmp_path, apiServer={"kubeconfig": str(server.kubeconfig(tmp_path / "kubeconfig"))})
    yield made
    made.stop()


def on_node(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "spec": {**raw["spec"], "nodeName": "node-1"}}


def pinned(bench: Bench, number: int) -> Callable[[], bool]:
    return lambda: any(one.uid == uid(number) and one.pool for one in bench.turn().pods)


def test_a_pod_of_the_api_server_is_pinned_and_told_by_an_event(bench: Bench, server: LocalApiServer) -> None:
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1)
    bench.start()
    until(pinned(bench, 1), "the pod is pinned")
    until(lambda: bool(server.events), "an Event is told")
    (event,) = server.events.values()
    assert event["reason"] == "PoolPinned"
    assert event["type"] == "Normal"
    assert event["regarding"]["uid"] == uid(1)
    assert event["reportingInstance"] == "pinfold-node-1"


@pytest.mark.parametrize("is_file", [False, True], ids=["is-not-there", "is-none"])
def test_a_pod_that_has_ended_is_freed_though_the_directory_of_manifests_cannot_be_read(
    bench: Bench, server: LocalApiServer, tmp_path: Path, is_file: bool
) -> None:
    (tmp_path / "manifests").rmdir()
    if is_file:
        (tmp_path / "manifests").write_text("")
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1)
    agent = bench.start()
    until(pinned(bench, 1), "the pod is pinned")
    assert agent.sources.synced is not is_file, "a directory that is not there has no pods"
    server.put_pod(on_node(pod(1, 4)) | {"status": {"phase": "Succeeded"}})
    bench.fs.world.exit("pause-1")
    bench.appear(3)
    until(lambda: not any(one.pool for one in bench.turn().pods), "who has ended owns nothing")


def test_a_pod_whose_cgroup_appears_before_the_watch_tells_of_it_is_asked_for(
    bench: Bench, server: LocalApiServer
) -> None:
    agent = bench.start()
    until(lambda: bench.turn() is not None and server.open_watches == 1, "the watch stands")
    server.store.late = True
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1)
    until(pinned(bench, 1), "the pod is pinned, though the watch told nothing")
    assert len(server.asked("list")) == 2
    assert server.asked("list")[1].query.keys() == {"fieldSelector", "limit"}, "of etcd, not of a cache"
    bench.appear(9)
    until(lambda: bench.turn() is not None and len(server.asked("list")) == 3, "somebody whom nobody knows")
    for _ in range(3):
        bench.turn()
    assert len(server.asked("list")) == 3, "is asked for once"
    assert all(one.healthy for one in agent.sources.health())


def test_a_turn_gives_way_to_a_pod_that_comes_amid_its_writes(
    bench: Bench, server: LocalApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = bench.start()
    server.put_pod(on_node(pod(1, 4, engine=3)))
    until(agent.sources.has_newcomers, "the watch tells of a pod")
    bench.appear(1)
    written, write = [], bench.fs.write

    def meet(path: CgroupPath, file: str, value: str) -> None:
        write(path, file, value)
        written.append(file)
        if len(written) == 1:
            server.put_pod(on_node(pod(2, 4)))
            until(agent.sources.has_newcomers, "the watch tells of another")

    monkeypatch.setattr(bench.fs, "write", meet)
    with capture_logs() as log:
        agent.reconcile()
        assert len(written) == 1, "the next turn decides on him before it goes on"
        bench.appear(2)
        assert pinned(bench, 1)()
        assert pinned(bench, 2)()
    assert bench.fs.world.effective(pod_path(1, QosClass.GUARANTEED)) == bench.status(1).pool
    assert {one["event"] for one in log}.isdisjoint({"cpuset.drifted", "cpuset.unmended"}), "what was left is no drift"
    assert not bench.turn().counters.repaired


def test_a_refusal_is_a_warning_in_the_kubelets_word(bench: Bench, server: LocalApiServer) -> None:
    server.put_pod(on_node(pod(1, 99)))
    bench.start()
    until(lambda: bool(bench.turn().pods) and bool(server.events), "an Event is told")
    (event,) = server.events.values()
    assert (event["reason"], event["type"]) == ("UnexpectedAdmissionError", "Warning")


def test_a_resize_is_told_by_an_event_of_its_own_and_back_again_in_the_series_of_the_first(
    bench: Bench, server: LocalApiServer
) -> None:
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1)
    bench.start()

    def owns(cpus: int) -> str:
        until(lambda: len(bench.status(1).pool) == cpus, f"the pod owns {cpus} CPUs")
        return f"owns CPUs {bench.status(1).pool} as"

    was = owns(4)
    until(lambda: len(server.events) == 1, "an Event is told")
    server.put_pod(on_node(pod(1, 6)))
    now = owns(6)
    until(lambda: len(server.events) == 2, "another fact is another Event")
    first, second = server.events.values()
    assert was in first["note"]
    assert now in second["note"]
    assert "series" not in first
    server.put_pod(on_node(pod(1, 4)))
    assert owns(4) == was
    until(lambda: any("series" in one for one in server.events.values()), "what is true again is told at once")
    assert [one.get("series", {}).get("count") for one in server.events.values()] == [2, None]


def test_a_restart_tells_nothing_anew(bench: Bench, server: LocalApiServer) -> None:
    """Of what is pinned not even a request is sent; of what is refused the Event is there already."""
    server.put_pod(on_node(pod(1, 4)))
    server.put_pod(on_node(pod(2, 99)))
    bench.appear(1)
    bench.start()
    until(pinned(bench, 1), "the pod is pinned")
    until(lambda: len(server.events) == 2, "each is told")
    told, requests = deepcopy(server.events), len(server.asked("events"))
    bench.now_s += 60
    bench.start()
    with capture_logs() as logs:
        until(pinned(bench, 1), "it is still pinned")
        until(lambda: bench.turn().events.sent == 1, "409 is as good as 201")
    assert server.events == told
    assert len(server.asked("events")) == requests + 1
    assert [one["log_level"] for one in logs if one.get("pod") == "test/p1" and one["event"] == "pool.stands"] == [
        "debug"
    ]


def test_a_refusal_that_comes_again_after_a_restart_is_counted_on_its_event(
    bench: Bench, server: LocalApiServer
) -> None:
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1)
    bench.start()
    until(pinned(bench, 1), "the pod is pinned")

    def resize(cpus: int, told: Callable[[], bool], what: str) -> None:
        server.put_pod(on_node(pod(1, cpus)))
        until(lambda: bench.turn() is not None and told(), what)

    def counts() -> dict[str, int | None]:
        return {one["reason"]: one.get("series", {}).get("count") for one in server.events.values()}

    resize(99, lambda: counts() == {"PoolPinned": None, "UnexpectedAdmissionError": None}, "the refusal is told")
    resize(4, lambda: counts()["PoolPinned"] == 2, "the pod has what it asks for again")
    bench.start()
    until(pinned(bench, 1), "the pod is still pinned")
    resize(99, lambda: counts()["UnexpectedAdmissionError"] == 2, "the same refusal, anew")
    assert counts() == {"PoolPinned": 2, "UnexpectedAdmissionError": 2}


def test_what_is_true_again_after_a_restart_is_the_newest_event_though_it_was_told_before(
    bench: Bench, server: LocalApiServer
) -> None:
    def newest() -> str:
        at = {
            one["note"]: one.get("series", {}).get("lastObservedTime") or one["eventTime"]
            for one in server.events.values()
        }
        return max(at, key=at.__getitem__, default="")

    def sized(cpus: int) -> None:
        bench.now_s += 10
        server.put_pod(on_node(pod(1, cpus)))

    sized(4)
    bench.appear(1)
    bench.start()
    until(lambda: bench.turn() is not None and "2-5" in newest(), "the pool")
    sized(6)
    until(lambda: bench.turn() is not None and "2-7" in newest(), "a larger one")
    bench.stop()
    sized(4)
    bench.start()
    until(lambda: bench.turn() is not None and "2-5" in newest(), "the first again")
    assert len(server.events) == 2


def test_a_trap_that_a_spec_fell_into_is_a_warning_once(bench: Bench, server: LocalApiServer) -> None:
    """Its author asked for a pool, and the pod is not Guaranteed."""
    trapped = on_node(pod(1, 4))
    trapped["spec"]["resources"]["requests"] = {"cpu": "3", "memory": "64Mi"}
    server.put_pod(trapped)
    bench.start()
    until(lambda: bool(bench.turn().pods) and bool(server.events), "an Event is told")
    (event,) = server.events.values()
    assert (event["reason"], event["type"]) == ("PodSpecTrap", "Warning")
    assert "cpu request 3 is not its limit 4" in event["note"]
    server.put_pod(on_node(pod(2, 4)))
    until(pinned(bench, 2), "the next pod is pinned")
    until(lambda: len(server.events) == 2, "an Event is told")
    assert sorted(one["reason"] for one in server.events.values()) == ["PodSpecTrap", "PoolPinned"]


def test_a_pod_that_asks_for_nothing_is_in_no_trap(bench: Bench, server: LocalApiServer) -> None:
    """A LimitRange gave it whole CPUs; nobody on this node manages it for that."""
    raw = on_node(pod(1, 4, engine=2))
    del raw["spec"]["resources"]
    raw["metadata"]["annotations"] = {"kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu for container engine"}
    server.put_pod(raw)
    server.put_pod(on_node(pod(2, 4)))
    bench.start()
    until(pinned(bench, 2), "the next pod is pinned")
    until(lambda: bool(server.events), "an Event is told")
    assert [one["reason"] for one in server.events.values()] == ["PoolPinned"]


def test_while_the_api_server_is_away_pins_stay_and_manifests_are_still_served(
    bench: Bench, server: LocalApiServer
) -> None:
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1)
    agent = bench.start()
    until(pinned(bench, 1), "the pod is pinned")
    pool = bench.status(1).pool
    server.stop()
    until(lambda: not all(one.healthy for one in agent.sources.health()), "the outage is noticed")
    bench.put(pod(2, 2))
    bench.appear(2)
    assert bench.status(2).pool
    assert bench.status(1).pool == pool


def test_before_the_first_list_nothing_that_the_ledger_holds_is_freed(bench: Bench, server: LocalApiServer) -> None:
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1, populated=False)
    bench.start()
    until(pinned(bench, 1), "the pod is pinned")
    pool = bench.status(1).pool
    server.stop()
    bench.start()
    assert bench.status(1).pool == pool
    assert bench.fs.world.effective(pod_path(1, QosClass.GUARANTEED)) == pool


def test_before_the_first_answer_no_container_is_taken_for_another(bench: Bench, server: LocalApiServer) -> None:
    """Without a bundle only the pod's status says which container is which."""
    path = container_path(pod_path(1, QosClass.GUARANTEED), 1, 1)
    raw = on_node(pod(1, 4, engine=3))
    server.put_pod({**raw, "status": {"containerStatuses": [{"name": "engine", "containerID": _runtimes_id(1, 1)}]}})
    bench.appear(1)
    assert bench.fs.world.mkdir(path) is None
    bench.start()
    until(lambda: bool(bench.turn()) and len(CpuSet.parse(bench.fs.read(path, "cpuset.cpus") or "")) == 3, "its slice")
    slice_ = bench.fs.read(path, "cpuset.cpus")
    server.fault(Slow(1.0), "list", times=2)
    agent, writes = bench.start(), bench.fs.count
    while agent.snapshot() is None:
        agent.reconcile()
        assert bench.fs.read(path, "cpuset.cpus") == slice_
    bench.turn()
    assert bench.fs.count == writes, "nothing was written"


def _runtimes_id(pod: int, number: int) -> str:
    return f"containerd://{container_id(pod, number)}"


TIMES = 200
"""How much faster time goes: ten minutes are three seconds."""


def test_an_api_server_that_is_gone_for_ten_minutes_and_comes_back_with_a_410_moves_and_misses_nobody(
    bench: Bench, server: LocalApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    quick = partial(
        ApiServerPods, timing=Timing(pause_factor=1 / TIMES), now=lambda: began + TIMES * (time.time() - began)
    )
    monkeypatch.setattr("pinfold.agent.sources.ApiServerPods", quick)
    for number in (1, 2):
        server.put_pod(on_node(pod(number, 4, engine=3)))
        bench.appear(number)
    with capture_logs() as logs:
        agent = bench.start()
        for number in (1, 2):
            until(pinned(bench, number), "the pod is pinned")
        stays, pool = pod_path(2, QosClass.GUARANTEED), bench.status(2).pool
        seen = {str(bench.fs.world.effective(stays))}

        def look(away_s: float) -> bool:
            """A turn; whether the API server has been away for so long."""
            bench.turn()
            seen.add(str(bench.fs.world.effective(stays)))
            health = next(one for one in agent.sources.health() if one.name == "api-server")
            gone_s = TIMES * (time.time() - began) + began - (health.last_event_at or 0)
            return not health.healthy and gone_s >= away_s

        server.stop()
        until(lambda: look(60), "a minute")
        bench.put(pod(3, 2))  # from a manifest
        bench.appear(3)
        server.delete_pod(uid(1))  # all this while nobody can hear of it
        bench.fs.world.exit("pause-1")
        server.put_pod(on_node(pod(4, 4)))
        bench.appear(4)
        server.forget_history()
        until(lambda: look(600), "ten minutes")
        assert {one.full_name for one in bench.turn().pods if one.pool} == {"test/p1", "test/p2", "test/p3"}
        listed = len(server.asked("list"))
        server.start()
        until(pinned(bench, 4), "the pod that came meanwhile is pinned")
    assert {one.full_name for one in bench.turn().pods if one.pool} == {"test/p2", "test/p3", "test/p4"}
    assert seen == {str(pool)}, "the pod that stayed was nowhere else"
    told = [one["event"] for one in logs if one["event"].startswith("apiserver.")]
    assert told == ["apiserver.lost", "apiserver.found"]
    assert [one for one in logs if one["log_level"] == "error"] == []
    assert len(server.asked("list")) == listed + 1, "the 410 is answered with a list"
