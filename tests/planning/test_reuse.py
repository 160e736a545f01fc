"""What init containers leave to the containers after them, and what comes back when a record goes."""

import pytest

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, PodEntry
from pinfold.planning.reuse import given_back, reusable_after
from pinfold.pods.model import ContainerKind, PodUid


@pytest.mark.parametrize(
    ("kind", "cpus", "reusable"),
    [
        pytest.param(ContainerKind.INIT, "4-5", "2-5", id="3.2-a-standard-init-adds-its-slice"),
        pytest.param(ContainerKind.SIDECAR, "3-4", "2", id="3.2-a-sidecar-takes-its-own-out"),
        pytest.param(ContainerKind.APP, "2", "3", id="3.2-an-app-container-takes-its-own-out"),
    ],
)
def test_the_reusable_set_follows_the_containers(kind: ContainerKind, cpus: str, reusable: str) -> None:
    assert reusable_after(CpuSet.parse("2-3"), kind, CpuSet.parse(cpus)) == CpuSet.parse(reusable)


@pytest.mark.parametrize(
    ("container", "freed"),
    [
        pytest.param("init", "2", id="7.4-only-what-no-other-record-names"),
        pytest.param("app", "5", id="7.4-the-rest-stays-with-the-init-record"),
        pytest.param("shared", "", id="7.4-a-shared-container-has-none-of-its-own"),
        pytest.param("unknown", "", id="7.4-a-record-that-is-not-there"),
    ],
)
def test_a_record_gives_back_what_no_other_names(container: str, freed: str) -> None:
    entry = PodEntry(
        PodUid("one"),
        "default",
        "pod",
        containers=(
            ContainerEntry("init", Isolation.CONTAINER, CpuSet.parse("2-4")),
            ContainerEntry("app", Isolation.CONTAINER, CpuSet.parse("3-5")),
            ContainerEntry("shared", Isolation.HOST),
        ),
    )
    assert given_back(entry, container) == CpuSet.parse(freed)
