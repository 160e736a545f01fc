"""``pinfold plan``: which CPUs pods would get on a machine, and why. No daemon, no root, nothing is written."""

import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pinfold import __version__
from pinfold.cli.configuration import configured
from pinfold.cli.explain import explained
from pinfold.cli.machine import machine
from pinfold.cli.output import say, say_json
from pinfold.cli.terminal import Ink, Line, Span, paragraph, plain
from pinfold.cli.view import shown
from pinfold.config import policy
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import World, plan
from pinfold.pods.model import InvalidPod
from pinfold.pods.reader import read_pods
from pinfold.pods.review import Review, review
from pinfold.report.snapshot import Exclusivity, Mode, Snapshot, pod_statuses
from pinfold.report.status import API_VERSION, to_json
from pinfold.sources.documents import read

MAX_FILE_BYTES = 1 << 20


class ManifestError(PinfoldError):
    """A file of manifests that cannot be read."""


@dataclass(frozen=True, slots=True)
class Manifest:
    where: str
    raw: Mapping[str, Any]
    review: Review

    @property
    def planned(self) -> Mapping[str, Any]:
        """What is planned with: the manifest that was meant, where it is another one."""
        return self.review.meant or self.raw


def main(options: Namespace) -> int:
    topology = machine(options.sysfs)
    node_policy, warnings = policy(configured(options), topology)
    manifests, faults = _manifests(options.pods)
    pods, invalid = read_pods((one.where, _with_uid(one.planned, at)) for at, one in enumerate(manifests))
    running = tuple(pod for pod in pods if not pod.terminal)
    planned = plan(World(topology, node_policy, running), Ledger())
    now = time.time()
    snapshot = Snapshot(
        node=options.sysfs or "this machine",
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
        node_shared=planned.node_shared,
        pods=pod_statuses(running, planned),
        invalid=(*faults, *invalid),
        warnings=warnings,
    )
    status = to_json(snapshot)
    if options.output == "json":
        say_json({"apiVersion": API_VERSION, "kind": "Plan", "manifests": _reviews(manifests), "status": status})
    else:
        _say(manifests, status)
    return 1 if snapshot.invalid or any(one.review.findings for one in manifests) else 0


def _manifests(files: list[str]) -> tuple[list[Manifest], list[InvalidPod]]:
    """Every object of every file, looked over; and what is no object."""
    manifests: list[Manifest] = []
    faults: list[InvalidPod] = []
    for name in files:
        found = read(_bytes(name), plain(name))
        faults += found.faults
        manifests += [Manifest(where, raw, review(raw)) for where, raw in found.objects.items()]
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


def _say(manifests: list[Manifest], status: dict[str, Any]) -> None:
    for one in manifests:
        say(_findings(one))
        if one.review.meant:
            sys.stdout.write(yaml.safe_dump(one.review.meant, sort_keys=False))
            say([(), (Span("With it:"),), ()])
    say(shown(status, every_pod=True))
    for pod in status["pods"]:
        say([(), *explained(pod, running=False)])


def _findings(manifest: Manifest) -> Iterator[Line]:
    if not manifest.review.findings:
        return
    yield from paragraph(f"{manifest.where}: ", "not what the API takes, or not what it seems", Ink.BAD)
    for finding in manifest.review.findings:
        yield from paragraph("  - ", finding)
    if manifest.review.meant:
        yield ()
        yield (Span("What was meant:"),)
