"""Every decision vector of ``../shared/vectors``, in kubelet mode."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinfold.planning.policy import KUBELET_RULES
from tests.vectors.__main__ import main
from tests.vectors.case import Case, cases
from tests.vectors.ops import differences

SHARED = Path(os.environ.get("PINFOLD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
FILES = sorted((SHARED / "vectors").glob("*.json"))


def vectors() -> Iterator[object]:
    if not FILES:
        absent = pytest.mark.skip(reason=f"the decision vectors are not in {SHARED / 'vectors'}")
        yield pytest.param(None, id="vectors-absent", marks=absent)
    for file in FILES:
        for case in cases(file, KUBELET_RULES):
            yield pytest.param(case, id=f"{file.stem}-{case.id}")


@pytest.mark.parametrize("case", list(vectors()))
def test_a_vector_comes_out_as_the_kubelet_decides(case: Case) -> None:
    assert differences(case) == []


TAKE = {"id": "x-1", "topology": "two", "available": "0-1", "request": 1, "options": {}}


def written(path: Path, *vectors: dict[str, object]) -> Path:
    file = path / "some.json"
    cpus = {str(cpu): {"core": cpu, "socket": 0, "numa": 0, "uncore": 0} for cpu in range(2)}
    file.write_text(json.dumps({"topologies": {"two": {"cpus": cpus}}, "vectors": vectors}))
    return file


@pytest.mark.parametrize(
    ("vector", "difference"),
    [
        pytest.param({"expect": {"cpus": "1"}}, "cpus: expected 1, got 0", id="another-cpu"),
        pytest.param({"expect": {"error": "insufficient-cpus"}}, "error: not told", id="no-error"),
        pytest.param({"request": 3, "expect": {"cpus": "0-1"}}, "refused: not enough cpus available", id="an-error"),
        pytest.param({"expect": {"cpus": "0", "mems": "0"}}, "mems: not told", id="an-unknown-expectation"),
        pytest.param(
            {"op": "guess", "expect": {}}, "no operation for vectors of the kind 'cpu guess'", id="unknown-kind"
        ),
        pytest.param({"topology": "three", "expect": {"cpus": "0"}}, "KeyError('three')", id="unknown-topology"),
    ],
)
def test_the_runner_fails_a_vector_and_says_why(
    vector: dict[str, object], difference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, TAKE | {"expect": {"cpus": "0"}}, TAKE | vector))]) == 1
    told = capsys.readouterr().out
    assert difference in told
    assert told.splitlines()[-1] == "1 passed, 1 failed"


def test_the_runner_passes_what_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path, TAKE | {"expect": {"cpus": "0", "error_text": "informs only"}}))]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


def test_the_runner_lists_which_vectors_each_own_rule_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache whose lowest core is broken: the kubelet goes elsewhere, for half a core each."""
    file = written(tmp_path)
    at = {f"{cpu}": {"core": cpu % 4, "socket": 0, "numa": 0, "uncore": cpu % 4 // 2} for cpu in range(8)}
    vector = TAKE | {
        "available": "1-7",
        "request": 2,
        "options": {"prefer-align-cpus-by-uncorecache": True},
        "expect": {"cpus": "2,6"},
    }
    file.write_text(json.dumps({"topologies": {"two": {"cpus": at}}, "vectors": [vector]}))
    main(["--own-rules", str(file)])
    told = capsys.readouterr().out.splitlines()
    assert "   1 differ under cache_rest_packed: x-1" in told
    assert "   0 differ under shared_pool_kept" in told
    assert "   1 differ under all of them: x-1" in told
