"""``pinfold events``: what was decided and what happened lately on this node, oldest first."""

from argparse import Namespace
from collections.abc import Iterator

from pinfold.cli.connection import status
from pinfold.cli.node_map import Json
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces

_BAD = {"pool.refused", "pool.degraded", "pod.invalid", "cpuset.drifted", "cpuset.fought"}


def main(options: Namespace) -> int:
    document = status(options)
    moments = [one for one in document["recent"] if options.pod in {None, one["pod"]}]
    if options.output == "json":
        say_json({"events": moments})
    elif moments:
        say(line for moment in moments for line in _told(moment))
    else:
        about = f" of {options.pod}" if options.pod else ""
        say(paragraph("", f"nothing{about} is remembered since {document['startedAt'][:19]}Z"))
    return 0


def _told(moment: Json) -> Iterator[Line]:
    ink = Ink.BAD if moment["event"] in _BAD else Ink.PLAIN
    at = f"{moment['time'][:10]} {moment['time'][11:19]}"
    yield from filled((Span(f"{at}  "), Span(f"{moment['event']:16}  ", ink)), pieces(moment["pod"] or "the node"))
    yield from paragraph(" " * 21, moment["message"])
