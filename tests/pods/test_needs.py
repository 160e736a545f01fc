"""How much a pod's containers need at the same time."""

import pytest

from pinfold.pods.model import CPU, MEMORY, Container, ContainerKind
from pinfold.pods.needs import requests, together

INIT, SIDECAR, APP, EPHEMERAL = ContainerKind.INIT, ContainerKind.SIDECAR, ContainerKind.APP, ContainerKind.EPHEMERAL


@pytest.mark.parametrize(
    ("needs", "most"),
    [
        pytest.param([], 0, id="nobody"),
        pytest.param([(APP, 2), (APP, 3)], 5, id="3.1-app-containers-run-together"),
        pytest.param([(INIT, 4), (INIT, 3), (APP, 2)], 4, id="3.1-init-containers-run-alone"),
        pytest.param([(INIT, 4), (SIDECAR, 1), (INIT, 4), (APP, 2)], 5, id="3.1-beside-the-sidecars-before-them"),
        pytest.param([(INIT, 4), (SIDECAR, 1), (APP, 4)], 5, id="3.1-all-sidecars-beside-the-app-containers"),
        pytest.param([(APP, 1), (EPHEMERAL, 9)], 1, id="3.1-ephemeral-containers-never-count"),
    ],
)
def test_what_runs_together_is_added_up(needs: list[tuple[ContainerKind, int]], most: int) -> None:
    assert together(needs) == most


def test_requests_are_added_up_by_resource() -> None:
    containers = [
        Container("i", INIT, {CPU: 4000, MEMORY: 1}),
        Container("a", APP, {CPU: 1000, "hugepages-1Gi": 5}),
        Container("b", APP, {MEMORY: 2}),
    ]
    assert requests(containers) == {CPU: 4000, MEMORY: 2, "hugepages-1Gi": 5}
