"""NUMA nodes of PCI devices, on real machines and by address."""

from pathlib import Path

import pytest
from tests.archives import sysfs_of

from pinfold.cpuset import NodeSet
from pinfold.topology.devices import nodes_of_pci


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for device, node in (("0000:3b:00.0", "1"), ("10000:e1:00.7", "0"), ("0000:00:1f.0", "-1")):
        file = tmp_path / "sys/bus/pci/devices" / device / "numa_node"
        file.parent.mkdir(parents=True)
        file.write_text(f"{node}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("address", "node"),
    [
        pytest.param("0000:3b:00.0", 1, id="whole"),
        pytest.param("3B:00.0", 1, id="as-lspci-prints-it-in-capitals"),
        pytest.param("10000:e1:00.7", 0, id="five-digit-domain-behind-vmd"),
    ],
)
def test_a_device_is_near_its_node(root: Path, address: str, node: int) -> None:
    assert nodes_of_pci(address, root) == NodeSet.of([node])


def test_a_device_whose_node_the_firmware_does_not_tell_is_near_none(root: Path) -> None:
    assert nodes_of_pci("0000:00:1f.0", root) == NodeSet()


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("0000:ff:00.0", id="not-there"),
        pytest.param("../../../../etc/passwd", id="path"),
        pytest.param("0000:3b:00.0/..", id="path-after-an-address"),
        pytest.param("0000:3b:00.8", id="functions-end-at-7"),
        pytest.param("", id="blank"),
    ],
)
def test_what_is_no_device_is_told_from_that(root: Path, address: str) -> None:
    assert nodes_of_pci(address, root) is None


@pytest.mark.parametrize(
    ("machine", "address", "node"),
    [
        pytest.param("hwloc-32em64t-2n8c+dax+nvme+mic+dimms", "0000:83:00.0", 1, id="xeon-phi"),
        pytest.param("nto-r750-112cpu", "0000:e2:05.0", 1, id="r750"),
    ],
)
def test_real_devices(machine: str, address: str, node: int) -> None:
    assert nodes_of_pci(address, sysfs_of(machine)) == NodeSet.of([node])
