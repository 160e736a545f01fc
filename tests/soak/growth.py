"""What the process holds of the machine: memory, descriptors, threads, and whether that grew without end."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

import psutil

WARM = 0.25
"""The first part of a run: caches fill, and the allocator finds its size."""
BEARABLE_BYTES = 3 << 20
BEARABLE_SHARE = 0.05
BEARABLE_DESCRIPTORS = 8
"""Connections of the API server's that are on their way out."""
BEARABLE_THREADS = 4


@dataclass(frozen=True, slots=True)
class Held:
    at_s: float
    rss_bytes: int
    descriptors: int
    threads: int

    @classmethod
    def now(cls, at_s: float) -> Self:
        process = psutil.Process()
        return cls(at_s, process.memory_info().rss, process.num_fds(), process.num_threads())

    def __str__(self) -> str:
        return f"{self.rss_bytes / 2**20:.1f} MiB, {self.descriptors} descriptors, {self.threads} threads"


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
        ("rss_bytes", max(BEARABLE_BYTES, BEARABLE_SHARE * grown("rss_bytes")[0])),
        ("descriptors", BEARABLE_DESCRIPTORS),
        ("threads", BEARABLE_THREADS),
    ):
        first, more = grown(name)
        if more > bearable:
            told.append(f"{name} grew by {more:.0f} from {first:.0f}")
    return told
