import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.specimens import SECRET, pod

from pinfold.pods.model import InvalidPod, Pod
from pinfold.pods.reader import read_pod, read_pods
from pinfold.sources.picture import trimmed

RESIZED = pod(1, cpu="4")
RESIZED["status"] |= {
    "conditions": [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}],
    "allocatedResources": {"cpu": "2", "memory": "2Gi"},
    "resources": {"requests": {"cpu": "2"}},
}
STATIC = pod(2)
STATIC["metadata"]["annotations"] |= dict.fromkeys(
    ("kubernetes.io/config.hash", "kubernetes.io/config.mirror"), "0" * 32
)
DELETING = pod(3)
DELETING["metadata"]["deletionTimestamp"] = "2026-11-02T09:00:00Z"
FROM_AN_ARTICLE = pod(4)
FROM_AN_ARTICLE["spec"] |= {"resources": {"cpu": "2", "memory": "2Gi"}, "managedResources": ["cpu"]}
LIMIT_RANGED = pod(5)
LIMIT_RANGED["metadata"]["annotations"] |= {
    "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container engine"
}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(pod(0), id="running"),
        pytest.param(RESIZED, id="resize-pending"),
        pytest.param(STATIC, id="mirror-of-a-static-pod"),
        pytest.param(DELETING, id="in-its-grace-period"),
        pytest.param(FROM_AN_ARTICLE, id="fields-the-api-does-not-have"),
        pytest.param(LIMIT_RANGED, id="defaults-from-a-limit-range"),
    ],
)
def test_nothing_that_the_reader_reads_is_cut_off(raw: dict[str, Any]) -> None:
    whole = read_pod(raw, "api")
    assert isinstance(whole, Pod) or raw is FROM_AN_ARTICLE
    assert read_pod(trimmed(raw), "api") == whole


def test_of_two_pictures_of_a_pod_the_newer_is_still_known() -> None:
    old, new = pod(1), pod(1, cpu="4")
    new["metadata"]["resourceVersion"] = "8"
    for several in ([old, new], [new, old]):
        (read,), _ = read_pods((str(at), trimmed(raw)) for at, raw in enumerate(several))
        assert read.resources is not None
        assert read.resources.requests["cpu"] == 4000


def test_no_environment_command_volume_or_applied_configuration_stays() -> None:
    raw = pod(0)
    assert SECRET in json.dumps(raw)
    assert SECRET not in json.dumps(trimmed(raw))
    assert "managedFields" not in json.dumps(trimmed(raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "metadata",
    "spec",
    "status",
    "containers",
    "resources",
    "annotations",
    "ownerReferences",
    "containerStatuses",
)


def _shaped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4) | st.lists(inner, max_size=2)


@given(st.dictionaries(st.sampled_from(FIELDS), st.recursive(JSON, _shaped, max_leaves=10)))
def test_an_object_of_any_shape_is_cut_and_cutting_again_changes_nothing(raw: Mapping[str, Any]) -> None:
    once = trimmed(raw)
    assert trimmed(once) == once
    assert isinstance(read_pod(once, "api"), Pod | InvalidPod)
