"""The machine, drawn: sockets, in them NUMA nodes, L3 groups, cores and threads, and whose each thread is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from pinfold.cpuset import CpuSet
from pinfold.report.ownership import Json, Kind, Owner, Part, grouped, owners
from pinfold.report.page.anchors import look, of_owner, pod_link, pool_link, swatch
from pinfold.report.page.markup import Html, el, fragment, join
from pinfold.report.told import full_name, is_disturbed

ROOMY_CPUS = 64

_MARKS = {"drift": "drift", "foreign": "foreign time"}
_ALWAYS = {Kind.EXCLUSIVE, Kind.POD_SHARED, Kind.NODE_SHARED, Kind.RESERVED}
"""What the legend names though no CPU is of that kind."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose a CPU is."""

    owner: Owner
    part: Part
    marks: tuple[str, ...]
    """``drift``, ``foreign``."""

    @property
    def words(self) -> str:
        whose = f", {self.owner.name}" * bool(self.owner.name) + f" {self.part.container}" * bool(self.part.container)
        return f"{self.part.kind}{whose}{''.join(f', {_MARKS[mark]}' for mark in self.marks)}"


@dataclass(frozen=True, slots=True)
class Machine:
    """A Status document, looked up by CPU."""

    status: Json
    owners: tuple[Owner, ...]
    places: Mapping[int, _Place]

    @property
    def roomy(self) -> bool:
        """Whether there is room for the numbers of CPUs."""
        return len(self.places) <= ROOMY_CPUS

    @classmethod
    def of(cls, status: Json) -> Self:
        everybody = tuple(owners(status))
        drifted = {full_name(pod) for pod in status["pods"] if pod["drift"]}
        disturbed = CpuSet.union(CpuSet.parse(one["cpus"]) for one in status["alone"] if is_disturbed(one))
        places = {
            cpu: _Place(owner, part, ("drift",) * (owner.name in drifted) + ("foreign",) * (cpu in disturbed))
            for owner in everybody
            for part in owner.parts
            for cpu in part.cpus
        }
        return cls(status, everybody, places)


def section(machine: Machine) -> Html:
    nodes = machine.status["topology"]["numaNodes"]
    size = "roomy" if machine.roomy else "dense"
    side = " side" * (len(nodes) <= len(grouped(machine.status["topology"]["cpus"], "socket")))
    return el(
        "section",
        el("h2", "Machine", id="machine-title"),
        _legend(machine),
        el("p", id="readout", aria_hidden="true"),
        el("div", *_sockets(machine), id="map", class_=f"{size}{side}"),
        id="machine",
        aria_labelledby="machine-title",
    )


def _legend(machine: Machine) -> Html:
    parts = [(part, owner.letter) for owner in machine.owners for part in owner.parts]
    counts = {kind: sum(len(part.cpus) for part, _ in parts if part.kind is kind) for kind in Kind}
    lettered = {part.kind for part, letter in parts if letter} | {Kind.EXCLUSIVE, Kind.POD_SHARED}
    kinds = [
        el(
            "li",
            _sample(look(kind, "A" if kind in lettered else ""), "A" * (kind in lettered)),
            pool_link(kind) if count and kind not in lettered else kind,
            " ",
            el("b", str(count)),
        )
        for kind, count in counts.items()
        if count or kind in _ALWAYS
    ]
    busy = el("li", _sample("half"), "busy share", class_="live-only")
    marks = [el("li", _sample(mark), words) for mark, words in _MARKS.items()]
    return el("ul", *kinds, busy, *marks, class_="legend", aria_label="CPUs by kind, and marks")


def _sample(classes: str, letter: str = "") -> Html:
    return el("span", el("b", letter), class_=f"cpu {classes}", aria_hidden="true")


def _sockets(machine: Machine) -> Iterator[Html]:
    topology = machine.status["topology"]
    for socket, cpus in grouped(topology["cpus"], "socket").items():
        here = [(node, CpuSet.parse(node["cpus"]) & cpus) for node in topology["numaNodes"]]
        nodes = [_node(machine, node, inside, f"numa-{socket}-{node['id']}") for node, inside in here if inside]
        yield _titled("h3", f"socket {socket}", f"socket-{socket}", "socket", el("div", *nodes, class_="nodes"))
    if empty := [node for node in topology["numaNodes"] if not node["cpus"]]:
        yield el("p", ", ".join(f"NUMA {node['id']}: no CPU, {_memory(node)}" for node in empty), class_="faint")
    if offline := CpuSet.parse(topology["offline"]):
        yield el("p", "offline ", *(_cpu(machine, cpu) for cpu in offline), class_="offline")


def _titled(heading: str, title: str, id_: str, class_: str, *children: Html, about: Html | None = None) -> Html:
    head = el(heading, el("span", title, id=f"{id_}-title"), about)
    return el("section", head, *children, id=id_, class_=class_, aria_labelledby=f"{id_}-title")


def _node(machine: Machine, node: Json, cpus: CpuSet, id_: str) -> Html:
    inside = [cpu for cpu in machine.status["topology"]["cpus"] if cpu["id"] in cpus]
    groups = grouped(inside, "uncoreCache")
    caches = [
        el("ul", *_cores(machine, inside, group), class_="l3", aria_label=f"L3 group of CPUs {group}")
        for group in groups.values()
    ]
    about = join(
        el("span", f"{len(cpus)} CPU{'s' * (len(cpus) > 1)}, {_memory(node)}", class_="faint"),
        el("span", class_="busy", data_cpus=str(cpus)),
    )
    rows = [_row(here, machine.roomy) for owner in machine.owners if (here := owner.within(cpus)).parts]
    grid = el("div", *caches, class_="caches" if len(caches) > 1 else "caches one")
    body = el("div", grid, el("ul", *rows, class_="owners"), class_="around")
    return _titled("h4", f"NUMA {node['id']}", id_, "node", body, about=about)


def _cores(machine: Machine, cpus: Iterable[Json], group: CpuSet) -> Iterator[Html]:
    inside = [cpu for cpu in cpus if cpu["id"] in group]
    for threads in grouped(inside, "core").values():
        yield el("li", *(_cpu(machine, cpu) for cpu in threads), class_="core")


def _cpu(machine: Machine, cpu: int) -> Html:
    """A link to its owner. The arrow keys walk from one to the next: 512 tab stops would be a wall."""
    place = machine.places[cpu]
    kind, letter = place.part.kind, place.owner.letter
    return el(
        "a",
        el("i", str(cpu)),
        " ",
        el("b", letter),
        id=f"cpu{cpu}",
        class_=f"cpu {' '.join((look(kind, letter), *place.marks))}",
        href=fragment(of_owner(place.owner)),
        tabindex=-1,
        aria_label=f"CPU {cpu}{f' {letter}' * bool(letter)}: {place.words}",
    )


def _row(owner: Owner, roomy: bool) -> Html:
    kind = owner.parts[0].kind
    parts = [
        el("span", swatch(part.kind, owner.letter), str(part.cpus if roomy else len(part.cpus)), title=_part(part))
        for part in owner.parts
    ]
    name = pod_link(owner.name) if owner.name else pool_link(kind)
    return el("li", el("b", owner.letter, aria_hidden="true"), name, el("span", *parts, class_="parts"))


def _part(part: Part) -> str:
    return f"{part.container or part.kind}: CPUs {part.cpus}"


def _memory(node: Json) -> str:
    return f"{node['memoryBytes'] / 2**30:.1f} GiB" if node["memoryBytes"] else "no memory"
