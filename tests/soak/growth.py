"""What the process holds: memory, objects, descriptors, threads, and whether that grew without end.

A cache with a bound fills for a while, a few MiB of the resident memory; objects that nobody needs show at once.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

import psutil

WARM = 0.25
"""The first part of a run: caches fill, and the allocator finds its size."""
BEARABLE_BYTES = 6 << 20
BEARABLE_OBJECTS = 6000
"""Of some 75,000: a node's pods and cgroups come and go."""
BEARABLE_DESCRIPTORS = 8
"""Connections of the API server's that are on their way out."""
BEARABLE_THREADS = 4


@dataclass(frozen=True, slots=True)
class Held:
    at_s: float
    rss_bytes: int
    objects: int
    """That Python's collector follows."""
    descriptors: int
    threads: int

    @classmethod
    def now(cls, at_s: float) -> Self:
        gc.collect()
        process, objects = psutil.Process(), len(gc.get_objects())
        return cls(at_s, process.memory_info().rss, objects, process.num_fds(), process.num_threads())

    def __str__(self) -> str:
        held = f"{self.objects} objects, {self.descriptors} descriptors, {self.threads} threads"
        return f"{self.rss_bytes / 2**20:.1f} MiB, {held}"


def leaks(seen: Sequence[Held]) -> list[str]:
    """What grew from the second quarter of the run to its last; nothing is said of fewer than eight looks."""
    if len(seen) < 8:
        return []
    warm, quarter = seen[int(len(seen) * WARM) :], max(1, len(seen) // 4)
    early, late = warm[:quarter], warm[-quarter:]

    def grown(name: str) -> tuple[float, float]:
        first, last = (median(getattr(one, name) for one in part) for part in (early, late))
        return first, last - first

    told = []
    for name, bearable in (
        ("rss_bytes", BEARABLE_BYTES),
        ("objects", BEARABLE_OBJECTS),
        ("descriptors", BEARABLE_DESCRIPTORS),
        ("threads", BEARABLE_THREADS),
    ):
        first, more = grown(name)
        if more > bearable:
            told.append(f"{name} grew by {more:.0f} from {first:.0f}")
    return told
