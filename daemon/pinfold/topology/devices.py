"""Which NUMA node a PCI device is near."""

import re
from dataclasses import dataclass
from pathlib import Path

from pinfold.topology.files import Files

# DOMAIN:BUS:DEVICE.FUNCTION as in lspci, which leaves out domain 0000; a VMD controller's domain has five digits.
_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NodeUnknown:
    """Why the node of a device cannot be told."""

    why: str


def node_of_pci(address: str, root: Path = Path("/")) -> int | NodeUnknown:
    """The NUMA node of the PCI device at *address*, ``0000:3b:00.0`` or ``3b:00.0``. Any text is safe.

    Raises TopologyError. Source: kernel document sysfs-bus-pci, numa_node: -1 where the firmware does not tell.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return NodeUnknown(f"{address[:40]!r} is no PCI address such as 0000:3b:00.0")
    device = f"{match[1] or '0000'}:{match[2]}".lower()
    node = Files(root).number(f"sys/bus/pci/devices/{device}/numa_node")
    if node is None:
        return NodeUnknown(f"there is no PCI device {device}")
    return node if node >= 0 else NodeUnknown(f"the firmware does not tell the NUMA node of PCI device {device}")
