"""On which NUMA nodes the devices are that the kubelet has given its pods.

From the device manager's own checkpoint, which it writes when it admits a pod, before the pod's cgroup is made. The
PodResources API tells the same over gRPC, at the price of 25 MiB. Source: ``cm/devicemanager/checkpoint``, 1.20 and
later; before, no node is told.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pinfold.cpuset import NodeSet
from pinfold.pods.model import PodUid

FILE: Final = "device-plugins/kubelet_internal_checkpoint"
MAX_BYTES: Final = 16 << 20
_MOST_NODES: Final = 1 << 10


def device_nodes(root: Path) -> Mapping[tuple[PodUid, str], NodeSet]:
    """Pod and resource name → the nodes of the devices that it has, empty where they are on none.

    *root*: the kubelet's directory. What cannot be read there tells nothing.
    """
    try:
        with (root / FILE).open("rb") as file:
            entries = json.loads(file.read(MAX_BYTES))["Data"]["PodDeviceEntries"]
        found: dict[tuple[PodUid, str], NodeSet] = {}
        for entry in entries or ():
            key = PodUid(entry["PodUID"]), entry["ResourceName"]
            found[key] = found.get(key, NodeSet()) | _nodes(entry["DeviceIDs"])
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _nodes(devices: Any) -> NodeSet:  # noqa: ANN401 JSON
    """By node, as text; -1 for a device that is on none."""
    nodes = [int(node) for node in devices] if isinstance(devices, Mapping) else []
    return NodeSet.of(node for node in nodes if 0 <= node < _MOST_NODES)
