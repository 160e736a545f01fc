"""``pinfold release``: everything is given back as it was found."""

import sys
from argparse import Namespace
from collections.abc import Iterator

from pinfold.agent.outside import Release, release
from pinfold.cgroups.executor import Outcome, Result
from pinfold.cgroups.writes import Write
from pinfold.cli.configuration import configured
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces
from pinfold.cpuset import CpuSet
from pinfold.interrupts.affinities import BANNED, WORKQUEUES, IrqId
from pinfold.report.plain import plain

_FINE = {Result.DONE, Result.GONE}


def main(options: Namespace) -> int:
    released = release(configured(options), dry_run=options.dry_run)
    for warning in released.warnings:
        print(f"pinfold: {plain(warning)}", file=sys.stderr)
    if options.output == "json":
        say_json(_json(released))
    else:
        told(released)
    return 0 if released.is_whole else 1


def told(released: Release) -> None:
    say(_text(released))


def _json(released: Release) -> dict[str, object]:
    done = released.enforced
    results = _results(released)
    return {
        "writes": [_write(one) for one in released.writes] if done is None else [],
        "outcomes": [
            {**_write(one.write), "result": one.result.value, "message": one.message}
            for one in (done.outcomes if done else ())
        ],
        "properties": [
            {"unit": unit, "property": name.value, "value": text} for (unit, name), text in released.properties.items()
        ],
        "left": [
            {"cgroup": one.path, "file": one.file.value, "want": one.want, "have": one.have}
            for one in (done.drift if done else ())
        ],
        "interrupts": [
            {"irq": irq, "cpus": str(cpus), "result": results.get(irq, "") if done else ""}
            for irq, cpus in released.irqs.items()
        ],
    }


def _write(write: Write) -> dict[str, str]:
    return {"cgroup": write.path, "file": write.file.value, "value": write.value, "why": write.why}


def _text(released: Release) -> Iterator[Line]:
    done = released.enforced
    how = "would be" if done is None else "not told" if released.deaf else "told"
    for (unit, name), text in released.properties.items():
        yield from filled((Span(f"{how:9}", Ink.BAD if released.deaf else Ink.PLAIN),), pieces(f"{unit} {name}={text}"))
    if done is None:
        for write in released.writes:
            yield from _told("would be", write)
        for irq, cpus in released.irqs.items():
            yield from _interrupt("would be", irq, cpus)
        count = len(released.writes) + len(released.irqs)
        yield from paragraph("", f"{count} writes would give everything back; nothing was written")
        return
    results = _results(released)
    for irq, cpus in released.irqs.items():
        result = results.get(irq, "")
        yield from _interrupt(result, irq, cpus, Ink.PLAIN if result in _FINE else Ink.BAD)
    for outcome in done.outcomes:
        yield from _outcome(outcome)
    for one in done.drift:
        text = f"{one.path}/{one.file} has {one.have or 'nothing'}, not {one.want or 'nothing'}"
        yield from filled((Span("left     ", Ink.BAD),), pieces(text))
    yield from paragraph("", "everything is given back" if released.is_whole else "not everything is given back")


def _outcome(outcome: Outcome) -> list[Line]:
    fine = outcome.result in _FINE
    lines = _told(outcome.result, outcome.write, Ink.PLAIN if fine else Ink.BAD)
    return lines if fine else [*lines, *paragraph("         ", outcome.message)]


def _results(released: Release) -> dict[IrqId, str]:
    """What became of each interrupt; of irqbalance's list, whether it was told."""
    results = {one.irq: one.result.value for one in released.guarded.outcomes}
    told = Result.REFUSED if BANNED in released.guarded.moves else Result.DONE
    return {BANNED: told.value, **results}


def _interrupt(what: str, irq: IrqId, cpus: CpuSet, ink: Ink = Ink.PLAIN) -> list[Line]:
    name = irq if irq == WORKQUEUES else f"interrupt {irq}"
    return filled((Span(f"{what:9}", ink),), pieces(f"{name} = {cpus or 'nothing'}"))


def _told(what: str, write: Write, ink: Ink = Ink.PLAIN) -> list[Line]:
    value = write.value or "nothing"
    return filled((Span(f"{what:9}", ink),), pieces(f"{write.path}/{write.file} = {value}"))
