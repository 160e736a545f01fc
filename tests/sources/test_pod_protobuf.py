"""Pods as the API's own types write them: `golden/main.go` made `golden/golden.json`, with k8s.io/api of 1.37."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.sources.pods_server import ADDED, DELETED, event
from tests.sources.specimens import SECRET

from pinfold.pods.model import Pod, PodUid, QosClass
from pinfold.pods.reader import read_pod
from pinfold.sources.answers import Change
from pinfold.sources.pod_protobuf import watch_event

GOLDEN = json.loads((Path(__file__).parent / "golden/golden.json").read_text())


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["pod"]["metadata"]["name"])
def test_a_pod_is_the_same_by_json_and_by_protobuf(golden: dict[str, Any]) -> None:
    data = base64.b64decode(golden["protobuf"])
    told = watch_event(event(ADDED, data))
    assert told is not None
    assert (told.change, told.uid) == (Change.ADDED, golden["pod"]["metadata"]["uid"])
    assert told.version == golden["pod"]["metadata"].get("resourceVersion", "")
    pod = read_pod(told.pod, "here")
    assert isinstance(pod, Pod)
    assert pod == read_pod(golden["pod"], "here")
    assert SECRET not in json.dumps(told.pod)


def test_all_that_pinfold_reads_of_a_pod_is_in_one_of_them() -> None:
    """What no pod has would be the same in both by having nothing."""
    pods = [pod for golden in GOLDEN if isinstance(pod := read_pod(golden["pod"], "here"), Pod)]
    nothing = Pod(PodUid(""), "", "", QosClass.BEST_EFFORT, ())
    seen = {name for pod in pods for name in Pod.__dataclass_fields__ if getattr(pod, name) != getattr(nothing, name)}
    assert Pod.__dataclass_fields__.keys() - seen <= {"uid", "resources_from_annotations"}


def test_the_time_of_a_deletion_is_text() -> None:
    golden = next(one for one in GOLDEN if one["pod"]["metadata"]["name"] == "all")
    told = watch_event(event(DELETED, base64.b64decode(golden["protobuf"])))
    assert told is not None
    assert told.change is Change.DELETED
    assert told.pod["metadata"]["deletionTimestamp"] == "2026-11-02T09:00:30Z"
