"""What is read while somebody looks: the machine's own counts, and files as the kernel writes them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.samples import picture

from pinfold.cpuset import CpuSet
from pinfold.report.live import PodUsage, cpu_times, pod_usage

STAT = """cpu  30 1 12 1700 8 2 3 4 5 6
cpu0 10 1 4 700 8 2 3 4 5 0
cpu3 20 0 8 1000 0 0 0 0 0 6
intr 1 2 3
ctxt 9
"""


def test_busy_is_all_but_idle_and_waiting_for_io_and_a_guest_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(STAT)
    assert cpu_times(tmp_path) == {0: (24, 732), 3: (28, 1028)}


def test_a_machine_without_proc_has_no_times(tmp_path: Path) -> None:
    assert cpu_times(tmp_path) == {}


def test_this_machines_cpus_have_times() -> None:
    times = cpu_times()
    assert set(times) == set(CpuSet.parse(Path("/sys/devices/system/cpu/online").read_text()))
    assert all(0 <= busy <= every for busy, every in times.values())
    assert max(every for _, every in times.values()) <= 1.1 * os.sysconf("SC_CLK_TCK") * _uptime_s() + 1000


def _uptime_s() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


NUMA_STAT = "anon N0=3145728 N1=1048576\nfile N0=0 N1=4194304\nshmem N0=0 N1=4194304\n"
FILES = {
    "kubepods.slice/kubepods-pod1.slice": {
        "memory.numa_stat": NUMA_STAT,
        "cpu.stat": "usage_usec 9\nnr_periods 100\nnr_throttled 5\nthrottled_usec 250000\n",
    },
    "kubepods.slice/kubepods-pod1.slice/cri-1.scope": {
        "cpu.stat": "usage_usec 9\nnr_periods 40\nnr_throttled 1\nthrottled_usec 50000\n"
    },
}


def test_a_pods_memory_is_told_by_node_and_its_throttling_with_its_containers() -> None:
    """Shared memory is in the files' line already."""
    engine = next(one for one in picture().pods if one.name == "match-engine")
    usage = pod_usage(picture(), lambda cgroup, names: {name: FILES.get(cgroup, {}).get(name, "") for name in names})
    assert usage[engine.uid] == PodUsage({0: 3145728, 1: 5242880}, 3 / 8, 140, 6, 0.3)


@pytest.mark.parametrize("text", ["", "anon\n", "anon N0=0 N1=0\n"])
def test_without_memory_nothing_is_local_or_far(text: str) -> None:
    of = picture()
    usage = pod_usage(of, lambda _cgroup, _names: {"memory.numa_stat": text})
    assert {one.local_share for one in usage.values()} == {None}


def test_only_pods_that_own_cpus_are_read() -> None:
    of = picture()
    nobody = replace(of, pods=tuple(pod for pod in of.pods if not pod.owned))
    assert pod_usage(nobody, lambda *_: pytest.fail("nobody owns anything")) == {}
