"""The node as a map in text: sockets, in them NUMA nodes, in them who owns which CPU. Each CPU is named once.

Drawn from the Status document alone, so that a running node and a plan look the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pinfold.cli.terminal import Ink, Line, Span, filled, pieces, shortened
from pinfold.cpuset import CpuSet
from pinfold.report.ownership import Kind, Owner, Part, grouped, owners
from pinfold.report.plain import plain

Json = Mapping[str, Any]

OWNER_COLUMNS = 27
_INK = {
    Kind.EXCLUSIVE: Ink.EXCLUSIVE,
    Kind.POD_SHARED: Ink.POD_SHARED,
    Kind.IDLE: Ink.POD_SHARED,
    Kind.ENDED: Ink.FAINT,
    Kind.NODE_SHARED: Ink.PLAIN,
    Kind.RESERVED: Ink.RESERVED,
    Kind.ISOLATED: Ink.FAINT,
    Kind.NONE: Ink.BAD,
    Kind.OFFLINE: Ink.FAINT,
}


def drawn(status: Json) -> list[Line]:
    topology = status["topology"]
    everybody = owners(status)
    lines: list[Line] = []
    drawn_nodes = set()
    for socket, cpus in grouped(topology["cpus"], "socket").items():
        lines.append((Span(f"socket {socket}", Ink.HEAD),))
        for node in topology["numaNodes"]:
            if inside := CpuSet.parse(node["cpus"]) & cpus:
                again = node["id"] in drawn_nodes  # one node over several sockets: NUMA off, or a machine that says so
                lines += _node(node, inside, everybody, again)
                drawn_nodes.add(node["id"])
    for node in topology["numaNodes"]:
        if not node["cpus"]:
            lines.append((Span(f"NUMA {node['id']}", Ink.HEAD), Span(f"  no CPU{_memory(node)}")))
    if topology["offline"]:
        lines += filled((Span("offline  ", Ink.FAINT),), pieces(topology["offline"], Ink.FAINT))
    return lines


def _node(node: Json, cpus: CpuSet, everybody: list[Owner], again: bool) -> Iterator[Line]:
    size = f"  {len(cpus)} CPU{'s' * (len(cpus) > 1)}{', memory as above' if again else _memory(node)}"
    yield Span(f"  NUMA {node['id']}", Ink.HEAD), Span(size, Ink.FAINT)
    for owner in everybody:
        if (here := owner.within(cpus)).parts:
            yield from _row(here)


def _row(owner: Owner) -> list[Line]:
    name = f"{owner.letter} {owner.name}" if owner.letter else owner.parts[0].kind.value
    parts = [piece for part in owner.parts for piece in _part(part, bool(owner.letter))]
    return filled((Span(f"    {shortened(plain(name), OWNER_COLUMNS - 1):{OWNER_COLUMNS}}"),), parts)


def _part(part: Part, labelled: bool) -> list[Span]:
    label = f"{part.container or part.kind} " if labelled else ""
    return [*pieces(label), *pieces(str(part.cpus), _INK[part.kind]), Span("  ")]


def _memory(node: Json) -> str:
    return f", {node['memoryBytes'] / 2**30:.1f} GiB" if node["memoryBytes"] else ", no memory"
