"""A bundle made on a node decides the same here; a planted intruder is measured and named. Guest: ``in_guest``."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_commands import pinfold
from tests.vm.machine import run_in_vm


@pytest.fixture(scope="module")
def told() -> Mapping[str, Any]:
    command = ["python3", "-m", "tests.cli.in_guest"]
    done = run_in_vm(command, kernel="6.12", init="systemd", smp="16,sockets=2,cores=4,threads=2", timeout_s=600)
    assert done.status == 0, done.output[-4000:]
    answer: Mapping[str, Any] = json.loads(done.output.strip().splitlines()[-1])
    print({name: value for name, value in answer.items() if name != "bundle"})
    assert answer["settled"], answer["pods"]
    return answer


@pytest.mark.vm
@pytest.mark.long
def test_the_bundle_of_a_node_replays_here_to_the_same_decision(told: Mapping[str, Any], tmp_path: Path) -> None:
    assert told["bundled"] == [0, ""]
    file = tmp_path / "bundle.tar.gz"
    file.write_bytes(base64.b64decode(told["bundle"]))
    ended = pinfold("plan", "--bundle", str(file), "-o", "json")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["replay"]["differing"] == []
    pods = {f"{one['namespace']}/{one['name']}": one for one in answer["status"]["pods"]}
    assert {name: [pod["outcome"], pod["pool"], pod["mems"]] for name, pod in pods.items()} == told["pods"]
    assert len(answer["status"]["topology"]["cpus"]) == 16


@pytest.mark.vm
@pytest.mark.long
def test_an_intruder_is_measured_for_what_it_ran_and_named(told: Mapping[str, Any]) -> None:
    """Before it came, next to nothing ran there; what it ran by its own count is foreign by the CPUs'."""
    foreign_s, measured_s = told["quiet"]
    assert measured_s > 0
    assert abs(foreign_s) < 0.05 * measured_s, told["quiet"]
    pid, cpu, ran_s = told["intruder"]
    foreign_s, error_s = told["foreign"]
    assert ran_s > 0.5
    assert abs(foreign_s - ran_s) < 0.15 * ran_s + error_s, told["foreign"]
    status, tasks = told["tasks"]
    assert (status, [one for one in tasks if one["kind"] == "user"]) == (0, [])
    assert any(one["kind"] == "per-CPU" for one in tasks)
    status, text = told["found"]
    assert status == 1
    assert f"task   {pid} python3 of / may run on CPUs {cpu}\n" in text
    assert "trading/match-engine/engine" in told["status"]
