"""The loop on a real kernel: what it reads for one change."""

import pytest

from tests.vm.machine import run_in_vm


@pytest.mark.vm
def test_one_change_reads_as_much_with_many_pods_as_with_few_by_the_kernels_count() -> None:
    done = run_in_vm(["python3", "-m", "tests.agent.in_guest", "--pods", "100"], timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output
