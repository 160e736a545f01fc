"""A pasted manifest is answered with each cause, and with a manifest that does what was meant."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinfold.pods.model import CPU, MEMORY, Intent, Managed, Pod, QosClass
from pinfold.pods.reader import read_pod
from pinfold.pods.review import Review, review

UID = "0f0c8a1e-5b1d-4c6e-9a57-1d1f6e3b2a10"
GIB = 1 << 30
FIELDS = ["metadata", "annotations", "spec", "containers", "resources", "requests", "limits", "cpu", "memory", "name"]


def equal(cpu: str, memory: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


def manifest(*containers: dict[str, Any], **spec: object) -> dict[str, Any]:
    return {"metadata": {"name": "a", "uid": UID}, "spec": {"containers": list(containers), **spec}}


def container(name: str, resources: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "resources": resources or {}}


PASTED = manifest(
    container("engine", equal("8", "12Gi")),
    container("exporter", {"requests": {"cpu": "100m"}}),
    resources={"cpu": "8", "memory": "16Gi"},
    managedResources=["cpu", "memory"],
)


def meant(raw: dict[str, Any]) -> Pod:
    found = review(raw)
    assert found.meant is not None
    pod = read_pod(found.meant, "meant")
    assert isinstance(pod, Pod), pod
    return pod


def test_the_article_is_answered_with_every_cause_and_the_manifest_that_was_meant() -> None:
    before = deepcopy(PASTED)
    found = review(PASTED)
    assert [finding.partition(":")[0] for finding in found.findings] == [
        "spec.resources.cpu",
        "spec.resources.memory",
        "spec.managedResources",
        "spec.resources.requests.cpu",
    ]
    assert found.findings[3].endswith("the containers ask for engine 8 + exporter 100m; meant is 9")
    assert before == PASTED

    pod = meant(PASTED)
    assert pod.qos is QosClass.GUARANTEED
    assert pod.resources is not None
    assert pod.resources.requests == pod.resources.limits == {CPU: 9000, MEMORY: 16 * GIB}
    assert isinstance(pod.intent, Intent)
    assert pod.intent.managed == frozenset({Managed.CPU, Managed.MEMORY})
    assert pod.notes == ()


def test_what_was_meant_needs_no_review() -> None:
    assert review(review(PASTED).meant) == Review()


@pytest.mark.parametrize(
    ("raw", "finding", "cpu"),
    [
        pytest.param(
            manifest(container("a", equal("2", "1Gi")), container("b"), resources=equal("2", "4Gi")),
            "2 is too small: a 2 leaves nothing to the others; meant is 3",
            3000,
            id="slices-take-all-and-somebody-shares",
        ),
        pytest.param(
            manifest(container("a"), resources=equal("3500m", "4Gi")),
            "a pool has whole CPUs; meant is 4",
            4000,
            id="fraction",
        ),
        pytest.param(
            manifest(container("a"), resources={"limits": {"cpu": "4", "memory": "4Gi"}}),
            "spec.resources.requests.cpu: missing",
            4000,
            id="limits-alone",
        ),
        pytest.param(
            manifest(container("a"), resources={"requests": {"cpu": "4", "memory": "4Gi"}}),
            "spec.resources.limits.cpu: missing",
            4000,
            id="requests-alone",
        ),
        pytest.param(
            manifest(container("a", {"cpu": "1", "memory": "1Gi"}), resources=equal("4", "4Gi")),
            "spec.containers[0].resources.cpu: unknown field; meant are requests.cpu and limits.cpu",
            4000,
            id="a-container-in-the-same-form",
        ),
        pytest.param(
            manifest(container("a"), resources={**equal("4", "4Gi"), "gpu": "1"}),
            "spec.resources.gpu: unknown field",
            4000,
            id="a-field-of-no-meaning",
        ),
    ],
)
def test_what_gives_no_pool_is_mended(raw: dict[str, Any], finding: str, cpu: int) -> None:
    assert any(finding in one for one in review(raw).findings)
    pod = meant(raw)
    assert pod.resources is not None
    assert pod.resources.requests[CPU] == pod.resources.limits[CPU] == cpu


def test_memory_is_raised_to_what_the_containers_ask_for() -> None:
    pod = meant(manifest(container("a", equal("1", "5Gi")), container("b"), resources=equal("4", "4Gi")))
    assert pod.resources is not None
    assert pod.resources.requests[MEMORY] == 5 * GIB


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(manifest(container("a")), id="no-pod-level-resources"),
        pytest.param(
            manifest(container("a", equal("3", "6Gi")), container("b"), resources=equal("4", "8Gi")), id="sound"
        ),
        pytest.param(manifest(container("a", equal("4", "8Gi")), resources=equal("4", "8Gi")), id="nobody-shares"),
        pytest.param(manifest(container("a"), resources={"limits": {"hugepages-1Gi": "1Gi"}}), id="huge-pages-alone"),
    ],
)
def test_a_manifest_that_is_as_it_should_be_has_no_findings(raw: dict[str, Any]) -> None:
    assert review(raw) == Review()


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        pytest.param([], "is a list, not an object", id="a-list"),
        pytest.param({}, "spec: is missing", id="no-spec"),
        pytest.param({"spec": []}, "spec: is a list", id="a-spec-that-is-a-list"),
        pytest.param(manifest(resources={"cpu": "8x"}), "'8x' is no quantity", id="a-quantity-that-is-none"),
        pytest.param(manifest(container("A")), "'A' is no container name", id="a-container-that-is-none"),
        pytest.param(manifest(resources={"cpu": {"a": "b"}}), "is no quantity", id="an-object-for-a-quantity"),
    ],
)
def test_what_nobody_can_mend_is_only_told(raw: object, finding: str) -> None:
    found = review(raw)
    assert finding in found.findings[-1]
    assert found.meant is None


def test_managed_resources_keep_the_other_annotations() -> None:
    raw = manifest(container("a"), managedResources="cpu")
    raw["metadata"]["annotations"] = {"x": "y"}
    found = review(raw)
    assert found.meant is not None
    assert found.meant["metadata"]["annotations"] == {"x": "y", "pinfold.dev/managed-resources": "cpu"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
        max_leaves=30,
    )
)
@example(raw={"containers": [None]})
def test_no_object_makes_the_review_raise(raw: object) -> None:
    assert isinstance(review(raw), Review)
    assert isinstance(review({"metadata": {}, "spec": raw}), Review)
    assert isinstance(
        review({"metadata": raw, "spec": {"containers": [], "resources": raw, "managedResources": raw}}), Review
    )
