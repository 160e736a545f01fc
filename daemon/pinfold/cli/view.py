"""A node's status as text: the map, the pods, and what is not as it should be.

Drawn from the Status document alone, so that a running node and a plan look the same.
"""

from collections.abc import Iterator

from pinfold.cli.node_map import Json, drawn
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces, table
from pinfold.report.ownership import owning
from pinfold.report.plain import plain
from pinfold.report.told import alone_text, full_name, troubles, utc

UNMANAGED = "unmanaged"
_INK = {"pinned": Ink.EXCLUSIVE, "degraded": Ink.BAD, "shared": Ink.BAD, UNMANAGED: Ink.FAINT, "ending": Ink.FAINT}


def shown(status: Json, every_pod: bool = False) -> list[Line]:
    """*every_pod*: also those that nobody asked Pinfold to manage."""
    parts = [_head(status), drawn(status), _pods(status, every_pod), _alone(status), [*_troubles(status)]]
    lines: list[Line] = []
    for part in parts:
        lines += [(), *part] if lines and part else part
    return lines


def _head(status: Json) -> list[Line]:
    mode, way = status["mode"], status["exclusivity"]
    facts = [mode["name"]]
    facts += [] if way["name"] == "none" else [f"exclusive CPUs by {way['name']}"]
    if mode["name"] != "planned":
        facts += [f"Pinfold {status['version']}", f"generation {status['generation']}", utc(status["time"])]
    lines = paragraph(f"{plain(status['node'])}  ", ", ".join(facts), Ink.HEAD)
    for told in (mode, way):
        lines += paragraph(f"  {told['name']}: ", told["reason"]) if told["reason"] else []
    return lines


def _pods(status: Json, every_pod: bool) -> list[Line]:
    letters = {pod["uid"]: letter for letter, pod in owning(status)}
    listed = [pod for pod in status["pods"] if every_pod or pod["outcome"] != UNMANAGED]
    lines = _listed([(letters.get(pod["uid"], ""), pod) for pod in listed]) if listed else []
    if rest := len(status["pods"]) - len(listed):
        lines += paragraph("", f"{rest} {'pod' if rest == 1 else 'pods'} nobody asked to manage (--all lists them)")
    return lines


def _listed(pods: list[tuple[str, Json]]) -> list[Line]:
    """A line for each pod; where one does not fit, the names stand in lines of their own."""
    header = ("OUTCOME", "POOL", "MEMS", "SLICES", "SHARED")
    names = [(Span(letter), Span(full_name(pod))) for letter, pod in pods]
    facts = [_facts(pod) for _, pod in pods]
    rows = table(("", "POD", *header), [[*name, *row] for name, row in zip(names, facts, strict=True)])
    if all(len(row) == 1 for row in rows):
        return [line for row in rows for line in row]
    head, *rows = table(header, facts, indent=4)
    for (letter, name), row in zip(names, rows, strict=True):
        head += [*filled((Span(f"{letter.text:4}"),), pieces(name.text, Ink.HEAD)), *row]
    return head


def _facts(pod: Json) -> list[Span]:
    slices = ", ".join(f"{one['name']} {one['cpus']}" for one in pod["containers"] if one["isolation"] == "container")
    return [
        Span(pod["outcome"], _INK.get(pod["outcome"], Ink.PLAIN)),
        Span(pod["pool"]),
        Span(pod["mems"]),
        Span(slices, Ink.EXCLUSIVE),
        Span(pod["shared"], Ink.POD_SHARED),
    ]


def _alone(status: Json) -> list[Line]:
    """Of each slice, for how much of the time nobody but its owner ran there."""
    measured = [one for one in status["alone"] if one["container"] and one["share"] is not None]
    rows = [
        [
            Span(alone_text(one["share"]), Ink.EXCLUSIVE),
            Span(f"{one['foreignSeconds']:.3f} s"),
            Span(f"{one['measuredSeconds']:.0f} s"),
            Span(f"{one['pod']}/{one['container']}"),
            Span(one["cpus"]),
        ]
        for one in measured
    ]
    header = ("RAN ALONE", "FOREIGN", "OF", "CONTAINER", "CPUS")
    return [line for row in table(header, rows) for line in row] if rows else []


def _troubles(status: Json) -> Iterator[Line]:
    """One paragraph for each thing that is not as it should be."""
    for what, who, text in troubles(status):
        head = Span(f"{what:9}", Ink.BAD)
        yield from filled((head,), [*pieces(f"{who}: " * bool(who)), *pieces(text)])
