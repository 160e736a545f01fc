"""What ``pinfold plan --bundle`` replays: configuration and last decision out of a bundle, and how it went."""

import json
import lzma
import tarfile
import tempfile
import zlib
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinfold.agent.decision import DecisionError, Json, Made
from pinfold.cli.terminal import Ink, Line, paragraph
from pinfold.config import Config, load, policy
from pinfold.errors import PinfoldError
from pinfold.planning.planner import Plan
from pinfold.planning.policy import Policy
from pinfold.topology.model import Topology

MAX_DOCUMENT_BYTES = 64 << 20
_WANTED = ("bundle.json", "config.json", "decision.json")


class BundleError(PinfoldError):
    """A file that is no bundle, or one that holds no decision."""


@dataclass(frozen=True, slots=True)
class Bundle:
    about: Json
    config: Config
    decision: Made

    def policy(self, topology: Topology) -> tuple[Policy, tuple[str, ...]]:
        """As ``config.policy``."""
        return policy(self.config, topology)

    def differing(self, decided: Plan) -> tuple[tuple[Json | None, Json | None], ...]:
        return self.decision.differing(decided)

    def to_json(self, decided: Plan) -> Json:
        """How the replay went."""
        return {
            "of": {name: self.about.get(name) for name in ("version", "kernel", "madeAt")},
            "differing": [{"then": then, "now": now} for then, now in self.differing(decided)],
        }

    def told(self, decided: Plan) -> Iterator[Line]:
        """The same, for people."""
        differing = self.differing(decided)
        count = len(self.decision.outcomes)
        pods = f"{count} pod" + "s" * (count != 1)
        if not differing:
            yield from paragraph("", f"The replay decides for {pods} as the node did.", Ink.HEAD)
            return
        yield from paragraph(
            "", f"The replay decides for {len(differing)} of {pods} otherwise than the node did:", Ink.BAD
        )
        for then, now in differing:
            yield from paragraph("  ", f"{(then or now or {}).get('pod')}: {_said(then)} there, {_said(now)} here")


def read_bundle(options: Namespace) -> Bundle:
    """The bundle that *options* name; ``--set`` overrides its configuration. Raises PinfoldError."""
    file = Path(options.bundle)
    documents = _documents(file)
    if "bundle.json" not in documents:
        raise BundleError(f"{file} is no bundle. Name a file that pinfold bundle made.")
    about = _parsed(documents, "bundle.json", file)
    if "decision.json" not in documents:
        told = next((str(one) for one in about.get("missing", ()) if str(one).startswith("decision.json")), "")
        raise BundleError(f"{file} holds no decision to replay. When it was made: {told or 'it was left out'}")
    with tempfile.TemporaryDirectory(prefix="pinfold-") as scratch:
        path = Path(scratch, "config.json")
        path.write_bytes(documents.get("config.json", b"{}"))
        config = load(path, {}, dict(options.set))
    try:
        return Bundle(about, config, Made.from_json(_parsed(documents, "decision.json", file)))
    except DecisionError as error:
        raise BundleError(f"{file}: {error}") from error


def _documents(file: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(file) as members:
            for member in members:
                name = member.name.rpartition("/")[2]
                if name in _WANTED and member.isreg() and member.size <= MAX_DOCUMENT_BYTES:
                    content = members.extractfile(member)
                    found[name] = content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise BundleError(f"{file} cannot be unpacked: {error}. Name a file that pinfold bundle made.") from error
    return found


def _parsed(documents: dict[str, bytes], name: str, file: Path) -> dict[str, Any]:
    try:
        document = json.loads(documents[name])
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file}: {name} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{file}: {name} is no JSON object")
    return document


def _said(outcome: Json | None) -> str:
    if outcome is None:
        return "unknown"
    slices = ", ".join(f"{name} {cpus}" for name, cpus in outcome["slices"].items())
    facts = ((f"CPUs {outcome['pool']}" if outcome["pool"] else ""), slices, outcome["reason"])
    return " ".join([outcome["outcome"], *(f"({fact})" for fact in facts if fact)])
