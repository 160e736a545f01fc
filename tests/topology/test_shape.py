"""A machine in words is the machine that those words mean, and nonsense is told."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.sysfs_writer import write_machine

from pinfold.cpuset import CpuSet
from pinfold.topology.shape import NODE_MEMORY_BYTES, ShapeError, is_shape, shaped
from pinfold.topology.sysfs import read_topology


@pytest.mark.parametrize(
    ("words", "sockets", "nodes", "cores", "threads"),
    [
        pytest.param("2x8x2", 2, 1, 8, 2, id="a-node-a-socket"),
        pytest.param("2x2x4x2", 2, 2, 4, 2, id="two-nodes-a-socket"),
        pytest.param("1x4x1", 1, 1, 4, 1, id="without-smt"),
    ],
)
def test_it_is_the_machine_that_a_kernel_would_show(
    tmp_path: Path, words: str, sockets: int, nodes: int, cores: int, threads: int
) -> None:
    root = write_machine(
        tmp_path,
        sockets=sockets,
        nodes_per_socket=nodes,
        cores=cores,
        threads=threads,
        memory_bytes=NODE_MEMORY_BYTES,
        distances=[list(node.distances.values()) for node in shaped(words).nodes],
    )
    read, made = read_topology(root), shaped(words)
    assert made.nodes == tuple(replace(node, hugepages_bytes={}) for node in read.nodes)
    assert [made.sockets, made.cores, made.online] == [read.sockets, read.cores, read.online]


@pytest.mark.parametrize("words", ["", "2", "2x8", "0x8x2", "2x8x0", "axbxc", "2x8x2x", "9999x9999x2", "9999x1x9"])
def test_words_that_are_no_machine_are_told(words: str) -> None:
    with pytest.raises(ShapeError):
        shaped(words)


def test_a_path_is_no_shape() -> None:
    assert is_shape("2x8x2")
    assert not is_shape("./2x8x2")


def test_a_machine_without_some_cpus_is_as_if_they_were_offline() -> None:
    whole = shaped("2x4x1")
    less = whole.without(CpuSet.parse("0,5"))
    assert (str(less.online), str(less.offline), str(less.possible)) == ("1-4,6-7", "0,5", str(whole.possible))
    assert [str(node.cpus) for node in less.nodes] == ["1-3", "4,6-7"]
    assert whole.without(CpuSet()) is whole
