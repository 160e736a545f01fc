"""``pinfold bundle`` on one node and ``pinfold plan --bundle`` elsewhere: the loop's own decisions, real processes."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.bench import Bench, pod
from tests.cli.test_commands import ROOT, pinfold
from tests.cpuset_model import KERNELS
from tests.machines import regular
from tests.sysfs_writer import write_machine

from pinfold.cli.bundle import CONFIGURATION, allowed
from pinfold.config import Config, config_of, policy
from pinfold.report.http import Endpoint
from pinfold.report.routes import Readings

SECRET = "hunter2"  # noqa: S105


def with_secrets(raw: dict[str, Any]) -> dict[str, Any]:
    """*raw* with what an author may put into a pod and nobody should find in a bug report."""
    raw["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"password": SECRET}),
        "example.com/token": SECRET,
    }
    raw["metadata"]["labels"] = {"token": SECRET}
    for one in raw["spec"]["containers"]:
        one["env"] = [{"name": "PASSWORD", "value": SECRET}]
        one["command"] = ["login", f"--password={SECRET}"]
        one["image"] = f"registry.example/{SECRET}"
    return raw


class Node:
    """The loop on a model kernel, with its endpoint on a socket, and the files that the command reads."""

    def __init__(self, tmp: Path) -> None:
        self.bench = Bench.boot(KERNELS[-1], tmp, apiServer={"enabled": False, "kubeconfig": f"/etc/{SECRET}"})
        agent = self.bench.start()
        self.socket = str(tmp / "socket")
        readings = Readings(
            agent.snapshot,
            self.bench.config.dumped,
            agent.heartbeat_age_s,
            30.0,
            decision=lambda: agent.decision.to_json() if agent.decision else None,
        )
        self.endpoint = Endpoint(readings, unix_socket=self.socket)
        config = tmp / "config.yaml"
        config.write_text(json.dumps(self.bench.config.dumped()))
        self.arguments = ("--config", str(config), "--socket", self.socket)

    def bundle(self, file: Path) -> Path:
        ended = pinfold("bundle", str(file), *self.arguments)
        assert (ended.returncode, ended.stdout) == (0, f"{file}\n"), ended.stderr
        return file


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    with node.endpoint:
        yield node
    node.bench.stop()


def replayed(file: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    ended = pinfold("plan", "--bundle", str(file), *arguments, "-o", "json")
    assert ended.returncode == status, ended.stdout + ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_the_decision_that_placed_a_pod_replays_from_the_bundle(node: Node, tmp_path: Path) -> None:
    """A pod that came and went leaves its mark: the second pool is where no fresh plan would put it."""
    for number in (1, 2):
        node.bench.put(pod(number, 4, engine=3))
        node.bench.appear(number)
    pool = str(node.bench.status(2).pool)
    node.bench.take(1)
    node.bench.fs.world.exit("pause-1")
    node.bench.turn()
    node.bench.put(with_secrets(pod(3, 99)))
    node.bench.turn()
    answer = replayed(node.bundle(tmp_path / "bundle.tar.gz"))
    assert answer["replay"]["differing"] == []
    told = {one["name"]: (one["outcome"], one["pool"]) for one in answer["status"]["pods"]}
    assert told == {"p2": ("pinned", pool), "p3": ("shared", "")}
    fresh = pinfold("plan", "--bundle", str(tmp_path / "bundle.tar.gz"))
    assert fresh.stdout.endswith("\nThe replay decides for 2 pods as the node did.\n")


def test_a_bundle_holds_the_node_and_no_secret(node: Node, tmp_path: Path) -> None:
    node.bench.put(with_secrets(pod(1, 4, engine=3)))
    node.bench.appear(1)
    node.bench.turn()
    with tarfile.open(node.bundle(tmp_path / "bundle.tar.gz")) as archive:
        contents = {one.name.partition("/")[2]: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    documents = {"bundle.json", "config.json", "decision.json", "status.json", "checkpoint.json"}
    assert documents <= contents.keys()
    assert "sys/devices/system/cpu/cpu3/topology/core_cpus_list" in contents
    assert [name for name, content in contents.items() if SECRET.encode() in content] == []
    assert "cgroups.json" in json.loads(contents["bundle.json"])["missing"][0]  # the model has no files to read


def test_another_machine_is_a_what_if_and_no_failed_replay(node: Node, tmp_path: Path) -> None:
    node.bench.put(pod(1, 4, engine=3))
    node.bench.appear(1)
    node.bench.turn()
    file = node.bundle(tmp_path / "bundle.tar.gz")
    answer = replayed(file, "--machine", "1x4x1", "--set", "reservedSystemCPUs=0")
    assert "replay" not in answer
    assert answer["status"]["reservedCPUs"] == "0"
    added = tmp_path / "added.json"
    added.write_text(json.dumps(pod(2, 2)))
    assert [one["pod"] for one in replayed(file, "--add", str(added))["changes"]] == ["test/p2"]


def test_a_replay_that_differs_is_told_and_fails(node: Node, tmp_path: Path) -> None:
    node.bench.put(pod(1, 4, engine=3))
    node.bench.appear(1)
    node.bench.turn()
    file = node.bundle(tmp_path / "bundle.tar.gz")
    forged = tmp_path / "forged.tar.gz"
    with tarfile.open(file) as old, tarfile.open(forged, "w:gz") as new:
        for member in old:
            content = old.extractfile(member).read()  # type: ignore[union-attr]
            if member.name.endswith("decision.json"):
                content = content.replace(b'"outcome": "pinned"', b'"outcome": "shared"')
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    (differs,) = replayed(forged, status=1)["replay"]["differing"]
    assert (differs["then"]["outcome"], differs["now"]["outcome"]) == ("shared", "pinned")
    ended = pinfold("plan", "--bundle", str(forged))
    assert "The replay decides for 1 of 1 pod otherwise than the node did:\n  test/p1: shared" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_without_a_daemon_the_rest_is_in_the_bundle_and_what_is_missing_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    write_machine(tmp_path, sockets=2, cores=4, threads=2, numbering="adjacent")
    places = ("--set", f"stateDir={tmp_path}", "--set", f"sysfsRoot={tmp_path}")
    ended = pinfold("bundle", str(file), "--socket", str(tmp_path / "none"), *places)
    assert ended.returncode == 0
    assert "left out: decision.json: no daemon answers. " in ended.stderr
    machines = [pinfold("topology", "--sysfs", str(place), "-o", "json").stdout for place in (file, tmp_path)]
    assert json.loads(machines[0]) == json.loads(machines[1])
    replay = pinfold("plan", "--bundle", str(file))
    assert (replay.returncode, replay.stdout) == (1, "")
    assert "holds no decision to replay. When it was made: decision.json: no daemon answers." in replay.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"nonsense", "cannot be unpacked", id="no-archive"),
        pytest.param({"a.txt": b""}, "is no bundle. Name a file that pinfold bundle made.", id="another-archive"),
        pytest.param({"bundle.json": b"[]"}, "bundle.json is no JSON object", id="no-object"),
        pytest.param({"bundle.json": b"{}", "decision.json": b"{"}, "decision.json is no JSON", id="torn"),
        pytest.param({"bundle.json": b"{}", "decision.json": b"{}"}, "the decision is damaged: KeyError", id="empty"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes | dict[str, bytes], told: str) -> None:
    file = tmp_path / "file"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with tarfile.open(file, "w:gz") as archive:
            for name, data in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    ended = pinfold("plan", "--bundle", str(file))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert told in ended.stderr


def test_a_bundle_goes_through_a_pipe(tmp_path: Path) -> None:
    command = f"{sys.executable} -m pinfold bundle - --set stateDir={tmp_path} | tar tz"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "daemon")}
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "pinfold-bundle/bundle.json" in ended.stdout.splitlines()


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    ended = pinfold("bundle", str(there))
    assert (ended.returncode, there.read_text()) == (1, "mine")
    assert "cannot be made: File exists. Name another file." in ended.stderr


def test_the_keys_that_are_let_in_make_the_same_policy() -> None:
    topology = regular(2, 8, 2)
    config = config_of(
        {
            "reservedSystemCPUs": "1",
            "cpuManagerPolicyOptions": {"full-pcpus-only": True},
            "memoryManagerPolicy": "None",
            "reservedMemory": [{"numaNode": 1, "limits": {"memory": "1Gi"}}],
            "topologyManagerPolicy": "restricted",
            "topologyManagerScope": "container",
            "topologyManagerPolicyOptions": {"prefer-closest-numa-nodes": True},
            "manage": "guaranteed",
            "onUnsatisfied": "evict",
            "minSharedCPUs": 2,
            "allowUnscheduledPools": True,
            "annotationNamespaces": ["trading"],
            "memoryMinNamespaces": ["trading"],
        }
    )
    kept = config_of(allowed(config.dumped()))
    theirs, default = policy(config, topology)[0], policy(Config(), topology)[0]
    assert policy(kept, topology)[0] == theirs
    same = [name for name in theirs.__slots__ if getattr(theirs, name) == getattr(default, name)]
    assert same == ["rules"], f"give {same} another value above, and let it into cli/bundle.py CONFIGURATION"


def test_each_key_that_is_let_in_is_a_key_of_the_configuration() -> None:
    dumped = Config().dumped()
    for dotted in CONFIGURATION:
        value = dumped
        for part in dotted.split("."):
            value = value[part]
