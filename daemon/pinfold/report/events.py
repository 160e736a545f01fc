"""Events on pods, for ``kubectl describe``, as the API server takes them.

Pure: what happened in, the body of a request out; the sender stands next door. Source: events.k8s.io/v1,
``pkg/apis/core/validation/events.go``, KEP-383.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple, Self

from pinfold.pods.model import Pod

CONTROLLER: Final = "pinfold.dev/agent"
MAX_NOTE_BYTES: Final = 1024
MAX_INSTANCE_CHARACTERS: Final = 128
_MAX_NAME_CHARACTERS: Final = 253


class EventType(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


class Cause(NamedTuple):
    """What makes two occurrences one series: another note is another fact, and a series cannot change its note."""

    namespace: str
    name: str
    uid: str
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to a pod."""

    namespace: str
    name: str
    uid: str
    """``metadata.uid``; a static pod's is its mirror's, empty while that is not known."""
    reason: str
    """The cause in one word: the kubelet's, where it has one."""
    action: str
    """What was done or tried: ``Pinning``, ``Releasing``."""
    note: str
    at: float
    """Seconds since the epoch."""
    type: EventType = EventType.WARNING
    is_change: bool = False
    """Something else was true of the pod until now: to be told at once, whenever the same was told before."""

    @classmethod
    def of(cls, pod: Pod, reason: str, action: str, note: str, at: float, kind: EventType = EventType.WARNING) -> Self:
        return cls(pod.namespace, pod.name, pod.api_uid, reason, action, note, at, kind)

    @property
    def cause(self) -> Cause:
        return Cause(self.namespace, self.name, self.uid, self.reason, self.note)

    @property
    def event_name(self) -> str:
        """Of the Event: the cause's, whenever it happened, so that the process after a restart meets it."""
        digest = hashlib.sha256("\0".join(self.cause).encode(errors="replace")).hexdigest()[:16]
        return f"{self.name[: _MAX_NAME_CHARACTERS - 17].rstrip('.-')}.{digest}"

    @property
    def collection(self) -> str:
        return f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"


@dataclass(frozen=True, slots=True)
class EventCounts:
    sent: int = 0
    """Created and patched."""
    dropped: int = 0
    """Too old, or the queue was full."""
    refused: int = 0
    """By the API server: no right to, or the namespace is gone."""
    error: str = ""
    """Why the last attempt failed; empty when it did not."""


def body(occurrence: Occurrence, instance: str) -> dict[str, object]:
    """The Event to create; *instance* is who reports, ``pinfold-<node>``."""
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": occurrence.namespace, "name": occurrence.name}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": occurrence.namespace, "name": occurrence.event_name},
        "eventTime": _micro_time(occurrence.at),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:MAX_INSTANCE_CHARACTERS],
        "action": occurrence.action,
        "reason": occurrence.reason,
        "regarding": regarding | ({"uid": occurrence.uid} if occurrence.uid else {}),
        "note": _shown(occurrence.note),
        "type": occurrence.type.value,
    }


def series(count: int, at: float) -> dict[str, object]:
    """The patch that says how often it happened by now."""
    return {"series": {"count": count, "lastObservedTime": _micro_time(at)}}


def _micro_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _shown(note: str) -> str:
    """Control characters and what turns text around are spelled out; cut to what an Event may hold."""
    text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in note)
    data = text.encode(errors="replace")
    if len(data) <= MAX_NOTE_BYTES:
        return data.decode()
    return data[: MAX_NOTE_BYTES - 3].decode(errors="ignore") + "…"
