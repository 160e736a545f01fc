"""The words that people read: complete, and never wider than a terminal."""

import re
from pathlib import Path

from tests.sysfs_writer import write_machine

from pinfold.cpuset import CpuSet
from pinfold.topology.sysfs import read_topology
from pinfold.topology.words import described


def test_512_cpus_on_16_nodes_fit_in_80_columns_and_none_is_missing(tmp_path: Path) -> None:
    """Even CPUs on one socket and odd ones on the other: no list is short."""
    root = write_machine(tmp_path, nodes_per_socket=8, l3_per_node=2, cores=8, numbering="alternating")
    topology = read_topology(root)
    lines = described(topology)
    assert max(map(len, lines)) <= 80
    text = re.sub(r"([, ])\n +", r"\1", "\n".join(line if line.endswith(",") else line + " " for line in lines))
    for word, groups in (("socket", topology.sockets), ("node", topology.node_cpus)):
        told = {int(number): CpuSet.parse(cpus) for number, cpus in re.findall(rf"{word} (\d+): ([\d,-]+) ", text)}
        assert told == groups
    told_cores = [CpuSet.parse(core) for line in re.findall(r"cores: ([\d, -]+)", text) for core in line.split()]
    assert sorted(told_cores, key=CpuSet.lowest) == list(topology.cores.values())


def test_what_is_out_of_the_ordinary_stands_at_the_top(tmp_path: Path) -> None:
    root = write_machine(tmp_path, threads=1, offline=[3], isolated=[6, 7], hugepages={2048: 512})
    (root / "sys/devices/system/cpu/possible").write_text("0-31\n")
    assert described(read_topology(root)) == [
        "7 CPUs, 7 cores, 2 sockets, 2 NUMA nodes, 32.0 GiB memory",
        "offline: 3",
        "isolated: 6-7",
        "possible: 0-31",
        "",
        "socket 0: 0-2",
        "  node 0: 0-2",
        "socket 1: 4-7",
        "  node 1: 4-7",
        "",
        "node 0: 16.0 GiB, 1.0 GiB in hugepages-2Mi",
        "  distance 10 to 0; 20 to 1",
        "node 1: 16.0 GiB, 1.0 GiB in hugepages-2Mi",
        "  distance 10 to 1; 20 to 0",
    ]
