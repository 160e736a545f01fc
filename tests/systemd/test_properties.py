"""What systemd is told to keep in its slices: only what Pinfold wrote there and what stands; and what it gets back."""

from dataclasses import replace

import pytest

from pinfold.cgroups.found import Found, Record
from pinfold.cgroups.held import CpusetState, Held
from pinfold.cgroups.layout import Enforcement, Layout, Node, Want
from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cgroups.systemd_properties import Property, encoded, given_back, wanted_properties
from pinfold.cgroups.tree import Driver, PodCgroup, Tree
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.pods.model import QosClass
from tests.cgroups.node import machine, uid

ONLINE = CpuSet.parse("0-7")
K, POD = CgroupPath("kubepods.slice"), CgroupPath("kubepods.slice/kubepods-poda.slice")
TREE = Tree(K, Driver.SYSTEMD, {}, {uid(1): PodCgroup(uid(1), POD, QosClass.GUARANTEED)})
POOL = CpuSet.parse("2-3")
GIB = 1 << 30
WANTS = {
    K: Want("", memory_low=str(GIB)),
    POD: Want("", uid(1), cpus=POOL, owns=POOL, mems=NodeSet.parse("1"), memory_low=str(GIB)),
}
HELD: Held = {
    ROOT: CpusetState(),
    K: CpusetState(memory_low=str(GIB), memory_min="0"),
    POD: CpusetState(cpus=POOL, mems=NodeSet.parse("1"), memory_low=str(GIB), memory_min="0"),
}
OURS = frozenset({str(GIB)})
FOUND: Found = {
    K: {File.MEMORY_LOW: Record("0", OURS)},
    POD: {
        File.CPUS: Record("", frozenset({"2-3"})),
        File.MEMS: Record("", frozenset({"1"})),
        File.MEMORY_LOW: Record("0", OURS),
    },
}
SLICE = "kubepods-poda.slice"
ALL = {
    ("kubepods.slice", Property.MEMORY_LOW): str(GIB),
    (SLICE, Property.ALLOWED_CPUS): "2-3",
    (SLICE, Property.ALLOWED_MEMORY_NODES): "1",
    (SLICE, Property.MEMORY_LOW): str(GIB),
}


def node(held: Held = HELD, found: Found = FOUND, tree: Tree = TREE) -> Node:
    return Node(tree, held, found, machine(ONLINE, ONLINE), Enforcement.SHRINK)


def test_what_pinfold_wrote_into_a_slice_becomes_its_properties() -> None:
    assert wanted_properties(node(), Layout(WANTS)) == ALL


def test_cgroups_that_systemd_did_not_make_have_no_properties() -> None:
    assert wanted_properties(node(tree=replace(TREE, driver=Driver.CGROUPFS)), Layout(WANTS)) == {}


def test_a_slice_in_a_container_is_not_the_one_of_that_name_that_systemd_has() -> None:
    inside = CgroupPath("docker-1.scope/kubepods.slice")
    tree = Tree(inside, Driver.SYSTEMD, {}, {})
    there = node({inside: HELD[K]}, {inside: FOUND[K]}, tree)
    assert wanted_properties(there, Layout({inside: WANTS[K]})) == {}


def test_nodes_that_have_not_been_moved_to_are_none_that_systemd_may_write() -> None:
    held = {**HELD, POD: replace(HELD[POD], mems=NodeSet())}
    assert (SLICE, Property.ALLOWED_MEMORY_NODES) not in wanted_properties(node(held), Layout(WANTS))


def test_a_partition_has_its_cpus_by_a_file_that_systemd_leaves_alone() -> None:
    wants = {POD: replace(WANTS[POD], exclusive=POOL)}
    assert (SLICE, Property.ALLOWED_CPUS) not in wanted_properties(node(), Layout(wants))


def test_what_somebody_else_protects_is_not_made_a_property() -> None:
    found = {**FOUND, K: {}}
    assert ("kubepods.slice", Property.MEMORY_LOW) not in wanted_properties(node(found=found), Layout(WANTS))


def test_a_property_is_given_back_as_what_was_found_in_its_file() -> None:
    found = {**FOUND, K: {File.MEMORY_LOW: Record("4096", OURS)}}
    assert given_back(node(found=found), ALL) == {
        ("kubepods.slice", Property.MEMORY_LOW): "4096",
        (SLICE, Property.ALLOWED_CPUS): "",
        (SLICE, Property.ALLOWED_MEMORY_NODES): "",
        (SLICE, Property.MEMORY_LOW): "0",
    }


def test_what_somebody_else_wrote_since_is_left_to_him() -> None:
    held = {**HELD, K: replace(HELD[K], memory_low="8192")}
    assert given_back(node(held, {}), {("kubepods.slice", "MemoryLow")}) == {
        ("kubepods.slice", Property.MEMORY_LOW): "8192"
    }


def test_a_unit_that_is_gone_needs_nothing_back() -> None:
    assert given_back(node(tree=replace(TREE, pods={})), {(SLICE, "MemoryLow")}) == {}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param(Property.ALLOWED_CPUS, "0,9", ("ay", b"\x01\x02"), id="cpus-as-a-little-endian-mask"),
        pytest.param(Property.ALLOWED_CPUS, "", ("ay", b""), id="no-cpus-means-no-property"),
        pytest.param(Property.ALLOWED_MEMORY_NODES, "1", ("ay", b"\x02"), id="nodes"),
        pytest.param(Property.MEMORY_LOW, "4096", ("t", 4096), id="bytes"),
        pytest.param(Property.MEMORY_MIN, "max", ("t", (1 << 64) - 1), id="all-of-it"),
    ],
)
def test_values_are_told_as_systemd_takes_them(name: Property, text: str, value: tuple[str, object]) -> None:
    assert encoded(name, text) == value
