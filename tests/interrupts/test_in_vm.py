"""The guard on a real kernel: its interrupts, the queues of its disks that nobody may move, and a real irqbalance."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

from pinfold.cpuset import CpuSet
from pinfold.interrupts import masks
from tests.vm import host, images
from tests.vm.machine import run_in_vm

pytestmark = pytest.mark.vm

GUARDED = CpuSet.parse("2-3,6")
Kernel = Literal["6.1", "6.12", "new"]
KERNELS = [kernel for kernel in get_args(Kernel) if kernel in os.environ.get("PINFOLD_TEST_KERNELS", "6.12").split()]


@pytest.fixture(scope="module")
def irqbalance() -> Path:
    """A folder with irqbalance and its libraries, of the guest's Debian."""
    host.check()
    folder = host.CACHE / "irqbalance-12"
    with images._made_once(folder) as draft:
        if draft:
            images._unpack("12", root := draft.parent / "root", "irqbalance")
            shutil.copy(root / "usr/sbin/irqbalance", draft)
            shutil.copytree(root / "usr/lib/x86_64-linux-gnu", draft / "lib")
    return folder


@pytest.fixture(scope="module", params=KERNELS)
def seen(irqbalance: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    command = ["python3", "-m", "tests.interrupts.in_guest", str(irqbalance)]
    done = run_in_vm(command, kernel=request.param, shares=[irqbalance], timeout_s=600)
    assert done.status == 0, done.output
    return dict(json.loads(done.output.splitlines()[-1]))


@pytest.fixture(scope="module")
def alone(seen: dict[str, Any]) -> dict[str, Any]:
    return dict(seen["alone"])


def lists(affinities: dict[str, str], irqs: list[str]) -> dict[str, CpuSet]:
    return {irq: CpuSet.parse(affinities[irq]) for irq in irqs if irq in affinities}


def test_no_movable_interrupt_may_go_to_a_guarded_cpu(alone: dict[str, Any]) -> None:
    before, after = lists(alone["before"], alone["movable"]), lists(alone["guarded"], alone["movable"])
    assert len(after) >= 10
    assert not all(cpus.isdisjoint(GUARDED) for cpus in before.values())
    assert {irq: cpus for irq, cpus in after.items() if not cpus.isdisjoint(GUARDED)} == {}
    assert masks.parsed(alone["guarded"]["default"]) == CpuSet.parse("0-1,4-5,7")


def test_no_unbound_worker_may_run_on_a_guarded_cpu(alone: dict[str, Any]) -> None:
    assert masks.parsed(alone["before"]["unbound-workqueues"]) == CpuSet.parse("0-7")
    assert masks.parsed(alone["guarded"]["unbound-workqueues"]) == CpuSet.parse("0-1,4-5,7")


def test_an_interrupt_of_guarded_cpus_alone_goes_to_the_others_of_its_node(alone: dict[str, Any]) -> None:
    assert alone["before"]["4"] == "6"
    assert alone["guarded"]["4"] == "0-1"


def test_no_movable_interrupt_goes_to_a_guarded_cpu(alone: dict[str, Any]) -> None:
    took = {
        irq: [after - before for before, after in zip(*alone["took"][irq], strict=True)]
        for irq in alone["movable"]
        if irq in alone["took"]
    }
    assert sum(map(sum, took.values())) > 0
    assert {irq: rose for irq, rose in took.items() if any(rose[cpu] for cpu in GUARDED)} == {}


def test_the_queues_of_the_disks_are_named_as_immovable(alone: dict[str, Any]) -> None:
    stays = alone["guarding"]["stays"]
    assert ["virtio0-req.2", "6"] in stays.values()
    assert {CpuSet.parse(cpus) <= GUARDED for _, cpus in stays.values()} == {True}
    assert stays.keys().isdisjoint(alone["movable"])
    (warning,) = alone["guarding"]["warnings"]
    assert "(virtio0-req.2) on 6" in warning


def test_what_cannot_be_moved_is_tried_once_and_told_as_long_as_it_is_so(alone: dict[str, Any]) -> None:
    assert "immovable" in {result for result, _ in alone["guarding"]["outcomes"].values()}
    assert alone["again"]["outcomes"] == {}
    assert alone["again"]["warnings"] == alone["guarding"]["warnings"]
    assert {irq for irq in alone["again"]["moved"] if irq not in {"default", "unbound-workqueues"}} <= set(
        alone["movable"]
    )


def test_an_interrupt_that_somebody_puts_back_is_moved_off_again(alone: dict[str, Any]) -> None:
    assert alone["drift"]["drifted"] == ["8"]
    assert alone["mended"]["8"] == "5"


def test_an_interrupt_that_comes_later_begins_off_the_guarded_cpus(alone: dict[str, Any]) -> None:
    assert len(alone["late"]) > 1
    born = lists(alone["born"], [irq for irq in alone["late"] if irq in alone["movable"]])
    assert born
    assert all(cpus.isdisjoint(GUARDED) for cpus in born.values())


def test_all_are_back_after_a_release(alone: dict[str, Any]) -> None:
    assert alone["releasing"]["moved"] == []
    assert alone["released"] == {**alone["before"], "8": "2,5"}


def test_irqbalance_bans_the_guarded_cpus_beside_its_own_and_later_its_own_alone(seen: dict[str, Any]) -> None:
    beside = seen["irqbalance"]
    assert beside["before"] == "00000080"
    assert beside["ban"] == ["7", "2-3,6-7"]
    assert beside["guarded"] == "000000cc"
    assert beside["wider"][1] == "000000ec"
    assert beside["released"] == "00000080"
    assert beside["releasing"]["moved"] == []


def test_an_irqbalance_that_does_not_answer_is_told(seen: dict[str, Any]) -> None:
    beside = seen["irqbalance"]
    told = [one for one in beside["stopped"]["warnings"] if one.startswith("irqbalance runs")]
    assert told
    assert "IRQBALANCE_BANNED_CPULIST=2-3,6" in told[0]
    assert not any("irqbalance" in one for one in beside["guarding"]["warnings"])
    assert "irqbalance" in beside["stopped"]["moved"]


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_daemon_keeps_interrupts_off_slices_and_a_release_gives_them_back(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("on a disk that goes away and comes back")
    command = ["python3", "-m", "tests.interrupts.under_daemon"]
    done = run_in_vm(command, kernel=kernel, smp="8", shares=[tmp_path], timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output
