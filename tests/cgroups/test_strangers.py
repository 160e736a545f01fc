"""Strangers among the tasks that run here, where this test's own process is one."""

import os
import threading
from pathlib import Path

from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.strangers import Kind, Owned, strangers
from pinfold.cpuset import CpuSet

MINE = CpuSet.of(os.sched_getaffinity(0))
NOBODYS = CgroupPath("kubepods/pod-of-nobody")


def test_every_thread_that_may_run_on_anothers_cpus_is_named() -> None:
    cpu = CpuSet.of([MINE.lowest()])
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    found = {one.tid: one for one in strangers([Owned(NOBODYS, cpu)])}
    ended.set()
    thread.join()
    assert {threading.get_native_id(), thread.native_id} <= found.keys()
    mine = found[threading.get_native_id()]
    assert (mine.kind, mine.cpus) == (Kind.USER, cpu)
    assert mine.name == Path("/proc/self/comm").read_text().strip()


def test_who_is_of_the_cgroup_or_below_it_and_who_may_not_run_there_is_no_stranger(tmp_path: Path) -> None:
    """The affinity is this process's own; the rest is written as the kernel writes it."""
    task = tmp_path / f"{os.getpid()}/task/{os.getpid()}"
    task.mkdir(parents=True)
    (task / "comm").write_text("sleep)( 1\n")
    (task / "stat").write_text(f"{os.getpid()} (sleep)( 1) S 1 1 1 0 -1 {0x04200000} 0\n")
    (tmp_path / f"{os.getpid()}/cgroup").write_text("1:name=systemd:/\n0::/kubepods/pod1/engine\n")
    elsewhere = CpuSet.of([8191])
    assert not list(strangers([Owned(CgroupPath("kubepods/pod1"), MINE)], tmp_path))
    assert not list(strangers([Owned(CgroupPath("kubepods/pod1/engine"), MINE), Owned(NOBODYS, elsewhere)], tmp_path))
    (found,) = strangers([Owned(CgroupPath("kubepods/pod10"), MINE)], tmp_path)
    assert (found.name, found.cgroup, found.cpus) == ("sleep)( 1", "/kubepods/pod1/engine", MINE)
    assert found.kind is (Kind.PER_CPU if len(MINE) == 1 else Kind.KERNEL)
