"""``pinfold verify`` and ``pinfold release`` as real processes, on cgroup files written here.

A kernel answers in ``tests/vm``; here it is what the commands say and how they end.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.cli.test_commands import pinfold
from tests.sysfs_writer import write_machine

from pinfold.cgroups.found import Record, to_text
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import PodUid
from pinfold.state import Checkpoint, StateDirectory, boot_id, load

UID = "11111111-2222-4333-8444-555555555555"
POD = CgroupPath(f"kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice")
ENTRY = PodEntry(
    PodUid(UID),
    "db",
    "postgres",
    cpus=CpuSet.parse("2-3"),
    mems=NodeSet.parse("0"),
    containers=(ContainerEntry("postgres", Isolation.POD, CpuSet.parse("2-3")),),
)


@dataclass(frozen=True, slots=True)
class Node:
    """Eight CPUs on two NUMA nodes; one pod owns CPUs 2-3, and everybody else was shrunk to the rest."""

    root: Path

    @property
    def flags(self) -> Sequence[str]:
        places = {"cgroupMount": "cgroup", "stateDir": "state", "sysfsRoot": "machine"}
        values = {"exclusivity": "shrink", **{key: str(self.root / place) for key, place in places.items()}}
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]

    def cgroup(self, path: str, cpus: str, mems: str = "", **effective: str) -> None:
        place = self.root / "cgroup" / path
        place.mkdir(parents=True, exist_ok=True)
        for name, text in {
            "cgroup.controllers": "cpuset cpu memory",
            "cgroup.events": "populated 1\nfrozen 0",
            "cgroup.procs": "",
            "cgroup.subtree_control": "cpuset cpu memory",
            "cpuset.cpus": cpus,
            "cpuset.cpus.effective": effective.get("cpus") or cpus or "0-7",
            "cpuset.cpus.partition": "member",
            "cpuset.mems": mems,
            "cpuset.mems.effective": mems or "0-1",
            "cpu.max": "max 100000",
        }.items():
            (place / name).write_text(f"{text}\n")

    def save(self, ledger: Ledger) -> None:
        directory = StateDirectory(self.root / "state")
        found = {POD: {File.CPUS: Record("", frozenset({"2-3"})), File.MEMS: Record("", frozenset({"0"}))}}
        directory.save(Checkpoint(ledger, to_text(found)), boot_id())
        directory.close()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    write_machine(tmp_path / "machine", cores=4, threads=1)
    others = ("kubepods.slice/kubepods-burstable.slice", "kubepods.slice/kubepods-besteffort.slice", "system.slice")
    node.cgroup("", "")
    node.cgroup("kubepods.slice", "")
    for path in others:
        node.cgroup(path, "0-1,4-7")
    node.cgroup(POD, "2-3", "0")
    node.save(Ledger({ENTRY.uid: ENTRY}))
    return node


def test_verify_finds_no_difference_where_there_is_none(node: Node) -> None:
    ended = pinfold("verify", *node.flags)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert json.loads(pinfold("verify", "-o", "json", *node.flags).stdout) == {"pods": ["db/postgres"], "drift": []}


def test_verify_names_what_the_kernel_says_and_ends_with_1(node: Node) -> None:
    node.cgroup(POD, "0-7", "0")
    ended = pinfold("verify", *node.flags)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "db/postgres: rewritten: " in ended.stdout
    assert "cpuset.cpus has 0-7, not 2-3" in " ".join(ended.stdout.split())
    (drift,) = json.loads(pinfold("verify", "-o", "json", *node.flags).stdout)["drift"]
    assert (drift["cgroup"], drift["want"], drift["have"], drift["pod"]) == (POD, "2-3", "0-7", "db/postgres")


def test_verify_without_a_checkpoint_says_that_nothing_is_pinned(node: Node) -> None:
    (node.root / "state/checkpoint.json").unlink()
    ended = pinfold("verify", *node.flags)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Pinfold has pinned nothing on this node" in ended.stderr


def test_a_dry_release_shows_the_writes_and_writes_nothing(node: Node) -> None:
    before = {path: path.read_bytes() for path in node.root.rglob("*") if path.is_file()}
    ended = pinfold("release", "--dry-run", *node.flags)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "would be" in ended.stdout
    assert "nothing was written" in ended.stdout
    assert {path: path.read_bytes() for path in node.root.rglob("*") if path.is_file()} == before
    writes = json.loads(pinfold("release", "--dry-run", "-o", "json", *node.flags).stdout)["writes"]
    assert (POD, "cpuset.cpus") in {(write["cgroup"], write["file"]) for write in writes}


def test_a_release_that_the_kernel_does_not_follow_ends_with_1(node: Node) -> None:
    """These files hold what is written; ``effective`` follows nothing."""
    ended = pinfold("release", *node.flags)
    assert ended.returncode == 1
    assert "not everything is given back" in ended.stdout


def test_release_is_refused_while_a_daemon_holds_the_state(node: Node) -> None:
    held = StateDirectory(node.root / "state")
    try:
        ended = pinfold("release", *node.flags)
    finally:
        held.close()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is held by another pinfold" in ended.stderr


def test_a_release_that_systemd_cannot_be_told_of_says_so_and_can_be_repeated(node: Node) -> None:
    unit = POD.rpartition("/")[2]
    directory = StateDirectory(node.root / "state")
    saved = directory.load(boot_id())
    assert saved
    directory.save(replace(saved, properties=frozenset({(unit, "AllowedCPUs")})), boot_id())
    directory.close()
    assert f"would be {unit} AllowedCPUs=" in pinfold("release", "--dry-run", *node.flags).stdout
    ended = pinfold("release", *node.flags, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nowhere/bus")
    assert ended.returncode == 1
    assert "systemd's bus cannot be reached" in ended.stderr
    left = load(node.root / "state", boot_id())
    assert left
    assert left.properties == {(unit, "AllowedCPUs")}
