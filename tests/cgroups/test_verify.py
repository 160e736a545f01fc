"""The comparison is with what the kernel says: each difference has its file and its cause."""

from dataclasses import replace

import pytest

from pinfold.cgroups.held import CpusetState
from pinfold.cgroups.layout import Kind, Layout, Want
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.verify import Cause, verify
from pinfold.cpuset import CpuSet, NodeSet

from .node import uid

PATH = CgroupPath("kubepods.slice/pod")
ONLINE = CpuSet.parse("0-7")
POOL = CpuSet.parse("2-5")
PARTITION = Want("", uid(1), exclusive=POOL, partition=Kind.ROOT, owns=POOL)
STANDS = CpusetState(cpus=CpuSet(), exclusive=POOL, partition="root", cpus_effective=POOL, populated=True)
SET = Want("", uid(1), cpus=POOL, owns=POOL)
HAS = CpusetState(cpus=POOL, cpus_effective=POOL, populated=True, mems=NodeSet(), mems_effective=NodeSet.parse("0-1"))
SHARED = CpuSet.parse("0-1")
KEPT_OFF = Want("", cpus=SHARED, within=SHARED)
BOUND = Want("", uid(1), mems=NodeSet.parse("1"))
MIB = 1 << 20


@pytest.mark.parametrize(
    ("want", "state"),
    [
        pytest.param(PARTITION, STANDS, id="a-partition"),
        pytest.param(SET, HAS, id="a-set"),
        pytest.param(
            KEPT_OFF, CpusetState(cpus=SHARED, cpus_effective=CpuSet.parse("0")), id="kept-off-and-narrower-still"
        ),
        pytest.param(Want("", exclusive=CpuSet(), partition=Kind.MEMBER), CpusetState(), id="nothing-in-no-file"),
        pytest.param(Want("", cpus=ONLINE), replace(HAS, cpus=ONLINE), id="given-back-below-a-pool"),
        pytest.param(Want("", gives_cpuset=False), CpusetState(gives_cpuset=True), id="a-controller-others-use"),
    ],
)
def test_nothing_differs(want: Want, state: CpusetState) -> None:
    assert verify(Layout({PATH: want}), {PATH: state}, ONLINE) == ()


@pytest.mark.parametrize(
    ("want", "state", "file", "texts", "cause"),
    [
        pytest.param(
            PARTITION,
            replace(STANDS, partition="root invalid (Parent is not a partition root)"),
            File.PARTITION,
            ("root", "root invalid (Parent is not a partition root)"),
            Cause.INVALID_PARTITION,
            id="invalid-with-its-reason",
        ),
        pytest.param(
            PARTITION,
            replace(STANDS, partition="member"),
            File.PARTITION,
            ("root", "member"),
            Cause.REWRITTEN,
            id="turned-off",
        ),
        pytest.param(
            PARTITION,
            replace(STANDS, exclusive=CpuSet.parse("2-3")),
            File.EXCLUSIVE,
            ("2-5", "2-3"),
            Cause.REWRITTEN,
            id="shrunk-by-somebody",
        ),
        pytest.param(
            SET,
            replace(HAS, cpus=ONLINE, cpus_effective=ONLINE),
            File.CPUS,
            ("2-5", "0-7"),
            Cause.REWRITTEN,
            id="rewritten",
        ),
        pytest.param(
            SET, CpusetState(populated=True), File.CPUS, ("2-5", ""), Cause.NO_CONTROLLER, id="no-cpuset-files"
        ),
        pytest.param(
            SET,
            replace(HAS, cpus_effective=CpuSet.parse("2")),
            File.CPUS_EFFECTIVE,
            ("2-5", "2"),
            Cause.CONFINED_ABOVE,
            id="less-than-its-own",
        ),
        pytest.param(
            KEPT_OFF,
            CpusetState(cpus=SHARED, cpus_effective=CpuSet.parse("0-2")),
            File.CPUS_EFFECTIVE,
            ("0-1", "0-2"),
            Cause.CONFINED_ABOVE,
            id="kept-off-and-yet-there",
        ),
        pytest.param(
            Want("", gives_cpuset=True),
            CpusetState(),
            File.SUBTREE_CONTROL,
            ("+cpuset", "-cpuset"),
            Cause.NO_CONTROLLER,
            id="the-controller-was-taken",
        ),
        pytest.param(
            BOUND,
            replace(HAS, memory_bytes=100 * MIB),
            File.MEMS,
            ("1", ""),
            Cause.MEMORY_NOT_MOVED,
            id="too-much-memory-to-move",
        ),
        pytest.param(
            BOUND, replace(HAS, memory_bytes=MIB), File.MEMS, ("1", ""), Cause.REWRITTEN, id="little-memory-to-move"
        ),
        pytest.param(
            BOUND,
            replace(HAS, mems=NodeSet.parse("1")),
            File.MEMS_EFFECTIVE,
            ("1", "0-1"),
            Cause.CONFINED_ABOVE,
            id="the-node-is-not-above",
        ),
        pytest.param(
            Want("", uid(1), cpu_max="max 100000"),
            CpusetState(cpu_max="400000 100000"),
            File.CPU_MAX,
            ("max 100000", "400000 100000"),
            Cause.REWRITTEN,
            id="a-quota-came-back",
        ),
        pytest.param(
            Want("", uid(1), memory_low="4096", memory_min="8192"),
            CpusetState(memory_low="4096", memory_min="0"),
            File.MEMORY_MIN,
            ("8192", "0"),
            Cause.REWRITTEN,
            id="memory-is-protected-no-more",
        ),
        pytest.param(
            Want("", uid(1), cpus=CpuSet(), gives_cpuset=False),
            CpusetState(cpus=POOL, gives_cpuset=True),
            File.CPUS,
            ("", "2-5"),
            Cause.REWRITTEN,
            id="not-given-back-beside-a-controller-that-others-use",
        ),
    ],
)
def test_a_difference_has_its_file_and_its_cause(
    want: Want, state: CpusetState, file: File, texts: tuple[str, str], cause: Cause
) -> None:
    (drift,) = verify(Layout({PATH: want}), {PATH: state}, ONLINE)
    assert (drift.path, drift.file, (drift.want, drift.have), drift.cause) == (PATH, file, texts, cause)
    assert drift.pod == want.pod


def test_a_cpu_that_is_offline_is_nobodys_fault() -> None:
    state = replace(STANDS, cpus_effective=CpuSet.parse("2-4"))
    assert verify(Layout({PATH: PARTITION}), {PATH: state}, ONLINE - CpuSet.parse("5")) == ()
    assert len(verify(Layout({PATH: PARTITION}), {PATH: state}, ONLINE)) == 1


def test_a_cgroup_that_is_gone_is_no_difference() -> None:
    assert verify(Layout({PATH: PARTITION}), {}, ONLINE) == ()
