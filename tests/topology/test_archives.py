"""Real machines: each read whole, held against what hwloc or lscpu says of it, and kept in words.

``REWRITE_GOLDEN=1 pytest tests/topology`` writes the words anew; review the difference.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.archives import MACHINES, TOPOLOGIES, sysfs_of
from tests.topology.second_readings import Reading, by_hwloc, by_lscpu, rounded

from pinfold.topology import sysfs
from pinfold.topology.files import Files
from pinfold.topology.sysfs import read_topology
from pinfold.topology.words import described

GOLDEN = Path(__file__).parent / "golden"

CPUSET = "hwloc leaves out what the captured process's own cpuset does not allow"
MODULES = "sysfs calls the two cores of a Bulldozer module thread siblings, hwloc undoes that by the CPU family"
OVERLAP = "synthetic nodes within nodes: a CPU has one node here, the first, and a CPU of no node falls to node 0"
LOCAL = "hwloc hangs a node without CPUs below the CPUs nearest to it"
EMPTY = "hwloc leaves out nodes without memory"

# Machine → fact → (ours, theirs, why): where a second reading means something else than we do.
DIFFERENCES: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "hwloc-16amd64-8n2c-cpusets": {"CPUs": ("0-3,5-15", "0-3,5-6,12-15", CPUSET), "nodes": ("0-7", "1-4", CPUSET)},
    "hwloc-32amd64-4s2n4c-cgroup2": {"CPUs": ("0-31", "0-5", CPUSET), "nodes": ("0-7", "0-5", CPUSET)},
    "hwloc-64amd64-4s2n4ca2co": {
        "cores": (
            " ".join(f"{cpu}-{cpu + 1}" for cpu in range(0, 64, 2)),
            " ".join(str(cpu) for cpu in range(64)),
            MODULES,
        )
    },
    "hwloc-fakeheterocpunuma": {
        "CPUs of node 0": ("0-7", "0-3", OVERLAP),
        "CPUs of node 2": ("", "0-3,8-11", LOCAL),
        "CPUs of node 4": ("16-19", "16-23", OVERLAP),
        "CPUs of node 5": ("12-15", "12-23", OVERLAP),
    },
    "hwloc-fakememinitiators-1np2c+1npp+gi": {
        "nodes": ("0-10", "5-10", EMPTY),
        "CPUs of node 5": ("", "0-1", LOCAL),
        "CPUs of node 6": ("", "4-5", LOCAL),
        "CPUs of node 7": ("", "0-1,4-5", LOCAL),
        "CPUs of node 8": ("", "2-3", LOCAL),
        "CPUs of node 9": ("", "6-7", LOCAL),
        "CPUs of node 10": ("", "2-3,6-7", LOCAL),
    },
}


def ours(root: Path) -> Reading:
    topology = read_topology(root)
    return Reading(
        topology.online,
        {
            "cores": topology.cores.values(),
            "packages": topology.sockets.values(),
            "dies": topology.dies.values(),
            "L3": [l3 for cpu in topology.online if (l3 := sysfs._l3(Files(root), cpu))],
        },
        {node.id: node.cpus for node in topology.nodes},
        {node.id: rounded(node.memory_bytes) for node in topology.nodes},
        {node.id: node.distances for node in topology.nodes},
    )


@pytest.mark.parametrize("machine", [name for name in MACHINES if name.startswith(("hwloc", "lscpu"))])
def test_a_second_reading_agrees(machine: str) -> None:
    mine = ours(sysfs_of(machine))
    (file,) = (TOPOLOGIES / "expected").glob(f"{machine}.*")
    if file.suffix == ".txt":
        second = by_lscpu(file.read_text(), raw=machine == "lscpu-arm-A510-A710-A715-X3")
    else:
        second = by_hwloc(file)
    theirs = second.facts(second.cpus, second.node_cpus)
    same = mine.facts(second.cpus, second.node_cpus)
    found = {fact: (same.get(fact), value) for fact, value in theirs.items() if same.get(fact) != value}
    expected = {fact: (one, other) for fact, (one, other, _) in DIFFERENCES.get(machine, {}).items()}
    assert found == expected


@pytest.mark.parametrize("machine", [name for name in MACHINES if name.startswith(("nri", "nto"))])
def test_lscpu_agrees_where_there_is_no_stored_reading(machine: str, tmp_path: Path) -> None:
    """lscpu insists on two files that these captures lack."""
    if shutil.which("lscpu") is None:
        pytest.skip("no lscpu here")
    root = sysfs_of(machine)
    shutil.copytree(root / "sys/devices/system", tmp_path / "sys/devices/system", symlinks=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\n\n")
    possible = tmp_path / "sys/devices/system/cpu/possible"
    if not possible.exists():
        possible.write_text(f"0-{len(list(possible.parent.glob('cpu[0-9]*'))) - 1}\n")
    parse = ["lscpu", "--sysroot", str(tmp_path), "--parse=CPU,CORE,SOCKET,NODE,CACHE"]
    table = subprocess.run(parse, capture_output=True, text=True, check=True).stdout
    second = by_lscpu(table)
    same = ours(root).facts(second.cpus, ())
    assert {fact: same[fact] for fact in second.facts(second.cpus, ())} == second.facts(second.cpus, ())


@pytest.mark.parametrize("machine", MACHINES)
def test_in_words_it_is_what_it_was(machine: str) -> None:
    words = "".join(f"{line}\n" for line in described(read_topology(sysfs_of(machine))))
    golden = GOLDEN / f"{machine.replace(':', '-')}.txt"
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_text(words)
    assert words == golden.read_text()


def test_no_archive_is_left_unread() -> None:
    if not TOPOLOGIES.is_dir():
        pytest.skip(f"no {TOPOLOGIES}")
    there = {file.name.rpartition(".tar")[0] or file.stem for file in TOPOLOGIES.glob("*.t*")}
    assert {machine.partition(":")[0] for machine in MACHINES} == there
