"""The what-ifs of ``pinfold plan``: what its flags mean, and how the difference is told."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import PodEntry
from pinfold.planning.reasons import Decision
from pinfold.planning.whatif import Change, Fit, resized
from pinfold.pods.model import CPU, HUGEPAGES, MEMORY, InvalidPod, Pod
from pinfold.pods.quantity import QuantityError, millicpu, whole

_RESIZE = re.compile(r"([^/=]+/[^/=]+)(?:/([^/=]+))?=(.+)")


class WhatIfError(PinfoldError):
    """A what-if that makes no sense; the text says which and why."""


def resizes(pods: Iterable[Pod], words: Iterable[str]) -> list[Pod]:
    """The pods that NAMESPACE/POD[/CONTAINER]=cpu=6,memory=1Gi name, with these amounts. Raises WhatIfError."""
    by_name = {pod.full_name: pod for pod in pods}
    for word in words:
        match = _RESIZE.fullmatch(word)
        if match is None:
            raise WhatIfError(f"--resize {word}: write NAMESPACE/POD=cpu=6,memory=1Gi, or NAMESPACE/POD/CONTAINER=…")
        name, container, amounts = match.groups()
        if name not in by_name:
            raise WhatIfError(f"--resize {word}: no pod {name} among {', '.join(by_name) or 'none'}.")
        try:
            asked = dict(_amount(pair) for pair in amounts.split(","))
        except QuantityError as error:
            raise WhatIfError(f"--resize {word}: {error}.") from error
        match resized(by_name[name], asked, container):
            case Pod() as pod:
                by_name[name] = pod
            case InvalidPod(message=message):
                raise WhatIfError(f"--resize {word}: {message}.")
    return list(by_name.values())


def _amount(pair: str) -> tuple[str, int]:
    name, _, value = pair.partition("=")
    if name not in {CPU, MEMORY} and not name.startswith(HUGEPAGES):
        raise QuantityError(f"{name!r} is no resource: cpu, memory or hugepages-SIZE")
    return name, millicpu(value) if name == CPU else whole(value)


def changes_json(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {"pod": one.full_name, "before": _side(one.before, one.had), "after": _side(one.after, one.gets)}
        for one in changes
    ]


def _side(decision: Decision | None, entry: PodEntry | None) -> dict[str, str] | None:
    if decision is None:
        return None
    return {"outcome": decision.outcome.value, "cpus": str(entry.owned) if entry else ""}


def fit_json(fit: Fit) -> dict[str, Any]:
    no = fit.blocks
    return {
        "count": fit.count,
        "blockedBy": no and {"reason": no.word.value, "message": no.message, "remedy": no.remedy},
    }


def changes_told(changes: Iterable[Change]) -> Iterator[Line]:
    found = list(changes)
    yield (Span("What changes:" if found else "Nothing else changes.", Ink.HEAD),)
    for one in found:
        before, after = _side(one.before, one.had), _side(one.after, one.gets)
        yield from filled((Span(f"  {one.full_name}  "),), pieces(f"{_said(before)} becomes {_said(after)}"))


def _said(side: dict[str, str] | None) -> str:
    if side is None:
        return "not there"
    return f"{side['outcome']} on CPUs {side['cpus']}" if side["cpus"] else side["outcome"]


def fit_told(fit: Fit, like: Pod, most: int) -> Iterator[Line]:
    asked = "" if fit.blocks else f", all of the {most} asked for"
    yield from paragraph("", f"{fit.count} more pods like {like.full_name} fit, aligned{asked}.")
    if no := fit.blocks:
        remedy = f" It needs {no.remedy}." if no.remedy else ""
        yield from paragraph("  the next: ", f"{no.word}: {no.message}.{remedy}", Ink.BAD)
