"""``pinfold plan`` and ``pinfold topology`` as real processes, on real and written machines."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from tests.archives import MACHINES, sysfs_of
from tests.cli.test_commands import SCHEMA, pinfold

from pinfold.cli.machine import MachineError, machine
from pinfold.topology.sysfs import read_topology
from pinfold.topology.words import described


@pytest.fixture(scope="module")
def sysfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two NUMA nodes of eight CPUs, two threads a core."""
    root = tmp_path_factory.mktemp("machine")
    cpus = root / "sys/devices/system/cpu"
    for cpu in range(16):
        topology = cpus / f"cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{cpu % 8},{cpu % 8 + 8}\n")
        (topology / "core_siblings_list").write_text("0-3,8-11\n" if cpu % 8 < 4 else "4-7,12-15\n")
        (topology / "physical_package_id").write_text(f"{cpu % 8 // 4}\n")
    for name in ("online", "present", "possible"):
        (cpus / name).write_text("0-15\n")
    for node, cpulist in enumerate(("0-3,8-11", "4-7,12-15")):
        place = root / f"sys/devices/system/node/node{node}"
        place.mkdir(parents=True)
        (place / "cpulist").write_text(f"{cpulist}\n")
        (place / "meminfo").write_text(f"Node {node} MemTotal:       67108864 kB\n")
        (place / "distance").write_text("10 21\n" if node == 0 else "21 10\n")
    (root / "sys/devices/system/node/online").write_text("0-1\n")
    return root


def container(name: str, cpu: str = "", memory: str = "") -> dict[str, object]:
    if not cpu:
        return {"name": name}
    return {"name": name, "resources": {form: {"cpu": cpu, "memory": memory} for form in ("requests", "limits")}}


def pod(name: str, cpu: str, *containers: dict[str, object]) -> dict[str, object]:
    amounts = {"cpu": cpu, "memory": "8Gi"}
    spec = {"resources": {"requests": amounts, "limits": amounts}, "containers": list(containers)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "trading"}, "spec": spec}


ENGINE = pod("match-engine", "4", container("engine", "3", "4Gi"), container("exporter"), container("proxy"))
ARTICLE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "pasted"},
    "spec": {
        "resources": {"cpu": "6", "memory": "16Gi"},
        "managedResources": ["cpu", "memory"],
        "containers": [container("engine", "6", "8Gi"), container("exporter", "100m", "64Mi")],
    },
}


def planned(sysfs: Path, *pods: object, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    text = yaml.safe_dump_all(pods)
    return pinfold("plan", "--pods", "-", "--sysfs", str(sysfs), *arguments, stdin=text)


def test_a_pod_gets_a_pool_on_one_node_and_the_reason_is_told(sysfs: Path) -> None:
    ended = planned(sysfs, ENGINE)
    assert (ended.returncode, ended.stderr) == (0, "")
    answer = json.loads(planned(sysfs, ENGINE, arguments=("-o", "json")).stdout)
    Draft202012Validator(SCHEMA).validate(answer["status"])
    (found,) = answer["status"]["pods"]
    assert (found["outcome"], found["mems"]) == ("pinned", "0")
    assert f"trading/match-engine owns CPUs {found['pool']} as its pod pool." in ended.stdout
    assert "trading/match-engine" in ended.stdout
    assert "KERNEL SAYS" not in ended.stdout


def test_a_pod_larger_than_the_machine_is_an_answer_with_a_reason(sysfs: Path) -> None:
    ended = planned(sysfs, pod("big", "64", container("all", "64", "8Gi")))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "refused  trading/big: " in ended.stdout


def test_pods_are_placed_in_the_order_of_the_files(sysfs: Path, tmp_path: Path) -> None:
    files = []
    for name in ("zebra", "ant"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(pod(name, "6", container("all", "6", "8Gi"))))
        files.append(str(file))
    arguments = ("--sysfs", str(sysfs), "--set", "topologyManagerPolicy=single-numa-node", "-o", "json")
    outcomes = []
    for order in (files, files[::-1]):
        extra = tmp_path / "third.yaml"
        extra.write_text(yaml.safe_dump(pod("third", "6", container("all", "6", "8Gi"))))
        answer = json.loads(pinfold("plan", "--pods", *order, str(extra), *arguments).stdout)
        outcomes.append({one["name"]: one["outcome"] for one in answer["status"]["pods"]})
    assert outcomes == [{"zebra": "pinned", "ant": "pinned", "third": "shared"}] * 2


def test_a_pasted_manifest_is_answered_with_each_cause_and_what_was_meant(sysfs: Path) -> None:
    ended = planned(sysfs, ARTICLE)
    assert (ended.returncode, ended.stderr) == (1, "")
    words = " ".join(ended.stdout.split())
    for cause in (
        "spec.resources.cpu: unknown field",
        "spec.resources.memory: unknown field",
        "spec.managedResources: unknown field",
        "6 is too small: the containers ask for engine 6 + exporter 100m; meant is 7",
    ):
        assert cause in words
    meant = yaml.safe_load(ended.stdout.partition("What was meant:\n")[2].partition("\nWith it:")[0])
    assert meant["spec"]["resources"]["requests"] == {"cpu": "7", "memory": "16Gi"}
    again = planned(sysfs, meant)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == ended.stdout.partition("With it:\n\n")[2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("kind: Deployment\nmetadata: {name: web}\nspec: {}", "'Deployment' is no Pod", id="no-pod"),
        pytest.param("- 1\n- 2", "list where an object should be", id="no-object"),
        pytest.param("a: [", "no YAML", id="no-yaml"),
        pytest.param("{", "no JSON", id="no-json"),
        pytest.param("kind: Pod\nmetadata: {name: a, uid: ../x}\nspec: {containers: [{name: a}]}", "../x", id="path"),
        pytest.param(
            "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{}]}", "spec.containers[0].name", id="nameless"
        ),
        pytest.param(
            "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, resources: {limits: {cpu: 2x}}}]}",
            "spec.containers[0].resources.limits.cpu",
            id="quantity",
        ),
        pytest.param("kind: Pod\nmetadata: 7\nspec: {containers: [{name: a}]}", "metadata", id="metadata-is-no-object"),
        pytest.param("kind: Pod\nmetadata: {name: a}\nspec: {resources: 7}", "spec.resources", id="resources-too"),
        pytest.param(
            'kind: Pod\nmetadata: {name: "\\e[2J"}\nspec: {containers: [{name: a}]}', "\\x1b[2J", id="hostile"
        ),
    ],
)
def test_a_bad_manifest_is_told_and_the_others_are_planned(sysfs: Path, text: str, told: str, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text(text)
    good.write_text(yaml.safe_dump(ENGINE))
    ended = pinfold("plan", "--pods", str(bad), str(good), "--sysfs", str(sysfs))
    assert (ended.returncode, ended.stderr) == (1, "")
    assert told in " ".join(ended.stdout.split())
    assert "pinned" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80 or "What was meant" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "told", "status"),
    [
        pytest.param(["--pods", "/nowhere.yaml"], "/nowhere.yaml cannot be read: No such file", 1, id="no-file"),
        pytest.param(["--pods", "/"], "/ cannot be read: Is a directory", 1, id="a-directory"),
        pytest.param(["--pods", "-", "--sysfs", "/nowhere"], "/nowhere is not there", 1, id="no-sysfs"),
        pytest.param(["--pods", "-", "--sysfs", "/etc/passwd"], "/etc/passwd cannot be unpacked", 1, id="no-archive"),
        pytest.param(["--pods", "-", "--set", "nonsense=1"], "unknown key nonsense", 78, id="unknown-key"),
        pytest.param(["--pods", "-", "--set", "reservedSystemCPUs=900"], "has no CPU 900", 78, id="no-such-cpu"),
        pytest.param(["--pods", "-", "--config", "/nowhere.yaml"], "/nowhere.yaml cannot be read", 78, id="no-config"),
    ],
)
def test_what_cannot_be_planned_with_is_told(arguments: list[str], told: str, status: int) -> None:
    ended = pinfold("plan", *arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert ended.stderr.startswith("pinfold: ")
    assert told in ended.stderr


@pytest.mark.parametrize("name", MACHINES)
def test_a_pod_is_planned_on_every_real_machine(name: str) -> None:
    """An answer or a refusal with a reason, by the real process; the archive itself is read in the test below."""
    ended = planned(sysfs_of(name), ENGINE, arguments=("-o", "json"))
    assert (ended.returncode, ended.stderr) == (0, "")
    (found,) = json.loads(ended.stdout)["status"]["pods"]
    assert found["outcome"] == "pinned" or (found["refusal"]["reason"] and found["refusal"]["message"])


@pytest.mark.parametrize("name", ["hwloc-fakeheterocpunuma", "lscpu-s390-lpar", "hwloc-16em64t-4s2c2t-offlines"])
def test_an_archive_is_read_as_its_unpacked_directory(name: str) -> None:
    root = sysfs_of(name)
    archive = next((Path(__file__).parents[3] / "shared/topologies").glob(f"{name}.t*"))
    assert machine(str(archive)) == read_topology(root)


def packed(to: Path, machines: dict[str, Path], **extra: bytes) -> Path:
    with tarfile.open(to, "w:gz") as archive:
        for prefix, root in machines.items():
            archive.add(root, prefix)
        for name, content in extra.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return to


def test_one_of_several_machines_in_an_archive_is_named(sysfs: Path, tmp_path: Path) -> None:
    archive = packed(tmp_path / "both.tar.gz", {"a/left": sysfs, "a/right": sysfs})
    assert machine(f"{archive}:right") == read_topology(sysfs)
    with pytest.raises(MachineError, match=f"Name one: {archive}:left, {archive}:right"):
        machine(str(archive))
    with pytest.raises(MachineError, match=r"holds no machine middle. It holds: left, right"):
        machine(f"{archive}:middle")


def test_a_hostile_archive_writes_nothing_outside_and_nothing_large(sysfs: Path, tmp_path: Path) -> None:
    hostile = {
        "../../escaped/sys/devices/system/cpu/online": b"0-3",
        "/abs/sys/devices/system/cpu/online": b"0-3",
        "sys/devices/system/cpu/../../../../escaped": b"x",
        "m/sys/devices/system/cpu/online": b"x" * (1 << 20),
    }
    archive = packed(tmp_path / "hostile.tar.gz", {"m": sysfs}, **hostile)
    assert machine(f"{archive}:m") == read_topology(sysfs)
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.tar.gz"]


@pytest.mark.parametrize("cut", [100, 1000])
def test_a_torn_archive_is_told(sysfs: Path, tmp_path: Path, cut: int) -> None:
    archive = packed(tmp_path / "whole.tar.gz", {"m": sysfs})
    torn = tmp_path / "torn.tar.gz"
    torn.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(MachineError, match=r"torn\.tar\.gz"):
        machine(str(torn))


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="holds no sys/devices/system/cpu"):
        machine(str(packed(tmp_path / "other.tar.gz", {}, readme=b"hello")))


def test_topology_describes_the_machine(sysfs: Path) -> None:
    ended = pinfold("topology", "--sysfs", str(sysfs))
    assert ended.stdout == "\n".join(described(read_topology(sysfs))) + "\n"
    as_json = json.loads(pinfold("topology", "--sysfs", str(sysfs), "-o", "json").stdout)
    part = {**SCHEMA["properties"]["topology"], "$defs": SCHEMA["$defs"]}
    Draft202012Validator(part).validate(as_json)
    assert as_json["online"] == "0-15"
