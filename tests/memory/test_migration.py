"""Running pods' memory moved to their nodes: asked before, bounded, beside the loop, and begun anew after a death."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pinfold.agent.migrations import RETRY_S, Migrations
from pinfold.cgroups.held import CpusetState
from pinfold.cgroups.layout import MOVE_BYTES, Layout, Want
from pinfold.cgroups.migration import MigrationError, migrated, pending, size_bytes
from pinfold.cgroups.numa_stat import elsewhere_bytes, used
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.writes import Write
from pinfold.cpuset import NodeSet
from pinfold.pods.model import QosClass
from pinfold.report.memory import local_share
from pinfold.report.migration import Result
from tests.agent.bench import Bench, pod
from tests.cgroups.node import pod_path, uid
from tests.cpuset_model.kernel import V7_3

POD = CgroupPath("kubepods.slice/pod")
ENGINE = CgroupPath(f"{POD}/engine")
MIB = 1 << 20
NODE_1 = NodeSet.parse("1")
TO_1 = Write(POD, File.MEMS, "1", "memory of ns/a", uid(1))
PATIENCE_S = 30.0

STAT = f"""anon N0={96 * MIB} N1={32 * MIB}
file N0={64 * MIB} N1=0
kernel_stack N0=16384 N1=0
shmem N0={8 * MIB} N1=0
file_mapped N0={16 * MIB} N1=0
"""


def test_where_memory_lies_is_its_anonymous_memory_and_its_page_cache() -> None:
    assert used(STAT) == {0: 160 * MIB, 1: 32 * MIB}
    assert used("") == {}


def test_the_local_share_is_of_the_nodes_that_the_pod_is_bound_to() -> None:
    assert local_share(used(STAT), NODE_1) == pytest.approx(1 / 6)
    assert local_share(used(STAT), NodeSet()) is None
    assert local_share({}, NODE_1) is None


def test_page_cache_that_nobody_maps_does_not_follow_a_process() -> None:
    assert elsewhere_bytes(STAT, NODE_1) == (96 + 8 + 16) * MIB
    assert elsewhere_bytes(STAT, NodeSet.parse("0-1")) == 0


def _state(mib: int, mems: str = "") -> CpusetState:
    both = NodeSet.parse("0-1")
    return CpusetState(mems=NodeSet.parse(mems), mems_effective=both, populated=True, memory_bytes=mib * MIB)


@pytest.mark.parametrize(
    ("state", "mems"),
    [
        pytest.param(_state(100), ["1"], id="too-much-to-move-inside-a-write"),
        pytest.param(_state(1), [], id="little-is-written-at-once"),
        pytest.param(_state(100, "1"), [], id="it-is-there-already"),
        pytest.param(replace(_state(100), populated=False), [], id="nobody-is-in-it"),
        pytest.param(replace(_state(100), mems=None), [], id="no-controller"),
    ],
)
def test_what_the_protocol_leaves_out_is_a_migration(state: CpusetState, mems: list[str]) -> None:
    layout = Layout({POD: Want("memory of ns/a", uid(1), mems=NODE_1)})
    assert [write.value for write in pending(layout, {POD: state})] == mems


class _Pod:
    """A pod of two processes, one of them in a container's cgroup, with memory on node 0 that can be moved."""

    def __init__(self, *mib: int) -> None:
        self.mib = dict(enumerate(mib, start=10))
        self.mems = ""
        self.moved: list[int] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.gone_mib = 0

    def children(self, path: CgroupPath, /) -> tuple[str, ...]:
        return ("engine",) if path == POD else ()

    def read(self, path: CgroupPath, file: str, /) -> str | None:
        if file == File.PROCS:
            return "\n".join(str(pid) for pid in self.mib if (pid == 10) is (path == POD))
        return f"anon N0={sum(self.mib.values()) * MIB} N1={self.gone_mib * MIB}"

    def write(self, path: CgroupPath, file: str, value: str, /) -> None:
        assert (path, file) == (POD, File.MEMS)
        self.mems = value

    def move(self, pid: int, to: NodeSet) -> None:
        assert to == NODE_1
        self.moved.append(pid)
        self.gone_mib += self.mib[pid]
        self.mib[pid] = 0
        self.meanwhile()


def test_every_process_of_the_pod_is_moved_and_what_is_left_is_told() -> None:
    pod = _Pod(100, 200)
    assert size_bytes(pod, TO_1) == 300 * MIB
    assert list(migrated(pod, TO_1, pod.move)) == [200 * MIB, 0]
    assert pod.moved == [10, 11]


def test_pages_that_do_not_move_are_not_tried_for_ever() -> None:
    pod = _Pod(100, 200)
    assert len(list(migrated(pod, TO_1, lambda *_: None))) == 2


def test_little_is_left_to_the_write() -> None:
    pod = _Pod(MOVE_BYTES // MIB)
    assert list(migrated(pod, TO_1, pod.move)) == []


def test_processes_of_another_pid_namespace_cannot_be_moved() -> None:
    pod = _Pod(100)
    pod.mib = {0: 100}
    with pytest.raises(MigrationError, match="hostPID"):
        list(migrated(pod, TO_1, pod.move))


class _Bench:
    """The thread on a pod, and a clock."""

    def __init__(self, pod: _Pod, max_mib: int) -> None:
        self.now_s = 1000.0
        self._ended = threading.Semaphore(0)
        self.threads = Migrations(pod, max_mib * MIB, self._ended.release, pod.move, lambda: self.now_s)

    def ended(self) -> None:
        assert self._ended.acquire(timeout=PATIENCE_S)


def test_pages_move_first_and_then_the_nodes_are_written() -> None:
    pod = _Pod(100, 200)
    bench = _Bench(pod, 400)
    written: list[str] = []
    pod.meanwhile = lambda: written.append(pod.mems)
    bench.threads.ask((TO_1,))
    bench.ended()
    assert (pod.moved, written, pod.mems) == ([10, 11], ["", ""], "1")
    progress = bench.threads.progress
    assert (progress.results, progress.moved_bytes, progress.running) == ({Result.DONE: 1}, 300 * MIB, None)
    bench.threads.close()


def test_more_than_is_allowed_is_not_begun_and_is_told_and_asked_about_again_later() -> None:
    pod = _Pod(100, 200)
    bench = _Bench(pod, 299)
    bench.threads.ask((TO_1,))
    bench.ended()
    assert (pod.moved, pod.mems) == ([], "")
    assert "300 MiB lie elsewhere" in bench.threads.progress.waiting[POD]
    pod.mib[11] = 1
    bench.now_s += RETRY_S
    bench.threads.ask((TO_1,))
    bench.ended()
    assert pod.mems == "1"
    assert bench.threads.progress.waiting == {}
    bench.threads.close()


def test_what_is_not_asked_for_any_more_is_not_written() -> None:
    pod = _Pod(100, 200)
    bench = _Bench(pod, 400)
    pod.meanwhile = lambda: bench.threads.ask(())
    bench.threads.ask((TO_1,))
    bench.ended()
    assert (pod.moved, pod.mems) == ([10], ""), "it stops after the process that it was at"
    assert bench.threads.progress.results == {Result.CANCELLED: 1}
    bench.threads.close()


def test_a_daemon_that_died_in_the_middle_is_followed_by_one_that_moves_the_rest() -> None:
    pod = _Pod(100, 200)
    next(migrated(pod, TO_1, pod.move))
    bench = _Bench(pod, 400)
    bench.threads.ask((TO_1,))
    bench.ended()
    assert (pod.moved, pod.mems, pod.gone_mib) == ([10, 10, 11], "1", 300)
    bench.threads.close()


def test_nodes_that_were_reset_are_written_at_once_where_the_memory_is_on_them(tmp_path: Path) -> None:
    bench = Bench.boot(V7_3, tmp_path)
    bench.put(pod(1, 4))
    bench.appear(1)
    bench.start()
    at = pod_path(1, QosClass.GUARANTEED)
    assert bench.status(1).kernel.drift == ()
    bound = bench.fs.read(at, File.MEMS)
    assert bound
    bench.fs.texts[at, File.MEMORY_CURRENT] = str(1 << 30)
    bench.fs.texts[at, "memory.numa_stat"] = f"anon N{bound}={1 << 30}"
    bench.fs.meddle(at, File.MEMS, "0-1")
    assert (bench.status(1).kernel.drift, bench.fs.read(at, File.MEMS)) == ((), bound)
    bench.fs.texts[at, "memory.numa_stat"] = f"anon N0={1 << 29} N1={1 << 29}"
    bench.fs.meddle(at, File.MEMS, "0-1")
    assert [drift.cause for drift in bench.status(1).kernel.drift] == ["memory-not-moved"]
    bench.stop()
