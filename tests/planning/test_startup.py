"""On which state a kubelet with the static CPU policy starts: H12, reserved 0,6."""

import pytest

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.policy import CpuOption
from pinfold.planning.startup import Misfit, NotStarted, started
from pinfold.pods.model import PodUid
from tests.machines import H12, regular

RESERVED = CpuSet.parse("0,6")
STRICT = frozenset({CpuOption.STRICT_CPU_RESERVATION})


def holding(cpus: str, pool: str = "") -> Ledger:
    entry = PodEntry(
        PodUid("one"),
        "default",
        "pod",
        CpuSet.parse(pool),
        containers=(ContainerEntry("app", Isolation.CONTAINER, CpuSet.parse(cpus)),),
    )
    return Ledger({entry.uid: entry})


@pytest.mark.parametrize(
    ("shared", "ledger", "options", "becomes"),
    [
        pytest.param("", Ledger(), frozenset(), "0-11", id="4.8-a-new-node-shares-all"),
        pytest.param("", Ledger(), STRICT, "1-5,7-11", id="4.8-a-new-node-shares-all-but-the-reserved"),
        pytest.param("0-1,3-11", holding("2"), frozenset(), "0-1,3-11", id="7.3-a-slice"),
        pytest.param("0-1,3,5-7,9,11", holding("2", "2,4,8,10"), frozenset(), "0-1,3,5-7,9,11", id="7.3-a-pod-pool"),
        pytest.param("1,3-5,7-11", holding("2"), STRICT, "1,3-5,7-11", id="7.3-strict-without-the-reserved"),
    ],
)
def test_a_kubelet_starts_on_a_state_that_fits(
    shared: str, ledger: Ledger, options: frozenset[CpuOption], becomes: str
) -> None:
    assert started(H12, CpuSet.parse(shared), ledger, RESERVED, 2, options) == CpuSet.parse(becomes)


def test_4_8_strict_reservation_takes_the_reserved_cpus_out_of_the_shared_pool() -> None:
    reserved = CpuSet.parse("0-1,16,32-33,48")
    found = started(regular(1, 64), CpuSet(), Ledger(), reserved, 6, STRICT)
    assert found == CpuSet.parse("2-15,17-31,34-47,49-63")


@pytest.mark.parametrize(
    ("shared", "ledger", "count", "options", "why", "message"),
    [
        pytest.param(
            "0-11",
            Ledger(),
            1,
            frozenset(),
            Misfit.RESERVED_SIZE,
            "unable to reserve the required amount of CPUs (size of 0,6 did not equal 1)",
            id="1-list-and-amount-differ",
        ),
        pytest.param(
            "",
            holding("2"),
            2,
            frozenset(),
            Misfit.NO_SHARED_POOL,
            "default cpuset cannot be empty",
            id="7.3-default-set-empty-beside-entries",
        ),
        pytest.param(
            "1-11",
            Ledger(),
            2,
            frozenset(),
            Misfit.RESERVED_CPUS,
            'not all reserved cpus: "0,6" are present in defaultCpuSet: "1-11"',
            id="7.3-a-reserved-cpu-is-missing",
        ),
        pytest.param(
            "0-5,7-11",
            Ledger(),
            2,
            STRICT,
            Misfit.RESERVED_CPUS,
            'some of strictly reserved cpus: "0" are present in defaultCpuSet: "0-5,7-11"',
            id="7.3-strict-a-reserved-cpu-is-present",
        ),
        pytest.param(
            "0-11",
            holding("2-3"),
            2,
            frozenset(),
            Misfit.OVERLAP,
            'cpus "2-3" are exclusive and in defaultCpuSet: "0-11"',
            id="7.3-an-entry-overlaps-the-default-set",
        ),
        pytest.param(
            "0-1,3-10",
            holding("2"),
            2,
            frozenset(),
            Misfit.CPUS_CHANGED,
            'current set of available CPUs "0-11" doesn\'t match with CPUs in state "0-10"',
            id="7.3-a-cpu-is-nowhere",
        ),
    ],
)
def test_a_kubelet_does_not_start_on_one_that_does_not_fit(
    shared: str, ledger: Ledger, count: int, options: frozenset[CpuOption], why: Misfit, message: str
) -> None:
    assert started(H12, CpuSet.parse(shared), ledger, RESERVED, count, options) == NotStarted(why, message)
