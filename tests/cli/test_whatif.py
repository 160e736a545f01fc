"""The what-ifs of ``pinfold plan`` as a real process: what would change, how many more fit, and from which ledger."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.test_commands import pinfold
from tests.cli.test_plan import container, pod

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Ledger, PodEntry
from pinfold.pods.model import PodUid
from pinfold.state import FILE, Checkpoint, StateDirectory

MACHINE = ("--machine", "2x4x2", "-o", "json")
UID = "00000000-0000-4000-8000-0000000000aa"


def written(tmp_path: Path, name: str, cpu: str, *containers: dict[str, object], uid: str = "") -> str:
    raw = pod(name, cpu, *containers)
    if uid:
        raw["metadata"] = {"name": name, "namespace": "trading", "uid": uid}
    file = tmp_path / f"{name}.yaml"
    file.write_text(yaml.safe_dump(raw))
    return str(file)


def answered(*arguments: str) -> dict[str, Any]:
    ended = pinfold("plan", *MACHINE, *arguments)
    assert ended.stderr == ""
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_what_is_added_removed_and_resized_is_told_as_a_change(tmp_path: Path) -> None:
    stays = written(tmp_path, "stays", "2", container("a", "1", "1Gi"), container("b"))
    goes = written(tmp_path, "goes", "2", container("a", "2", "8Gi"))
    comes = written(tmp_path, "comes", "3", container("a", "3", "8Gi"))
    change = ("--remove", "trading/goes", "--resize", "trading/stays=cpu=4", "--add", comes)
    changes = {one["pod"]: one for one in answered("--pods", stays, goes, *change)["changes"]}
    assert changes["trading/goes"]["after"] is None
    assert changes["trading/comes"]["before"] is None
    before, after = (CpuSet.parse(changes["trading/stays"][side]["cpus"]) for side in ("before", "after"))
    assert (len(before), len(after)) == (2, 4)
    assert before <= after


def test_nothing_asked_is_nothing_told(tmp_path: Path) -> None:
    answer = answered("--pods", written(tmp_path, "p", "2", container("a", "2", "8Gi")))
    assert "changes" not in answer
    assert "fits" not in answer


@pytest.mark.parametrize(
    ("most", "count", "blocked"),
    [
        pytest.param("9", 2, "UnexpectedAdmissionError", id="until-the-node-is-full"),
        pytest.param("1", 1, None, id="enough"),
    ],
)
def test_how_many_more_fit_and_what_blocks_the_next(tmp_path: Path, most: str, count: int, blocked: str | None) -> None:
    fits = answered("--pods", written(tmp_path, "p", "4", container("a", "4", "8Gi")), "--fits", most)["fits"]
    assert fits["count"] == count
    assert (fits["blockedBy"] and fits["blockedBy"]["reason"]) == blocked


def test_a_checkpoint_tells_who_owns_what_already(tmp_path: Path) -> None:
    """What it holds stays, also for pods whose manifests are not given."""
    state = StateDirectory(tmp_path / "state")
    own = PodEntry(PodUid(UID), "trading", "old", CpuSet.parse("1-2"), NodeSet.parse("0"), asked={"cpu": 2000})
    state.save(Checkpoint(Ledger({own.uid: own})), "another boot")
    state.close()
    ledger = ("--ledger", str(tmp_path / "state" / FILE))
    status = answered(*ledger, "--add", written(tmp_path, "new", "2", container("a", "2", "8Gi")))["status"]
    pools = {one["name"]: one["pool"] for one in status["pods"]}
    assert pools["old"] == "1-2"
    assert CpuSet.parse(pools["new"]).isdisjoint(CpuSet.parse("1-2"))
    gone = answered(*ledger, "--remove", "trading/old")
    assert gone["status"]["pods"] == []


def test_a_kubelets_state_tells_who_owns_what_already(tmp_path: Path) -> None:
    state = tmp_path / "cpu_manager_state"
    entries = {UID: {"a": "3-4"}}
    state.write_text(
        json.dumps({"policyName": "static", "defaultCpuSet": "0-2,5-15", "entries": entries, "checksum": 1})
    )
    file = written(tmp_path, "new", "2", container("a", "2", "8Gi"))
    status = answered("--ledger", str(state), "--pods", file)["status"]
    pools = [CpuSet.parse(one["pool"] or one["exclusive"]) for one in status["pods"]]
    assert sorted(map(len, pools)) == [2, 2]
    assert pools[0].isdisjoint(pools[1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--resize", "trading/x=cpu=2"], "no pod trading/x", id="resize-of-nobody"),
        pytest.param(["--resize", "nonsense"], "NAMESPACE/POD", id="resize-without-form"),
        pytest.param(["--resize", "trading/p=cpus=2"], "'cpus' is no resource", id="resize-of-no-resource"),
        pytest.param(["--resize", "trading/p=cpu=2x"], "2x", id="resize-by-no-quantity"),
        pytest.param(["--resize", "trading/p=cpu=1"], "its containers ask for 2", id="resize-below-its-containers"),
        pytest.param(["--remove", "trading/x"], "no such pod", id="remove-of-nobody"),
        pytest.param(["--fits", "2", "--like", "trading/x"], "like which pod", id="like-nobody"),
        pytest.param(["--ledger", "/dev/null"], "holds no ledger", id="an-empty-ledger"),
        pytest.param(["--ledger", "/nowhere"], "cannot be read", id="no-ledger"),
    ],
)
def test_a_what_if_that_makes_no_sense_is_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    file = written(tmp_path, "p", "2", container("a", "2", "8Gi"))
    ended = pinfold("plan", *MACHINE, "--pods", file, *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert told in ended.stderr


def test_in_words_it_says_what_changes_and_fits_80_columns(tmp_path: Path) -> None:
    file = written(tmp_path, "p", "4", container("a", "4", "8Gi"))
    more = written(tmp_path, "q", "4", container("a", "4", "8Gi"))
    ended: subprocess.CompletedProcess[str] = pinfold(
        "plan", "--machine", "2x4x2", "--pods", file, "--add", more, "--fits", "9"
    )
    assert ended.returncode == 0
    assert "trading/q  not there becomes pinned on CPUs" in ended.stdout
    assert "1 more pods like trading/q fit, aligned." in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80
