"""What is read while somebody looks: the machine's own counts, and files as the kernel writes them."""

import os
from pathlib import Path

import pytest
from tests.report.samples import picture

from pinfold.cpuset import CpuSet
from pinfold.report.live import Throttling, cpu_times, throttling

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


FILES = {
    "kubepods.slice/kubepods-pod1.slice": {
        "cpu.stat": "usage_usec 9\nnr_periods 100\nnr_throttled 5\nthrottled_usec 250000\n",
    },
    "kubepods.slice/kubepods-pod1.slice/cri-1.scope": {
        "cpu.stat": "usage_usec 9\nnr_periods 40\nnr_throttled 1\nthrottled_usec 50000\n"
    },
}


def read(cgroup: str, names: tuple[str, ...]) -> dict[str, str]:
    return {name: FILES[cgroup][name] for name in names if name in FILES.get(cgroup, {})}


def test_a_pod_is_held_back_by_its_own_quota_and_by_its_containers() -> None:
    engine = next(one for one in picture().pods if one.name == "match-engine")
    assert throttling(picture().pods, read)[engine.uid] == Throttling(140, 6, 0.3)


def test_where_the_kernel_has_no_quota_there_are_no_periods() -> None:
    postgres = next(one for one in picture().pods if one.name == "postgres")
    assert throttling(picture().pods, read)[postgres.uid] == Throttling()


def test_only_pods_that_own_cpus_are_read() -> None:
    nobody = [pod for pod in picture().pods if not pod.owned]
    assert throttling(nobody, lambda *_: pytest.fail("nobody owns anything")) == {}
