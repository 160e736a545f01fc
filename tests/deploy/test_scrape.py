"""A real Prometheus scrapes the authenticated port with the shipped settings."""

import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.apiserver import LocalApiServer
from tests.apiserver.reviews import User
from tests.apiserver.waiting import until
from tests.report.samples import picture

from pinfold.agent.daemon import metrics_port
from pinfold.config import load
from pinfold.report.http import Endpoint
from pinfold.report.routes import Readings
from pinfold.sources.client import ApiServer

ROOT = Path(__file__).resolve().parents[2]
READINGS = Readings(snapshot=picture, config=dict, heartbeat_age_seconds=lambda: 0.0, stale_after_seconds=30.0)
TOKEN = "of-prometheus"  # noqa: S105

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus (Debian) is not installed")


@pytest.fixture
def server() -> Iterator[LocalApiServer]:
    with LocalApiServer() as running:
        running.users = {TOKEN: User("system:serviceaccount:monitoring:prometheus-k8s", frozenset({"/metrics"}))}
        yield running


@pytest.fixture
def endpoint(server: LocalApiServer, tmp_path: Path) -> Iterator[Endpoint]:
    """The port as the base ships it: TLS with a certificate of its own, and the API server asked."""
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    environment = {
        "NODE_NAME": "worker-1",
        "PINFOLD_REPORT_METRICS_LISTEN": "127.0.0.1:0",
        "PINFOLD_SOURCES_API_SERVER_KUBECONFIG": str(kubeconfig),
        "PINFOLD_STATE_DIR": str(tmp_path / "state"),
    }
    config = load(ROOT / "deploy/base/config.yaml", environment)
    with Endpoint(READINGS, metrics=metrics_port(config, ApiServer.from_kubeconfig(kubeconfig))) as started:
        yield started


def discovered(port: str) -> list[dict[str, Any]]:
    """What role pod gives for the DaemonSet's pod, each port a target: Debian's Prometheus knows no Kubernetes."""
    daemonset = yaml.safe_load((ROOT / "deploy/base/daemonset.yaml").read_text())
    (container,) = daemonset["spec"]["template"]["spec"]["containers"]
    meta = "__meta_kubernetes_pod_"
    return [
        {
            "targets": [f"127.0.0.1:{port if one['name'] == 'metrics' else one['containerPort']}"],
            "labels": {f"{meta}node_name": "worker-1", f"{meta}container_port_name": one["name"]},
        }
        for one in container["ports"]
    ]


@contextmanager
def prometheus(address: str, directory: Path, token: str) -> Iterator[Callable[[str], list[Any]]]:
    """Running with the shipped settings, to scrape *address*; what it answers to a query."""
    settings = yaml.safe_load((ROOT / "deploy/monitoring/scrape.yaml").read_text())
    (job,) = settings["scrape_configs"]
    (directory / "token").write_text(token)
    job["authorization"]["credentials_file"] = str(directory / "token")
    (discovery,) = job.pop("kubernetes_sd_configs")
    assert discovery["role"] == "pod"
    job["static_configs"] = discovered(address.rpartition(":")[2])
    file = directory / "prometheus.yaml"
    file.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, **settings}))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        own = f"127.0.0.1:{probe.getsockname()[1]}"
    log = (directory / "log").open("w")
    run = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address={own}",
        ],
        stdout=log,
        stderr=log,
    )

    def query(text: str) -> list[Any]:
        try:
            url = f"http://{own}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                found: list[Any] = json.load(answer)["data"]["result"]
                return found
        except OSError:
            return []

    try:
        yield query
    finally:
        run.kill()
        run.wait()
        log.close()


def test_prometheus_scrapes_the_authenticated_port_with_the_shipped_settings(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    (address,) = endpoint.addresses
    with prometheus(address, tmp_path, TOKEN) as query:
        until(lambda: bool(query('pinfold_pod_pool_cpus{pod="postgres"}')), "a sample is there")
        (up,) = query('up{job="pinfold"}')
        assert up["value"][1] == "1"
        assert up["metric"] == {"__name__": "up", "job": "pinfold", "instance": address, "node": "worker-1"}
        (sample,) = query('pinfold_pod_pool_cpus{pod="postgres"}')
        assert sample["value"][1] == "4"
        assert sample["metric"]["namespace"] == "db"  # not the scraped pod's


def test_whom_the_api_server_does_not_let_prometheus_shows_as_down(endpoint: Endpoint, tmp_path: Path) -> None:
    (address,) = endpoint.addresses
    with prometheus(address, tmp_path, "forged") as query:
        until(lambda: bool(query('up{job="pinfold"} == 0')), "the target is down")
        assert query("pinfold_build_info") == []
