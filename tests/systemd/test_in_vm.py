"""systemd as PID 1 in a virtual machine: whatever it resets, Pinfold's values are there again."""

import os
from typing import Literal

import pytest

from tests.vm.machine import Completed, run_in_vm

Debian = Literal["12", "13"]
Kernel = Literal["6.1", "6.12"]
MACHINES: dict[Debian, Kernel] = {"12": "6.1", "13": "6.12"}
"""Each Debian's systemd, 252 and 257, on its own kernel: pools held by shrinking, and by partitions."""
KERNELS = os.environ.get("PINFOLD_TEST_KERNELS", "6.1 6.12").split()
TESTED = [debian for debian, kernel in MACHINES.items() if kernel in KERNELS]

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.parametrize("debian", TESTED)]


def resets(debian: Debian, kernel: Kernel, *options: str) -> Completed:
    command = ["python3", "-m", "tests.systemd.resets", *options]
    return run_in_vm(command, kernel=kernel, debian=debian, init="systemd", timeout_s=900)


def _holds(debian: Debian, *options: str) -> None:
    done = resets(debian, MACHINES[debian], "--pinfold", *options)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output


def test_what_pinfold_wrote_is_there_after_everything_that_systemd_resets(debian: Debian) -> None:
    _holds(debian)


def test_nor_does_it_need_systemds_bus(debian: Debian) -> None:
    _holds(debian, "--no-bus")
