"""A pod from raw JSON: what is taken, what is refused, and what the refusal says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.pods.model import CPU, MEMORY, ContainerKind, InvalidPod, Pod, QosClass
from pinfold.pods.reader import read_pod, read_pods

GIB = 1 << 30
UID = "0f0c8a1e-5b1d-4c6e-9a57-1d1f6e3b2a10"
OTHER_UID = "9d1f6e3b-5b1d-4c6e-9a57-0f0c8a1e2a10"
HASH = "6b4f0d1c2e3a4958b7c6d5e4f3a2b1c0"
ID = "ab" * 32
FIELDS = [
    "metadata",
    "spec",
    "status",
    "name",
    "uid",
    "containers",
    "resources",
    "requests",
    "limits",
    "cpu",
    "annotations",
]


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


def with_metadata(raw: dict[str, Any], **metadata: object) -> dict[str, Any]:
    return {**raw, "metadata": {**raw["metadata"], **metadata}}


def test_what_is_null_is_absent_and_a_number_is_a_quantity() -> None:
    raw = raw_pod(container("a", resources={"requests": {"cpu": 2, "memory": "1Gi"}, "limits": None}))
    raw["spec"] |= {"initContainers": None, "ephemeralContainers": None, "resources": None}
    raw["metadata"] |= {"annotations": None, "ownerReferences": None, "namespace": None}
    raw["status"] = {"containerStatuses": None, "conditions": None, "phase": None}
    pod = read(raw)
    assert (pod.namespace, pod.containers[0].requests) == ("default", {CPU: 2000, MEMORY: GIB})
    assert read({**raw, "spec": {"containers": None}}).containers == ()


def mirroring(hashed: str) -> dict[str, str]:
    """The annotations of the pod that the kubelet makes in the API for a static one."""
    return {"kubernetes.io/config.hash": hashed, "kubernetes.io/config.mirror": hashed}


@pytest.mark.parametrize(
    ("raw", "reason", "says"),
    [
        pytest.param([], "InvalidPod", "is a list, not an object", id="a-list"),
        pytest.param("text", "InvalidPod", "is text, not an object", id="text"),
        pytest.param({"kind": "Service"}, "InvalidPod", "kind: 'Service' is no Pod", id="a-manifest-that-is-no-pod"),
        pytest.param({"kind": 7}, "InvalidPod", "kind: is a number, not text", id="a-kind-that-is-a-number"),
        pytest.param({"metadata": {"uid": UID}}, "InvalidPod", "spec: is missing", id="no-spec"),
        pytest.param({"metadata": {"uid": "../../x"}}, "InvalidUid", "'../../x' is no pod UID", id="a-uid-that-climbs"),
        pytest.param({"metadata": {"uid": UID.upper()}}, "InvalidUid", "is no pod UID", id="a-uid-in-capitals"),
        pytest.param({"metadata": {"uid": UID + "\n"}}, "InvalidUid", "is no pod UID", id="a-uid-with-a-newline"),
        pytest.param({"metadata": {}}, "InvalidUid", "metadata.uid", id="no-uid"),
        pytest.param(
            with_metadata(raw_pod(container("a")), annotations=mirroring("../" + HASH)),
            "InvalidUid",
            "metadata.annotations.kubernetes.io/config.hash",
            id="a-config-hash-that-climbs",
        ),
        pytest.param(
            with_metadata(raw_pod(container("a")), name="<b>"), "InvalidPod", "'<b>' is no Kubernetes name", id="name"
        ),
        pytest.param(with_metadata(raw_pod(container("a")), name=None), "InvalidPod", "name: is missing", id="no-name"),
        pytest.param(
            with_metadata(raw_pod(container("a")), namespace="a.b"), "InvalidPod", "metadata.namespace", id="namespace"
        ),
        pytest.param(
            with_metadata(raw_pod(container("a")), annotations={1: "x"}), "InvalidPod", "has the key 1", id="odd-key"
        ),
        pytest.param(
            raw_pod({"image": "x"}), "InvalidPod", "spec.containers[0].name: is missing", id="a-container-without-name"
        ),
        pytest.param(raw_pod(container("A")), "InvalidPod", "'A' is no container name", id="a-container-in-capitals"),
        pytest.param(
            raw_pod(container("a"), container("a")),
            "InvalidPod",
            "spec.containers[1].name: a is the",
            id="one-name-twice",
        ),
        pytest.param(
            {**raw_pod(), "spec": {"containers": {}}}, "InvalidPod", "spec.containers: is an object", id="map"
        ),
        pytest.param({**raw_pod(), "spec": {"containers": [True]}}, "InvalidPod", "is true or false", id="a-bool"),
        pytest.param(
            {**raw_pod(), "spec": {"containers": [object()]}}, "InvalidPod", "is a object", id="an-odd-object"
        ),
        pytest.param(
            raw_pod(container("a"), container("b", resources=resources("2x"))),
            "InvalidQuantity",
            "spec.containers[1].resources.limits.cpu: '2x' is no quantity",
            id="a-quantity-like-2x",
        ),
        pytest.param(
            raw_pod(container("a", resources={"limits": {"hugepages-x": "1"}})),
            "InvalidQuantity",
            "'hugepages-x' is no huge page size",
            id="a-huge-page-of-no-size",
        ),
        pytest.param(
            raw_pod(container("a", resources={"requests": {"cpu": 2}, "limits": {"cpu": 1}})),
            "InvalidPod",
            "spec.containers[0].resources.requests.cpu: 2 is more than the limit 1",
            id="a-request-above-its-limit",
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
        pytest.param(
            raw_pod(
                container("a", resources={"limits": {"memory": "2Gi"}, "requests": {"memory": "1Gi"}}),
                resources=resources("1", "1Gi"),
            ),
            "InvalidPod",
            "spec.containers[0].resources.limits.memory: 2Gi is more than the pod's limit 1Gi",
            id="a-container-limit-above-the-pods",
        ),
        pytest.param(
            raw_pod(container("a"), resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            "InvalidPod",
            "spec.resources.requests.cpu: 2 is more than the limit 1",
            id="a-pod-request-above-its-limit",
        ),
    ],
)
def test_an_object_that_is_no_sound_pod_says_what_and_where(raw: object, reason: str, says: str) -> None:
    bad = refused(raw)
    assert bad.reason == reason
    assert says in bad.message
    assert bad.where == "pods/a.yaml"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
        max_leaves=30,
    )
)
def test_no_object_makes_the_reader_raise(raw: object) -> None:
    assert isinstance(read_pod(raw, "hostile"), Pod | InvalidPod)
    spec = {"metadata": {"uid": UID, "name": "a"}, "spec": raw, "status": raw}
    assert isinstance(read_pod(spec, "hostile"), Pod | InvalidPod)


def test_a_sound_uid_is_told_of_a_pod_that_is_not_sound_so_that_its_cgroup_stays() -> None:
    assert refused(raw_pod({"image": "x"})).uid == UID
    assert refused({"metadata": {"uid": "../.."}}).uid is None


@pytest.mark.parametrize(
    ("pod_level", "containers", "qos"),
    [
        pytest.param(resources("4", "8Gi"), [{}], "Guaranteed", id="2.1-pod-level-both-equal"),
        pytest.param({"limits": {"cpu": "4", "memory": "8Gi"}}, [{}], "Guaranteed", id="2.1-trap-1-limits-alone"),
        pytest.param(
            {"limits": {"cpu": "4", "memory": "8Gi"}},
            [resources("3", "6Gi")],
            "Burstable",
            id="2.1-trap-1-and-a-container",
        ),
        pytest.param(resources("4"), [{}], "Burstable", id="2.1-pod-level-without-memory"),
        pytest.param(resources("0", "0"), [{}], "BestEffort", id="2.1-pod-level-zeros"),
        pytest.param({"requests": {"cpu": "4", "memory": "8Gi"}}, [{}], "Burstable", id="2.1-pod-level-without-limits"),
        pytest.param(
            {"requests": {"cpu": "4", "memory": "8Gi"}},
            [resources("3", "6Gi"), resources("1", "2Gi")],
            "Guaranteed",
            id="2.1-pod-limits-are-the-sum-where-all-containers-have-one",
        ),
        pytest.param({"requests": {}, "limits": {}}, [resources("1", "1Gi")], "Guaranteed", id="2.1-empty-is-not-set"),
        pytest.param(resources(None, None, {"hugepages-1Gi": "1Gi"}), [{}], "BestEffort", id="2.1-huge-pages-alone"),
        pytest.param(None, [resources("1", "1Gi")], "Guaranteed", id="2.1-all-containers-equal"),
        pytest.param(None, [resources("1", "1Gi"), {}], "Burstable", id="2.1-one-container-has-nothing"),
        pytest.param(None, [{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed", id="2.1-a-limit-is-the-request"),
        pytest.param(
            None,
            [{"requests": {"cpu": "0"}, "limits": {"cpu": "1", "memory": "1Gi"}}],
            "Burstable",
            id="2.1-a-zero-stays",
        ),
        pytest.param(None, [{}, resources("0")], "BestEffort", id="2.1-nothing-above-zero"),
        pytest.param(
            None, [{"requests": {"nvidia.com/gpu": "x"}}], "BestEffort", id="2.1-other-resources-do-not-count"
        ),
    ],
)
def test_qos_is_computed_after_defaulting(pod_level: object, containers: list[dict[str, Any]], qos: str) -> None:
    own = [container(f"c{index}", resources=one) for index, one in enumerate(containers)]
    assert read(raw_pod(*own, resources=pod_level)).qos == qos


def test_qos_counts_init_containers_and_no_ephemeral_ones_and_the_server_knows_better() -> None:
    equal, bare = container("a", resources=resources("1", "1Gi")), container("b")
    assert read(raw_pod(equal, initContainers=[bare])).qos is QosClass.BURSTABLE
    assert read(raw_pod(equal, ephemeralContainers=[bare])).qos is QosClass.GUARANTEED
    assert read({**raw_pod(equal), "status": {"qosClass": "Burstable"}}).qos is QosClass.BURSTABLE
    assert read({**raw_pod(equal), "status": {"qosClass": "Odd"}}).qos is QosClass.GUARANTEED


@pytest.mark.parametrize(
    ("pod_level", "containers", "request_millicpu", "limit_millicpu"),
    [
        pytest.param({"limits": {"cpu": "4"}}, [{}], 4000, 4000, id="2.1-request-is-the-limit-where-no-container-asks"),
        pytest.param(
            {"limits": {"cpu": "4"}},
            [{"requests": {"cpu": "1"}}, {"requests": {"cpu": "500m"}}],
            1500,
            4000,
            id="2.1-request-is-the-containers-sum",
        ),
        pytest.param(
            {"requests": {"cpu": "4"}}, [resources("1"), {}], 4000, None, id="2.1-no-limit-where-one-container-has-none"
        ),
        pytest.param({"requests": {"cpu": "4"}}, [resources("1")], 4000, 1000, id="2.1-limit-below-request-is-refused"),
        pytest.param(
            {"limits": {"cpu": "4"}}, [{"requests": {"cpu": "0"}}], None, 4000, id="2.1-an-asked-zero-is-a-sum"
        ),
    ],
)
def test_pod_level_amounts_are_defaulted(
    pod_level: object, containers: list[dict[str, Any]], request_millicpu: int | None, limit_millicpu: int | None
) -> None:
    own = [container(f"c{index}", resources=one) for index, one in enumerate(containers)]
    found = read_pod(raw_pod(*own, resources=pod_level), "test")
    if request_millicpu and limit_millicpu and request_millicpu > limit_millicpu:
        assert isinstance(found, InvalidPod)
        return
    assert isinstance(found, Pod)
    assert found.resources is not None
    assert (found.resources.requests.get(CPU), found.resources.limits.get(CPU)) == (request_millicpu, limit_millicpu)


def test_without_pod_level_amounts_there_are_none() -> None:
    assert read(raw_pod(container("a"), resources={})).resources is None
    assert read(raw_pod(container("a"), resources={"requests": {"nvidia.com/gpu": "1"}})).resources is None
    assert read(raw_pod(resources=resources("1", "1Gi"))).resources is not None


def status_of(name: str, **given: object) -> dict[str, Any]:
    return {"containerStatuses": [{"name": name, **given}]}


def test_a_resize_counts_when_the_kubelet_has_allocated_it() -> None:
    raw = raw_pod(container("a", resources=resources("4", "1Gi")))
    old = resources("2", "1Gi")
    raw["status"] = status_of("a", allocatedResources=old["requests"], resources=old)
    pod = read(raw)
    assert (pod.containers[0].requests[CPU], pod.containers[0].limits[CPU], pod.resize_pending) == (
        2000,
        2000,
        "Proposed",
    )

    raw["status"] = status_of("a", allocatedResources=resources("4", "1Gi")["requests"], resources=old)
    pod = read(raw)
    assert (pod.containers[0].limits[CPU], pod.resize_pending) == (4000, "")


def test_a_proposed_resize_whose_old_amounts_nobody_tells_is_only_told() -> None:
    raw = raw_pod(container("a", resources=resources("4", "1Gi")))
    raw["status"] = status_of("a", allocatedResources={"cpu": "2"})
    pod = read(raw)
    assert (pod.containers[0].requests[CPU], pod.resize_pending) == (4000, "Proposed")


def test_a_pod_level_resize_counts_when_it_is_allocated() -> None:
    raw = raw_pod(container("a"), resources=resources("6", "8Gi"))
    raw["status"] = {"allocatedResources": {"cpu": "4", "memory": "8Gi"}, "resources": resources("4", "8Gi")}
    pod = read(raw)
    assert pod.resources is not None
    assert (pod.resources.requests[CPU], pod.resize_pending) == (4000, "Proposed")


@pytest.mark.parametrize(
    ("condition", "pending"),
    [
        pytest.param({"type": "PodResizePending", "status": "True", "reason": "Infeasible"}, "Infeasible", id="never"),
        pytest.param({"type": "PodResizePending", "status": "True", "reason": "Deferred"}, "Deferred", id="later"),
        pytest.param({"type": "PodResizePending", "status": "False"}, "", id="over"),
        pytest.param({"type": "Ready", "status": "True"}, "", id="another-condition"),
    ],
)
def test_a_pending_resize_is_told(condition: dict[str, str], pending: str) -> None:
    raw = {**raw_pod(container("a")), "status": {"conditions": [condition]}}
    assert read(raw).resize_pending == pending


def test_container_ids_are_those_of_the_specs_containers_and_well_formed() -> None:
    raw = raw_pod(container("a"), initContainers=[container("i")], ephemeralContainers=[container("e")])
    raw["status"] = {
        "containerStatuses": [
            {"name": "a", "containerID": f"containerd://{ID}"},
            {"name": "other", "containerID": f"containerd://{ID[::-1]}"},
        ],
        "initContainerStatuses": [{"name": "i", "containerID": "cri-o://../../x"}, {"name": "i"}],
        "ephemeralContainerStatuses": [{"name": "e", "containerID": f"docker://{'cd' * 32}"}],
    }
    assert read(raw).container_ids == {ID: "a", "cd" * 32: "e"}


@pytest.mark.parametrize(
    ("reference", "owner"),
    [
        pytest.param(
            {"kind": "ReplicaSet", "name": "web-5f", "controller": True}, "ReplicaSet/web-5f", id="controller"
        ),
        pytest.param({"kind": "ReplicaSet", "name": "web-5f"}, "", id="no-controller"),
        pytest.param({"kind": "<b>", "name": "web", "controller": True}, "", id="no-kind"),
        pytest.param({"kind": "Job", "name": "a/b", "controller": True}, "", id="no-name"),
    ],
)
def test_the_owner_is_the_controller(reference: dict[str, object], owner: str) -> None:
    assert read(with_metadata(raw_pod(container("a")), ownerReferences=[reference])).owner == owner


def test_times_phase_and_deletion_are_taken_as_far_as_they_are_sound() -> None:
    raw = with_metadata(raw_pod(container("a")), creationTimestamp="2026-01-02T03:04:05Z", deletionTimestamp="x")
    pod = read({**raw, "status": {"startTime": "<b>", "phase": "Failed"}})
    assert (pod.started_at, pod.terminal, pod.deleting) == ("2026-01-02T03:04:05Z", True, True)


def test_two_pods_with_one_uid_are_both_refused_and_others_are_not() -> None:
    one, two, other = raw_pod(container("a")), raw_pod(container("a")), raw_pod(container("a"))
    two["metadata"]["name"] = "impostor"
    other["metadata"]["uid"] = OTHER_UID

    pods, invalid = read_pods([("a.yaml", one), ("b.yaml", two), ("c.yaml", other)])

    assert [pod.uid for pod in pods] == [OTHER_UID]
    assert len({bad.message for bad in invalid}) == 2
    assert "is also the UID of trading/impostor" in invalid[0].message
    assert [(bad.reason, bad.where, bad.uid) for bad in invalid] == [
        ("DuplicateUid", "a.yaml", UID),
        ("DuplicateUid", "b.yaml", UID),
    ]


def test_objects_that_are_no_pods_do_not_hinder_the_others() -> None:
    pods, invalid = read_pods([("a.yaml", {"kind": "Service"}), ("b.yaml", raw_pod(container("a")))])
    assert [pod.uid for pod in pods] == [UID]
    assert [bad.where for bad in invalid] == ["a.yaml"]


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
    raw["metadata"]["annotations"] = mirroring(HASH)
    pod = read(raw)
    assert (pod.uid, pod.api_uid, pod.static) == (HASH, UID, True)


def test_a_static_pod_is_one_by_the_kubelets_own_word() -> None:
    raw = with_metadata(raw_pod(container("a")), uid=HASH, annotations={"kubernetes.io/config.hash": HASH})
    pod = read(raw)
    assert (pod.uid, pod.static) == (HASH, True)


@pytest.mark.parametrize("mirror", [None, "", "f" * 32, 7])
def test_who_writes_a_static_pods_hash_into_his_own_annotations_is_not_taken_for_it(mirror: object) -> None:
    raw = raw_pod(container("a"))
    raw["metadata"]["annotations"] = mirroring(HASH) | {"kubernetes.io/config.mirror": mirror}
    if mirror is None:
        del raw["metadata"]["annotations"]["kubernetes.io/config.mirror"]
    pod = read_pod(raw, "here")
    assert pod.uid == UID
    assert not isinstance(pod, Pod) or not pod.static
