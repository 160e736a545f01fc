"""The pods in a table: what each owns, and what the kernel counts of it."""

from collections.abc import Iterable, Mapping

from pinfold.report.live import Throttling
from pinfold.report.ownership import Json, Kind, owning
from pinfold.report.page.anchors import look, pod_link, swatch
from pinfold.report.page.markup import Child, Html, el, join
from pinfold.report.told import alone_text, full_name, ran_alone

UNMANAGED = "unmanaged"
GIB, MIB = 1 << 30, 1 << 20

_COLUMNS = {
    "Map": "The letter that stands for the pod in the map",
    "Pod": "",
    "Outcome": "",
    "Pool": "All CPUs that the pod owns",
    "Slices": "CPUs that one container owns alone",
    "Shared": "What all other containers of the pod share",
    "NUMA": "Nodes that its memory is bound to",
    "Memory": "By NUMA node",
    "Local": "Share of its memory that lies on the nodes that it is bound to",
    "Alone": "Share of the time in which nobody else ran on its slices, or on its pool where it has none",
    "Throttled": "Periods in which its CPU quota held it back, since it started",
    "Busy": "Share of its CPUs' time that was used, in the last seconds",
}
"""Header → what it means."""


def section(status: Json, throttled: Mapping[str, Throttling]) -> Html:
    letters = {pod["uid"]: letter for letter, pod in owning(status)}
    managed = [pod for pod in status["pods"] if pod["outcome"] != UNMANAGED]
    rest = [pod for pod in status["pods"] if pod["outcome"] == UNMANAGED]
    return el(
        "section",
        el("h2", "Pods", id="pods-title"),
        _table(
            [
                (letters.get(pod["uid"], ""), pod, throttled.get(pod["uid"], Throttling()), ran_alone(status, pod))
                for pod in managed
            ]
        )
        if managed
        else el("p", "No pod asks for CPUs of its own.", class_="faint"),
        _unmanaged(rest) if rest else None,
        id="pods",
        aria_labelledby="pods-title",
    )


def _table(rows: Iterable[tuple[str, Json, Throttling, float | None]]) -> Html:
    """Its roles are named: a narrow screen lays the rows out as blocks, and they are a table for all that."""
    heads = [
        el("th", title, role="columnheader", scope="col", title=meaning or None, class_=_class(title))
        for title, meaning in _COLUMNS.items()
    ]
    return el(
        "table",
        el("thead", el("tr", *heads, role="row"), role="rowgroup"),
        el("tbody", *(_row(*row) for row in rows), role="rowgroup"),
        role="table",
        aria_labelledby="pods-title",
    )


def _row(letter: str, pod: Json, throttled: Throttling, alone: float | None) -> Html:
    cells: dict[str, Child] = {
        "Map": el("b", letter, class_=f"cpu {look(Kind.EXCLUSIVE, letter)}") if letter else "",
        "Pod": pod_link(full_name(pod)),
        "Outcome": join(pod["outcome"], el("strong", "drift", class_="badge") if pod["drift"] else None),
        "Pool": pod["pool"],
        "Slices": join(*(_slice(letter, one) for one in pod["containers"] if one["isolation"] == "container")),
        "Shared": join(swatch(Kind.POD_SHARED, letter), pod["shared"]) if pod["shared"] else "",
        "NUMA": pod["mems"],
        "Memory": join(*(_memory(node, size) for node, size in pod["memoryBytes"].items() if size >= MIB)),
        "Local": "" if (local := pod["memoryLocalShare"]) is None else f"{local:.0%}",
        "Alone": None if alone is None else alone_text(alone),
        "Throttled": _throttled(throttled),
        "Busy": el("span", class_="busy", data_cpus=own) if (own := pod["pool"] or pod["exclusive"]) else None,
    }
    return el(
        "tr",
        *(el("td", cell, role="cell", class_=_class(title), data_title=title) for title, cell in cells.items()),
        role="row",
        id=f"row-{pod['uid']}",
        class_=f"o-{pod['outcome']}",
    )


def _class(title: str) -> str:
    return f"c-{title.lower()}"


def _slice(letter: str, container: Json) -> Html:
    return el("span", swatch(Kind.EXCLUSIVE, letter), el("small", f"{container['name']} "), container["cpus"], " ")


def _memory(node: str, size: int) -> Html:
    amount = f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"
    return el("span", el("small", f"{node}: "), amount)


def _throttled(found: Throttling) -> Html | None:
    """Nothing where no quota is set, or nothing was read."""
    if not found.periods:
        return None
    share, seconds = found.throttled_periods / found.periods, f"  {found.throttled_seconds:.0f} s"
    return join(f"{share:.1%}", el("small", seconds)) if share else Html("0%")


def _unmanaged(pods: list[Json]) -> Html:
    """Without a script they are there too."""
    names = [el("li", pod_link(full_name(pod))) for pod in pods]
    head = f"{len(pods)} {'pod' if len(pods) == 1 else 'pods'} nobody asked to manage"
    return el("details", el("summary", head), el("ul", *names), id="unmanaged")
