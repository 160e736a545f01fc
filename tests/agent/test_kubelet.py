"""The loop beside a kubelet that answers: real HTTPS, real threads, the model's kernel."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pinfold.cpuset import CpuSet
from pinfold.pods.model import PodUid, QosClass
from pinfold.report.snapshot import Mode
from tests.agent.bench import Bench, pod
from tests.agent.test_api_server import on_node, pinned
from tests.apiserver.certificates import server_context
from tests.apiserver.faults import Drop
from tests.apiserver.marks import needs_openssl
from tests.apiserver.server import LocalApiServer
from tests.apiserver.waiting import until
from tests.cgroups.node import pod_path
from tests.cpuset_model import V6_12

TOKEN = "of-the-node"  # noqa: S105
pytestmark = needs_openssl


@pytest.fixture
def server() -> Iterator[LocalApiServer]:
    with LocalApiServer(token=TOKEN) as running:
        yield running


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[LocalApiServer]:
    tls = server_context(tmp_path / "kubelet/pki", "node-1", "kubelet")
    with LocalApiServer(tls=tls, token=TOKEN) as running:
        running.configz = {"cpuManagerPolicy": "none", "reservedSystemCPUs": "0-3"}
        yield running


@pytest.fixture
def bench(tmp_path: Path, server: LocalApiServer, kubelet: LocalApiServer) -> Iterator[Bench]:
    made = Bench.boot(
        V6_12,
        tmp_path,
        apiServer={"kubeconfig": str(server.kubeconfig(tmp_path / "kubeconfig"))},
        kubelet={
            "enabled": True,
            "address": kubelet.url.removeprefix("https://"),
            "rootDir": str(tmp_path / "kubelet"),
        },
    )
    yield made
    made.stop()


def begin(bench: Bench) -> None:
    agent = bench.start()
    until(lambda: agent.sources.ready and agent.sources.synced, "both are heard")
    bench.turn()


def test_a_pod_that_the_watch_has_not_told_yet_is_asked_for_when_its_cgroup_appears(
    bench: Bench, kubelet: LocalApiServer
) -> None:
    begin(bench)
    kubelet.store.put(on_node(pod(1, 4)))
    bench.appear(1)
    until(pinned(bench, 1), "the pod is pinned, an hour before the kubelet is asked again")


def test_a_pod_that_is_too_large_is_told_once_and_the_others_are_pinned(
    bench: Bench, server: LocalApiServer, kubelet: LocalApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinfold.sources.json_stream.MAX_VALUE_BYTES", 1 << 20)
    large = on_node(pod(2, 4)) | {"status": {"message": "<" * 200_000}}
    for where in (server.store, kubelet.store):
        where.put(on_node(pod(1, 4)))
        where.put(large)
    bench.appear(1)
    begin(bench)
    until(pinned(bench, 1), "the pod is pinned")
    assert bench.agent is not None
    (fault,) = bench.agent.sources.pods()[1]
    assert "longer than" in fault.message


def test_while_the_api_server_is_away_new_pods_come_from_the_kubelet_and_ended_ones_end(
    bench: Bench, server: LocalApiServer, kubelet: LocalApiServer
) -> None:
    for where in (server.store, kubelet.store):
        where.put(on_node(pod(1, 4)))
    bench.appear(1)
    begin(bench)
    pool = bench.status(1).pool
    server.stop()
    until(lambda: not all(one.healthy for one in bench.turn().sources), "the outage is noticed")
    kubelet.store.put(on_node(pod(2, 2)))
    bench.appear(2)
    until(pinned(bench, 2), "the new pod is pinned")
    assert bench.status(1).pool == pool
    kubelet.store.put(on_node(pod(1, 4)) | {"status": {"phase": "Succeeded"}})
    bench.fs.world.exit("pause-1")
    bench.appear(3)
    until(lambda: not any(one.pool == pool for one in bench.turn().pods), "who has ended owns nothing")


def test_the_api_servers_word_on_an_end_is_not_undone_by_a_kubelet_that_lags(
    bench: Bench, server: LocalApiServer, kubelet: LocalApiServer
) -> None:
    for where in (server.store, kubelet.store):
        where.put(on_node(pod(1, 4)))
    begin(bench)
    until(pinned(bench, 1), "the pod is pinned")
    server.delete_pod(pod(1, 4)["metadata"]["uid"])
    until(lambda: not bench.turn().pods, "the pod is gone")


def test_the_kubelets_reserved_cpus_are_taken_over(bench: Bench) -> None:
    begin(bench)
    snapshot = bench.turn()
    assert str(snapshot.policy.reserved) == "0-3"
    assert not snapshot.warnings


def test_a_kubelet_that_starts_after_pinfold_has_its_reserved_cpus_taken_over_and_later_ones_told(
    bench: Bench, kubelet: LocalApiServer
) -> None:
    """As at every boot."""
    kubelet.fault(Drop(), "list", times=1)
    begin(bench)
    assert str(bench.turn().policy.reserved) == "0-1"
    assert bench.agent
    assert bench.agent.sources._kubelet
    bench.agent.sources._kubelet.ask()
    until(lambda: str(bench.turn().policy.reserved) == "0-3", "its first answer")
    kubelet.configz["reservedSystemCPUs"] = "0-5"
    bench.agent.sources._kubelet.ask()
    told = "reservedSystemCPUs: the kubelet has 0-5, Pinfold 0-3. Give both the same."
    until(lambda: told in bench.turn().warnings, "a later one is told")
    assert str(bench.turn().policy.reserved) == "0-3"


def test_where_the_two_are_configured_otherwise_it_is_told(bench: Bench, kubelet: LocalApiServer) -> None:
    bench.config = replace(bench.config, reserved_system_cpus=CpuSet.parse("0-1"))
    kubelet.configz |= {"topologyManagerPolicy": "restricted", "topologyManagerScope": "container"}
    begin(bench)
    assert [one.partition(":")[0] for one in bench.turn().warnings] == [
        "reservedSystemCPUs",
        "topologyManagerPolicy",
        "topologyManagerScope",
    ]


def test_a_static_kubelet_that_will_not_start_again_is_told_in_time(
    bench: Bench, kubelet: LocalApiServer, tmp_path: Path
) -> None:
    """A CPU went offline since: it is in its state, and the machine has it no more."""
    kubelet.configz |= {"cpuManagerPolicy": "static", "cpuManagerPolicyOptions": {"strict-cpu-reservation": "false"}}
    state = tmp_path / "kubelet/cpu_manager_state"
    state.write_text('{"policyName": "static", "defaultCpuSet": "0-15", "checksum": 1}')
    begin(bench)
    assert bench.turn().warnings == ()
    state.write_text('{"policyName": "static", "defaultCpuSet": "0-16", "checksum": 1}')
    (told,) = bench.turn().warnings
    assert "will not start again" in told
    assert "0-16" in told


def test_a_kubelet_that_becomes_static_is_left_alone_and_one_that_becomes_none_is_relieved(
    bench: Bench, server: LocalApiServer, kubelet: LocalApiServer
) -> None:
    server.put_pod(on_node(pod(1, 4)))
    bench.appear(1)
    begin(bench)
    until(pinned(bench, 1), "the pod is pinned")
    path = pod_path(1, QosClass.GUARANTEED)
    for policy, mode in (("static", Mode.OBSERVING), ("none", Mode.ENFORCING)):
        kubelet.configz["cpuManagerPolicy"] = policy
        assert bench.agent
        bench.agent.sources.seen({PodUid(policy)}, set())
        until(lambda mode=mode: bench.turn().mode is mode, f"the kubelet says {policy}")  # type: ignore[misc]
        assert bench.turn().mode_reason == f'the kubelet\'s CPU manager policy is "{policy}" (configz)'
        owned = str(bench.fs.world.effective(path)) == "4-7"
        assert owned is (policy == "none")
