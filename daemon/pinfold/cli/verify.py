"""``pinfold verify``: the kernel against the ledger on disk, without the daemon; nothing is written."""

from argparse import Namespace
from collections.abc import Iterator

from pinfold.agent.outside import Comparison, compare
from pinfold.cli.configuration import configured
from pinfold.cli.node_map import Json
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces
from pinfold.report.told import drifted


def main(options: Namespace) -> int:
    found = _json(compare(configured(options)))
    if options.output == "json":
        say_json(found)
    else:
        say(_text(found))
    return 1 if found["drift"] else 0


def _json(comparison: Comparison) -> Json:
    names = {uid: f"{entry.namespace}/{entry.name}" for uid, entry in comparison.ledger.entries.items()}
    return {
        "pods": sorted(names.values()),
        "drift": [
            {
                "cgroup": one.path,
                "file": one.file.value,
                "want": one.want,
                "have": one.have,
                "cause": one.cause.value,
                "pod": names.get(one.pod) if one.pod else None,
            }
            for one in comparison.drift
        ],
    }


def _text(found: Json) -> Iterator[Line]:
    for one in found["drift"]:
        yield from filled((Span("drift  ", Ink.BAD),), pieces(f"{one['pod'] or 'the node'}: {drifted(one)}"))
    pods, differences = len(found["pods"]), len(found["drift"])
    yield from paragraph(
        "", f"pods in the ledger: {pods}; files of the kernel that do not hold what it promises: {differences}"
    )
