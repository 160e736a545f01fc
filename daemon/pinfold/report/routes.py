"""What each path of the endpoint answers: a request's words in, bytes out. No socket comes in here.

The endpoint only reads. It sees the loop through the callables of ``Readings`` and nothing else.
"""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from pinfold import __version__
from pinfold.report.alone import Alone
from pinfold.report.exposition import exposition, registry
from pinfold.report.live import CpuTime, cpu_times, cpus_json, pods_json, throttling
from pinfold.report.snapshot import Snapshot
from pinfold.report.status import to_json
from pinfold.report.usage import ReadFiles, no_files

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HTML = "text/html; charset=utf-8"


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
    cpu_times: Callable[[], Mapping[int, CpuTime]] = cpu_times
    alone: Callable[[], tuple[Alone, ...]] | None = None
    """Measured now; None: what is in the snapshot serves."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    fault: str
    """Empty: it is well."""


class Routes:
    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._families = registry(self._measured_now, readings.cgroup_files)
        self._health: Mapping[str, Callable[[bool], Answer]] = {
            "/livez": lambda verbose: _checked("livez", (self._heartbeat(),), verbose),
            "/healthz": lambda verbose: _checked("healthz", (self._heartbeat(),), verbose),
            "/readyz": lambda verbose: _checked("readyz", (self._heartbeat(), self._reconciled()), verbose),
        }
        self._documents: Mapping[str, Callable[[str], Answer]] = {
            "/": lambda _: self._of_snapshot(self._page),
            "/status": lambda known: self._of_snapshot(lambda of: self._status(of, known)),
            "/usage/cpus": lambda _: self._of_snapshot(self._cpus),
            "/usage/pods": lambda _: self._of_snapshot(self._pods),
            "/decision": lambda _: self._decision(),
            "/configz": lambda _: _json({"pinfold": self._readings.config()}),
            "/version": lambda _: _json(version()),
        }

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self._health, "/metrics", *(path for path in self._documents if path != "/"))

    def is_health(self, path: str) -> bool:
        """What tells nothing but that the daemon lives: a probe needs no token."""
        return path in self._health

    def answer(self, path: str, query: str, accept: str, known: str = "", *, metrics_only: bool) -> Answer:
        """*known*: the If-None-Match of a client that has seen the status.

        *metrics_only*: for a listener that others can reach; it shows metrics and health and no document.
        """
        if path in self._health:
            return self._health[path]("verbose" in query.split("&"))
        if path == "/metrics":
            body, content_type = exposition(self._families, accept)
            return Answer(HTTPStatus.OK, content_type, body)
        if path in self._documents and not metrics_only:
            return self._documents[path](known)
        return _text("404 not found\n", HTTPStatus.NOT_FOUND)

    def _heartbeat(self) -> _Check:
        age, limit = self._readings.heartbeat_age_seconds(), self._readings.stale_after_seconds
        return _Check("heartbeat", f"the loop last turned {age:.0f} s ago; {limit:.0f} s are allowed" * (age > limit))

    def _reconciled(self) -> _Check:
        return _Check("reconciled", "" if self._readings.snapshot() else "the first reconcile is not done")

    def _measured_now(self) -> Snapshot | None:
        snapshot = self._readings.snapshot()
        return self._measured(snapshot) if snapshot else None

    def _measured(self, snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, alone=self._readings.alone()) if self._readings.alone else snapshot

    def _of_snapshot(self, answer: Callable[[Snapshot], Answer]) -> Answer:
        if snapshot := self._readings.snapshot():
            return answer(snapshot)
        return _text("503 the first reconcile is not done\n", HTTPStatus.SERVICE_UNAVAILABLE)

    def _status(self, snapshot: Snapshot, known: str) -> Answer:
        headers = {"ETag": etag(snapshot)}
        if headers["ETag"] in known:
            return Answer(HTTPStatus.NOT_MODIFIED, JSON, b"", headers)
        return replace(_json(to_json(self._measured(snapshot))), headers=headers)

    def _decision(self) -> Answer:
        if (decision := self._readings.decision()) is not None:
            return _json(decision)
        return _text("503 nothing has been decided yet\n", HTTPStatus.SERVICE_UNAVAILABLE)

    def _page(self, snapshot: Snapshot) -> Answer:
        from pinfold.report.page import document  # a node that nobody looks at does not pay for it

        throttled = throttling(snapshot.pods, self._readings.cgroup_files)
        html = document.page(to_json(self._measured(snapshot)), etag(snapshot), throttled, self.paths)
        headers = {"Content-Security-Policy": document.content_security_policy(), "Referrer-Policy": "no-referrer"}
        return Answer(HTTPStatus.OK, HTML, html.encode(), headers)

    def _cpus(self, snapshot: Snapshot) -> Answer:
        return _json(cpus_json(etag(snapshot), self._readings.cpu_times()))

    def _pods(self, snapshot: Snapshot) -> Answer:
        return _json(pods_json(throttling(snapshot.pods, self._readings.cgroup_files)))


def etag(snapshot: Snapshot) -> str:
    """Weak: the time and the counters, which move with every turn, are not in it; the faults are."""
    faults = sum(fault.count for fault in snapshot.counters.faults.values())
    return f'W/"{snapshot.started_at:.3f}-{snapshot.generation}-{faults}"'


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
