"""``pinfold explain``: what a pod got, why, and what the kernel says."""

from argparse import Namespace
from collections.abc import Iterator

from pinfold.cli.node_map import Json
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces, table
from pinfold.errors import PinfoldError
from pinfold.report.plain import plain
from pinfold.report.told import SHARED_WITH, cgroups, drifted, full_name, history, located, utc


class UnknownPodError(PinfoldError):
    """The daemon knows no such pod."""


def main(options: Namespace) -> int:
    from pinfold.cli.connection import status  # plan tells with this module, and asks nobody

    namespace, _, name = options.pod.rpartition("/")
    document = status(options)
    pods = located(document, f"{namespace or 'default'}/{name}")
    if not pods:
        raise UnknownPodError(f"no pod {options.pod} is known here. {_alternatives(document, name)}")
    if options.output == "json":
        say_json({"pods": pods})
        return 0
    for number, pod in enumerate(pods):
        say([()] * bool(number))
        say(explained(pod))
        say(_history(document, pod))
    return 0


def _alternatives(document: Json, name: str) -> str:
    same = [full_name(pod) for pod in document["pods"] if pod["name"] == name]
    return f"Did you mean {', '.join(same)}?" if same else "pinfold status --all lists the pods of this node."


def explained(pod: Json, running: bool = True) -> list[Line]:
    """The whole story of one pod of a Status document; *running*: there is a kernel to say something."""
    qos = pod["qosClass"] or "gone from the API"
    head = (Span(plain(full_name(pod)), Ink.HEAD), Span(f"  {pod['outcome']}, {qos}"))
    words = [line for sentence in pod["explanation"] for line in filled((Span("  "),), pieces(sentence))]
    return [head, *words, (), *(_kernel(pod) if running else _containers(pod, ""))]


def _kernel(pod: Json) -> Iterator[Line]:
    yield from _containers(pod, "does not run")
    for sentence in cgroups(pod):
        yield from paragraph("  ", sentence)
    for drift in pod["drift"]:
        yield from paragraph("  drift  ", drifted(drift), Ink.BAD)


def _containers(pod: Json, absent: str) -> list[Line]:
    """The ledger's word beside the kernel's."""
    header = ("CONTAINER", "KIND", "CPUS", "SHARED WITH", "KERNEL SAYS", "MEMS")
    rows = [
        [
            Span(one["name"]),
            Span(one["kind"]),
            Span(one["cpus"], Ink.EXCLUSIVE if one["isolation"] == "container" else Ink.PLAIN),
            Span(SHARED_WITH[one["isolation"]]),
            Span(one["kernel"]["cpus"] if one["kernel"] else absent),
            Span(one["kernel"]["mems"] if one["kernel"] else ""),
        ]
        for one in pod["containers"]
    ]
    return [line for row in table(header, rows, indent=2) for line in row]


def _history(document: Json, pod: Json) -> Iterator[Line]:
    for moment in history(document, pod):
        yield from paragraph(f"  {utc(moment['time'])[11:19]} ", f"{moment['event']}: {moment['message']}")
