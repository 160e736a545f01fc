"""``pinfold top``: how busy each pool is, what is held back, who ran alone and what drifted, every two seconds.

Two readings of the kernel's counts make one picture. Without a terminal one picture is shown, and that is all.
"""

import gc
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pinfold.cli.connection import UnreachableError, ask
from pinfold.cli.output import say, say_json
from pinfold.cli.screen import Screen, is_terminal
from pinfold.cli.terminal import Ink, Line, Span, filled, paragraph, pieces, shortened
from pinfold.cpuset import CpuSet
from pinfold.report.ownership import Json, Kind, Owner, Part, owners
from pinfold.report.plain import plain
from pinfold.report.told import alone_text, drifts, full_name, measured, ran_alone, utc

PERIOD_S = 2.0
BAR = 8
_HEADER = f"   {'POD':26} {'CPUS':15} {'BUSY':14} {'THROTTLED':>9} {'ALONE':>9}"
_INK = {Kind.EXCLUSIVE: Ink.EXCLUSIVE, Kind.POD_SHARED: Ink.POD_SHARED, Kind.RESERVED: Ink.RESERVED}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the daemon said at one time."""

    status: Json
    ticks: Mapping[str, tuple[int, int]]
    """CPU → busy and all."""
    throttling: Mapping[str, Json]
    """By the pod's UID."""


@dataclass(frozen=True, slots=True)
class Picture:
    status: Json
    busy: Mapping[int, float]
    """Share of each CPU's time since the reading before."""
    throttled: Mapping[str, float]
    """UID → share of the periods since then; of the pods with a quota."""


def main(options: Namespace) -> int:
    before = _read(options)
    if options.output == "text" and is_terminal():
        gc.enable()
        return _on_screen(options, before)
    time.sleep(PERIOD_S)
    picture = between(before, _read(options))
    if options.output == "json":
        say_json(_json(picture))
    else:
        say(drawn(picture))
    return 0


def _on_screen(options: Namespace, before: Reading) -> int:
    """Until q is pressed."""
    with Screen() as screen:
        screen.draw([(Span(f"Reading for {PERIOD_S:.0f} s ..."),)])
        while screen.rests(PERIOD_S):
            try:
                now = _read(options)
            except UnreachableError as error:
                screen.draw(paragraph("", str(error), Ink.BAD))
                continue
            picture, before = between(before, now), now
            lines = drawn(picture)
            screen.draw(lines if len(lines) <= screen.rows else drawn(picture, parts=False))
    return 0


def _read(options: Namespace) -> Reading:
    """Raises UnreachableError."""
    cpus, pods = ask(options, "/usage/cpus"), ask(options, "/usage/pods")
    return Reading(ask(options, "/status"), cpus["ticks"], pods["pods"])


def between(before: Reading, after: Reading) -> Picture:
    busy = {}
    for cpu, (used, every) in after.ticks.items():
        used_before, every_before = before.ticks.get(cpu, (used, every))
        if every > every_before:
            busy[int(cpu)] = max(used - used_before, 0) / (every - every_before)
    throttled = {}
    for uid, now in after.throttling.items():
        then = before.throttling.get(uid, now)
        if (periods := now["periods"] - then["periods"]) > 0:
            throttled[uid] = (now["throttledPeriods"] - then["throttledPeriods"]) / periods
    return Picture(after.status, busy, throttled)


def drawn(picture: Picture, parts: bool = True) -> list[Line]:
    """*parts*: each pod's slices and shared pool too."""
    status = picture.status
    head = f", {_percent(_mean(picture, picture.busy))} busy, {utc(status['time'])}" if picture.busy else ""
    lines: list[Line] = [
        (Span(plain(status["node"]), Ink.HEAD), Span(f"  {status['mode']['name']}{head}")),
        (),
        (Span(_HEADER, Ink.HEAD),),
    ]
    pods = {full_name(pod): pod for pod in status["pods"] if pod["pool"] or pod["exclusive"]}
    for owner in owners(status):
        if owner.parts and (cpus := CpuSet.union(part.cpus for part in owner.parts)):
            lines += _owner(picture, owner, cpus, pods.get(owner.name), parts)
    for name, pod in pods.items():
        for drift in drifts(pod):
            lines += filled((Span("drift    ", Ink.BAD),), [*pieces(f"{name}: "), *pieces(drift)])
    return lines


def _owner(picture: Picture, owner: Owner, cpus: CpuSet, pod: Json | None, parts: bool) -> Iterator[Line]:
    if pod is None:
        kind = owner.parts[0].kind
        yield _row(picture, "", Span(kind.value, _INK.get(kind, Ink.PLAIN)), cpus)
        return
    throttled = picture.throttled.get(pod["uid"])
    share = ran_alone(picture.status, pod)
    yield _row(picture, owner.letter, Span(owner.name, Ink.HEAD), cpus, throttled, share)
    if parts:
        alone = {one["container"]: one["share"] for one in measured(picture.status, pod)}
        for part in owner.parts:
            if part.cpus:
                name = Span(f"  {part.container or part.kind}", _INK.get(part.kind, Ink.FAINT))
                yield _row(picture, "", name, part.cpus, alone=_of(alone, part))


def _of(alone: Mapping[str, float], part: Part) -> float | None:
    return alone.get(part.container) if part.container else None


def _row(
    picture: Picture,
    letter: str,
    name: Span,
    cpus: CpuSet,
    throttled: float | None = None,
    alone: float | None = None,
) -> Line:
    share = _mean(picture, cpus)
    bar = "" if share is None else "|" * round(share * BAR)
    return (
        Span(f"{letter:3}"),
        Span(f"{shortened(plain(name.text), 26):26} ", name.ink),
        Span(f"{shortened(str(cpus), 15):15} "),
        Span(f"{bar:{BAR}} ", Ink.POD_SHARED),
        Span(f"{_percent(share):>5} "),
        Span(f"{_percent(throttled):>9} ", Ink.BAD if throttled else Ink.PLAIN),
        Span("" if alone is None else f"{alone_text(alone):>9}"),
    )


def _mean(picture: Picture, cpus: Iterable[int]) -> float | None:
    known = [picture.busy[cpu] for cpu in cpus if cpu in picture.busy]
    return sum(known) / len(known) if known else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _json(picture: Picture) -> dict[str, Any]:
    return {
        "node": picture.status["node"],
        "time": picture.status["time"],
        "pools": [
            {
                "pod": owner.name,
                "kind": part.kind.value,
                "container": part.container,
                "cpus": str(part.cpus),
                "busy": _mean(picture, part.cpus),
            }
            for owner in owners(picture.status)
            for part in owner.parts
            if part.cpus
        ],
        "throttled": {full_name(pod): picture.throttled.get(pod["uid"]) for pod in picture.status["pods"]},
    }
