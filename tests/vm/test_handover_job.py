"""The handover from a static kubelet on real kernels: `handover_job` in a virtual machine."""

import pytest

from tests.vm.machine import run_in_vm
from tests.vm.test_main_job import KERNELS, MACHINE, Kernel


@pytest.mark.vm
@pytest.mark.long
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_node_is_handed_over_and_back_and_nobody_moves(kernel: Kernel) -> None:
    command = ["python3", "-m", "tests.vm.handover_job"]
    done = run_in_vm(command, kernel=kernel, init="systemd", smp=MACHINE["smp"], numa=MACHINE["numa"], timeout_s=600)
    assert done.status == 0, done.output[-6000:]
    assert "0 failed" in done.output
