"""``pinfold explain``: what a pod got, why, and what the kernel says."""

from argparse import Namespace
from collections.abc import Iterator

from pinfold.cli.connection import status
from pinfold.cli.node_map import Json
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces, plain, table
from pinfold.cli.view import drifted, located
from pinfold.errors import PinfoldError

_SHARED_WITH = {"container": "nobody", "pod": "the pod", "host": "the node"}


class UnknownPodError(PinfoldError):
    """The daemon knows no such pod."""


def main(options: Namespace) -> int:
    namespace, _, name = options.pod.rpartition("/")
    document = status(options)
    pods = located(document, namespace or "default", name)
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
    same = [f"{pod['namespace']}/{pod['name']}" for pod in document["pods"] if pod["name"] == name]
    return f"Did you mean {', '.join(same)}?" if same else "pinfold status --all lists the pods of this node."


def explained(pod: Json, running: bool = True) -> list[Line]:
    """The whole story of one pod of a Status document; *running*: there is a kernel to say something."""
    qos = pod["qosClass"] or "gone from the API"
    head = (Span(plain(f"{pod['namespace']}/{pod['name']}"), Ink.HEAD), Span(f"  {pod['outcome']}, {qos}"))
    words = [line for sentence in pod["explanation"] for line in filled((Span("  "),), pieces(sentence))]
    return [head, *words, (), *(_kernel(pod) if running else _containers(pod, ""))]


def _kernel(pod: Json) -> Iterator[Line]:
    yield from _containers(pod, "does not run")
    if view := pod["kernel"]:
        state = f", partition {view['partition']}" if view["partition"] else ""
        yield from paragraph(
            "  ", f"the pod's cgroup {view['cgroup']}: CPUs {view['cpus']}, NUMA {view['mems']}{state}"
        )
    for view in pod["otherCgroups"]:
        yield from paragraph("  ", f"also in it: {view['cgroup']}: CPUs {view['cpus']}, NUMA {view['mems']}")
    for drift in pod["drift"]:
        yield from paragraph("  drift  ", drifted(drift), Ink.BAD)


def _says(view: Json) -> str:
    return f"{view['cgroup']}: CPUs {view['cpus']}, NUMA {view['mems']}"


def _containers(pod: Json, absent: str) -> list[Line]:
    """The ledger's word beside the kernel's."""
    header = ("CONTAINER", "KIND", "CPUS", "SHARED WITH", "KERNEL SAYS", "MEMS")
    rows = [
        [
            Span(one["name"]),
            Span(one["kind"]),
            Span(one["cpus"], Ink.EXCLUSIVE if one["isolation"] == "container" else Ink.PLAIN),
            Span(_SHARED_WITH[one["isolation"]]),
            Span(one["kernel"]["cpus"] if one["kernel"] else absent),
            Span(one["kernel"]["mems"] if one["kernel"] else ""),
        ]
        for one in pod["containers"]
    ]
    return [line for row in table(header, rows, indent=2) for line in row]


def _history(document: Json, pod: Json) -> Iterator[Line]:
    for moment in document["recent"]:
        if moment["pod"] == f"{pod['namespace']}/{pod['name']}":
            at = moment["time"][11:19]
            yield from paragraph(f"  {at} ", f"{moment['event']}: {moment['message']}")
