"""``pinfold plan``: which CPUs pods would get on a machine, and why. No daemon, no root, nothing is written."""

import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pinfold import __version__
from pinfold.cli.configuration import configured
from pinfold.cli.explain import explained
from pinfold.cli.machine import machine
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, paragraph
from pinfold.cli.view import shown
from pinfold.cli.whatif import WhatIfError, changes_json, changes_told, fit_json, fit_told, resizes
from pinfold.config import policy
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import Plan, World, plan
from pinfold.planning.whatif import Change, Fit, changes, fit, with_pods, without_pods
from pinfold.pods.model import InvalidPod, Pod
from pinfold.pods.reader import read_pods
from pinfold.pods.review import Review, review
from pinfold.report.plain import plain
from pinfold.report.snapshot import Exclusivity, Mode, Snapshot, pod_statuses
from pinfold.report.status import API_VERSION, to_json
from pinfold.sources.documents import read

if TYPE_CHECKING:  # what only some of its flags need is imported where they are given
    from pinfold.cli.replay import Bundle

MAX_FILE_BYTES = 1 << 20


class ManifestError(PinfoldError):
    """A file of manifests that cannot be read."""


@dataclass(frozen=True, slots=True)
class Manifest:
    file: str
    where: str
    raw: Mapping[str, Any]
    review: Review

    @property
    def planned(self) -> Mapping[str, Any]:
        """What is planned with: the manifest that was meant, where it is another one."""
        return self.review.meant or self.raw


@dataclass(frozen=True, slots=True)
class Answer:
    """What was planned, and what it changes."""

    planned: Plan
    before: Plan
    """Without the change that was asked about."""
    running: tuple[Pod, ...]
    changes: tuple[Change, ...] | None = None
    """None: no change was asked about."""
    fit: Fit | None = None
    like: Pod | None = None
    """The pod of which *fit* tells how many more there is room for."""


def main(options: Namespace) -> int:
    bundle = _bundle(options) if options.bundle else None
    topology = machine(options.sysfs or options.bundle)
    node_policy, warnings = bundle.policy(topology) if bundle else policy(configured(options), topology)
    manifests, faults = _manifests([*options.pods, *options.add])
    there, invalid = _read(manifests, options.pods)
    added, more_invalid = _read(manifests, options.add)
    if bundle:
        world, ledger = bundle.decision.world(topology, node_policy), bundle.decision.ledger
    else:
        world, ledger = World(topology, node_policy, there), Ledger()
    answer = _answered(options, world, ledger, added)
    now = time.time()
    snapshot = Snapshot(
        node=options.sysfs or options.bundle or "this machine",
        version=__version__,
        generation=0,
        at=now,
        started_at=now,
        mode=Mode.PLANNED,
        mode_reason="",
        exclusivity=Exclusivity.NONE,
        exclusivity_reason="",
        topology=topology,
        policy=node_policy,
        node_shared=answer.planned.node_shared,
        pods=pod_statuses(answer.running, answer.planned),
        invalid=(*faults, *invalid, *more_invalid),
        warnings=warnings,
    )
    status = to_json(snapshot)
    is_replay = bundle is not None and not (options.sysfs or options.set)
    if options.output == "json":
        say_json(_json(manifests, status, answer, bundle if is_replay else None))
    else:
        _say(manifests, status, answer, options.fits)
        if bundle and is_replay:
            say([(), *bundle.told(answer.before)])
    unlike = bundle is not None and is_replay and bool(bundle.differing(answer.before))
    return 1 if unlike or snapshot.invalid or any(one.review.findings for one in manifests) else 0


def _bundle(options: Namespace) -> "Bundle":
    from pinfold.cli.replay import read_bundle

    return read_bundle(options)


def _answered(options: Namespace, world: World, ledger: Ledger, added: tuple[Pod, ...]) -> Answer:
    """Raises WhatIfError."""
    if options.ledger:
        from pinfold.cli.ledger import read_ledger

        ledger = read_ledger(options.ledger, world.pods, world.policy)
        world = replace(world, lingering=frozenset(ledger.entries.keys() - {pod.uid for pod in world.pods}))
    planned = before = plan(world, ledger)
    asked = bool(options.add or options.remove or options.resize)
    if asked:
        names = {pod.full_name for pod in world.pods} | {entry.full_name for entry in ledger.entries.values()}
        if unknown := [name for name in options.remove if name not in names]:
            raise WhatIfError(f"--remove {unknown[0]}: there is no such pod. There are {', '.join(sorted(names))}.")
        gone = {entry.uid for entry in ledger.entries.values() if entry.full_name in options.remove}
        world = replace(without_pods(world, options.remove), lingering=world.lingering - gone)
        world = with_pods(world, (*resizes(world.pods, options.resize), *added))
        planned = plan(world, before.ledger)
    changed = changes(before, planned) if asked else None
    if options.fits is None:
        return Answer(planned, before, world.pods, changed)
    like = next((pod for pod in world.pods if pod.full_name == options.like), None) if options.like else None
    like = like or (world.pods[-1] if world.pods and not options.like else None)
    if like is None:
        raise WhatIfError("--fits: like which pod? Name one of --pods with --like NAMESPACE/POD.")
    return Answer(planned, before, world.pods, changed, fit(world, planned.ledger, like, options.fits), like)


def _read(manifests: list[Manifest], files: list[str]) -> tuple[tuple[Pod, ...], tuple[InvalidPod, ...]]:
    """The pods of *files* that are not at their end."""
    objects = [(one.where, _with_uid(one.planned, at)) for at, one in enumerate(manifests) if one.file in files]
    pods, invalid = read_pods(objects)
    return tuple(pod for pod in pods if not pod.terminal), invalid


def _manifests(files: list[str]) -> tuple[list[Manifest], list[InvalidPod]]:
    """Every object of every file, looked over; and what is no object."""
    manifests: list[Manifest] = []
    faults: list[InvalidPod] = []
    for name in files:
        found = read(_bytes(name), plain(name))
        faults += found.faults
        manifests += [Manifest(name, where, raw, review(raw)) for where, raw in found.objects.items()]
    return manifests, faults


def _bytes(name: str) -> bytes:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"{name} cannot be read: {error.strerror}. Name a file of pod manifests.") from error
    if len(data) > MAX_FILE_BYTES:
        raise ManifestError(f"{name} is longer than {MAX_FILE_BYTES} bytes. Put fewer pods into one file.")
    return data


def _with_uid(raw: Mapping[str, Any], position: int) -> Mapping[str, Any]:
    """A manifest has no UID before the API server gives it one; here it gets one that keeps the files' order."""
    metadata = raw.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("uid"):
        return raw
    return {**raw, "metadata": {**metadata, "uid": f"00000000-0000-4000-8000-{position:012x}"}}


def _reviews(manifests: list[Manifest]) -> list[dict[str, Any]]:
    return [{"where": one.where, "findings": list(one.review.findings), "meant": one.review.meant} for one in manifests]


def _json(manifests: list[Manifest], status: dict[str, Any], answer: Answer, bundle: "Bundle | None") -> dict[str, Any]:
    document = {"apiVersion": API_VERSION, "kind": "Plan", "manifests": _reviews(manifests), "status": status}
    if answer.changes is not None:
        document["changes"] = changes_json(answer.changes)
    if answer.fit:
        document["fits"] = fit_json(answer.fit)
    if bundle:
        document["replay"] = bundle.to_json(answer.before)
    return document


def _say(manifests: list[Manifest], status: dict[str, Any], answer: Answer, most: int) -> None:
    for one in manifests:
        say(_findings(one))
        if one.review.meant:
            sys.stdout.write(yaml.safe_dump(one.review.meant, sort_keys=False))
            say([(), (Span("With it:"),), ()])
    say(shown(status, every_pod=True))
    for pod in status["pods"]:
        say([(), *explained(pod, running=False)])
    if answer.changes is not None:
        say([(), *changes_told(answer.changes)])
    if answer.fit and answer.like:
        say([(), *fit_told(answer.fit, answer.like, most)])


def _findings(manifest: Manifest) -> Iterator[Line]:
    if not manifest.review.findings:
        return
    yield from paragraph(f"{manifest.where}: ", "not what the API takes, or not what it seems", Ink.BAD)
    for finding in manifest.review.findings:
        yield from paragraph("  - ", finding)
    if manifest.review.meant:
        yield ()
        yield (Span("What was meant:"),)
