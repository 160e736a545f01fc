"""What the doors are meant for, as it is elsewhere in this checkout: where fuzzing begins."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import World, plan
from pinfold.pods.model import Pod
from pinfold.pods.reader import read_pod
from pinfold.state import Checkpoint, _data
from tests.machines import W80
from tests.sources import pods_server, specimens

from .targets import POLICY, _machine

CHECKOUT = Path(__file__).resolve().parents[2]
CPU_LISTS = ("", "0", "0-3,8\n", "0-1023", "00000000,0000000f", "7-3", "1,1,1-2", " 5 ", "0-\n", "99999999999")


def _pods() -> list[dict[str, Any]]:
    files = sorted((CHECKOUT / "tests/vm/workloads").glob("*.yaml"))
    of_workloads = [one for file in files for one in yaml.safe_load_all(file.read_text())]
    return [*of_workloads, *(specimens.pod(number) for number in range(2))]


def _cpu_lists() -> list[bytes]:
    return [text.encode() for text in CPU_LISTS]


def _pod_jsons() -> list[bytes]:
    return [json.dumps(one).encode() for one in _pods()]


def _pod_protobufs() -> list[bytes]:
    return [pods_server.event(place % 5, pods_server.encoded(one)) for place, one in enumerate(_pods())]


def _watch_streams() -> list[bytes]:
    pods = [{**one, "metadata": {**one["metadata"], "resourceVersion": "7"}} for one in _pods()]
    lines: list[object] = [{"type": "MODIFIED", "object": one} for one in pods]
    lines.append({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}})
    lines.append({"type": "ERROR", "object": {"kind": "Status", "code": 410, "details": {"retryAfterSeconds": 1}}})
    lines.append({"kind": "PodList", "metadata": {"resourceVersion": "8", "continue": "on"}, "items": pods[:2]})
    return [b"\x10" + json.dumps(one).encode() for one in lines]


def _checkpoints() -> list[bytes]:
    read = [read_pod(one, "here") for one in _pods()]
    ledger = plan(World(W80, POLICY, tuple(one for one in read if isinstance(one, Pod))), Ledger()).ledger
    found = {"kubepods.slice": {"cpuset.cpus.exclusive": "\n2-5"}, "system.slice": {"cpuset.cpus": "0-3\n0-1"}}
    whole = Checkpoint(ledger, found, {"7:99": ("0-3", "0-1")}, {"24": ("f", "3")}, 7, frozenset({("a.slice", "X")}))
    return [json.dumps(_data(one, "boot")).encode() for one in (whole, Checkpoint())]


def _configurations() -> list[bytes]:
    files = [CHECKOUT / "deploy/base/config.yaml", *sorted((CHECKOUT / "deploy/overlays").rglob("config*.yaml"))]
    return [file.read_bytes() for file in files]


def _sysfs() -> list[bytes]:
    _, files = _machine()
    return [bytes([place]) + file.read_bytes() for place, file in enumerate(files)]


SEEDS: Mapping[str, Callable[[], list[bytes]]] = {
    "cpu_list": _cpu_lists,
    "pod_json": _pod_jsons,
    "pod_protobuf": _pod_protobufs,
    "watch_stream": _watch_streams,
    "checkpoint": _checkpoints,
    "configuration": _configurations,
    "sysfs": _sysfs,
}
