"""The loop beside a kubelet that serves the Pods API: real gRPC, real threads, the model's kernel."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pinfold.agent import servers
from pinfold.agent.servers import SourceError
from pinfold.agent.sources import Sources
from pinfold.config import Config
from pinfold.config.keys import PodsApiSource
from pinfold.sources.pods_api import SOCKET
from tests.agent.bench import Bench, pod
from tests.apiserver.server import LocalApiServer
from tests.apiserver.waiting import until
from tests.cgroups.node import uid
from tests.cpuset_model import V6_12
from tests.sources.pods_server import LocalKubelet

Booting = Callable[..., Bench]


@pytest.fixture
def kubelet(short_tmp_path: Path) -> Iterator[LocalKubelet]:
    with LocalKubelet(short_tmp_path) as kubelet:
        yield kubelet


@pytest.fixture
def booting(tmp_path: Path, short_tmp_path: Path) -> Iterator[Booting]:
    made: list[Bench] = []

    def boot(**sources: Any) -> Bench:  # noqa: ANN401
        kubelet = {"rootDir": str(short_tmp_path)}
        made.append(Bench.boot(V6_12, tmp_path, kubelet=kubelet, **{"apiServer": {"enabled": False}} | sources))
        return made[-1]

    yield boot
    for one in made:
        one.stop()


def pool(bench: Bench, number: int) -> Callable[[], bool]:
    return lambda: any(one.uid == uid(number) and one.pool for one in bench.turn().pods)


def health(bench: Bench) -> dict[str, bool]:
    assert bench.agent
    return {one.name: one.healthy for one in bench.agent.sources.health()}


def test_where_its_socket_is_there_no_api_server_is_needed(kubelet: LocalKubelet, booting: Booting) -> None:
    bench = booting()
    kubelet.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    until(pool(bench, 1), "a pod that was there")
    bench.appear(2)
    kubelet.put(pod(2, 2))
    until(pool(bench, 2), "a pod that came")
    kubelet.delete(pod(1, 4))
    bench.fs.world.exit("pause-1")
    until(lambda: [one.uid for one in bench.turn().pods] == [uid(2)], "a pod that went")
    assert health(bench)["pods-api"]


def test_while_the_kubelet_is_away_pins_stay(kubelet: LocalKubelet, booting: Booting) -> None:
    bench = booting()
    kubelet.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    until(pool(bench, 1), "the pod")
    kubelet.leave()
    until(lambda: bench.turn() is not None and not health(bench)["pods-api"], "it is away")
    assert bench.status(1).pool
    kubelet.serve()
    until(lambda: bench.turn() is not None and health(bench)["pods-api"], "it is back")
    assert bench.status(1).pool


def test_while_the_api_server_is_away_new_pods_come_from_the_watch_and_their_ends_are_heard(
    kubelet: LocalKubelet, booting: Booting, tmp_path: Path
) -> None:
    with LocalApiServer() as server:
        kubeconfig = str(server.kubeconfig(tmp_path / "kubeconfig"))
        bench = booting(apiServer={"kubeconfig": kubeconfig})
        raw = pod(1, 4)
        raw["metadata"]["resourceVersion"] = "999999"  # what the kubelet knows is no older
        server.put_pod({**raw, "spec": {**raw["spec"], "nodeName": "node-1"}})
        kubelet.put(raw)
        bench.appear(1)
        bench.start()
        until(pool(bench, 1), "a pod that both know is one")
        assert len(bench.turn().pods) == 1
    until(lambda: bench.turn() is not None and not health(bench)["api-server"], "the API server is away")
    bench.appear(2)
    kubelet.put(pod(2, 2))
    until(pool(bench, 2), "a new pod")
    kubelet.put({**raw, "status": {"phase": "Succeeded"}})
    bench.fs.world.exit("pause-1")
    until(lambda: [one.uid for one in bench.turn().pods if one.pool] == [uid(2)], "one that has ended")


def test_a_turn_gives_way_to_a_pod_that_only_the_watch_tells_of(kubelet: LocalKubelet, booting: Booting) -> None:
    bench = booting()
    agent = bench.start()
    until(lambda: agent.sources.synced, "the watch stands")
    agent.sources.pods()
    assert not agent.sources.has_newcomers()
    kubelet.put(pod(1, 4))
    until(agent.sources.has_newcomers, "the pod is told")
    agent.sources.pods()
    assert not agent.sources.has_newcomers()


@pytest.mark.parametrize("enabled", [True, False, "auto"])
def test_where_there_is_no_socket_only_who_was_told_to_waits_for_it(
    booting: Booting, short_tmp_path: Path, enabled: bool | str
) -> None:
    config = with_manifests(booting(podsApi={"enabled": enabled}))
    sources = Sources(config)
    try:
        assert ("pods-api" in {one.name for one in sources.health()}) is (enabled is True)
        with LocalKubelet(short_tmp_path):
            if enabled is True:
                until(lambda: sources.synced, "the socket appeared")
    finally:
        sources.close()


@pytest.mark.parametrize("missing", ["h2", "google.protobuf", "google"])
def test_without_its_packages_it_is_passed_over_and_refused_where_it_was_asked_for(
    missing: str, kubelet: LocalKubelet, booting: Booting, short_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (short_tmp_path / SOCKET).is_socket()
    assert kubelet.watches == 0

    def found(name: str) -> object:
        if missing == "google" == name.partition(".")[0]:
            raise ModuleNotFoundError
        return None if name == missing else object()

    monkeypatch.setattr(servers, "find_spec", found)
    config = with_manifests(booting())
    sources = Sources(config)
    assert "pods-api" not in {one.name for one in sources.health()}
    sources.close()
    asked_for = replace(config.sources, pods_api=PodsApiSource(enabled=True))
    with pytest.raises(SourceError, match=r"pip install 'pinfold\[grpc\]'"):
        Sources(replace(config, sources=asked_for))


def with_manifests(bench: Bench) -> Config:
    assert bench.config.sources.manifests.path
    return bench.config
