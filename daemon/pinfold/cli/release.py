"""``pinfold release``: everything is given back as it was found."""

import sys
from argparse import Namespace
from collections.abc import Iterator

from pinfold.agent.outside import Release, release
from pinfold.cgroups.executor import Outcome, Result
from pinfold.cgroups.writes import Write
from pinfold.cli.configuration import configured
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces, plain

_FINE = {Result.DONE, Result.GONE}


def main(options: Namespace) -> int:
    released = release(configured(options), dry_run=options.dry_run)
    for warning in released.warnings:
        print(f"pinfold: {plain(warning)}", file=sys.stderr)
    if options.output == "json":
        say_json(_json(released))
    else:
        say(_text(released))
    return 0 if _whole(released) else 1


def _whole(released: Release) -> bool:
    done = released.enforced
    return done is None or (not done.drift and all(one.result in _FINE for one in done.outcomes))


def _json(released: Release) -> dict[str, object]:
    done = released.enforced
    return {
        "writes": [_write(one) for one in released.writes] if done is None else [],
        "outcomes": [
            {**_write(one.write), "result": one.result.value, "message": one.message}
            for one in (done.outcomes if done else ())
        ],
        "left": [
            {"cgroup": one.path, "file": one.file.value, "want": one.want, "have": one.have}
            for one in (done.drift if done else ())
        ],
    }


def _write(write: Write) -> dict[str, str]:
    return {"cgroup": write.path, "file": write.file.value, "value": write.value, "why": write.why}


def _text(released: Release) -> Iterator[Line]:
    done = released.enforced
    if done is None:
        for write in released.writes:
            yield from _told("would be", write)
        yield from paragraph("", f"{len(released.writes)} writes would give everything back; nothing was written")
        return
    for outcome in done.outcomes:
        yield from _outcome(outcome)
    for one in done.drift:
        text = f"{one.path}/{one.file} has {one.have or 'nothing'}, not {one.want or 'nothing'}"
        yield from filled((Span("left     ", Ink.BAD),), pieces(text))
    yield from paragraph("", "everything is given back" if _whole(released) else "not everything is given back")


def _outcome(outcome: Outcome) -> list[Line]:
    fine = outcome.result in _FINE
    lines = _told(outcome.result, outcome.write, Ink.PLAIN if fine else Ink.BAD)
    return lines if fine else [*lines, *paragraph("         ", outcome.message)]


def _told(what: str, write: Write, ink: Ink = Ink.PLAIN) -> list[Line]:
    value = write.value or "nothing"
    return filled((Span(f"{what:9}", ink),), pieces(f"{write.path}/{write.file} = {value}"))
