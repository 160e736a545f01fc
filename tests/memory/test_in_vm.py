"""Memory on a real kernel: a page cache that outlives a greedy neighbour, and running pods' memory that moves."""

import os
from typing import Literal, get_args

import pytest

from tests.vm.machine import run_in_vm

Kernel = Literal["6.1", "6.12", "new"]
KERNELS = [
    kernel for kernel in get_args(Kernel) if kernel in os.environ.get("PINFOLD_TEST_KERNELS", "6.1 6.12").split()
]


@pytest.mark.vm
@pytest.mark.long
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_protected_cache_stays_and_running_pods_memory_moves(kernel: Kernel) -> None:
    done = run_in_vm(["python3", "-m", "tests.memory.in_guest"], kernel=kernel, mem_mib=320, timeout_s=900)
    assert done.status == 0, done.output[-6000:]
    assert " 0 failed" in done.output
