"""What hwloc and lscpu say of a machine, as facts in text to hold against ours.

A reading has the facts that its format tells, and no others.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from pinfold.cpuset import CpuSet

_OBJECT = re.compile(r"( *)(\w+?)(?:\(\w+\))?(?: L#(\d+))?(?: \((?:P#(\d+))?(.*)\))?")
_GROUPS = {"Core": "cores", "Package": "packages", "Die": "dies", "L3Cache": "L3"}


@dataclass(frozen=True, slots=True)
class Reading:
    cpus: CpuSet
    groups: Mapping[str, Iterable[CpuSet]]
    """``cores``, ``packages``, ``dies``, ``L3`` → the CPUs of each one."""
    node_cpus: Mapping[int, CpuSet]
    node_memory: Mapping[int, str] = field(default_factory=dict)
    """As hwloc's console rounds it."""
    distances: Mapping[int, Mapping[int, int]] = field(default_factory=dict)

    def facts(self, cpus: CpuSet, nodes: Iterable[int]) -> Mapping[str, str]:
        """Everything in text; groups of CPUs cut to *cpus*, distances to *nodes*."""
        facts = {"CPUs": str(self.cpus)}
        for name, groups in self.groups.items():
            cut = {one & cpus for one in groups} - {CpuSet()}
            facts[name] = " ".join(str(one) for one in sorted(cut, key=CpuSet.lowest))
        if self.node_cpus:
            facts["nodes"] = str(CpuSet.of(self.node_cpus))
        facts |= {f"CPUs of node {node}": str(own & cpus) for node, own in self.node_cpus.items()}
        facts |= {f"memory of node {node}": memory for node, memory in self.node_memory.items()}
        for node, row in self.distances.items():
            facts[f"distances of node {node}"] = " ".join(str(row[other]) for other in sorted(nodes) if other in row)
        return facts


def rounded(size_bytes: int) -> str:
    """As hwloc's console prints it: KiB up to 10 MiB, MiB up to 10 GiB, then GiB."""
    for shift, unit in ((10, "KiB"), (20, "MiB")):
        if size_bytes < 10 << shift + 10:
            return f"{(size_bytes >> shift - 1) + 1 >> 1}{unit}"
    return f"{(size_bytes >> 29) + 1 >> 1}GiB"


def by_hwloc(file: Path) -> Reading:
    """``lstopo``'s XML, or what ``lstopo -v`` prints."""
    if file.suffix == ".xml":
        return _hwloc(ET.parse(file).getroot(), [])  # noqa: S314 a file of hwloc's own tests
    objects, _, rest = file.read_text().partition("depth 0:")
    return _hwloc(_tree(objects), _latencies(rest))


def _tree(objects: str) -> ET.Element:
    """The printed tree, each object indented below its parent, in the shape of the XML."""
    root = ET.Element("topology")
    above = [(-1, root)]
    for line in objects.splitlines():
        match = _OBJECT.fullmatch(line)
        assert match, line
        indent, kind, logical, number, about = match.groups(default="")
        while above[-1][0] >= len(indent):
            above.pop()
        local = re.search(r"local=(\S+)", about)
        attributes = {"type": kind, "os_index": number, "logical": logical, "local": local[1] if local else ""}
        above.append((len(indent), ET.SubElement(above[-1][1], "object", attributes)))
    return root


def _latencies(console: str) -> list[list[int]]:
    """The matrix of distances, in the order of hwloc's own numbers of the nodes; empty where there is none."""
    matrix: list[list[int]] = []
    for line in console.partition("Relative latency matrix (name NUMALatency")[2].splitlines()[2:]:
        number, *row = line.split()
        if number != str(len(matrix)):
            break
        matrix.append([int(distance) for distance in row])
    return matrix


def _hwloc(root: ET.Element, latencies: list[list[int]]) -> Reading:
    def cpus(of: ET.Element) -> CpuSet:
        return CpuSet.of(int(pu.attrib["os_index"]) for pu in of.iter("object") if pu.attrib["type"] == "PU")

    groups: dict[str, list[CpuSet]] = defaultdict(list)
    node_cpus: dict[int, CpuSet] = {}
    memory: dict[int, str] = {}
    logical: dict[int, int] = {}
    for parent in root.iter():
        for child in parent.findall("object"):
            if name := _GROUPS.get(child.attrib["type"]):
                groups[name].append(cpus(child))
            if child.attrib["type"] == "NUMANode":
                node = int(child.attrib["os_index"])
                node_cpus[node] = cpus(parent)  # a node stands below what it is local to
                exact = child.get("local_memory")
                memory[node] = rounded(int(exact)) if exact else child.attrib["local"]
                logical[int(child.get("logical", len(logical)))] = node
    order = [logical[number] for number in range(len(latencies))]
    distances = {node: dict(zip(order, row, strict=True)) for node, row in zip(order, latencies, strict=True)}
    return Reading(cpus(root), groups, node_cpus, memory, distances)


def by_lscpu(text: str, *, raw: bool = False) -> Reading:
    """The tables that ``lscpu --parse`` prints, after the summary: the first, or the second with the *raw* ids."""
    tables = text.split("# CPU,")[1:]
    header, *lines = tables[1 if raw else 0].splitlines()
    names = ["CPU", *header.split(",")]
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines if line[:1].isdigit()]

    def grouped(*columns: str) -> list[CpuSet]:
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for row in rows:
            groups[tuple(row[column] for column in columns)].append(int(row["CPU"]))
        return [CpuSet.of(cpus) for cpus in groups.values()]

    groups = {"cores": grouped("Socket", "Core"), "packages": grouped("Socket")}
    if "L3" in names:
        groups["L3"] = grouped("L3")
    nodes = re.findall(r"^NUMA node(\d+) CPU\(s\): *(\S*)$", text, re.MULTILINE)
    return Reading(
        CpuSet.of(int(row["CPU"]) for row in rows), groups, {int(node): CpuSet.parse(cpus) for node, cpus in nodes}
    )
