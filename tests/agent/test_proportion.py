"""What a turn reads follows from what changed, not from how many pods there are.

The model kernel rings as a real one: its cgroups have directories, and every write touches a file in them.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from pinfold.agent.loop import Agent
from pinfold.cgroups.held import held
from pinfold.cgroups.known import GLANCES
from pinfold.cgroups.paths import CgroupPath, below
from pinfold.cgroups.wanted import wanted
from pinfold.planning.planner import plan
from pinfold.pods.model import QosClass
from tests.agent.bench import Bench, Fs, pod
from tests.cgroups.node import container_path, pod_path, uid
from tests.cpuset_model import KERNELS, V6_12, Kernel, World

MANAGED = 3


class RingingFs(Fs):
    """Counts what is read, too."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.mount = Path()
        self.files_read = self.listings = 0

    def mirror(self) -> None:
        for path in self.world.paths():
            (self.mount / path).mkdir(exist_ok=True)

    def ring(self, path: str, file: str) -> None:
        (self.mount / path / file).write_text("x")

    def children(self, path: CgroupPath, /) -> tuple[str, ...]:
        self.listings += 1
        return super().children(path)

    def read_all(self, path: CgroupPath, files: tuple[str, ...], /) -> dict[str, str]:
        self.files_read += len(files)
        return super().read_all(path, files)

    def write(self, path: CgroupPath, file: str, value: str, /) -> None:
        try:
            super().write(path, file, value)
        finally:
            if (self.mount / path).is_dir():
                self.ring(path, file)

    @property
    def work(self) -> int:
        return self.files_read + self.listings


class Ringing:
    """A bench whose kernel rings, and everybody else on the node."""

    def __init__(self, kernel: Kernel, tmp: Path) -> None:
        self.bench = Bench.boot(kernel, tmp, apiServer={"enabled": False})
        fs = RingingFs(self.bench.fs.world)
        fs.mount = tmp / "mount"
        fs.mirror()
        self.fs = self.bench.fs = fs

    @property
    def agent(self) -> Agent:
        assert self.bench.agent
        return self.bench.agent

    def settle(self) -> None:
        """As the daemon: a turn for what rang, and others as long as it asks for them."""
        for _ in range(20):
            rang = self.agent.sources.wait(0)
            if not self.agent.reconcile() and not rang:
                return
        raise AssertionError("it never comes to rest")

    def full(self) -> None:
        """As at the timer."""
        self.agent.sources.refresh()
        self.agent._due = True
        self.settle()

    def start(self, number: int, raw: dict[str, Any]) -> None:
        self.bench.put(raw)
        path = self.make(pod_path(number, QosClass.GUARANTEED))
        sandbox = self.make(container_path(path, number, 0))
        self.bench.fs.world.spawn(f"pause-{number}", sandbox)

    def make(self, path: CgroupPath) -> CgroupPath:
        assert self.fs.world.mkdir(path) is None
        (self.fs.mount / path).mkdir()
        return path

    def end(self, number: int) -> None:
        """Its last process ends: the kernel says so in cgroup.events."""
        self.bench.take(number)
        self.fs.world.exit(f"pause-{number}")
        self.fs.ring(pod_path(number, QosClass.GUARANTEED), "cgroup.events")

    def remove(self, number: int) -> None:
        path = pod_path(number, QosClass.GUARANTEED)
        for one in (container_path(path, number, 0), path):
            assert self.fs.world.rmdir(one) is None
            for file in (self.fs.mount / one).iterdir():
                file.unlink()
            (self.fs.mount / one).rmdir()

    def rewrite(self, path: CgroupPath, file: str, value: str) -> None:
        if self.fs.world.write(path, file, value) is None:
            self.fs.ring(path, file)

    def known_is_true(self) -> None:
        """What the loop knows of pods that own CPUs is what the kernel holds."""
        snapshot = self.agent.snapshot()
        assert snapshot
        paths = [pod_path(number, QosClass.GUARANTEED) for number in range(1, 10)]
        paths += [below(path, name) for path in paths for name in self.fs.children(path)]
        known = self.agent._cgroups.known
        kept = {path: known._inner[path] for path in paths if path in known._inner}
        owners = {pod_path(int(one.uid[:8], 16), QosClass.GUARANTEED) for one in snapshot.pods if one.owned}
        kept = {path: state for path, state in kept.items() if any(path.startswith(owner) for owner in owners)}
        assert kept == held(self.fs, kept)


def nothing_asked(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"p{number}", "namespace": "test", "uid": uid(number)},
        "spec": {"containers": [{"name": "one"}]},
    }


@pytest.fixture(params=KERNELS, ids=str)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ringing]:
    made = Ringing(request.param, tmp_path)
    yield made
    made.bench.stop()


def crowded(tmp_path: Path, pods: int) -> Ringing:
    tmp_path.mkdir()
    node = Ringing(V6_12, tmp_path)
    for number in range(1, pods + 1):
        node.start(number, pod(number, 2) if number <= MANAGED else nothing_asked(number))
    node.bench.start()
    node.settle()
    return node


def costs(tmp_path: Path, pods: int) -> dict[str, int]:
    """What each change makes the loop read, files and listings, on a node with so many *pods*."""
    node = crowded(tmp_path / str(pods), pods)
    new = pods + 1

    def work() -> int:
        before = node.fs.work
        node.settle()
        return node.fs.work - before

    found = {"nothing": work()}
    node.start(new, pod(new, 2))
    found["a pod comes"] = work()
    node.rewrite(container_path(pod_path(1, QosClass.GUARANTEED), 1, 0), "cpuset.cpus", "0-15")
    found["drift"] = work()
    node.bench.put(pod(new, 4))
    found["a resize"] = work()
    node.end(new)
    found["a pod ends"] = work()
    node.remove(new)
    found["its cgroup goes"] = work()
    assert node.agent.snapshot().counters.repaired == {"rewritten": 1}  # type: ignore[union-attr]
    node.bench.stop()
    return found


def test_one_change_reads_as_much_with_many_pods_as_with_few(tmp_path: Path) -> None:
    few, many = costs(tmp_path, 10), costs(tmp_path, 200)
    assert {what: many[what] for what in few if many[what] > 1.5 * few[what]} == {}, (few, many)
    assert few["a pod comes"] > 0


def test_a_plan_is_not_made_again_of_what_it_left_itself(tmp_path: Path) -> None:
    node = crowded(tmp_path / "node", 5)
    with patch("pinfold.agent.deciding.plan", wraps=plan) as planned:
        node.start(6, pod(6, 2, engine=1))
        node.settle()
    assert planned.call_count == 1, "though its ledger is another one now"
    assert node.bench.status(6).pool
    node.bench.stop()


def test_nothing_is_laid_out_anew_where_a_timer_finds_all_as_it_was(tmp_path: Path) -> None:
    node = crowded(tmp_path / "node", 5)
    node.full()
    with patch("pinfold.agent.enforcement.wanted", wraps=wanted) as laid_out:
        node.full()
        assert laid_out.call_count == 0
        node.start(6, pod(6, 2))
        node.settle()
        assert laid_out.call_count > 0
    node.bench.stop()


def test_the_timer_looks_at_who_owns_cpus_and_in_time_at_everybody(tmp_path: Path) -> None:
    node = crowded(tmp_path / "node", 20)
    silent = [container_path(pod_path(1, QosClass.GUARANTEED), 1, 0), pod_path(20, QosClass.GUARANTEED)]
    for path, cpus in zip(silent, ("2", "0-1"), strict=True):
        assert node.fs.world.write(path, "cpuset.cpus", cpus) is None
    node.settle()
    assert node.agent._cgroups.known._inner[silent[0]] != held(node.fs, silent)[silent[0]]
    node.full()
    assert node.fs.read(silent[0], "cpuset.cpus") != "2", "it is repaired"
    for _ in range(GLANCES):
        node.full()
    known = node.agent._cgroups.known
    assert known._inner == held(node.fs, known._inner)
    node.bench.stop()


def test_who_changes_a_cgroup_above_has_all_pods_looked_at(node: Ringing) -> None:
    node.start(1, pod(1, 4, engine=3))
    node.bench.start()
    node.settle()
    node.rewrite(CgroupPath("kubepods.slice"), "cpuset.cpus", "0-7")
    node.settle()
    node.known_is_true()


def test_who_takes_cpus_away_above_breaks_a_pool_that_does_not_ring(tmp_path: Path) -> None:
    """6.12 makes the pod's partition a member then, without a word."""
    node = Ringing(V6_12, tmp_path)
    node.start(1, pod(1, 4, engine=3))
    node.bench.start()
    node.settle()
    path = pod_path(1, QosClass.GUARANTEED)
    exclusive = node.fs.read(path, "cpuset.cpus.exclusive")
    assert exclusive
    node.rewrite(CgroupPath("kubepods.slice"), "cpuset.cpus.exclusive", exclusive.partition("-")[0])
    assert node.fs.read(path, "cpuset.cpus.partition") == "member"
    node.settle()
    assert node.fs.read(path, "cpuset.cpus.partition") == "root"
    node.known_is_true()
    node.bench.stop()


@pytest.mark.parametrize("seed", range(6))
def test_after_anything_that_rings_the_loop_knows_what_the_kernel_holds(node: Ringing, seed: int) -> None:
    """Pods come, grow and go, and somebody rewrites at random; in the end a full look finds nothing to do."""
    draw = random.Random(seed)
    node.bench.start()
    there: set[int] = set()
    for _ in range(25):
        number = draw.randint(1, 5)
        path = pod_path(number, QosClass.GUARANTEED)
        match draw.randrange(5):
            case 0 if number not in there:
                node.start(number, pod(number, draw.choice([1, 2, 3])))
                there.add(number)
            case 1 if number in there:
                node.bench.put(pod(number, draw.choice([1, 2, 3])))
            case 2 if number in there:
                node.end(number)
                node.settle()
                node.remove(number)
                there.discard(number)
            case 3 if number in there:
                node.rewrite(container_path(path, number, 0), "cpuset.cpus", draw.choice(["0-15", "0", "3-4"]))
            case 4 if number in there:
                node.rewrite(
                    path, draw.choice(["cpuset.cpus.partition", "cpuset.cpus"]), draw.choice(["member", "0-3"])
                )
        node.bench.now_s += 5
        node.settle()
        node.known_is_true()
    before = node.fs.count
    node.full()
    assert node.fs.count == before, "the full look found nothing to write"
