"""The whole explanation of a pod or of a pool of the node: what ``pinfold explain`` says, in the same words."""

from collections.abc import Iterator, Mapping

from pinfold.report.ownership import Json, Kind
from pinfold.report.page.anchors import of_pod, of_pool, pod_link
from pinfold.report.page.machine import Machine
from pinfold.report.page.markup import Html, el, join
from pinfold.report.page.timeline import moments
from pinfold.report.told import SHARED_WITH, alone_text, cgroups, drifted, full_name, history, measured

_MEANING = {
    Kind.NODE_SHARED: "No pod owns these. All that has no CPUs of its own runs here, and on the reserved CPUs.",
    Kind.RESERVED: "No pod is ever given these. What runs in the node shared pool may use them.",
    Kind.ISOLATED: "The kernel was booted with isolcpus for these; nobody was given them.",
    Kind.NONE: "These are in no pool, which should not be: pinfold verify says more.",
    Kind.OFFLINE: "These are switched off.",
}


def accounts(machine: Machine) -> Iterator[Html]:
    """One article for each thing that can be pointed at; it shows when its fragment is in the address."""
    by_name: dict[str, list[Json]] = {}
    for pod in machine.status["pods"]:
        by_name.setdefault(full_name(pod), []).append(pod)  # a successor may stand beside the one that ends
    for name, pods in by_name.items():
        told = [_pod(machine.status, pod) for pod in pods]
        yield _article(of_pod(name), name, join(*told, _history(machine.status, pods[0])))
    for owner in machine.owners:
        kind = owner.parts[0].kind if owner.parts else None
        if kind in _MEANING and owner.parts[0].cpus:
            yield _article(of_pool(kind), kind, _pool(machine, kind, str(owner.parts[0].cpus)))


def _article(id_: str, title: str, body: Html) -> Html:
    head = el(
        "header", el("h2", title, id=f"title-{id_}", tabindex=-1), el("a", "Close", href="#machine", class_="close")
    )
    return el("article", head, body, id=id_, aria_labelledby=f"title-{id_}")


def _pod(status: Json, pod: Json) -> Html:
    facts = [pod["outcome"], pod["qosClass"] or "gone from the API", pod["owner"], "static" if pod["static"] else ""]
    return join(
        el("p", ", ".join(fact for fact in facts if fact), class_="faint"),
        *(el("p", sentence) for sentence in pod["explanation"]),
        *(el("p", el("strong", "drift", class_="badge"), f" {drifted(one)}") for one in pod["drift"]),
        _containers(pod, {one["container"]: one for one in measured(status, pod)}),
        *(el("p", sentence, class_="faint") for sentence in cgroups(pod)),
    )


def _containers(pod: Json, alone: Mapping[str, Json]) -> Html:
    titles = ("Container", "Kind", "CPUs", "Shared with", "Kernel says", "Mems", "Ran alone")
    rows = [
        (
            one["name"],
            one["kind"],
            one["cpus"],
            SHARED_WITH[one["isolation"]],
            one["kernel"]["cpus"] if one["kernel"] else "does not run",
            one["kernel"]["mems"] if one["kernel"] else "",
            alone_text(alone[one["name"]]["share"]) if one["name"] in alone else "",
        )
        for one in pod["containers"]
    ]
    return el(
        "div",
        el(
            "table",
            el("thead", el("tr", *(el("th", title, scope="col") for title in titles))),
            el("tbody", *(el("tr", *(el("td", cell) for cell in row)) for row in rows)),
            aria_label="Containers",
        ),
        class_="wide",
        tabindex=0,
        role="group",
        aria_label="Containers",
    )


def _history(status: Json, pod: Json) -> Html | None:
    if not (found := history(status, pod)):
        return None
    return join(el("h3", "What happened"), moments(status, found))


def _pool(machine: Machine, kind: Kind, cpus: str) -> Html:
    status = machine.status
    guests = (
        [pod for pod in status["pods"] if not (pod["pool"] or pod["exclusive"])] if kind is Kind.NODE_SHARED else []
    )
    return join(
        el("p", el("b", f"CPUs {cpus}")),
        el("p", _MEANING[kind]),
        join(el("h3", "Pods that run here"), el("ul", *(el("li", pod_link(full_name(pod))) for pod in guests)))
        if guests
        else None,
    )
