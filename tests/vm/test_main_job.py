"""The main job on real kernels: `main_job` in a virtual machine, under each layout that a node can have."""

import os
from typing import Literal, get_args

import pytest

from tests.vm.machine import run_in_vm

Kernel = Literal["6.1", "6.12", "new"]
KERNELS = [
    kernel for kernel in get_args(Kernel) if kernel in os.environ.get("PINFOLD_TEST_KERNELS", "6.1 6.12").split()
]
MACHINE = {"smp": "16,sockets=2,cores=4,threads=2", "numa": "2"}
LAYOUTS = [
    pytest.param("systemd", "systemd", id="systemd"),
    pytest.param("systemd", "cgroupfs", id="cgroupfs-under-systemd"),
    pytest.param("command", "cgroupfs", id="cgroupfs-alone"),
]


def _keeps_every_promise(kernel: Kernel, init: Literal["command", "systemd"], driver: str) -> None:
    command = ["python3", "-m", "tests.vm.main_job", "--driver", driver]
    done = run_in_vm(command, kernel=kernel, init=init, smp=MACHINE["smp"], numa=MACHINE["numa"], timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert "0 failed" in done.output


@pytest.mark.vm
@pytest.mark.smoke
def test_the_newest_kernel_keeps_every_promise() -> None:
    _keeps_every_promise("new", "systemd", "systemd")


@pytest.mark.vm
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("init", "driver"), LAYOUTS)
def test_a_kernel_keeps_every_promise(kernel: Kernel, init: Literal["command", "systemd"], driver: str) -> None:
    _keeps_every_promise(kernel, init, driver)
