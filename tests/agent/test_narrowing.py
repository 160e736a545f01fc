"""Containers that are narrowed as soon as their cgroups appear: real inotify, real files, a directory for the tree."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinfold.agent.narrowing import Narrowed, Narrowing
from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.newborns import Standing
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.tree import PodCgroup
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, PodEntry
from pinfold.pods.model import QosClass
from pinfold.sources.bundles import Bundles
from tests.cgroups.node import KUBEPODS, container_id, container_path, pod_path, uid

POD, OTHER = pod_path(1, QosClass.GUARANTEED), pod_path(2, QosClass.GUARANTEED)
ENGINE, PROXY, LONELY = container_path(POD, 1, 1), container_path(POD, 1, 2), container_path(OTHER, 2, 1)
ENTRY = PodEntry(
    uid(1),
    "test",
    "p1",
    CpuSet.parse("2-5"),
    containers=(
        ContainerEntry("engine", Isolation.CONTAINER, CpuSet.parse("2-4")),
        ContainerEntry("proxy", Isolation.POD, CpuSet.parse("5")),
    ),
)
STANDING = Standing(
    {POD: (PodCgroup(uid(1), POD, QosClass.GUARANTEED, ()), ENTRY)}, {}, (KUBEPODS,), frozenset({POD, OTHER})
)


class Tree:
    """A cgroup tree of plain files, and the thread that looks after it."""

    def __init__(self, folder: Path) -> None:
        self.mount, self.bundles = folder / "cgroup", folder / "bundles"
        self.running: set[CgroupPath] = set()
        for path in (POD, OTHER):
            (self.mount / path).mkdir(parents=True)
        self.fs = Cgroupfs(self.mount)
        bundles = Bundles([f"{self.bundles}/{{id}}/config.json"])
        self.narrowing = Narrowing(self.fs, self.running.__contains__, self.mount, bundles=bundles)
        self.narrowing.start()

    def make(self, path: CgroupPath, name: str = "", *, controlled: bool = True) -> None:
        """A container's bundle, where it has a *name*, then its cgroup."""
        if name:
            bundle = self.bundles / path.rpartition("-")[2].removesuffix(".scope")
            bundle.mkdir(parents=True)
            said = {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": name}
            (bundle / "config.json").write_text(json.dumps({"annotations": said}))
        (self.mount / path).mkdir()
        if controlled:
            self.enable(path)

    def enable(self, path: CgroupPath) -> None:
        """Its cpuset files appear a moment after it does."""
        (self.mount / path / "cpuset.cpus").touch()

    def cpus(self, path: CgroupPath) -> str:
        return (self.mount / path / "cpuset.cpus").read_text().strip()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    made.narrowing.close()
    made.fs.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def taken(tree: Tree, count: int) -> list[Narrowed]:
    done: list[Narrowed] = []

    def enough() -> bool:
        done.extend(tree.narrowing.taken())
        return len(done) >= count

    until(enough)
    return done


def test_a_container_of_a_confined_pod_gets_its_slice_when_its_cgroup_appears(tree: Tree) -> None:
    tree.narrowing.stands(STANDING)
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    (one,) = taken(tree, 1)
    assert (one.newborn.pod, one.newborn.name, one.was_running) == (uid(1), "engine", False)
    assert one.seen_at <= one.written_at


def test_whoever_no_bundle_names_runs_where_its_pod_shares(tree: Tree) -> None:
    tree.narrowing.stands(STANDING)
    tree.make(PROXY)
    until(lambda: tree.cpus(PROXY) == "5")
    assert taken(tree, 1)[0].newborn.name == ""


def test_a_container_that_came_before_its_pod_was_watched_is_narrowed_too(tree: Tree) -> None:
    tree.make(ENGINE, "engine")
    tree.narrowing.stands(STANDING)
    until(lambda: tree.cpus(ENGINE) == "2-4")


def test_one_whose_controller_is_enabled_later_is_narrowed_then(tree: Tree) -> None:
    tree.narrowing.stands(STANDING)
    tree.make(ENGINE, "engine", controlled=False)
    tree.make(PROXY, "proxy")
    until(lambda: tree.cpus(PROXY) == "5")
    tree.enable(ENGINE)
    until(lambda: tree.cpus(ENGINE) == "2-4")


def test_a_pod_that_is_not_confined_is_left_to_the_loop(tree: Tree) -> None:
    tree.narrowing.stands(STANDING)
    tree.make(LONELY, "app")
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    assert tree.cpus(LONELY) == ""
    assert [one.newborn.path for one in taken(tree, 1)] == [ENGINE]


def test_one_whose_program_runs_already_is_told_so(tree: Tree) -> None:
    tree.running.add(ENGINE)
    tree.narrowing.stands(STANDING)
    tree.make(ENGINE, "engine")
    assert taken(tree, 1)[0].was_running


def test_who_was_there_at_the_last_turn_is_the_loops(tree: Tree) -> None:
    tree.make(PROXY, "proxy")
    there = Standing(STANDING.pods, {container_id(1, 2): "proxy"}, STANDING.holders, STANDING.seen | {PROXY})
    tree.narrowing.stands(there)
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    assert tree.cpus(PROXY) == ""
