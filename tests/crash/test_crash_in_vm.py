"""Pinfold on real kernels where things go wrong: `crashes` and `hostile`, each in a virtual machine."""

import os
from typing import Literal, get_args

import pytest

from tests.vm.machine import run_in_vm

pytestmark = [pytest.mark.vm, pytest.mark.long]

Kernel = Literal["6.1", "6.12", "new"]
KERNELS = [
    kernel for kernel in get_args(Kernel) if kernel in os.environ.get("PINFOLD_TEST_KERNELS", "6.1 6.12").split()
]
HOTPLUG_KERNELS = [kernel for kernel in KERNELS if kernel != "6.1"] or KERNELS
"""6.1 holds pools by shrinking everybody else: nothing can break there when a CPU leaves."""


@pytest.mark.parametrize("kernel", KERNELS)
def test_killed_at_any_write_it_comes_back_to_the_same_and_nobody_met_whom_he_should_not(kernel: Kernel) -> None:
    done = run_in_vm(["python3", "-m", "tests.crash.crashes"], kernel=kernel, smp="12", timeout_s=1800)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output


@pytest.mark.parametrize("kernel", HOTPLUG_KERNELS)
def test_cpus_and_memory_leave_and_come_back(kernel: Kernel) -> None:
    done = run_in_vm(["python3", "-m", "tests.crash.hotplug"], kernel=kernel, timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output


def test_a_full_disk_a_second_daemon_and_checkpoints_of_others_change_no_pool() -> None:
    done = run_in_vm(["python3", "-m", "tests.crash.books"], timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_fighter_causes_few_turns_is_told_and_changes_nothing_for_good(kernel: Kernel) -> None:
    done = run_in_vm(["python3", "-m", "tests.crash.hostile", "--seconds", "10"], kernel=kernel, timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output
