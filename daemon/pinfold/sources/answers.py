"""What the API server said, as values: a page of a list, an event of a watch, or how it ended.

Pure. Bytes in, values out; garbage is a value too. Source: Kubernetes API concepts; v1 PodList, WatchEvent and Status.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pinfold.pods.model import InvalidPod
from pinfold.sources.json_stream import LeftOut, members
from pinfold.sources.picture import RawPod, trimmed

_GARBAGE: Final = (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError)
"""What a wrong shape raises where a right one is taken for granted."""

MAX_PODS: Final = 20_000
"""In one list. The control plane keeps 12 500 pods that have ended, and they may all have run on one node."""
PAGE_LIMIT_BYTES: Final = 8 << 30
"""Of what passes by: some hundred pods of the greatest size. What is held is bounded pod by pod."""
_NAMED: Final = re.compile(
    r"""\{(?:"(?:kind|apiVersion)":"\w+",)*"metadata":\{"name":"([a-z0-9.-]+)","""
    r"""(?:"generateName":"[a-z0-9.-]*",)?"namespace":"([a-z0-9-]+)\""""
)
"""As Go begins a pod."""


@dataclass(frozen=True, slots=True)
class Page:
    objects: Mapping[str, RawPod]
    version: str
    token: str = ""
    faults: tuple[InvalidPod, ...] = ()
    """Of the pods that cannot be read."""


class Change(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class Event:
    change: Change
    version: str
    uid: str = ""
    """Empty for a bookmark, as is ``pod``."""
    pod: RawPod = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closed:
    """The server ended the watch in good order."""


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing was heard for the read time-out."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The version asked for is too old (410), or newer than the server knows, as after a restored etcd (504)."""

    error: str


@dataclass(frozen=True, slots=True)
class Busy:
    error: str
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    error: str


Ending = Closed | Silent | Expired | Busy | Failed


def page(pieces: Iterable[bytes], *, versioned: bool = True, already: int = 0) -> Page | Failed:
    """A PodList, while it comes; a kubelet's has no version. *already*: pods of the pages before."""
    objects: dict[str, RawPod] = {}
    faults: list[InvalidPod] = []
    metadata: Mapping[str, Any] = {}
    try:
        for key, value in members(pieces, each="items"):
            if key == "metadata":
                metadata = value
            elif key == "items" and already + len(objects) + len(faults) >= MAX_PODS:
                raise ValueError(f"more than {MAX_PODS} pods")
            elif isinstance(value, LeftOut):
                faults.append(_left_out(value))
            elif key == "items" and value is not None:
                objects[_uid(value)] = trimmed(value)
        token = metadata.get("continue")
        version = _opaque(metadata["resourceVersion"]) if versioned else ""
        return Page(objects, version, _opaque(token) if token else "", tuple(faults))
    except _GARBAGE as error:
        return Failed(f"the answer is no PodList: {error!r}")


def event(line: bytes) -> Event | Ending:
    """One line of a watch."""
    try:
        document = json.loads(line)
        word, content = document["type"], document["object"]
        if word == "ERROR":
            return refusal(content.get("code", 0), json.dumps(content).encode())
        change, version = Change(word), _opaque(content["metadata"]["resourceVersion"])
        if change is Change.BOOKMARK:
            return Event(change, version)
        return Event(change, version, _uid(content), trimmed(content))
    except _GARBAGE as error:
        return Failed(f"the watch sent what is no event: {error!r}")


def refusal(code: int, body: bytes, retry_after_s: float = 0.0) -> Ending:
    """An answer that is not 200, or an ERROR event: both carry a v1 Status."""
    message, details = "", ""
    try:
        status = json.loads(body)
        message, details = str(status.get("message", "")), json.dumps(status.get("details") or {})
        retry_after_s = max(retry_after_s, float((status.get("details") or {}).get("retryAfterSeconds") or 0))
    except _GARBAGE:
        pass  # a proxy's page: the code says enough
    error = f"{code} {message}".strip()[:300]
    if code == 410 or "ResourceVersionTooLarge" in details:
        return Expired(error)
    return Busy(error, retry_after_s) if code == 429 or retry_after_s > 0 else Failed(error)


def _left_out(item: LeftOut) -> InvalidPod:
    name = _NAMED.match(item.begins)
    where = f"{name[2]}/{name[1]}" if name else ascii(item.begins[:100])[1:-1]
    return InvalidPod("InvalidPod", f"{item.why}: it is not pinned. Make the pod smaller.", where)


def _opaque(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no version or token")
    return value


def _uid(item: Mapping[str, Any]) -> str:
    uid = item["metadata"]["uid"]
    if not isinstance(uid, str) or not uid:
        raise ValueError("a pod without metadata.uid")
    return uid
