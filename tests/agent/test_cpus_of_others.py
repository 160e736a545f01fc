"""CPUs that are not there for every pod: lost to nobody, held by partitions of others, strictly reserved."""

from dataclasses import replace
from pathlib import Path

import pytest

from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.paths import CgroupPath, File, below
from pinfold.cgroups.verify import Cause
from pinfold.cpuset import CpuSet
from pinfold.planning.policy import CpuOption
from pinfold.pods.model import QosClass
from tests.agent.bench import Bench, Fs, pod
from tests.cgroups.node import KUBEPODS, PlayedNode, container_path, pod_path
from tests.cpuset_model import KERNELS, V6_12, V7_3, Kernel

PATH = pod_path(1, QosClass.GUARANTEED)


def test_a_pool_whose_cpus_6_12_has_lost_stands_again(tmp_path: Path) -> None:
    bench = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False})
    bench.fs = Fs.boot(V6_12, 16, may_lose=True)
    PlayedNode.boot(bench.fs, Enforcement.PARTITION)
    bench.put(pod(1, 4, engine=3))
    bench.appear(1)
    bench.start()
    pool = bench.status(1).pool
    assert pool
    for where in (KUBEPODS, PATH):
        assert bench.fs.world.write(where, File.EXCLUSIVE, "") is None
    assert bench.fs.world.effective("").isdisjoint(pool)
    assert bench.fs.world.effective(PATH).isdisjoint(pool)

    snapshot = bench.turn()
    assert bench.fs.read(PATH, File.PARTITION) == "root"
    assert bench.fs.world.effective(PATH) == pool
    assert snapshot.counters.repaired[Cause.LOST] == 1
    bench.stop()


@pytest.mark.parametrize("kernel", [V6_12, V7_3], ids=str)
def test_pools_stay_off_partitions_that_others_made(kernel: Kernel, tmp_path: Path) -> None:
    """An operator's beside kubepods, and CRI-O's of a container: planned around, left alone, told."""
    bench = Bench.boot(kernel, tmp_path, apiServer={"enabled": False})
    theirs, crio = CgroupPath("theirs"), pod_path(9, QosClass.BURSTABLE)
    container = container_path(crio, 9, 0)
    for path in ("", KUBEPODS, CgroupPath(crio.rpartition("/")[0])):
        bench.fs.write(CgroupPath(path), File.SUBTREE_CONTROL, "+cpuset")
    for path in (theirs, crio):
        bench.fs.make(path)
    bench.fs.write(crio, File.SUBTREE_CONTROL, "+cpuset")
    bench.fs.make(container)
    bench.fs.write(theirs, File.CPUS, "2-5")
    bench.fs.write(theirs, File.PARTITION, "root")
    for path in (KUBEPODS, CgroupPath(crio.rpartition("/")[0]), crio, container):
        bench.fs.write(path, File.EXCLUSIVE, "6-7")
    bench.fs.write(container, File.PARTITION, "isolated")
    bench.put(pod(1, 8, engine=3))
    bench.appear(1, populated=False)
    bench.start()
    status = bench.status(1)
    snapshot = bench.turn()
    assert status.pool == CpuSet.parse("8-15")
    assert (bench.fs.read(PATH, File.PARTITION), status.kernel.drift) == ("root", ())
    assert bench.fs.world.effective(theirs) == CpuSet.parse("2-5")
    assert bench.fs.world.effective(container) == CpuSet.parse("6-7")
    assert [one for one in snapshot.warnings if "/theirs" in one and "2-5" in one]

    bench.fs.write(theirs, File.PARTITION, "member")
    bench.turn()
    bench.put(pod(1, 12, engine=3))
    assert len(bench.status(1).pool & CpuSet.parse("2-5")) == 4
    bench.stop()


def test_a_leaf_of_kubepods_made_a_partition_is_left_and_its_cpus_too(tmp_path: Path) -> None:
    """Some slice in kubepods that is no pod's."""
    bench = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False})
    for path in ("", KUBEPODS):
        bench.fs.write(CgroupPath(path), File.SUBTREE_CONTROL, "+cpuset")
    slice_ = below(KUBEPODS, "batch.slice")
    bench.fs.make(slice_)
    for path in (KUBEPODS, slice_):
        bench.fs.write(path, File.EXCLUSIVE, "2-3")
    bench.fs.write(slice_, File.PARTITION, "root")
    bench.put(pod(1, 4, engine=3))
    bench.appear(1, populated=False)
    bench.start()
    status = bench.status(1)
    assert len(status.pool) == 4
    assert status.pool.isdisjoint(CpuSet.parse("2-3"))
    assert (bench.fs.read(PATH, File.PARTITION), status.kernel.drift) == ("root", ())
    assert bench.fs.world.effective(slice_) == CpuSet.parse("2-3")
    bench.stop()


@pytest.mark.parametrize("cpus", ["0-15", "2-15", "0-14"])
def test_whoever_has_himself_given_nearly_all_cpus_ends_no_turn(cpus: str, tmp_path: Path) -> None:
    """An exclusive set may be written before any partition is made of it; pods go on as they are."""
    bench = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False})
    bench.fs.write(CgroupPath(""), File.SUBTREE_CONTROL, "+cpuset")
    bench.fs.write(CgroupPath("system.slice"), File.EXCLUSIVE, cpus)
    bench.put(pod(1, 4, engine=3))
    bench.appear(1, populated=False)
    bench.start()
    snapshot = bench.turn()
    assert snapshot.counters.faults == {}
    assert [one for one in snapshot.warnings if "/system.slice" in one and cpus in one]
    assert bench.fs.read(CgroupPath("system.slice"), File.EXCLUSIVE) == cpus
    bench.stop()


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_strictly_reserved_cpus_are_the_systems_alone(kernel: Kernel, tmp_path: Path) -> None:
    """Not the pods', not even those of pods that own nothing; and a node without pools is as it was."""
    bench = Bench.boot(kernel, tmp_path, apiServer={"enabled": False})
    options = {CpuOption.STRICT_CPU_RESERVATION: True}
    bench.config = replace(bench.config, cpu_manager_policy_options=options)
    bench.appear(1)
    bench.appear(2)
    bench.start()
    bench.turn()
    assert str(bench.fs.world.effective(pod_path(2, QosClass.GUARANTEED))) == "0-15"
    bench.put(pod(1, 4, engine=3))
    pool = bench.status(1).pool
    others = CpuSet.parse("2-15") - pool
    assert bench.fs.world.allowed("pause-2") == others
    assert bench.fs.world.allowed("system.slice") == others | CpuSet.parse("0-1")
    bench.take(1)
    bench.fs.world.exit("pause-1")
    bench.turn()
    assert str(bench.fs.world.allowed("pause-2")) == "0-15"
    bench.stop()
