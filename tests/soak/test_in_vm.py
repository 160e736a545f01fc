"""A minute of churn on a real kernel; `guest`, in a virtual machine, goes on for as long as is asked for."""

import os
from typing import Literal, get_args

import pytest

from tests.vm.machine import run_in_vm

Kernel = Literal["6.1", "6.12", "new"]
KERNELS = [kernel for kernel in get_args(Kernel) if kernel in os.environ.get("PINFOLD_SOAK_KERNELS", "6.12").split()]
SECONDS = int(os.environ.get("PINFOLD_SOAK_SECONDS", "60"))
SEED = os.environ.get("PINFOLD_SOAK_SEED", "1")


@pytest.mark.vm
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_daemon_keeps_its_promises_through_a_minute_of_churn(kernel: Kernel) -> None:
    command = ["python3", "-m", "tests.soak.guest", "--seconds", str(SECONDS), "--seed", SEED]
    done = run_in_vm(command, kernel=kernel, init="systemd", smp="12", timeout_s=SECONDS + 900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output
