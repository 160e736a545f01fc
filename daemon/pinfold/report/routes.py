"""What each path of the endpoint answers: a request's words in, bytes out. No socket comes in here.

The endpoint only reads. It sees the loop through the callables of ``Readings`` and nothing else.
"""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pinfold import __version__
from pinfold.report.metrics import exposition, registry
from pinfold.report.snapshot import Snapshot
from pinfold.report.status import to_json
from pinfold.report.usage import ReadFiles, no_files

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Readings:
    """What the endpoint may read. Each is called in a thread of the endpoint, and must not block."""

    snapshot: Callable[[], Snapshot | None]
    """None: nothing has been reconciled yet."""
    config: Callable[[], Mapping[str, Any]]
    heartbeat_age_seconds: Callable[[], float]
    """Since the loop last turned."""
    stale_after_seconds: float
    """A loop that has not turned for so long is not alive."""
    cgroup_files: ReadFiles = no_files
    decision: Callable[[], Mapping[str, Any] | None] = lambda: None
    """What the last decision was made of; None: nothing has been decided yet."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    fault: str
    """Empty: it is well."""


class Routes:
    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._families = registry(readings.snapshot, readings.cgroup_files)
        self._health: Mapping[str, Callable[[bool], Answer]] = {
            "/livez": lambda verbose: _checked("livez", (self._heartbeat(),), verbose),
            "/healthz": lambda verbose: _checked("healthz", (self._heartbeat(),), verbose),
            "/readyz": lambda verbose: _checked("readyz", (self._heartbeat(), self._reconciled()), verbose),
        }
        self._documents: Mapping[str, Callable[[], Answer]] = {
            "/": lambda: _text("".join(f"{path}\n" for path in self.paths)),
            "/status": self._status,
            "/decision": self._decision,
            "/configz": lambda: _json({"pinfold": self._readings.config()}),
            "/version": lambda: _json(version()),
        }

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self._health, "/metrics", *(path for path in self._documents if path != "/"))

    def is_health(self, path: str) -> bool:
        """What tells nothing but that the daemon lives: a probe needs no token."""
        return path in self._health

    def answer(self, path: str, query: str, accept: str, *, metrics_only: bool) -> Answer:
        """*metrics_only*: for a listener that others can reach; it shows metrics and health and no document."""
        if path in self._health:
            return self._health[path]("verbose" in query.split("&"))
        if path == "/metrics":
            body, content_type = exposition(self._families, accept)
            return Answer(HTTPStatus.OK, content_type, body)
        if path in self._documents and not metrics_only:
            return self._documents[path]()
        return _text("404 not found\n", HTTPStatus.NOT_FOUND)

    def _heartbeat(self) -> _Check:
        age, limit = self._readings.heartbeat_age_seconds(), self._readings.stale_after_seconds
        return _Check("heartbeat", f"the loop last turned {age:.0f} s ago; {limit:.0f} s are allowed" * (age > limit))

    def _reconciled(self) -> _Check:
        return _Check("reconciled", "" if self._readings.snapshot() else "the first reconcile is not done")

    def _status(self) -> Answer:
        if snapshot := self._readings.snapshot():
            return _json(to_json(snapshot))
        return _text("503 the first reconcile is not done\n", HTTPStatus.SERVICE_UNAVAILABLE)

    def _decision(self) -> Answer:
        if (decision := self._readings.decision()) is not None:
            return _json(decision)
        return _text("503 nothing has been decided yet\n", HTTPStatus.SERVICE_UNAVAILABLE)


def version() -> dict[str, str]:
    return {"version": __version__, "python": platform.python_version(), "architecture": platform.machine()}


def _text(text: str, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, TEXT, text.encode())


def _json(document: Mapping[str, Any]) -> Answer:
    return Answer(HTTPStatus.OK, JSON, json.dumps(document, separators=(",", ":")).encode() + b"\n")


def _checked(name: str, checks: tuple[_Check, ...], verbose: bool) -> Answer:
    """In the form of the API server's own health endpoints."""
    failed = any(check.fault for check in checks)
    lines = [f"[-]{check.name} failed: {check.fault}" if check.fault else f"[+]{check.name} ok" for check in checks]
    lines.append(f"{name} check {'failed' if failed else 'passed'}")
    text = "".join(f"{line}\n" for line in lines) if verbose or failed else "ok\n"
    return _text(text, HTTPStatus.INTERNAL_SERVER_ERROR if failed else HTTPStatus.OK)
