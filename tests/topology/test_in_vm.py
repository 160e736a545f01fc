"""The reader and the monitor on a real kernel, in a machine whose shape QEMU was told."""

import json

import pytest
from tests.vm.machine import run_in_vm

pytestmark = pytest.mark.vm


def test_a_machine_is_what_qemu_was_told_and_a_cpu_leaves_and_comes_back() -> None:
    """Two sockets of two cores with two threads, and a third node with memory and no CPU."""
    done = run_in_vm(
        ["python3", "-m", "tests.topology.in_guest"],
        smp="8,sockets=2,cores=2,threads=2",
        numa="0-3/4-7/",
        dist="10,21,14/21,10,30/14,30,10",
        mem_mib=256,
    )
    assert done.status == 0, done.output
    told = json.loads(done.output.splitlines()[-1])
    assert told["booted"][2:9] == [
        "socket 0: 0-3",
        "  node 0: 0-3",
        "    cores: 0-1  2-3",
        "socket 1: 4-7",
        "  node 1: 4-7",
        "    cores: 4-5  6-7",
        "",
    ]
    memory, distances = told["booted"][9::2], told["booted"][10::2]
    assert distances == [
        "  distance 10 to 0; 14 to 2; 21 to 1",
        "  distance 10 to 1; 21 to 0; 30 to 2",
        "  distance 10 to 2; 14 to 0; 30 to 1",
    ]
    assert [line.endswith("no CPU") for line in memory] == [False, False, True]
    assert told["events"] == ["offline cpu5", "online cpu5"]
    assert "offline: 5" in told["without-5"]
    assert "    cores: 4  6-7" in told["without-5"]
    assert told["back"] == told["booted"]
