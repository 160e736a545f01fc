"""Which NUMA node a PCI device is near."""

import re
from pathlib import Path

from pinfold.cpuset import NodeSet
from pinfold.topology.files import Files

# DOMAIN:BUS:DEVICE.FUNCTION as in lspci, which leaves out domain 0000; a VMD controller's domain has five digits.
_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)


def nodes_of_pci(address: str, root: Path = Path("/")) -> NodeSet | None:
    """The NUMA node of the PCI device at *address*, ``0000:3b:00.0`` or ``3b:00.0``; None: there is no such device.

    Empty where the firmware does not tell. Any text is safe. Raises TopologyError. Source: kernel document
    sysfs-bus-pci, numa_node.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return None
    device = f"{match[1] or '0000'}:{match[2]}".lower()
    node = Files(root).number(f"sys/bus/pci/devices/{device}/numa_node")
    return None if node is None else NodeSet.of([node] if node >= 0 else [])
