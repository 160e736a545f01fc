"""User tasks of the root cgroup are kept off the pools, and get back what they had."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tasks import Bound, RootTasks, TaskId, bindings, bounds, from_text, to_text
from pinfold.cpuset import CpuSet

ONLINE = CpuSet.parse("0-7")
A, B = TaskId("10:1"), TaskId("11:2")

cpus = st.integers(1, 255).map(CpuSet)
affinities = st.dictionaries(st.sampled_from([A, B]), cpus)


def test_a_task_is_bound_to_what_it_shares_with_the_node_shared_pool() -> None:
    held = {A: ONLINE, B: CpuSet.parse("2-3")}
    bound = bounds(held, {}, CpuSet.parse("0-1,3"))
    assert bindings(held, {}, bound) == {A: CpuSet.parse("0-1,3"), B: CpuSet.parse("3")}


def test_a_task_with_nothing_in_the_node_shared_pool_runs_on_all_of_it() -> None:
    held = {A: CpuSet.parse("4-7")}
    assert bindings(held, {}, bounds(held, {}, CpuSet.parse("0-1"))) == {A: CpuSet.parse("0-1")}


def test_what_somebody_else_set_since_is_what_the_task_gets_back() -> None:
    before = {A: Bound(ONLINE, CpuSet.parse("0-1"))}
    held = {A: CpuSet.parse("1,5")}
    after = bounds(held, before, CpuSet.parse("0-1"))
    assert after == {A: Bound(CpuSet.parse("1,5"), CpuSet.parse("1"))}


def test_a_wider_pool_gives_back_from_what_was_found() -> None:
    before = {A: Bound(ONLINE, CpuSet.parse("0-1"))}
    held = {A: CpuSet.parse("0-1")}
    after = bounds(held, before, CpuSet.parse("0-5"))
    assert bindings(held, before, after) == {A: CpuSet.parse("0-5")}


@given(affinities, cpus, cpus)
def test_binding_and_giving_back_leaves_every_task_as_it_was(
    held: dict[TaskId, CpuSet], first: CpuSet, second: CpuSet
) -> None:
    now, bound = dict(held), dict(bounds(held, {}, first))
    now |= bindings(held, {}, bound)
    assert all(own <= first for own in now.values())
    moved = bounds(now, bound, second)
    now |= bindings(now, bound, moved)
    assert all(own <= second for own in now.values())
    assert bindings(now, moved, bounds(now, moved, second)) == {}
    now |= bindings(now, moved, bounds(now, moved, None))
    assert now == held


def test_the_checkpoint_tells_it_again() -> None:
    told = {A: Bound(ONLINE, CpuSet.parse("0-1"))}
    assert from_text(to_text(told)) == told


class Root:
    """A root cgroup with these processes."""

    def __init__(self, *pids: int) -> None:
        self.pids = pids

    def read(self, path: CgroupPath, file: str, /) -> str:
        assert (path, file) == ("", "cgroup.procs")
        return "\n".join(map(str, self.pids))


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process with two threads."""
    code = "import threading, sys; threading.Thread(target=sys.stdin.read).start(); print(flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout
        running.stdout.readline()
        yield running
        running.kill()


def test_every_thread_of_a_living_process_is_bound_and_given_back(process: subprocess.Popen[bytes]) -> None:
    tasks = RootTasks(Root(process.pid))
    held = tasks.look()
    assert len(held) == 2
    one = CpuSet.of([CpuSet.of(os.sched_getaffinity(0)).lowest()])
    bound = bounds(held, {}, one)
    tasks.bind(bindings(held, {}, bound))
    now = tasks.look()
    assert set(now.values()) == {one}
    tasks.bind(bindings(now, bound, {}))
    assert tasks.look() == held


def test_kernel_threads_and_the_dead_are_left_alone(process: subprocess.Popen[bytes]) -> None:
    tasks = RootTasks(Root(2, process.pid))  # kthreadd, or in a container whatever has that number
    before = tasks.look()
    process.kill()
    process.wait()
    tasks.bind(dict.fromkeys(before, CpuSet.parse("0")))
    assert tasks.look().keys() <= before.keys()


def test_processes_of_another_namespace_are_told() -> None:
    tasks = RootTasks(Root(0, 0))
    assert tasks.look() == {}
    assert tasks.hidden
