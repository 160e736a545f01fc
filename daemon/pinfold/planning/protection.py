"""How much of a pod's memory the kernel is to protect from reclaim.

Pure. Independent of pools: a Burstable database keeps its page cache as well as a pinned one. Source: kernel document
cgroup-v2.rst, memory.low and memory.min.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pinfold.pods.model import MEMORY, Intent, Pod, PodUid
from pinfold.pods.needs import requests

GRANULE_BYTES = 64 << 10
"""The largest page of amd64 and arm64: the kernel counts in pages and reads back what it counted."""


class Level(StrEnum):
    """The words of the annotation ``memory-protection``, less ``none``."""

    LOW = "low"
    """Reclaimed only where nobody else has anything left: ``memory.low``."""
    MIN = "min"
    """Never reclaimed, the node would rather kill: ``memory.min``."""


@dataclass(frozen=True, slots=True)
class Protection:
    level: Level
    size_bytes: int
    """The memory that the scheduler counted for the pod, in whole pages; never more."""


Protections = Mapping[PodUid, Protection]
_WORDS = frozenset(Level)


def protections(pods: Iterable[Pod], before: Protections, lingering: Collection[PodUid]) -> dict[PodUid, Protection]:
    """What the *pods*, whose annotations are heard, ask for; who is gone and still runs keeps what it had *before*."""
    kept = {uid: before[uid] for uid in lingering if uid in before}
    return kept | {pod.uid: asked for pod in pods if (asked := _protection(pod))}


def requested_bytes(pod: Pod) -> int:
    """Annotations that stand for ``spec.resources`` do not count: the scheduler keeps no memory free for them."""
    own = pod.resources.requests if pod.resources and not pod.resources_from_annotations else requests(pod.containers)
    return own.get(MEMORY, 0) // GRANULE_BYTES * GRANULE_BYTES


def _protection(pod: Pod) -> Protection | None:
    if not isinstance(pod.intent, Intent) or pod.intent.memory_protection not in _WORDS:
        return None
    size_bytes = requested_bytes(pod)
    return Protection(Level(pod.intent.memory_protection), size_bytes) if size_bytes else None
