"""Containers that are narrowed as soon as their cgroups appear: real inotify, real files, a directory for the tree."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pinfold.agent.narrowing import Narrowed, Narrowing
from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.newborns import Standing
from pinfold.cgroups.newcomers import Late
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.tree import Driver, PodCgroup, container
from pinfold.cgroups.tree import Tree as CgroupTree
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
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
LEDGER = Ledger({uid(1): ENTRY})


def standing(*containers: CgroupPath) -> Standing:
    """Pod 1 owns CPUs, pod 2 is unknown; *containers* of pod 1 were there at the last look."""
    pods = (
        PodCgroup(uid(1), POD, QosClass.GUARANTEED, tuple(map(container, containers))),
        PodCgroup(uid(2), OTHER, QosClass.GUARANTEED, ()),
    )
    node = CgroupTree(KUBEPODS, Driver.SYSTEMD, {}, {pod.uid: pod for pod in pods})
    return Standing(node, LEDGER, {container_id(1, 2): "proxy"})


STANDING = standing()


class Fs(Cgroupfs):
    """What runs in a cgroup may run where its set says, as far as what is above it has that."""

    def __init__(self, mount: Path) -> None:
        super().__init__(mount)
        self.mount = mount
        self.above = CpuSet.parse("0-15")

    def read(self, path: CgroupPath, file: str) -> str | None:
        """A cgroup has this file as soon as it is there."""
        text = super().read(path, file)
        return "populated 0" if (file, text) == (File.EVENTS, None) and (self.mount / path).is_dir() else text

    def write(self, path: CgroupPath, file: str, value: str) -> None:
        super().write(path, file, value)
        effective = self.mount / path / File.CPUS_EFFECTIVE
        if effective.exists():
            effective.write_text(str((CpuSet.parse(value) & self.above) or self.above))


class Tree:
    """A cgroup tree of plain files, and the thread that looks after it."""

    def __init__(self, folder: Path) -> None:
        self.mount, self.bundles = folder / "cgroup", folder / "bundles"
        self.running: set[CgroupPath] = set()
        for path in (POD, OTHER):
            (self.mount / path).mkdir(parents=True)
        self.fs = Fs(self.mount)
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

    def empty(self, path: CgroupPath) -> None:
        """As systemd does to a scope that it starts, before its first process is there."""
        (self.mount / path / File.CPUS_EFFECTIVE).write_text("0-15")
        os.truncate(self.mount / path / File.CPUS, 0)

    def populate(self, path: CgroupPath) -> None:
        (self.mount / path / File.EVENTS).write_text("populated 1\nfrozen 0\n")

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


def test_a_container_of_a_pod_that_owns_cpus_gets_its_slice_when_its_cgroup_appears(tree: Tree) -> None:
    tree.narrowing.decided(STANDING)
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    (one,) = taken(tree, 1)
    assert (one.newborn.pod, one.newborn.name, one.late) == (uid(1), "engine", None)
    assert tree.narrowing.was_in_time(ENGINE)
    assert one.seen_at <= one.written_at


def test_whoever_no_bundle_names_runs_where_its_pod_shares(tree: Tree) -> None:
    tree.narrowing.decided(replace(STANDING, names={}))
    tree.make(PROXY)
    until(lambda: tree.cpus(PROXY) == "5")
    assert taken(tree, 1)[0].newborn.name == ""


def test_a_container_that_came_before_its_pod_was_watched_is_narrowed_too(tree: Tree) -> None:
    tree.make(ENGINE, "engine")
    tree.narrowing.decided(STANDING)
    until(lambda: tree.cpus(ENGINE) == "2-4")


def test_one_whose_controller_is_enabled_later_is_narrowed_then(tree: Tree) -> None:
    tree.narrowing.decided(STANDING)
    tree.make(ENGINE, "engine", controlled=False)
    tree.make(PROXY, "proxy")
    until(lambda: tree.cpus(PROXY) == "5")
    tree.enable(ENGINE)
    until(lambda: tree.cpus(ENGINE) == "2-4")


def test_a_pod_that_owns_nothing_is_left_to_the_loop(tree: Tree) -> None:
    tree.narrowing.decided(STANDING)
    tree.make(LONELY, "app")
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    assert tree.cpus(LONELY) == ""
    assert [one.newborn.path for one in taken(tree, 1)] == [ENGINE]


def test_where_only_cpusets_keep_others_off_an_unknown_pods_container_runs_where_nobody_owns_until_it_is_known(
    tree: Tree,
) -> None:
    shared = CpuSet.parse("0-1,6-15")
    tree.narrowing.decided(replace(STANDING, shared=shared))
    tree.make(LONELY, "app", controlled=False)
    (tree.mount / LONELY / "cpuset.cpus.effective").write_text("0-15")
    tree.enable(LONELY)
    until(lambda: tree.cpus(LONELY) == "0-1,6-15")
    assert taken(tree, 1)[0].late is None, "it was promised nothing"
    assert not tree.narrowing.was_in_time(LONELY), "nor is it in time, should its pod own CPUs"
    own = PodEntry(
        uid(2), "test", "p2", CpuSet(), containers=(ContainerEntry("app", Isolation.CONTAINER, CpuSet.parse("6")),)
    )
    tree.narrowing.decided(replace(STANDING, ledger=Ledger({**LEDGER.entries, uid(2): own}), shared=shared))
    until(lambda: tree.cpus(LONELY) == "6")
    until(lambda: tree.narrowing.was_in_time(LONELY))


@pytest.mark.parametrize(
    ("ran_on", "late"),
    [
        pytest.param("0-1,6-15", Late(uid(1), "engine", outside_pool=True), id="outside-its-pool"),
        pytest.param("2-5", Late(uid(1), "engine", outside_pool=False), id="outside-its-slice"),
        pytest.param("2-4", None, id="where-it-belongs"),
    ],
)
def test_one_whose_program_runs_already_is_told_so(tree: Tree, ran_on: str, late: Late | None) -> None:
    tree.running.add(ENGINE)
    tree.make(ENGINE, "engine")
    (tree.mount / ENGINE / "cpuset.cpus.effective").write_text(ran_on)
    tree.narrowing.decided(STANDING)
    assert taken(tree, 1)[0].late == late
    assert tree.narrowing.was_in_time(ENGINE) == (late is None)


@pytest.mark.parametrize("runs", [False, True], ids=["not-yet", "runs"])
def test_one_that_a_cgroup_above_keeps_from_its_slice_is_not_in_time(tree: Tree, runs: bool) -> None:
    """Its pod is kept off the pools still; the loop mends that, and judges whom it still finds outside."""
    tree.fs.above = CpuSet.parse("0-1,6-15")
    if runs:
        tree.running.add(ENGINE)
    tree.narrowing.decided(STANDING)
    tree.make(ENGINE, "engine", controlled=False)
    (tree.mount / ENGINE / "cpuset.cpus.effective").write_text("0-1,6-15")
    tree.enable(ENGINE)
    (one,) = taken(tree, 1)
    assert not one.is_confined
    assert one.late == (Late(uid(1), "engine", outside_pool=True) if runs else None)
    assert not tree.narrowing.was_in_time(ENGINE)


def test_whoever_was_in_time_was_so_though_it_is_gone(tree: Tree) -> None:
    """The loop may look only then."""
    tree.narrowing.decided(STANDING)
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    shutil.rmtree(tree.mount / ENGINE)
    tree.make(PROXY, "proxy")
    until(lambda: tree.cpus(PROXY) == "5")
    assert tree.narrowing.was_in_time(ENGINE)


@pytest.mark.parametrize("by", ["thread", "loop"])
@pytest.mark.parametrize("began", [False, True], ids=["in-time", "late"])
def test_what_is_emptied_before_its_first_process_comes_is_written_again(tree: Tree, by: str, began: bool) -> None:
    tree.narrowing.decided(STANDING)
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    if by == "loop":
        tree.narrowing.settled(standing(ENGINE))
    taken(tree, 1)
    for _ in range(3):
        if began:
            tree.running.add(ENGINE)
        tree.empty(ENGINE)
        until(lambda: tree.cpus(ENGINE) == "2-4")
        (one,) = taken(tree, 1)
        assert one.late == (Late(uid(1), "engine", outside_pool=True) if began else None)
        assert tree.narrowing.was_in_time(ENGINE) is not began


def test_one_that_the_loop_narrowed_first_is_written_again_when_it_is_emptied(tree: Tree) -> None:
    tree.narrowing.decided(standing())
    tree.make(PROXY, "proxy")  # the thread is there
    until(lambda: tree.cpus(PROXY) == "5")
    named = replace(standing(PROXY, ENGINE), names={container_id(1, 1): "engine"})  # by its pod's status
    tree.narrowing.decided(named)
    tree.narrowing.settled(named)
    tree.make(ENGINE, controlled=False)
    (tree.mount / ENGINE / File.CPUS).write_text("2-4\n")
    tree.empty(ENGINE)
    until(lambda: tree.cpus(ENGINE) == "2-4")


def test_one_with_a_process_is_watched_no_more(tree: Tree) -> None:
    tree.narrowing.decided(STANDING)
    tree.make(ENGINE, "engine")
    taken(tree, 1)
    tree.populate(ENGINE)
    tree.make(PROXY, "proxy")
    taken(tree, 1)
    tree.empty(ENGINE)
    tree.empty(PROXY)
    until(lambda: tree.cpus(PROXY) == "5")
    assert tree.cpus(ENGINE) == ""


def test_a_pod_that_appears_later_is_watched_at_once(tree: Tree) -> None:
    for folder in (POD, OTHER):
        (tree.mount / folder).rmdir()
    empty = CgroupTree(KUBEPODS, Driver.SYSTEMD, {}, {})
    tree.narrowing.decided(Standing(empty, LEDGER, {}))
    tree.make(OTHER, controlled=False)
    tree.make(POD, controlled=False)
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")


def test_whoever_was_there_at_first_is_left_to_the_loop(tree: Tree) -> None:
    """A kubelet may have given him CPUs that he is to have again."""
    tree.make(PROXY, "proxy")
    tree.narrowing.decided(standing(PROXY))
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    assert tree.cpus(PROXY) == ""


def test_whom_the_loop_has_dealt_with_is_left_alone(tree: Tree) -> None:
    tree.make(PROXY, "proxy")
    tree.narrowing.settled(standing(PROXY))
    tree.narrowing.decided(standing(PROXY))
    tree.make(ENGINE, "engine")
    until(lambda: tree.cpus(ENGINE) == "2-4")
    assert tree.cpus(PROXY) == ""
