"""What a pod's author is told about a spec that does not do what it seems to."""

from typing import Any

import pytest

from pinfold.pods.model import Pod
from pinfold.pods.reader import read_pod

UID = "0f0c8a1e-5b1d-4c6e-9a57-1d1f6e3b2a10"
EQUAL = {"requests": {"cpu": "3", "memory": "6Gi"}, "limits": {"cpu": "3", "memory": "6Gi"}}


def notes(spec: dict[str, Any], **annotations: str) -> tuple[str, ...]:
    raw = {"metadata": {"name": "a", "uid": UID, "annotations": annotations}, "spec": spec}
    pod = read_pod(raw, "test")
    assert isinstance(pod, Pod), pod
    return pod.notes


def test_trap_1_limits_alone_and_a_container_that_asks() -> None:  # 2.1
    pod_level = {"limits": {"cpu": "4", "memory": "8Gi"}}
    (note,) = notes({"containers": [{"name": "engine", "resources": EQUAL}], "resources": pod_level})
    assert "Burstable, not Guaranteed" in note
    assert "its cpu request 3 is not its limit 4 and its memory request 6Gi is not its limit 8Gi" in note
    assert "write requests and limits" in note


@pytest.mark.parametrize(
    ("pod_level", "why"),
    [
        pytest.param({"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}, "it has no memory", id="no-memory"),
        pytest.param(
            {"requests": {"cpu": "3", "memory": "1Gi"}, "limits": {"cpu": "3"}}, "no memory limit", id="no-limit"
        ),
        pytest.param(
            {"requests": {"cpu": "3", "memory": "0"}, "limits": {"cpu": "3", "memory": "1Gi"}},
            "no memory request",
            id="a-request-of-zero",
        ),
    ],
)
def test_what_is_missing_at_pod_level_is_named(pod_level: dict[str, Any], why: str) -> None:
    (note,) = notes({"containers": [{"name": "a"}], "resources": pod_level})
    assert why in note


def test_the_api_servers_word_on_the_class_is_the_last() -> None:
    raw = {
        "metadata": {"name": "a", "uid": UID},
        "spec": {"containers": [{"name": "a"}], "resources": EQUAL},
        "status": {"qosClass": "Burstable"},
    }
    pod = read_pod(raw, "test")
    assert isinstance(pod, Pod)
    assert "the API server says so" in pod.notes[0]


def test_a_slice_that_a_limit_range_made_is_told() -> None:  # 2.1 trap 2
    spec = {
        "containers": [{"name": "engine", "resources": EQUAL}, {"name": "log", "resources": EQUAL}],
    }
    ranger = "LimitRanger plugin set: cpu, memory request for container log; cpu, memory limit for container log"
    (note,) = notes(spec, **{"kubernetes.io/limit-ranger": ranger})
    assert note.startswith("container log owns CPUs alone because a LimitRange gave it 3")
    assert (
        notes(spec, **{"kubernetes.io/limit-ranger": "LimitRanger plugin set: memory request for container log"}) == ()
    )


def test_spec_resources_win_and_the_annotation_that_differs_is_told() -> None:  # 8, rule 1
    spec = {"containers": [{"name": "a"}], "resources": EQUAL}
    (note,) = notes(spec, **{"pinfold.dev/pod-cpu": "4", "pinfold.dev/pod-memory": "6Gi"})
    assert note == "spec.resources wins over pinfold.dev/pod-cpu, which says 4"
    assert notes(spec, **{"pinfold.dev/pod-cpu": "3"}) == ()
    assert notes(spec, **{"pinfold.dev/pod-cpu": "x"}) == ()
    assert notes({"containers": [{"name": "a"}]}, **{"pinfold.dev/pod-cpu": "3"}) == ()


def test_fields_that_the_api_does_not_know_are_told() -> None:
    spec = {"containers": [{"name": "a"}], "resources": {"cpu": "8"}, "managedResources": ["cpu"]}
    found = notes(spec)
    assert found[0].startswith("spec.resources.cpu is no field of the API")
    assert found[1].startswith("spec.managedResources is no field of the API")


def test_protection_of_no_memory_is_told() -> None:
    asked = {"pinfold.dev/memory-protection": "low", "pinfold.dev/pod-memory": "1Gi"}
    (note,) = notes({"containers": [{"name": "a"}]}, **asked)
    assert "it requests none" in note
    assert notes({"containers": [{"name": "a", "resources": EQUAL}]}, **asked) == ()
