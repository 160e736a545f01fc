"""The node as a map in text: sockets, in them NUMA nodes, in them who owns which CPU. Each CPU is named once.

Drawn from the Status document alone, so that a running node and a plan look the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from pinfold.cli.terminal import Ink, Line, Span, filled, pieces, plain
from pinfold.cpuset import CpuSet

Json = Mapping[str, Any]

OWNER_COLUMNS = 27


@dataclass(frozen=True, slots=True)
class Part:
    """CPUs that one owner uses in one way."""

    label: str
    """The container's name for an exclusive slice, else the kind of sharing; empty: the owner says it."""
    cpus: CpuSet
    ink: Ink


@dataclass(frozen=True, slots=True)
class Owner:
    name: str
    parts: tuple[Part, ...]

    def within(self, cpus: CpuSet) -> "Owner":
        inside = (Part(part.label, part.cpus & cpus, part.ink) for part in self.parts)
        return Owner(self.name, tuple(part for part in inside if part.cpus))


def letters() -> Iterator[str]:
    """A, B, … Z, AA, AB …"""
    for number in count(1):
        text, rest = "", number
        while rest:
            rest, digit = divmod(rest - 1, 26)
            text = chr(ord("A") + digit) + text
        yield text


def owning(status: Json) -> list[tuple[str, Json]]:
    """The pods that own CPUs, each with the letter that stands for it."""
    owners = (pod for pod in status["pods"] if pod["pool"] or pod["exclusive"])
    return list(zip(letters(), owners, strict=False))


def drawn(status: Json) -> list[Line]:
    topology = status["topology"]
    owners = _owners(status)
    lines: list[Line] = []
    drawn_nodes = set()
    for socket, cpus in _grouped(topology["cpus"], "socket").items():
        lines.append((Span(f"socket {socket}", Ink.HEAD),))
        for node in topology["numaNodes"]:
            if inside := CpuSet.parse(node["cpus"]) & cpus:
                again = node["id"] in drawn_nodes  # one node over several sockets: NUMA off, or a machine that says so
                lines += _node(node, inside, owners, again)
                drawn_nodes.add(node["id"])
    for node in topology["numaNodes"]:
        if not node["cpus"]:
            lines.append((Span(f"NUMA {node['id']}", Ink.HEAD), Span(f"  no CPU{_memory(node)}")))
    if topology["offline"]:
        lines += filled((Span("offline  ", Ink.FAINT),), pieces(topology["offline"], Ink.FAINT))
    return lines


def _owners(status: Json) -> list[Owner]:
    """Everybody who has CPUs; together they have each online CPU once."""
    pods = [_pod(letter, pod) for letter, pod in owning(status)]
    rest = CpuSet.parse(status["topology"]["online"]) - CpuSet.union(part.cpus for pod in pods for part in pod.parts)
    reserved = rest & CpuSet.parse(status["reservedCPUs"])
    shared = rest & CpuSet.parse(status["nodeSharedPool"]) - reserved
    isolated = (rest - reserved - shared) & CpuSet.parse(status["topology"]["isolated"])
    return [
        Owner("reserved", (Part("", reserved, Ink.RESERVED),)),
        *pods,
        Owner("node shared", (Part("", shared, Ink.PLAIN),)),
        Owner("isolated at boot", (Part("", isolated, Ink.FAINT),)),
        Owner("in no pool", (Part("", rest - reserved - shared - isolated, Ink.BAD),)),
    ]


def _pod(letter: str, pod: Json) -> Owner:
    slices = [
        Part(one["name"], CpuSet.parse(one["cpus"]), Ink.EXCLUSIVE)
        for one in pod["containers"]
        if one["isolation"] == "container" and one["kind"] != "init"
    ]
    left = CpuSet.parse(pod["exclusive"]) - CpuSet.union(part.cpus for part in slices)
    used = any(one["isolation"] == "pod" for one in pod["containers"])
    return Owner(
        f"{letter} {pod['namespace']}/{pod['name']}",
        (
            *slices,
            Part("ended init", left, Ink.FAINT),
            Part("pod shared" if used else "idle", CpuSet.parse(pod["shared"]), Ink.POD_SHARED),
        ),
    )


def _grouped(cpus: list[Json], key: str) -> dict[int, CpuSet]:
    bits: dict[int, int] = {}
    for cpu in cpus:
        bits[cpu[key]] = bits.get(cpu[key], 0) | 1 << cpu["id"]
    return {group: CpuSet(bits[group]) for group in sorted(bits)}


def _node(node: Json, cpus: CpuSet, owners: list[Owner], again: bool) -> Iterator[Line]:
    size = f"  {len(cpus)} CPU{'s' * (len(cpus) > 1)}{', memory as above' if again else _memory(node)}"
    yield Span(f"  NUMA {node['id']}", Ink.HEAD), Span(size, Ink.FAINT)
    for owner in owners:
        if (here := owner.within(cpus)).parts:
            yield from _row(here)


def _row(owner: Owner) -> list[Line]:
    parts = [
        piece
        for part in owner.parts
        for piece in (*pieces(f"{part.label} " * bool(part.label)), *pieces(str(part.cpus), part.ink), Span("  "))
    ]
    return filled((Span(f"    {_short(plain(owner.name)):{OWNER_COLUMNS}}"),), parts)


def _short(name: str) -> str:
    """Both ends of a long name: pods of one kind differ in their last letters."""
    if len(name) < OWNER_COLUMNS:
        return name
    half = (OWNER_COLUMNS - 2) // 2
    return f"{name[:half]}…{name[-half:]}"


def _memory(node: Json) -> str:
    return f", {node['memoryBytes'] / 2**30:.1f} GiB" if node["memoryBytes"] else ", no memory"
