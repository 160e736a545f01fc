"""A real Prometheus, run with the shipped scrape settings and rules."""

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

from pinfold.agent.daemon import metrics_port
from pinfold.config import load
from pinfold.report.http import Endpoint
from pinfold.report.routes import Readings
from pinfold.sources.client import ApiServer

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TOKEN = "of-prometheus"  # noqa: S105
needed = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus (Debian) is not installed")


@contextmanager
def shipped_port(readings: Readings, directory: Path) -> Iterator[str]:
    """The address of the port as the base ships it: TLS with a certificate of its own, and an API server asked."""
    with LocalApiServer() as server:
        server.users = {TOKEN: User("system:serviceaccount:monitoring:prometheus-k8s", frozenset({"/metrics"}))}
        kubeconfig = server.kubeconfig(directory / "kubeconfig")
        environment = {
            "NODE_NAME": "worker-1",
            "PINFOLD_REPORT_METRICS_LISTEN": "127.0.0.1:0",
            "PINFOLD_SOURCES_API_SERVER_KUBECONFIG": str(kubeconfig),
            "PINFOLD_STATE_DIR": str(directory / "state"),
        }
        config = load(DEPLOY / "base/config.yaml", environment)
        port = metrics_port(config, ApiServer.from_kubeconfig(kubeconfig))
        with Endpoint(readings, metrics=port) as endpoint:
            (address,) = endpoint.addresses
            yield address


def discovered(port: str) -> list[dict[str, Any]]:
    """What role pod gives for the DaemonSet's pod, each port a target: Debian's Prometheus knows no Kubernetes."""
    daemonset = yaml.safe_load((DEPLOY / "base/daemonset.yaml").read_text())
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
    """Running with the shipped settings and rules, each second, to scrape *address*; what it answers to a query."""
    settings = yaml.safe_load((DEPLOY / "monitoring/scrape.yaml").read_text())
    (job,) = settings["scrape_configs"]
    (directory / "token").write_text(token)
    job["authorization"]["credentials_file"] = str(directory / "token")
    (discovery,) = job.pop("kubernetes_sd_configs")
    assert discovery["role"] == "pod"
    job["static_configs"] = discovered(address.rpartition(":")[2])
    rules = yaml.safe_load((DEPLOY / "monitoring/prometheusrule.yaml").read_text())["spec"]
    for group in rules["groups"]:
        group.pop("interval", None)
    (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
    file = directory / "prometheus.yaml"
    times = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    file.write_text(yaml.safe_dump({"global": times, "rule_files": [str(directory / "rules.yaml")], **settings}))
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
