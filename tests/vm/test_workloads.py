"""The pods of the demo are what a user would write, and Pinfold and the played kubelet read them alike."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pinfold.pods.model import InvalidPod
from pinfold.pods.reader import read_pod
from tests.vm.node import rules

MANIFESTS = sorted(Path(__file__).with_name("workloads").glob("*.yaml"))


def _resources(requests: dict[str, str], limits: dict[str, str]) -> dict[str, Any]:
    return {"requests": requests, "limits": limits}


FULL = _resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"})
MORE = _resources({"cpu": "2", "memory": "2Gi"}, {"cpu": "3", "memory": "2Gi"})
HALF = _resources({"cpu": "500m"}, {})


def _pod(containers: list[dict[str, Any]], resources: dict[str, Any] | None = None) -> dict[str, Any]:
    named = [{"name": f"c{n}", "image": "i", "resources": each} for n, each in enumerate(containers)]
    spec = {"containers": named} | ({"resources": resources} if resources else {})
    uid = "0b1c4f6d-52f5-4d0e-9a6f-6a0f3f3e2a11"
    return {"metadata": {"name": "p", "namespace": "n", "uid": uid}, "kind": "Pod", "apiVersion": "v1", "spec": spec}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_is_what_the_api_server_takes(manifest: Path) -> None:
    kubernetes_validate.validate(yaml.safe_load(manifest.read_text()), "1.37", strict=True)


@pytest.mark.parametrize(
    ("pod", "qos"),
    [
        pytest.param(_pod([FULL]), "Guaranteed", id="every-container-is"),
        pytest.param(_pod([FULL, {}]), "Burstable", id="one-container-asks-for-nothing"),
        pytest.param(_pod([{}, {}]), "BestEffort", id="nobody-asks"),
        pytest.param(_pod([HALF, {}], FULL), "Guaranteed", id="the-pod-level-counts-alone"),
        pytest.param(_pod([FULL], MORE), "Burstable", id="the-pod-level-counts-alone-downwards-too"),
        pytest.param(_pod([{"limits": {"cpu": "2", "memory": "1Gi"}}]), "Guaranteed", id="a-limit-is-its-own-request"),
        pytest.param(_pod([_resources({"cpu": "0"}, {})]), "BestEffort", id="zero-is-nothing"),
        *(pytest.param(yaml.safe_load(path.read_text()), None, id=path.stem) for path in MANIFESTS),
    ],
)
def test_the_played_kubelet_and_pinfold_agree_on_the_qos_class(pod: dict[str, Any], qos: str | None) -> None:
    read = read_pod(pod, "test")
    assert not isinstance(read, InvalidPod), read
    assert rules.qos_class(pod) == read.qos.value
    assert qos in {None, read.qos.value}


@pytest.mark.parametrize(
    ("cpus", "weight"),
    [
        pytest.param(0, 1, id="shares-2-the-least"),
        pytest.param(1, 39, id="shares-1024"),
        pytest.param(256, 10000, id="shares-262144-the-most"),
    ],
)
def test_a_weight_follows_from_the_request_as_kep_2254_has_it(cpus: float, weight: int) -> None:
    assert rules.Limits(rules.shares(cpus)).cpu_weight == weight
