"""A pod from raw JSON: what is taken, what is refused, and what the refusal says."""

from typing import Any

import pytest

from pinfold.pods.model import CPU, MEMORY, ContainerKind, InvalidPod, Pod, QosClass
from pinfold.pods.reader import read_pod, read_pods

GIB = 1 << 30
UID = "0f0c8a1e-5b1d-4c6e-9a57-1d1f6e3b2a10"
OTHER_UID = "9d1f6e3b-5b1d-4c6e-9a57-0f0c8a1e2a10"
HASH = "6b4f0d1c2e3a4958b7c6d5e4f3a2b1c0"
ID = "ab" * 32


def resources(cpu: object = None, memory: object = None, limits: dict[str, object] | None = None) -> dict[str, Any]:
    requests = {name: value for name, value in ((CPU, cpu), (MEMORY, memory)) if value is not None}
    return {"requests": requests, "limits": requests if limits is None else limits}


def raw_pod(*containers: dict[str, Any], **spec: object) -> dict[str, Any]:
    return {
        "metadata": {"name": "match-engine", "namespace": "trading", "uid": UID},
        "spec": {"containers": list(containers), **spec},
    }


def container(name: str, **given: object) -> dict[str, Any]:
    return {"name": name, **given}


def read(raw: dict[str, Any]) -> Pod:
    pod = read_pod(raw, "test")
    assert isinstance(pod, Pod), pod
    return pod


def refused(raw: object) -> InvalidPod:
    bad = read_pod(raw, "pods/a.yaml")
    assert isinstance(bad, InvalidPod)
    return bad


def test_the_pod_of_the_readme_is_read_whole() -> None:
    raw = raw_pod(
        container("engine", resources=resources("3", "6Gi")),
        container("exporter", resources={"requests": {"cpu": "100m"}}),
        initContainers=[container("seed"), container("proxy", restartPolicy="Always")],
        ephemeralContainers=[container("debug")],
        resources=resources("4", "8Gi"),
    )
    raw["status"] = {
        "phase": "Running",
        "startTime": "2026-01-02T03:04:05Z",
        "containerStatuses": [{"name": "engine", "containerID": f"containerd://{ID}"}],
    }
    raw["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "match-engine-5f", "controller": True}]

    pod = read(raw)

    assert (pod.uid, pod.full_name, pod.qos) == (UID, "trading/match-engine", QosClass.GUARANTEED)
    assert [(one.name, one.kind) for one in pod.containers] == [
        ("seed", ContainerKind.INIT),
        ("proxy", ContainerKind.SIDECAR),
        ("engine", ContainerKind.APP),
        ("exporter", ContainerKind.APP),
        ("debug", ContainerKind.EPHEMERAL),
    ]
    assert pod.containers[2].requests == {CPU: 3000, MEMORY: 6 * GIB}
    assert pod.containers[2].guaranteed_equivalent
    assert not pod.containers[3].guaranteed_equivalent
    assert pod.resources is not None
    assert pod.resources.requests == pod.resources.limits == {CPU: 4000, MEMORY: 8 * GIB}
    assert pod.container_ids == {ID: "engine"}
    assert pod.owner == "ReplicaSet/match-engine-5f"
    assert pod.started_at == "2026-01-02T03:04:05Z"
    assert pod.notes == ()


@pytest.mark.parametrize(
    ("raw", "reason", "says"),
    [
        pytest.param([], "InvalidPod", "is a list, not an object", id="a-list"),
        pytest.param({"kind": "Service"}, "InvalidPod", "'Service' is no Pod", id="a-manifest-that-is-no-pod"),
        pytest.param({"metadata": {"uid": UID}}, "InvalidPod", "spec: is missing", id="no-spec"),
        pytest.param({"metadata": {"uid": "../../x"}}, "InvalidUid", "'../../x' is no pod UID", id="a-uid-that-climbs"),
        pytest.param({"metadata": {}}, "InvalidUid", "metadata.uid", id="no-uid"),
        pytest.param(raw_pod({"image": "x"}), "InvalidPod", "spec.containers[0].name: is missing", id="nameless"),
        pytest.param(
            raw_pod(container("a"), container("b", resources=resources("2x"))),
            "InvalidQuantity",
            "spec.containers[1].resources.limits.cpu: '2x' is no quantity",
            id="a-quantity-like-2x",
        ),
        pytest.param(
            raw_pod(
                container("a", resources=resources("8")),
                container("b", resources=resources("100m")),
                resources=resources("8"),
            ),
            "InvalidPod",
            "spec.resources.requests.cpu: 8 is less than the 8100m",
            id="containers-ask-for-more-than-the-pod",
        ),
    ],
)
def test_an_object_that_is_no_sound_pod_says_what_and_where(raw: object, reason: str, says: str) -> None:
    bad = refused(raw)
    assert bad.reason == reason
    assert says in bad.message
    assert bad.where == "pods/a.yaml"


def test_two_pods_with_one_uid_are_both_refused_and_others_are_not() -> None:
    one, two, other = raw_pod(container("a")), raw_pod(container("a")), raw_pod(container("a"))
    two["metadata"]["name"] = "impostor"
    other["metadata"]["uid"] = OTHER_UID

    pods, invalid = read_pods([("a.yaml", one), ("b.yaml", two), ("c.yaml", other)])

    assert [pod.uid for pod in pods] == [OTHER_UID]
    assert [(bad.reason, bad.where, bad.uid) for bad in invalid] == [
        ("DuplicateUid", "a.yaml", UID),
        ("DuplicateUid", "b.yaml", UID),
    ]


def test_one_pod_from_two_sources_is_the_newest() -> None:
    old, new = raw_pod(container("a")), raw_pod(container("a"))
    old["metadata"]["resourceVersion"], new["metadata"]["resourceVersion"] = "9", "10"
    new["status"] = {"phase": "Succeeded"}
    for order in ([("k", old), ("a", new)], [("a", new), ("k", old)]):
        pods, invalid = read_pods(order)
        assert [pod.terminal for pod in pods] == [True]
        assert invalid == ()


def test_a_static_pod_goes_by_its_config_hash_and_events_by_the_mirrors_uid() -> None:
    raw = raw_pod(container("a"))
    raw["metadata"]["annotations"] = {"kubernetes.io/config.hash": HASH}
    pod = read(raw)
    assert (pod.uid, pod.api_uid, pod.static) == (HASH, UID, True)
