"""``pinfold verify``: the kernel against the ledger on disk, without the daemon; nothing is written."""

from argparse import Namespace
from collections.abc import Iterator

from pinfold.agent.outside import Comparison, compare
from pinfold.cli.configuration import configured
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces


def main(options: Namespace) -> int:
    comparison = compare(configured(options))
    if options.output == "json":
        say_json(_json(comparison))
    else:
        say(_text(comparison))
    return 1 if comparison.drift else 0


def _json(comparison: Comparison) -> dict[str, object]:
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


def _text(comparison: Comparison) -> Iterator[Line]:
    for one in comparison.drift:
        told = f"{one.cause}: {one.path}/{one.file} has {one.have or 'nothing'}, not {one.want or 'nothing'}"
        yield from filled((Span("drift    ", Ink.BAD),), pieces(told))
    pods, differences = len(comparison.ledger.entries), len(comparison.drift)
    yield from paragraph("", f"{pods} pods in the ledger, {differences} differences in the kernel")
