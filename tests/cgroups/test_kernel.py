"""The write protocol on real kernels: the lives that the models have, with real cgroups and processes.

PINFOLD_LIVES=40 has each kernel live as many.
"""

import os
from typing import Literal, get_args

import pytest

from tests.vm.machine import run_in_vm

Kernel = Literal["6.1", "6.12", "new"]
KERNELS = [
    kernel for kernel in get_args(Kernel) if kernel in os.environ.get("PINFOLD_TEST_KERNELS", "6.1 6.12").split()
]
LIVES = os.environ.get("PINFOLD_LIVES", "6")
CPUS = "12"


def _lives(kernel: Kernel, *options: str) -> None:
    command = ["python3", "-m", "tests.cgroups.guest", "--lives", LIVES, *options]
    done = run_in_vm(command, kernel=kernel, smp=CPUS, timeout_s=300 + 60 * int(LIVES))
    assert done.status == 0, done.output[-6000:]
    assert f"{LIVES} passed, 0 failed" in done.output


@pytest.mark.vm
@pytest.mark.parametrize("kernel", KERNELS)
def test_on_a_real_kernel_nobody_meets_an_owner_and_every_crash_converges(kernel: Kernel) -> None:
    _lives(kernel)


@pytest.mark.vm
@pytest.mark.skipif("6.12" not in KERNELS, reason="PINFOLD_TEST_KERNELS leaves 6.12 out")
def test_nor_where_a_kernel_with_partitions_may_not_be_asked_for_one() -> None:
    _lives("6.12", "--shrink")
