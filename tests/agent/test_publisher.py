"""The NodeResourceTopology of a node over HTTP, and who owns it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pinfold.agent.publisher import TopologyPublisher
from pinfold.cpuset import CpuSet
from pinfold.report.node_topology import COLLECTION, described
from pinfold.sources.client import ApiServer
from tests.agent.bench import Bench, pod
from tests.apiserver.server import LocalApiServer
from tests.apiserver.waiting import until
from tests.cpuset_model import KERNELS
from tests.report.samples import picture

PATH = f"{COLLECTION}/worker-1"


@pytest.fixture
def server() -> Iterator[LocalApiServer]:
    with LocalApiServer() as server:
        server.objects.collections.add(COLLECTION)
        yield server


@pytest.fixture
def publisher(server: LocalApiServer, tmp_path: Path) -> Iterator[TopologyPublisher]:
    client = ApiServer.from_kubeconfig(server.kubeconfig(tmp_path / "kubeconfig"))
    publisher = TopologyPublisher(client, "worker-1", pause_s=0.01, look_again_s=0.5)
    publisher.start()
    yield publisher
    publisher.close()
    client.close()


def test_what_is_available_is_what_no_pod_owns_and_no_system_reserves() -> None:
    """trading/match-engine has four CPUs and memory on node 0; CPUs 0 and 1 are reserved."""
    snapshot = picture()
    zones = {zone["name"]: zone for zone in described(snapshot)["zones"]}
    owned = CpuSet.union(one.owned for one in snapshot.pods)
    for node, cpus in snapshot.topology.node_cpus.items():
        resources = {one["name"]: one for one in zones[f"node-{node}"]["resources"]}
        assert resources["cpu"] == {
            "name": "cpu",
            "capacity": str(len(cpus)),
            "allocatable": str(len(cpus - snapshot.policy.reserved)),
            "available": str(len(cpus - snapshot.policy.reserved - owned)),
        }
        assert int(resources["memory"]["available"]) <= int(resources["memory"]["allocatable"])
    booked = [one for one in zones["node-0"]["resources"] if one["name"] == "memory"]
    assert int(booked[0]["available"]) < int(booked[0]["allocatable"])


def test_it_is_made_and_then_kept_as_the_node_is(server: LocalApiServer, publisher: TopologyPublisher) -> None:
    publisher.tell(picture())
    until(lambda: PATH in server.objects.by_path, "it is made")
    made = server.objects.by_path[PATH]
    assert made["zones"] == described(picture())["zones"]
    assert {one["name"]: one["value"] for one in made["attributes"]}["topologyManagerScope"] == "pod"
    emptied = replace(picture(), pods=(), generation=picture().generation + 1)
    publisher.tell(emptied)
    until(lambda: server.objects.by_path[PATH]["zones"] == described(emptied)["zones"], "it is as the emptied node")
    del server.objects.by_path[PATH]
    until(lambda: PATH in server.objects.by_path, "it is made again")
    assert publisher.fault == ""


def test_an_unchanged_node_is_not_written_again(server: LocalApiServer, publisher: TopologyPublisher) -> None:
    publisher.tell(picture())
    until(lambda: PATH in server.objects.by_path, "it is made")
    until(lambda: sum(one.path == PATH for one in server.requests) >= 3, "it was looked at twice since")
    assert [one.method for one in server.requests if one.method != "GET"] == ["POST"]


def test_another_managers_object_is_left_alone_and_that_is_told(
    server: LocalApiServer, publisher: TopologyPublisher
) -> None:
    theirs = {"metadata": {"name": "worker-1", "labels": {"app": "nfd"}}, "zones": []}
    server.objects.put(PATH, theirs)
    publisher.tell(picture())
    until(lambda: bool(publisher.fault), "the fault is told")
    assert "is another manager's" in publisher.fault
    assert server.objects.by_path[PATH]["zones"] == []
    assert {one.method for one in server.requests} == {"GET"}
    del server.objects.by_path[PATH]
    until(lambda: publisher.fault == "" and PATH in server.objects.by_path, "it is ours, and published")


def test_a_cluster_without_the_kind_is_told(server: LocalApiServer, publisher: TopologyPublisher) -> None:
    server.objects.collections.clear()
    publisher.tell(picture())
    until(lambda: "install its CRD" in publisher.fault, "the fault is told")


def test_the_loop_tells_of_what_it_did(server: LocalApiServer, tmp_path: Path) -> None:
    kubeconfig = str(server.kubeconfig(tmp_path / "kubeconfig"))
    bench = Bench.boot(KERNELS[-1], tmp_path, apiServer={"enabled": True, "kubeconfig": kubeconfig})
    report = replace(bench.config.report, node_resource_topology=True)
    bench.config = replace(bench.config, report=report)
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    agent = bench.start()
    until(lambda: agent.sources.synced, "the API server is heard")
    bench.turn()
    path = f"{COLLECTION}/node-1"
    until(lambda: path in server.objects.by_path, "it is published")
    cpus = [zone["resources"][0] for zone in server.objects.by_path[path]["zones"]]
    assert sum(int(one["allocatable"]) - int(one["available"]) for one in cpus) == 4
    bench.stop()
