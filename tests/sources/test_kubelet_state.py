import json
from functools import partial
from pathlib import Path

import pytest

from pinfold.sources.kubelet_state import (
    CONFIGZ,
    CPU_FILE,
    MEMORY_FILE,
    Found,
    NoKubelet,
    NoState,
    Peace,
    PolicyFound,
    Unreadable,
    cpu_manager,
    memory_manager,
    peace,
)

CPU, MEMORY = partial(PolicyFound, where=CPU_FILE), partial(PolicyFound, where=MEMORY_FILE)
STATIC = {
    "policyName": "static",
    "defaultCpuSet": "0,4-7",
    "entries": {"uid": {"engine": "1-3"}},
    "checksum": 1552716370,
}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param('{"policyName":"none","defaultCpuSet":"","checksum":1353318690}', CPU("none"), id="none"),
        pytest.param(json.dumps(STATIC), CPU("static"), id="static"),
        pytest.param(
            json.dumps({"checksum": 0, "data": json.dumps(STATIC), "dataChecksum": 7}),
            CPU("static"),
            id="1.37-with-the-whole-as-text",
        ),
        pytest.param("", Unreadable, id="empty-after-a-crash"),
        pytest.param('{"policyName":"sta', Unreadable, id="torn"),
        pytest.param("[]", Unreadable, id="no-object"),
        pytest.param('{"checksum":0,"data":7}', Unreadable, id="data-that-is-no-text"),
        pytest.param('{"policyName":7}', Unreadable, id="a-number-for-a-policy"),
        pytest.param('{"policyName":"\\u001b[31mnone"}', Unreadable, id="escapes-in-a-policy"),
    ],
)
def test_the_state_file_tells_the_policy(tmp_path: Path, content: str, found: Found | type[Found]) -> None:
    (tmp_path / "cpu_manager_state").write_text(content)
    got = cpu_manager(tmp_path)
    if found is Unreadable:
        assert isinstance(got, Unreadable)
        assert str(tmp_path / "cpu_manager_state") in got.error
    else:
        assert got == found


def test_a_kubelet_that_has_not_started_is_not_one_that_is_not_there(tmp_path: Path) -> None:
    assert cpu_manager(tmp_path) == NoState()
    assert cpu_manager(tmp_path / "absent") == NoKubelet()


def test_a_directory_in_the_place_of_the_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "memory_manager_state").mkdir()
    assert isinstance(memory_manager(tmp_path), Unreadable)


@pytest.mark.parametrize(
    ("cpu", "memory", "cpusets", "mems"),
    [
        pytest.param(CPU("none"), MEMORY("None"), True, True, id="none-none"),
        pytest.param(
            CPU("none"),
            MEMORY("Static"),
            True,
            False,
            id="the-memory-managers-mems",
        ),
        pytest.param(CPU("none"), NoState(), True, True, id="no-memory-manager"),
        pytest.param(CPU("none"), Unreadable("x"), True, False, id="memory-unreadable"),
        pytest.param(CPU("static"), MEMORY("None"), False, False, id="static"),
        pytest.param(
            CPU("of-tomorrow"),
            MEMORY("None"),
            False,
            False,
            id="a-policy-that-is-not-known",
        ),
        pytest.param(Unreadable("x"), MEMORY("None"), False, False, id="unreadable-is-not-none"),
        pytest.param(NoState(), NoState(), True, True, id="before-the-kubelets-first-start"),
        pytest.param(NoKubelet(), NoKubelet(), True, True, id="no-kubelet"),
    ],
)
def test_pinfold_writes_only_what_the_kubelet_leaves(cpu: Found, memory: Found, cpusets: bool, mems: bool) -> None:
    match peace(cpu, memory):
        case Peace(got_cpusets, got_mems, reason):
            assert (got_cpusets, got_mems) == (cpusets, mems)
            assert reason


@pytest.mark.parametrize(
    ("in_file", "configured", "found"),
    [
        pytest.param("none", "none", CPU("none"), id="both-none"),
        pytest.param(None, "none", PolicyFound("none", CONFIGZ), id="no-file"),
        pytest.param(None, "static", PolicyFound("static", CONFIGZ), id="no-file-and-static"),
        pytest.param("none", "static", PolicyFound("static", CONFIGZ), id="restarted-into-static"),
        pytest.param("static", "none", CPU("static"), id="its-file-still-holds-what-pods-own"),
        pytest.param("static", "", CPU("static"), id="it-tells-nothing"),
    ],
)
def test_who_owns_cpusets_by_either_word_owns_them(
    tmp_path: Path, in_file: str | None, configured: str, found: Found
) -> None:
    if in_file:
        (tmp_path / CPU_FILE).write_text(json.dumps({**STATIC, "policyName": in_file}))
    assert cpu_manager(tmp_path, configured) == found
