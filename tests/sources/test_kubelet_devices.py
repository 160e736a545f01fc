"""The device manager's checkpoint, as kubelets write it."""

import json
from pathlib import Path

import pytest

from pinfold.cpuset import NodeSet
from pinfold.pods.model import PodUid
from pinfold.sources.kubelet_devices import FILE, device_nodes

ENTRY = {"PodUID": "a", "ContainerName": "engine", "ResourceName": "example.com/nic", "AllocResp": "bGliLw=="}


def written(root: Path, text: str) -> Path:
    (root / FILE).parent.mkdir()
    (root / FILE).write_text(text)
    return root


@pytest.mark.parametrize(
    ("devices", "nodes"),
    [
        pytest.param([{"1": ["nic0"]}], [1], id="one"),
        pytest.param([{"0": ["nic0"], "1": ["nic1", "nic2"]}], [0, 1], id="on-two-nodes"),
        pytest.param([{"0": ["nic0"]}, {"1": ["nic1"]}], [0, 1], id="of-two-containers"),
        pytest.param([{"-1": ["nic0"]}], [], id="on-none"),
        pytest.param([["nic0"]], [], id="before-1.20"),
    ],
)
def test_the_devices_of_a_pod_are_on_their_nodes(tmp_path: Path, devices: list[object], nodes: list[int]) -> None:
    entries = [{**ENTRY, "DeviceIDs": one} for one in devices]
    written(tmp_path, json.dumps({"Data": {"PodDeviceEntries": entries, "RegisteredDevices": {}}, "Checksum": 7}))
    assert device_nodes(tmp_path) == {(PodUid("a"), "example.com/nic"): NodeSet.of(nodes)}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="torn"),
        pytest.param("[" * 100_000, id="too-deep"),
        pytest.param('{"Data": {"PodDeviceEntries": null}}', id="no-devices"),
        pytest.param('{"Data": {"PodDeviceEntries": [7]}}', id="a-number"),
        pytest.param('{"Data": {"PodDeviceEntries": [{"PodUID": []}]}}', id="no-uid"),
        pytest.param(json.dumps({"Data": {"PodDeviceEntries": [{**ENTRY, "DeviceIDs": {"x": []}}]}}), id="no-node"),
    ],
)
def test_what_cannot_be_read_tells_nothing(tmp_path: Path, text: str) -> None:
    assert device_nodes(written(tmp_path, text)) == {}


def test_a_node_without_device_plugins_has_no_such_file(tmp_path: Path) -> None:
    assert device_nodes(tmp_path) == {}
