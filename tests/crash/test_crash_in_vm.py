"""Pinfold on real kernels where things go wrong: `crashes` and `hostile`, each in a virtual machine."""

import os
from typing import Literal, get_args

import pytest

from tests.vm.machine import run_in_vm

pytestmark = pytest.mark.vm

Kernel = Literal["6.1", "6.12", "new"]
KERNELS = [
    kernel for kernel in get_args(Kernel) if kernel in os.environ.get("PINFOLD_TEST_KERNELS", "6.1 6.12").split()
]


@pytest.mark.parametrize("kernel", KERNELS)
def test_killed_at_any_write_it_comes_back_to_the_same_and_nobody_met_whom_he_should_not(kernel: Kernel) -> None:
    done = run_in_vm(["python3", "-m", "tests.crash.crashes"], kernel=kernel, smp="12", timeout_s=1800)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_fighter_costs_little_is_told_and_changes_nothing_for_good(kernel: Kernel) -> None:
    done = run_in_vm(["python3", "-m", "tests.crash.hostile", "--seconds", "10"], kernel=kernel, timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output
