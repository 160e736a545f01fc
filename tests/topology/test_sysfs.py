"""The reader on machines that do not exist: whole ones, ones with parts left out, and files that lie."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sysfs_writer import GIB, write_machine

from pinfold.cpuset import CpuSet
from pinfold.topology import sysfs
from pinfold.topology.files import Files, TopologyError
from pinfold.topology.model import Topology
from pinfold.topology.sysfs import read_topology

CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"


def in_words(groups: Mapping[Any, CpuSet]) -> dict[Any, str]:
    return {group: str(cpus) for group, cpus in groups.items()}


def test_a_machine_is_read_whole(tmp_path: Path) -> None:
    """H12, the machine of the kubelet's own tests: siblings c and c+6, even CPUs on socket 0."""
    topology = read_topology(write_machine(tmp_path, cores=3, numbering="alternating", isolated=[3]))
    assert str(topology.online) == "0-11"
    assert in_words(topology.cores) == {0: "0,6", 1: "1,7", 2: "2,8", 3: "3,9", 4: "4,10", 5: "5,11"}
    assert in_words(topology.sockets) == {0: "0,2,4,6,8,10", 1: "1,3,5,7,9,11"}
    assert topology.node_cpus == topology.sockets == topology.uncores
    assert [node.memory_bytes for node in topology.nodes] == [16 * GIB, 16 * GIB]
    assert topology.nodes[1].distances == {0: 20, 1: 10}
    assert (str(topology.possible), str(topology.isolated), str(topology.offline)) == ("0-11", "3", "")


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    shape = {
        "sockets": draw(st.integers(1, 3)),
        "nodes_per_socket": draw(st.integers(1, 2)),
        "l3_per_node": draw(st.integers(1, 2)),
        "cores": draw(st.integers(1, 3)),
        "threads": draw(st.integers(1, 3)),
    }
    cpus = shape["sockets"] * shape["nodes_per_socket"] * shape["l3_per_node"] * shape["cores"] * shape["threads"]
    return shape | {
        "numbering": draw(st.sampled_from(["adjacent", "interleaved", "alternating"])),
        "memory_bytes": draw(st.integers(0, 2**40 // 1024)) * 1024,
        "memory_only_nodes": draw(st.integers(0, 2)),
        "hugepages": draw(st.dictionaries(st.sampled_from([64, 2048, 1048576]), st.integers(0, 1024), min_size=1)),
        "offline": draw(st.sets(st.integers(1, cpus - 1))) if cpus > 1 else set(),
    }


@settings(max_examples=30, deadline=None)
@given(shapes())
def test_what_was_written_is_read(shape: dict[str, Any]) -> None:
    with TemporaryDirectory() as place:
        topology = read_topology(write_machine(Path(place), **shape))
    sockets: int = shape["sockets"]
    threads: int = shape["threads"]
    per_node: int = shape["l3_per_node"] * shape["cores"]
    nodes: int = sockets * shape["nodes_per_socket"]
    all_cores = nodes * per_node

    def core_of(cpu: int) -> int:
        match shape["numbering"]:
            case "adjacent":
                return cpu // threads
            case "interleaved":
                return cpu % all_cores
            case _:
                return cpu % sockets * (all_cores // sockets) + cpu % all_cores // sockets

    online = [cpu for cpu in range(all_cores * threads) if cpu not in shape["offline"]]
    assert list(topology.online) == online
    assert set(topology.offline) == shape["offline"]
    l3s = [{one for one in online if core_of(one) // shape["cores"] == l3} for l3 in range(all_cores // shape["cores"])]

    def parts_its_node(l3: set[int]) -> bool:
        node = {one for one in online if core_of(one) // per_node == core_of(min(l3)) // per_node}
        return l3 != node and len({core_of(one) for one in l3}) > 1

    parted = set().union(*(l3 for l3 in l3s if l3 and parts_its_node(l3)))
    for cpu in online:
        here = topology.by_id[cpu]
        assert here.core == min(other for other in online if core_of(other) == core_of(cpu))
        assert here.node == core_of(cpu) // per_node
        assert here.socket == here.node // shape["nodes_per_socket"]
        together = {other for other in online if topology.by_id[other].uncore == here.uncore}
        in_l3 = l3s[core_of(cpu) // shape["cores"]]
        in_socket = {other for other in online if topology.by_id[other].socket == here.socket}
        assert together == (in_l3 if parts_its_node(in_l3) else in_socket - parted)

    assert [node.id for node in topology.nodes] == list(range(nodes + shape["memory_only_nodes"]))
    names = {64: "hugepages-64Ki", 2048: "hugepages-2Mi", 1048576: "hugepages-1Gi"}
    for node in topology.nodes:
        assert node.memory_bytes == shape["memory_bytes"]
        assert node.cpus == topology.node_cpus.get(node.id, CpuSet())
        assert node.hugepages_bytes == {names[kib]: kib * 1024 * pages for kib, pages in shape["hugepages"].items()}
        assert node.distances[node.id] == 10
        assert list(node.distances) == [other.id for other in topology.nodes]


def as_masks(root: Path) -> None:
    for file in root.rglob("*_list"):
        file.rename(file.with_name(file.name.replace("cpu_list", "cpu_map").removesuffix("_list")))
    for file in root.rglob("cpulist"):
        file.rename(file.with_name("cpumap"))
    for pattern in ("core_cpus", "die_cpus", "package_cpus", "shared_cpu_map", "cpumap"):
        for file in root.rglob(pattern):
            bits = CpuSet.parse(file.read_text()).bits
            file.write_text(f"{bits >> 32:08x},{bits & 0xFFFFFFFF:08x}\n")


def with_old_names(root: Path) -> None:
    for new, old in (("core_cpus_list", "thread_siblings_list"), ("package_cpus_list", "core_siblings_list")):
        for file in root.rglob(new):
            file.rename(file.with_name(old))
    for file in root.rglob("die_*"):
        file.unlink()


def padded_with_nul(root: Path) -> None:
    for file in root.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes().ljust(4096, b"\0"))


def without_lists(root: Path) -> None:
    for name in ("online", "present", "offline"):
        (root / CPU / name).unlink()
    (root / NODE / "online").unlink()


def without_dies(root: Path) -> None:
    for file in root.rglob("die_id"):
        file.write_text("-1\n")


@pytest.mark.parametrize(
    "older",
    [
        pytest.param(as_masks, id="masks-only"),
        pytest.param(with_old_names, id="names-before-5.3"),
        pytest.param(padded_with_nul, id="files-padded-with-nul"),
        pytest.param(without_lists, id="no-lists-but-a-file-per-cpu"),
        pytest.param(without_dies, id="die-ids-not-told-on-arm"),
    ],
)
def test_an_older_way_of_telling_makes_the_same_machine(older: Callable[[Path], None], tmp_path: Path) -> None:
    root = write_machine(tmp_path, nodes_per_socket=2, l3_per_node=2, cores=2, threads=3, offline=[5, 17, 40])
    before = read_topology(root)
    older(root)
    assert read_topology(root) == before


def test_without_a_node_directory_there_is_node_0_with_all_memory(tmp_path: Path) -> None:
    """A kernel without NUMA, as on s390 and phones."""
    root = write_machine(tmp_path, sockets=1)
    (root / "sys/kernel/mm").mkdir(parents=True)
    (root / NODE / "node0/hugepages").rename(root / "sys/kernel/mm/hugepages")
    (root / "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages").write_text("3\n")
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text("MemTotal:        2054236 kB\nMemFree:  1 kB\n")
    (root / NODE).rename(root / "elsewhere")
    (node,) = read_topology(root).nodes
    assert (node.id, str(node.cpus), node.memory_bytes) == (0, "0-7", 2054236 * 1024)
    assert node.hugepages_bytes == {"hugepages-2Mi": 3 * 2**21, "hugepages-1Gi": 0}


@pytest.mark.parametrize(
    ("ids", "sockets"),
    [
        pytest.param(["36", "8442"], {36: "0-3", 8442: "4-7"}, id="told"),
        pytest.param(["-1", "-1"], {0: "0-3", 4: "4-7"}, id="not-told-on-power"),
        pytest.param(["2", "2"], {0: "0-3", 4: "4-7"}, id="counted-anew-in-each-s390-book"),
        pytest.param(["0", ""], {0: "0-3", 4: "4-7"}, id="blank-in-a-capture"),
    ],
)
def test_sockets_stay_apart(ids: list[str], sockets: dict[int, str], tmp_path: Path) -> None:
    root = write_machine(tmp_path, cores=2, numbering="adjacent")
    for cpu in range(8):
        (root / CPU / f"cpu{cpu}/topology/physical_package_id").write_text(f"{ids[cpu // 4]}\n")
    assert in_words(read_topology(root).sockets) == sockets


def test_the_only_socket_has_a_number_where_none_is_told(tmp_path: Path) -> None:
    root = write_machine(tmp_path, sockets=1)
    for file in root.rglob("physical_package_id"):
        file.write_text("-1\n")
    assert in_words(read_topology(root).sockets) == {0: "0-7"}


def test_dies_are_told_within_their_socket(tmp_path: Path) -> None:
    root = write_machine(tmp_path, threads=1)
    for cpu in range(8):
        here = root / CPU / f"cpu{cpu}/topology"
        (here / "die_id").write_text(f"{cpu % 4 // 2}\n")
        (here / "die_cpus_list").write_text(f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}\n")
    assert in_words(read_topology(root).dies) == {(0, 0): "0-1", (0, 1): "2-3", (1, 0): "4-5", (1, 1): "6-7"}


def test_a_cache_and_the_rest_of_a_socket_never_share_an_id(tmp_path: Path) -> None:
    """CPUs 0-3 share an L3 and 4-7 have none, as on Lunar Lake: the L3's lowest CPU is 0, and so is the socket."""
    root = write_machine(tmp_path, sockets=1, cores=8, threads=1)
    for cpu in range(8):
        here = root / CPU / f"cpu{cpu}/cache/index3"
        (here / "shared_cpu_list").write_text("0-3\n")
        (here / "level").write_text("3\n" if cpu < 4 else "4\n")
    assert in_words(read_topology(root).uncores) == {0: "0-3", 4: "4-7"}


def test_node_ids_may_have_holes_and_nodes_may_lack_cpus_or_memory(tmp_path: Path) -> None:
    root = write_machine(tmp_path, memory_only_nodes=1, memory_bytes=[0, GIB, 2 * GIB])
    for old, new in ((2, 73), (1, 33)):
        (root / NODE / f"node{old}").rename(root / NODE / f"node{new}")
    (root / NODE / "online").write_text("0,33,73\n")
    topology = read_topology(root)
    assert [(node.id, str(node.cpus), node.memory_bytes) for node in topology.nodes] == [
        (0, "0-3,8-11", 0),
        (33, "4-7,12-15", GIB),
        (73, "", 2 * GIB),
    ]
    assert topology.node[73].distances == {0: 28, 33: 28, 73: 10}
    assert str(topology.memory_nodes) == "33,73"


def test_a_cpu_that_two_nodes_claim_or_none_has_one_node(tmp_path: Path) -> None:
    root = write_machine(tmp_path, threads=1)
    (root / NODE / "node0/cpulist").write_text("1-4\n")
    assert in_words(read_topology(root).node_cpus) == {0: "0-4", 1: "5-7"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param(f"{CPU}/online", "0-3,x", id="cpu-list"),
        pytest.param(f"{CPU}/online", "9999999", id="cpu-list-with-a-huge-number"),
        pytest.param(f"{CPU}/isolated", "(null)", id="isolated"),
        pytest.param(f"{CPU}/cpu0/topology/core_cpus_list", "3-1", id="siblings"),
        pytest.param(f"{CPU}/cpu0/topology/physical_package_id", "zero", id="package-id"),
        pytest.param(f"{CPU}/cpu0/cache/index3/level", "L3", id="cache-level"),
        pytest.param(f"{NODE}/online", "0-", id="node-list"),
        pytest.param(f"{NODE}/node1/cpulist", "\x80\xff", id="bytes-that-are-no-text"),
        pytest.param(f"{NODE}/node1/distance", "20", id="one-distance-for-two-nodes"),
        pytest.param(f"{NODE}/node1/distance", "20 near", id="distance-that-is-no-number"),
        pytest.param(f"{NODE}/node1/meminfo", "Node 1 MemFree: 12 kB", id="no-memtotal"),
        pytest.param(f"{NODE}/node1/hugepages/hugepages-2048kB/nr_hugepages", "many", id="hugepages"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_file(file: str, text: str, tmp_path: Path) -> None:
    root = write_machine(tmp_path)
    (root / file).write_text(text, encoding="latin-1")
    with pytest.raises(TopologyError) as refused:
        read_topology(root)
    assert str(root / file) in str(refused.value)
    assert "lscpu" in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = write_machine(tmp_path)
    (root / NODE / "node1/meminfo").unlink()
    (root / NODE / "node1/meminfo").mkdir()
    with pytest.raises(TopologyError, match=r"node1/meminfo: Is a directory"):
        read_topology(root)


def test_a_directory_without_sysfs_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=rf"{tmp_path}.*name the directory that holds sys/devices/system/cpu"):
        read_topology(tmp_path)


def test_a_cpu_that_leaves_during_the_reading_is_not_half_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_machine(tmp_path, threads=1)
    real = sysfs._topology

    def with_a_cpu_leaving(files: Files, online: CpuSet) -> Topology:
        (root / CPU / "online").write_text("0-6\n")
        return real(files, online)

    monkeypatch.setattr(sysfs, "_topology", with_a_cpu_leaving)
    topology = read_topology(root)
    assert (str(topology.online), str(topology.offline)) == ("0-6", "7")


def test_hotplug_without_end_is_an_error_and_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_machine(tmp_path, threads=1)
    real = sysfs._topology

    def with_a_cpu_flapping(files: Files, online: CpuSet) -> Topology:
        (root / CPU / "online").write_text("0-6\n" if 7 in online else "0-7\n")
        return real(files, online)

    monkeypatch.setattr(sysfs, "_topology", with_a_cpu_flapping)
    with pytest.raises(TopologyError, match="let CPU hotplug settle"):
        read_topology(root)


def test_this_machine_is_read() -> None:
    topology = read_topology()
    assert str(topology.online) == Path(f"/{CPU}/online").read_text().strip()
    assert all(cpu.id in topology.cores[cpu.core] for cpu in topology.cpus)
