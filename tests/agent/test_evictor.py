"""Evictions over real HTTP, by the loop and by themselves."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pinfold.agent.evicting import PATIENCE_S
from pinfold.planning.policy import OnUnsatisfied
from pinfold.report.snapshot import Snapshot
from tests.agent.bench import Bench, pod
from tests.agent.test_api_server import on_node, pinned
from tests.apiserver import Drop, LocalApiServer, Refuse
from tests.apiserver.waiting import until
from tests.cgroups.node import uid
from tests.cpuset_model import V6_12


@pytest.fixture
def server() -> Iterator[LocalApiServer]:
    with LocalApiServer() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, server: LocalApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("pinfold.agent.evictor.LOOK_S", 0.01)
    made = Bench.boot(V6_12, tmp_path, apiServer={"kubeconfig": str(server.kubeconfig(tmp_path / "kubeconfig"))})
    made.config = replace(made.config, on_unsatisfied=OnUnsatisfied.EVICT)
    yield made
    made.stop()


def controlled(number: int, cpus: int, started_at: str = "2026-11-24T12:00:00Z") -> dict[str, Any]:
    raw = on_node(pod(number, cpus))
    owner = {"kind": "ReplicaSet", "name": f"r{number}", "controller": True}
    raw["metadata"] |= {"ownerReferences": [owner]}
    return raw | {"status": {"startTime": started_at}}


def wait(bench: Bench, seconds: float = PATIENCE_S) -> None:
    """Turns, until the thread that evicts has heard of it."""
    bench.turn()
    until(lambda: bench.agent is not None and bench.agent._outbox.evictor is not None, "there is somebody to evict")
    evictor = bench.agent._outbox.evictor if bench.agent else None
    assert evictor
    until(lambda: bool(evictor._restraint.since), "it was heard")
    bench.now_s += seconds


def test_a_pod_that_is_refused_is_evicted_and_who_has_its_pool_stays(bench: Bench, server: LocalApiServer) -> None:
    server.put_pod(controlled(1, 4))
    bench.start()
    until(pinned(bench, 1), "the pod is pinned")
    server.put_pod(controlled(2, 14))
    until(lambda: len(bench.turn().pods) == 2, "the second is known")
    with capture_logs() as logs:
        wait(bench)
        until(lambda: uid(2) not in server.store.pods, "it is evicted")
        until(lambda: bench.turn().evictions.evicted == 1, "that is counted")
    assert uid(1) in server.store.pods
    assert [one["reason"] for one in logs if one["event"] == "pod.evicted"] == ["UnexpectedAdmissionError"]
    (asked,) = server.asked("evictions")
    assert asked.body["deleteOptions"] == {"preconditions": {"uid": uid(2)}}


def test_what_was_there_before_pinfold_and_what_shares_is_never_asked_for(bench: Bench, server: LocalApiServer) -> None:
    server.put_pod(controlled(1, 99, started_at="1970-01-01T00:00:01Z"))
    sharing = controlled(2, 99)
    sharing["metadata"]["annotations"] = {"pinfold.dev/on-unsatisfied": "share"}
    server.put_pod(sharing)
    bench.start()
    until(lambda: len(bench.turn().pods) == 2, "both are known")
    bench.now_s += PATIENCE_S
    bench.turn()
    assert bench.agent
    assert bench.agent._outbox.evictor is None
    assert not server.asked("evictions")


def test_a_disruption_budget_is_honoured_until_it_allows(bench: Bench, server: LocalApiServer) -> None:
    server.protected.add("p1")
    server.put_pod(controlled(1, 99))
    bench.start()
    until(lambda: bool(bench.turn().pods), "it is known")
    wait(bench)
    until(lambda: bench.turn().evictions.held_back == 1, "the budget said no")
    assert uid(1) in server.store.pods
    server.protected.clear()
    assert len(server.asked("evictions")) == 1, "it waits"
    bench.now_s += 31
    until(lambda: uid(1) not in server.store.pods, "the budget allows it now")


def _later(bench: Bench) -> Snapshot:
    """Patience begins when the missing answer is noticed, whenever that is."""
    bench.now_s += 31
    return bench.turn()


def test_without_the_right_to_it_is_told_once_and_with_no_answer_tried_again(
    bench: Bench, server: LocalApiServer
) -> None:
    server.fault(Refuse(403, message="pods/eviction is forbidden"), "evictions")
    server.fault(Drop(), "evictions")
    for number in (1, 2):
        server.put_pod(controlled(number, 99))
    bench.start()
    until(lambda: len(bench.turn().pods) == 2, "both are known")
    with capture_logs() as logs:
        wait(bench)
        until(lambda: len(server.asked("evictions")) == 2, "both were tried")
        assert {uid(1), uid(2)} <= server.store.pods.keys()
        until(lambda: _later(bench).evictions.evicted == 1, "the one without an answer is tried again")
        bench.now_s += 600
        until(lambda: bench.turn().evictions.evicted == 2, "the other one much later")
    assert [one["remedy"] for one in logs if one["event"] == "eviction.refused"] == ["apply deploy/overlays/evict"]
