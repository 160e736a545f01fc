"""``kubectl pinfold`` through a real kubectl, against the test API server; in its pods run the real commands."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.apiserver.server import LocalApiServer
from tests.cli.test_commands import ROOT
from tests.report.samples import picture

from pinfold.cli.kubectl import releasing
from pinfold.report.http import Endpoint
from pinfold.report.routes import Readings
from pinfold.report.snapshot import Snapshot

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here to be a plugin of")

DAEMONSET = "/apis/apps/v1/namespaces/pinfold-system/daemonsets/pinfold"


def pod(name: str, node: str, namespace: str = "pinfold-system", **labels: str) -> dict[str, Any]:
    uid = f"00000000-0000-4000-8000-{abs(hash((name, node))) % 10**12:012d}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "pinfold"}]},
        "status": {"phase": "Running"},
    }


def snapshot(node: str) -> Snapshot:
    return replace(picture(), node=node)


class Cluster:
    """Two nodes with Pinfold on them, each with its endpoint on a socket."""

    def __init__(self, server: LocalApiServer, tmp: Path) -> None:
        self.server, self.tmp = server, tmp
        self.endpoints: list[Endpoint] = []
        label = {"app.kubernetes.io/name": "pinfold"}
        for node in ("worker-1", "worker-2"):
            readings = Readings(lambda node=node: snapshot(node), dict, lambda: 0.0, 30.0)  # type: ignore[misc]
            endpoint = Endpoint(readings, unix_socket=str(tmp / f"pinfold-{node}"))
            endpoint.start()
            self.endpoints.append(endpoint)
            server.put_pod(pod(f"pinfold-{node}", node, **label))
        server.put_pod(pod("postgres", "worker-2", "db"))
        server.container = self.run

    def run(self, name: str, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        assert command[0] == "pinfold"
        environment = {"PYTHONPATH": str(ROOT / "daemon"), "PINFOLD_REPORT_SOCKET": str(self.tmp / name)}
        argv = [sys.executable, "-m", *command]
        return subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=120)

    def pinfold(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As the plugin that kubectl finds in PATH."""
        plugins = self.tmp / "bin"
        plugins.mkdir(exist_ok=True)
        plugin = plugins / "kubectl-pinfold"
        plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -m pinfold.cli.kubectl "$@"\n')
        plugin.chmod(0o755)
        kubeconfig = self.server.kubeconfig(self.tmp / "kubeconfig")
        environment = {
            "PATH": f"{plugins}:{os.environ['PATH']}",
            "HOME": str(self.tmp),
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(ROOT / "daemon"),
        }
        argv = ["kubectl", "pinfold", *arguments]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with LocalApiServer() as server:
        cluster = Cluster(server, tmp_path)
        yield cluster
        for endpoint in cluster.endpoints:
            endpoint.stop()


def test_all_nodes_are_asked_and_each_answer_has_its_name(cluster: Cluster) -> None:
    ended = cluster.pinfold("status", "--all-nodes")
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second = ended.stdout.split("== worker-2 ==\n")
    assert first.startswith("== worker-1 ==\nworker-1  enforcing")
    assert second.startswith("worker-2  enforcing")
    assert "trading/match-engine" in second
    as_json = json.loads(cluster.pinfold("status", "--all-nodes", "-o", "json").stdout)
    assert {node: answer["node"] for node, answer in as_json["nodes"].items()} == {
        "worker-1": "worker-1",
        "worker-2": "worker-2",
    }


def test_explain_finds_the_node_of_the_pod(cluster: Cluster) -> None:
    ended = cluster.pinfold("explain", "db/postgres")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("db/postgres  pinned, Guaranteed\n")
    (asked,) = [one.path for one in cluster.server.requests if one.path.endswith("/exec")]
    assert asked == "/api/v1/namespaces/pinfold-system/pods/pinfold-worker-2/exec"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["status"], "which node? Say --all-nodes, or --node with one of worker-1", id="no-node"),
        pytest.param(["status", "--node", "x"], "no pod of Pinfold runs on x. It runs on worker-1", id="other-node"),
        pytest.param(["status", "-n", "other", "--all-nodes"], "runs in namespace other. Name another", id="elsewhere"),
        pytest.param(["explain", "db/none"], "not found", id="no-such-pod"),
    ],
)
def test_what_cannot_be_asked_is_told(cluster: Cluster, arguments: list[str], told: str) -> None:
    ended = cluster.pinfold(*arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert told in ended.stderr


def test_a_node_that_fails_is_told_and_the_others_answer(cluster: Cluster) -> None:
    cluster.endpoints[0].stop()
    ended = cluster.pinfold("status", "--all-nodes")
    assert ended.returncode == 1
    assert "worker-2  enforcing" in ended.stdout
    assert "kubectl-pinfold: worker-1: " in ended.stderr
    assert "no daemon answers" in ended.stderr


def test_release_changes_the_daemonset_as_the_component_does(cluster: Cluster) -> None:
    """What the patch makes of a DaemonSet, kustomize shows in the tests of deploy/."""
    (daemonset,) = (
        one
        for one in yaml.safe_load_all((ROOT / "deploy/base/daemonset.yaml").read_text())
        if one["kind"] == "DaemonSet"
    )
    component = yaml.safe_load((ROOT / "deploy/components/release/kustomization.yaml").read_text())
    wanted = yaml.safe_load(component["patches"][0]["patch"])
    container = daemonset["spec"]["template"]["spec"]["containers"][0]
    assert releasing(container) == wanted
    cluster.server.objects.put(DAEMONSET, daemonset)
    ended = cluster.pinfold("release", "--all-nodes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert cluster.server.objects.patches == [(DAEMONSET, wanted)]
    assert "kubectl delete --namespace pinfold-system daemonset/pinfold" in ended.stdout


def test_release_of_a_single_node_is_wrong_usage(cluster: Cluster) -> None:
    ended = cluster.pinfold("release", "--node", "worker-1")
    assert ended.returncode == 2
    assert "say --all-nodes" in ended.stderr
