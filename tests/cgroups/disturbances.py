"""What others do to a node, and what it must be like afterwards: the same on a model kernel and on a real one.

    python -m tests.vm --kernel 6.12 --smp 12 --append isolcpus=10-11 -- python3 -m tests.cgroups.disturbances

A scene makes pools, spoils something, and then lets Pinfold settle: each owner is then alone on its CPUs, every file
and effective set is what the ledger wants, and no CPU belongs to nobody. As a command it plays all scenes, or those
that are named, on this machine's own kernel, which has remote partitions, and ends with ``N passed, N failed``.
"""

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from pinfold.cgroups.files import WriteRefusedError
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.lost import MENDING, are_lost
from pinfold.cgroups.paths import ROOT, CgroupPath, File, below, holds
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import QosClass

from .node import KUBEPODS, PlayedNode, uid

CPUS = 12
ISOLCPUS = CpuSet.parse("10-11")
THEIRS, SYSTEM = CgroupPath("theirs"), CgroupPath("system.slice")
BURSTABLE = below(KUBEPODS, "kubepods-burstable.slice")
Scene = Callable[[PlayedNode], None]


class Stage:
    """A node with pods that own CPUs."""

    def __init__(self, node: PlayedNode) -> None:
        self.node = node
        node.ground.write(ROOT, File.SUBTREE_CONTROL, "+cpuset")
        self.pods: dict[int, CgroupPath] = {}
        self.ledger = Ledger()

    def pod(self, number: int, pool: str, engine: str = "", *, isolated: bool = False) -> CgroupPath:
        """A pod with a pool: *engine* is a slice of it, and the rest of it a sidecar's."""
        if number not in self.pods:
            self.pods[number] = self.node.start_pod(number)
            for place, name in enumerate(("engine", "proxy")):
                self.node.start_container(self.pods[number], number, place, name)
        cpus, own = CpuSet.parse(pool), CpuSet.parse(engine)
        sliced = (ContainerEntry("engine", Isolation.CONTAINER, own),) if own else ()
        shared = ContainerEntry("proxy", Isolation.POD, cpus - own) if cpus - own else None
        containers = (*sliced, *([shared] if shared else []))
        entry = PodEntry(uid(number), "ns", f"pod{number}", cpus, containers=containers, isolated=isolated)
        self.ledger = self.ledger.with_entry(entry)
        self.node.settle(self.ledger)
        return self.pods[number]

    def spoil(self, path: CgroupPath, file: File, value: str) -> None:
        """Somebody writes; the kernel may have it or not."""
        with suppress(WriteRefusedError):
            self.node.ground.write(path, file, value)

    def read(self, path: CgroupPath, file: File) -> str | None:
        return self.node.ground.read(path, file)

    def settle(self) -> None:
        self.node.settle(self.ledger)
        held = self.node.held(self.ledger)
        assert not are_lost(held), f"{held[ROOT].lost} belong to nobody"
        allowed = self.node.allowed()
        for number, pod in self.pods.items():
            entry = self.ledger.entries.get(uid(number))
            for path, cpus in allowed.items():
                if entry and not holds(pod, path):
                    assert cpus.isdisjoint(entry.cpus), f"{path} runs on {cpus} beside {entry.name}"
                elif entry and not entry.slices:
                    assert cpus == entry.cpus, f"{path} runs on {cpus} of {entry.cpus}"


# --- partitions that lose their CPUs, or do not get them --------------------------------------------------------------


def exclusive_sets_are_emptied_from_the_top_down(node: PlayedNode) -> None:
    """6.12 then has CPUs that belong to nobody; 7.3 an invalid partition."""
    stage = Stage(node)
    pod = stage.pod(1, "2-5", engine="2-3")
    stage.pod(2, "6-7")
    stage.spoil(KUBEPODS, File.EXCLUSIVE, "")
    stage.spoil(pod, File.EXCLUSIVE, "")
    stage.settle()


def cpus_are_lost_below_a_qos_slice_and_by_nobody_who_still_runs(node: PlayedNode) -> None:
    stage = Stage(node)
    stage.pod(1, "2-3")
    pod = stage.pods[2] = node.start_pod(2, QosClass.BURSTABLE)
    stage.pod(2, "4-6")
    for path in (KUBEPODS, BURSTABLE, pod):
        stage.spoil(path, File.EXCLUSIVE, "")
    stage.settle()
    node.end_pod(pod)
    del stage.pods[2]
    stage.ledger = stage.ledger.without([uid(2)])
    stage.settle()


def cpus_are_lost_where_the_kubepods_root_has_all_of_them(node: PlayedNode) -> None:
    """As the kubelet writes them."""
    stage = Stage(node)
    node.ground.write(KUBEPODS, File.CPUS, "0-11")
    pod = stage.pod(1, "2-5", engine="2-3")
    stage.spoil(KUBEPODS, File.EXCLUSIVE, "")
    stage.spoil(pod, File.EXCLUSIVE, "")
    stage.settle()
    assert stage.read(KUBEPODS, File.CPUS) == "0-11"
    assert stage.read(KUBEPODS, File.EXCLUSIVE) == "2-5"


def cpus_that_the_kernel_was_booted_to_isolate_are_lost(node: PlayedNode) -> None:
    stage = Stage(node)
    pod = stage.pod(1, f"5,{ISOLCPUS}", engine=str(ISOLCPUS), isolated=True)
    for path in (KUBEPODS, pod):
        stage.spoil(path, File.EXCLUSIVE, "")
    stage.settle()


def a_list_across_two_pools_is_written_beside_them_twice(node: PlayedNode) -> None:
    stage = Stage(node)
    node.ground.write(KUBEPODS, File.CPUS, "0-11")
    stage.pod(1, "1-2")
    stage.pod(2, "3-5", engine="3-4")
    stage.spoil(BURSTABLE, File.CPUS, "0-3")
    stage.spoil(BURSTABLE, File.CPUS, "0-3")
    stage.settle()


def the_union_above_was_too_small_when_a_pool_grew(node: PlayedNode) -> None:
    """On 6.12 it does not get its new CPUs when the union grows at last."""
    stage = Stage(node)
    pod = stage.pod(1, "2-3")
    stage.spoil(pod, File.EXCLUSIVE, "2-5")
    stage.pod(1, "2-5")
    stage.settle()


def a_sibling_gets_a_set_that_overlaps(node: PlayedNode) -> None:
    """6.12's bad state: root invalid without a reason, and the CPUs are held all the same."""
    stage = Stage(node)
    stage.pod(1, "2-5", engine="2-3")
    stage.spoil(BURSTABLE, File.CPUS, "0-11")
    stage.settle()


def the_union_above_shrinks(node: PlayedNode) -> None:
    stage = Stage(node)
    stage.pod(1, "2-5", engine="2-3")
    stage.spoil(KUBEPODS, File.EXCLUSIVE, "4-7")
    stage.settle()


# --- hotplug ----------------------------------------------------------------------------------------------------------


def the_last_cpu_of_a_pool_goes_and_comes_back(node: PlayedNode) -> None:
    """What was made invalid does not heal by itself on 6.12 and 7.3."""
    stage = Stage(node)
    stage.pod(1, "2")
    stage.pod(2, "3", isolated=True)
    for cpu in (2, 3):
        if node.ground.switch(cpu, on=False):  # 6.12's scheduler keeps the last one of a balanced partition
            assert node.ground.switch(cpu, on=True)
    stage.settle()


def a_pool_moves_away_from_its_last_cpu_that_is_gone(node: PlayedNode) -> None:
    stage = Stage(node)
    stage.pod(1, "2", isolated=True)
    assert node.ground.switch(2, on=False)
    stage.pod(1, "5", isolated=True)
    stage.settle()
    assert node.ground.switch(2, on=True)
    stage.settle()


# --- partitions that others made --------------------------------------------------------------------------------------


def an_operators_partition_stands_beside_pools(node: PlayedNode) -> None:
    """It is neither touched nor taken for one of ours, nor are its CPUs taken for lost, wherever it lies."""
    stage = Stage(node)
    node.ground.make(THEIRS)
    for file, value in ((File.CPUS, "8"), (File.PARTITION, "isolated")):
        node.ground.write(THEIRS, file, value)
    deep = below(SYSTEM, "job")
    node.ground.end(SYSTEM)
    node.ground.write(SYSTEM, File.SUBTREE_CONTROL, "+cpuset")
    node.ground.make(deep)
    for path in (SYSTEM, deep):
        node.ground.write(path, File.EXCLUSIVE, "9")
    node.ground.write(deep, File.PARTITION, "root")
    before = [stage.read(path, File.PARTITION) for path in (THEIRS, deep)]
    assert before == ["isolated", "root"]
    stage.pod(1, "2-5", engine="2-3")
    stage.settle()
    stage.ledger = Ledger()
    stage.settle()
    assert [stage.read(path, File.PARTITION) for path in (THEIRS, deep)] == before


def the_kubepods_root_is_somebodys_partition(node: PlayedNode) -> None:
    """Pools are then local partitions in it; it stays as it is."""
    stage = Stage(node)
    for file, value in ((File.CPUS, "2-9"), (File.PARTITION, "root")):
        node.ground.write(KUBEPODS, file, value)
    stage.pod(1, "2-5", engine="2-3")
    stage.settle()
    assert stage.read(KUBEPODS, File.PARTITION) == "root"


def somebody_makes_a_partition_of_the_kubepods_root_above_pools(node: PlayedNode) -> None:
    """Remote partitions below a partition are faulty on 6.12 and 7.3: it goes."""
    stage = Stage(node)
    stage.pod(1, "2-5", engine="2-3")
    stage.spoil(KUBEPODS, File.PARTITION, "root")
    stage.settle()
    assert stage.read(KUBEPODS, File.PARTITION) == "member"


# --- isolated pools ---------------------------------------------------------------------------------------------------


def a_pool_becomes_isolated_and_balanced_again(node: PlayedNode) -> None:
    stage = Stage(node)
    pod = stage.pod(1, "2-5", engine="2-4", isolated=True)
    assert stage.read(pod, File.PARTITION) == "isolated"
    assert CpuSet.parse("2-5") <= CpuSet.parse(stage.read(ROOT, File.ISOLATED) or "")
    stage.settle()
    stage.pod(1, "3-6", engine="3-5", isolated=True)
    stage.settle()
    stage.pod(1, "3-6", engine="3-5")
    assert stage.read(pod, File.PARTITION) == "root"
    assert CpuSet.parse("3-6").isdisjoint(CpuSet.parse(stage.read(ROOT, File.ISOLATED) or ""))
    stage.settle()
    stage.pod(1, "3-6", engine="3-5", isolated=True)
    stage.settle()


def an_isolated_pool_takes_cpus_that_the_kernel_was_booted_to_isolate(node: PlayedNode) -> None:
    stage = Stage(node)
    pod = stage.pod(1, str(ISOLCPUS), engine=str(ISOLCPUS), isolated=True)
    assert stage.read(pod, File.PARTITION) == "isolated"
    stage.settle()


SCENES: tuple[Scene, ...] = (
    exclusive_sets_are_emptied_from_the_top_down,
    cpus_are_lost_below_a_qos_slice_and_by_nobody_who_still_runs,
    cpus_are_lost_where_the_kubepods_root_has_all_of_them,
    cpus_that_the_kernel_was_booted_to_isolate_are_lost,
    a_list_across_two_pools_is_written_beside_them_twice,
    the_union_above_was_too_small_when_a_pool_grew,
    a_sibling_gets_a_set_that_overlaps,
    the_union_above_shrinks,
    the_last_cpu_of_a_pool_goes_and_comes_back,
    a_pool_moves_away_from_its_last_cpu_that_is_gone,
    an_operators_partition_stands_beside_pools,
    the_kubepods_root_is_somebodys_partition,
    somebody_makes_a_partition_of_the_kubepods_root_above_pools,
    a_pool_becomes_isolated_and_balanced_again,
    an_isolated_pool_takes_cpus_that_the_kernel_was_booted_to_isolate,
)


def main() -> int:
    from .guest import RealGround, clean

    passed = failed = 0
    for scene in [one for one in SCENES if one.__name__ in sys.argv[1:]] or SCENES:
        with RealGround() as ground:
            node = PlayedNode.boot(ground, Enforcement.PARTITION)
            try:
                scene(node)
                passed += 1
            except Exception:  # noqa: BLE001  whatever it was, the next scene is played
                failed += 1
                print(f"FAILED: {scene.__name__}\n{traceback.format_exc()[-1500:]}", flush=True)
            clean(node)
            if MENDING in node.paths():
                print(f"FAILED: {MENDING} was left by {scene.__name__}", flush=True)
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
