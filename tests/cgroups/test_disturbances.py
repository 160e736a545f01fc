"""The scenes of `disturbances` on the model kernels, and on real ones in a virtual machine."""

import os
from typing import Literal

import pytest

from pinfold.cgroups.files import CgroupError, CgroupGoneError
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.lost import MENDING, are_lost, mend, searched
from pinfold.cgroups.paths import ROOT, CgroupPath, File, holds
from pinfold.cgroups.verify import Cause, verify
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from tests.cpuset_model import V6_12, V7_3, Fault, FaultyState, Kernel
from tests.vm.machine import run_in_vm

from .disturbances import CPUS, ISOLCPUS, SCENES, Scene, Stage
from .model import ModelGround
from .node import KUBEPODS, PlayedNode

VM_KERNELS: list[Literal["6.12", "new"]] = ["6.12", "new"]
OUT_OF_THE_MODEL = {Fault.HALF_INVALID, Fault.ABOVE_REMOTE}
"""States that the model names and does not go into: those scenes are the real kernels'."""


def booted(kernel: Kernel) -> PlayedNode:
    return PlayedNode.boot(ModelGround.boot(kernel, CPUS, str(ISOLCPUS), may_lose=True), Enforcement.PARTITION)


@pytest.mark.parametrize("kernel", [V6_12, V7_3], ids=str)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_afterwards_each_owner_is_alone_on_a_model(scene: Scene, kernel: Kernel) -> None:
    try:
        scene(booted(kernel))
    except FaultyState as state:
        if state.fault not in OUT_OF_THE_MODEL:
            raise
        pytest.skip(f"the model does not go where {state}")


def lost_on_6_12(of_kubepods: str = "") -> tuple[Stage, CgroupPath]:
    """*of_kubepods*: the list that the kubelet wrote."""
    stage = Stage(booted(V6_12))
    stage.node.ground.write(KUBEPODS, File.CPUS, of_kubepods)
    pod = stage.pod(1, "2-5")
    stage.spoil(KUBEPODS, File.EXCLUSIVE, "")
    stage.spoil(pod, File.EXCLUSIVE, "")
    return stage, pod


def test_cpus_that_belong_to_nobody_are_told() -> None:
    stage, _ = lost_on_6_12()
    drift = verify(stage.node.layout(stage.ledger), stage.node.held(stage.ledger), stage.node.topology.online)
    (lost,) = (one for one in drift if one.cause is Cause.LOST)
    assert (lost.path, lost.want, lost.have) == (ROOT, "0-11", "0-1,6-11")


@pytest.mark.parametrize("of_kubepods", ["", "0-11"])
def test_mending_goes_on_after_a_crash_at_each_of_its_writes(of_kubepods: str) -> None:
    class Dead(Exception):  # noqa: N818
        pass

    class Mortal(ModelGround):
        lives = 0

        def _live(self) -> None:
            if self.lives == 0:
                raise Dead
            self.lives -= 1

        def write(self, path: CgroupPath, file: str, value: str, /) -> None:
            self._live()
            super().write(path, file, value)

        def make(self, path: CgroupPath, /) -> None:
            self._live()
            super().make(path)

        def remove(self, path: CgroupPath, /) -> None:
            self._live()
            super().remove(path)

    for lives in range(10):
        stage, _ = lost_on_6_12(of_kubepods)
        ground = stage.node.ground
        assert isinstance(ground, ModelGround)
        mortal = Mortal(ground.world)
        mortal.lives = lives
        try:
            mend(mortal, CpuSet.parse("2-5"))
        except Dead:
            assert MENDING in ground.world.paths() or are_lost(stage.node.held(stage.ledger))
            stage.settle()
        else:
            assert lives > 3
            break
        finally:
            assert MENDING not in ground.world.paths()


def test_mending_that_cannot_be_done_leaves_nothing_behind() -> None:
    """A CPU that went offline is missed before the topology tells why, and nobody has given cpusets out."""
    ground = ModelGround.boot(V6_12, CPUS)
    with pytest.raises(CgroupGoneError):
        mend(ground, CpuSet.parse("2"))
    assert MENDING not in ground.world.paths()


def test_where_no_partition_can_be_made_the_kernels_word_is_told() -> None:
    """Of all that the root cgroup's own processes have."""
    node = Stage(booted(V6_12)).node
    with pytest.raises(CgroupError, match=r"CPUs 0-11 belong to nobody.*: isolated invalid \("):
        mend(node.ground, CpuSet.parse("0-11"))
    assert MENDING not in node.paths()


class Watched(ModelGround):
    """Tells where it was listed."""

    listed: tuple[CgroupPath, ...] = ()

    def children(self, path: CgroupPath, /) -> tuple[str, ...]:
        self.listed = (*self.listed, path)
        return super().children(path)


def test_only_where_a_cpu_is_unexplained_are_others_partitions_searched_for() -> None:
    node = booted(V6_12)
    assert isinstance(node.ground, ModelGround)
    stage = Stage(node)
    pod = stage.pod(1, "2-5")
    held = node.held(stage.ledger)
    fs = Watched(node.ground.world)
    assert searched(fs, held, node.topology.online) == held
    assert fs.listed == ()
    without = {path: state for path, state in held.items() if not holds(pod, path)}
    assert searched(fs, without, node.topology.online)[ROOT].lost == CpuSet()
    assert ROOT in fs.listed
    assert pod in fs.listed


def test_a_partition_of_a_container_that_others_made_costs_no_walk_of_the_tree() -> None:
    """CRI-O's: the pod's exclusive set says where to look."""
    node = booted(V6_12)
    assert isinstance(node.ground, ModelGround)
    stage = Stage(node)
    pod = stage.pods[1] = node.start_pod(1)
    container = node.start_container(pod, 1, 0, None)
    for path in (KUBEPODS, pod, container):
        node.ground.write(path, File.EXCLUSIVE, "2-5")
    node.ground.write(container, File.PARTITION, "root")
    fs = Watched(node.ground.world)
    held = {path: state for path, state in node.held(Ledger()).items() if path != container}
    assert searched(fs, held, node.topology.online)[ROOT].lost == CpuSet()
    assert fs.listed == (pod, container)


@pytest.mark.vm
@pytest.mark.parametrize(
    "kernel", [one for one in VM_KERNELS if one in os.environ.get("PINFOLD_TEST_KERNELS", "6.12").split()]
)
def test_afterwards_each_owner_is_alone_on_a_real_kernel(kernel: Literal["6.12", "new"]) -> None:
    done = run_in_vm(
        ["python3", "-m", "tests.cgroups.disturbances"],
        kernel=kernel,
        smp=str(CPUS),
        append=f"isolcpus={ISOLCPUS}",
        timeout_s=600,
    )
    assert done.status == 0, done.output[-6000:]
    assert f"{len(SCENES)} passed, 0 failed" in done.output
