"""What the kubelet's own state files say, in both their forms."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.kubelet_state import KubeletState, UnreadableState, read_kubelet_state
from pinfold.planning.ledger import Block, Isolation
from pinfold.planning.policy import Policy
from pinfold.pods.model import ContainerKind
from tests.planning.pods import GIB, app, init, pod

POD = pod(init("seed", 3, 1), app("engine", 3, 1), app("log"), cpu=4, gib=8)
CPU: dict[str, Any] = {
    "policyName": "static",
    "defaultCpuSet": "0-1,6-11",
    "entries": {POD.uid: {"log": "5", "engine": "2-4", "seed": "2-4"}},
    "podEntries": {POD.uid: {"cpuSet": "2-5"}},
    "checksum": 1234,
}
BLOCK = {"numaAffinity": [0], "type": "memory", "size": 8 * GIB}
MEMORY: dict[str, Any] = {
    "policyName": "Static",
    "machineState": {},
    "entries": {POD.uid: {"engine": [{**BLOCK, "size": GIB}]}},
    "podEntries": {POD.uid: {"memoryBlocks": [BLOCK]}},
    "checksum": 1,
}


def read(cpu: object = None, memory: object = None, *, known: bool = True) -> KubeletState:
    found = read_kubelet_state(
        json.dumps(cpu or CPU), json.dumps(memory or MEMORY), [POD] if known else [], Policy(CpuSet.parse("0"))
    )
    assert isinstance(found, KubeletState), found
    return found


def test_the_first_form_is_read() -> None:  # 7.3
    found = read()
    assert (found.cpu_policy, found.memory_policy, str(found.shared)) == ("static", "Static", "0-1,6-11")
    entry = found.ledger.entries[POD.uid]
    assert (entry.full_name, str(entry.cpus), entry.mems) == ("default/pod-1", "2-5", NodeSet.of([0]))
    assert entry.blocks == (Block(NodeSet.of([0]), "memory", 8 * GIB),)
    assert [(one.name, one.isolation, str(one.cpus), one.kind) for one in entry.containers] == [
        ("seed", Isolation.CONTAINER, "2-4", ContainerKind.INIT),
        ("engine", Isolation.CONTAINER, "2-4", ContainerKind.APP),
        ("log", Isolation.POD, "5", ContainerKind.APP),
    ]
    assert str(entry.shared) == "5"


def test_the_second_form_is_read_from_its_string() -> None:  # 7.3
    newer = {"policyName": "none", "checksum": 0, "data": json.dumps(CPU), "dataChecksum": 7}
    assert read(newer) == read()


def test_a_pod_that_nobody_knows_is_read_without_its_name() -> None:
    entry = read(known=False).ledger.entries[POD.uid]
    assert (entry.namespace, entry.name) == ("", "")
    assert {one.name: one.isolation for one in entry.containers} == {
        "engine": Isolation.POD,
        "log": Isolation.CONTAINER,
        "seed": Isolation.POD,
    }
    assert {one.kind for one in entry.containers} == {ContainerKind.APP}


def test_without_a_pool_every_set_is_a_slice_and_a_container_with_memory_only_is_the_hosts() -> None:
    cpu = {**CPU, "entries": {POD.uid: {"engine": "2-4"}}, "podEntries": {}}
    memory = {**MEMORY, "entries": {POD.uid: {"log": [BLOCK]}}, "podEntries": {}}
    entry = read(cpu, memory).ledger.entries[POD.uid]
    assert [(one.name, one.isolation, str(one.cpus)) for one in entry.containers] == [
        ("engine", Isolation.CONTAINER, "2-4"),
        ("log", Isolation.HOST, ""),
    ]
    assert entry.containers[1].blocks == (Block(NodeSet.of([0]), "memory", 8 * GIB),)


def test_a_pool_whose_containers_are_not_told_is_read() -> None:
    cpu, memory = {**CPU, "entries": {}}, {**MEMORY, "entries": {}}
    assert [str(one.cpus) for one in read(cpu, {**memory, "podEntries": {}}).ledger.entries.values()] == ["2-5"]
    (bound,) = read({**cpu, "podEntries": {}}, memory).ledger.entries.values()
    assert (str(bound.cpus), bound.mems) == ("", NodeSet.of([0]))


def test_the_memory_file_may_be_absent() -> None:
    found = read_kubelet_state('{"policyName": "none"}')
    assert isinstance(found, KubeletState)
    assert (found.cpu_policy, found.memory_policy, found.ledger.entries) == ("none", "", {})


@pytest.mark.parametrize(
    ("cpu", "says"),
    [
        pytest.param("", "cpu_manager_state: is no JSON", id="empty"),
        pytest.param("{", "cpu_manager_state: is no JSON", id="cut-off"),
        pytest.param("[" * 100_000, "cpu_manager_state: is no JSON", id="nested-too-deep"),
        pytest.param("[]", "cpu_manager_state: is a list", id="a-list"),
        pytest.param('{"defaultCpuSet": "5-1"}', "cpu_manager_state.defaultCpuSet: '5-1'", id="no-cpu-list"),
        pytest.param('{"entries": {"../x": {}}}', "'../x' is no pod UID", id="a-uid-that-climbs"),
        pytest.param('{"data": "{"}', "is no JSON", id="a-string-that-is-none"),
        pytest.param('{"entries": {"' + POD.uid + '": {"a": 7}}}', "is a number, not text", id="a-number"),
    ],
)
def test_what_cannot_be_read_is_a_value_with_a_reason(cpu: str, says: str) -> None:
    found = read_kubelet_state(cpu)
    assert isinstance(found, UnreadableState)
    assert says in found.message


@pytest.mark.parametrize("size", [-1, True, "8Gi", 1 << 63])
def test_a_block_of_no_size_is_unreadable(size: object) -> None:
    memory = {**MEMORY, "podEntries": {POD.uid: {"memoryBlocks": [{**BLOCK, "size": size}]}}}
    found = read_kubelet_state(json.dumps(CPU), json.dumps(memory))
    assert isinstance(found, UnreadableState)
    assert "size: is no number" in found.message


def test_a_node_that_no_kernel_has_is_unreadable() -> None:
    memory = {**MEMORY, "podEntries": {POD.uid: {"memoryBlocks": [{**BLOCK, "numaAffinity": [1 << 40]}]}}}
    found = read_kubelet_state(json.dumps(CPU), json.dumps(memory))
    assert isinstance(found, UnreadableState)
    assert "numaAffinity[0]: is no number from 0 to 1023" in found.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from([*CPU, *MEMORY, POD.uid, "cpuSet", "memoryBlocks"]), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_no_state_makes_the_reader_raise(state: object) -> None:
    text = json.dumps(state)
    assert isinstance(read_kubelet_state(text, text, [POD]), KubeletState | UnreadableState)
