"""What a release gives back is what the last other writer left, through crashes and restarts."""

from dataclasses import replace

import pytest

from pinfold.cgroups.found import Found, Record, adopted, from_text, given_back, noted, refreshed, to_text
from pinfold.cgroups.held import CpusetState
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.tree import ContainerCgroup, Driver, PodCgroup, Tree
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.pods.model import QosClass

from .node import machine, uid

MACHINE = machine(CpuSet.parse("0-7"), CpuSet.parse("0-7"))
K = CgroupPath("kubepods.slice")
POD, CONTAINER = CgroupPath("kubepods.slice/pod"), CgroupPath("kubepods.slice/pod/container")
TREE = Tree(
    K, Driver.SYSTEMD, {}, {uid(1): PodCgroup(uid(1), POD, QosClass.GUARANTEED, (ContainerCgroup(CONTAINER, None),))}
)
RUNNING = CpusetState(cpus=CpuSet(), mems=NodeSet(), partition="member", populated=True, cpu_max="400000 100000")


def cpus(text: str) -> CpusetState:
    return replace(RUNNING, cpus=CpuSet.parse(text))


def pinned(state: CpusetState, *values: str, found: Found | None = None) -> Found:
    writes = [Write(CONTAINER, File.CPUS, value, "") for value in values]
    return noted(found or {}, {CONTAINER: state}, writes)


def look(found: Found, state: CpusetState) -> Found:
    return refreshed(found, TREE, {CONTAINER: state}, MACHINE)


def test_what_stood_in_a_file_is_noted_before_the_first_write() -> None:
    assert pinned(cpus("0-3"), "2-4") == {CONTAINER: {File.CPUS: Record("0-3", frozenset({"2-4"}))}}


def test_a_value_of_ours_is_never_taken_for_anothers() -> None:
    found = pinned(cpus(""), "2-4")
    found = pinned(cpus("2-4"), "2-3", "3", found=look(found, cpus("2-4")))
    for left in ("2-4", "2-3", "3"):  # it may have died before, between and after the writes
        assert look(found, cpus(left))[CONTAINER][File.CPUS].found == ""


def test_what_somebody_else_wrote_since_is_what_is_given_back() -> None:
    found = look(pinned(cpus(""), "2-4"), cpus("0-6"))
    assert found[CONTAINER][File.CPUS].found == "0-6"
    assert pinned(cpus("0-6"), "2-4", found=found)[CONTAINER][File.CPUS] == Record("0-6", frozenset({"2-4"}))


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(cpus("0-7"), id="all-cpus-where-it-takes-no-empty-set"),
        pytest.param(cpus(""), id="as-it-was"),
        pytest.param(replace(RUNNING, cpus=None), id="its-controller-was-taken-away"),
    ],
)
def test_a_file_that_was_given_back_is_forgotten(state: CpusetState) -> None:
    assert look(pinned(cpus(""), "2-4"), state) == {}


def test_a_cgroup_that_is_gone_is_forgotten() -> None:
    gone = CgroupPath("kubepods.slice/gone")
    found = {gone: {File.CPUS: Record("", frozenset({"2"}))}}
    assert refreshed(found, TREE, {}, MACHINE) == {}


def test_a_cgroup_that_was_not_read_is_kept() -> None:
    found = pinned(cpus(""), "2-4")
    assert refreshed(found, TREE, {}, MACHINE) == found


@pytest.mark.parametrize(
    ("found", "file", "state", "value"),
    [
        pytest.param("0-3", File.CPUS, cpus("2"), "0-3", id="a-set-as-it-was"),
        pytest.param("", File.CPUS, cpus("2"), "0-7", id="populated-all-possible-cpus"),
        pytest.param("", File.CPUS, replace(cpus("2"), populated=False), "", id="unpopulated-empty"),
        pytest.param("", File.MEMS, replace(RUNNING, mems=NodeSet.parse("1")), "0-1", id="populated-all-nodes"),
        pytest.param("", File.CPUS, cpus(""), "", id="emptied-by-systemd-already"),
        pytest.param("", File.EXCLUSIVE, RUNNING, "", id="exclusive-takes-empty-always"),
        pytest.param("400000 100000", File.CPU_MAX, RUNNING, "400000 100000", id="a-quota"),
    ],
)
def test_given_back(found: str, file: File, state: CpusetState, value: str) -> None:
    assert given_back(found, file, state, MACHINE) == value


def test_a_lost_memory_is_read_off_the_pods() -> None:
    held = {
        K: CpusetState(cpus=CpuSet.parse("0-7"), exclusive=CpuSet.parse("2-5")),
        POD: CpusetState(cpus=CpuSet(), exclusive=CpuSet.parse("2-5"), partition="root invalid"),
        CONTAINER: cpus("2-4"),
    }
    assert adopted(TREE, held) == {
        K: {File.EXCLUSIVE: Record("", frozenset({"2-5"}))},  # its cpuset.cpus is the kubelet's
        POD: {
            File.EXCLUSIVE: Record("", frozenset({"2-5"})),
            File.PARTITION: Record("member", frozenset({"root invalid"})),
        },
        CONTAINER: {File.CPUS: Record("", frozenset({"2-4"}))},
    }


def test_a_partition_that_a_kernel_without_exclusive_sets_has_was_not_pinfolds() -> None:
    held = {POD: CpusetState(cpus=CpuSet.parse("2-5"), exclusive=None, partition="root invalid")}
    assert adopted(TREE, held) == {POD: {File.CPUS: Record("", frozenset({"2-5"}))}}


def test_the_checkpoint_gives_it_back_as_it_was() -> None:
    found: Found = {
        POD: {File.CPU_MAX: Record("400000 100000", frozenset({"max 100000"}))},
        CONTAINER: {File.CPUS: Record("", frozenset({"2-4", ""})), File.MEMS: Record("", frozenset())},
    }
    assert from_text(to_text(found)) == found


def test_a_checkpoint_that_names_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"memory\.max"):
        from_text({"kubepods.slice": {"memory.max": "max"}})
