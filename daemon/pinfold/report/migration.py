"""What became of the migrations of running pods' memory. Pure values, which the migrating thread makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Result(StrEnum):
    DONE = "done"
    TOO_LARGE = "too-large"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """The pod has gone, or is to be on other nodes."""


@dataclass(frozen=True, slots=True)
class Migrating:
    """A migration under way."""

    cgroup: str
    mems: str
    size_bytes: int
    """What was to move when it began."""
    left_bytes: int


@dataclass(frozen=True, slots=True)
class Migrated:
    """What came of them so far."""

    running: Migrating | None = None
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Cgroups whose migration was not begun, or failed → why."""
    results: Mapping[Result, int] = field(default_factory=dict)
    moved_bytes: int = 0
    seconds: float = 0.0

    def ended(self, cgroup: str, result: Result, why: str, moved_bytes: int, seconds: float) -> "Migrated":
        """After one more has come to its end; *why*: what the next one waits for, empty: nothing."""
        waiting = {path: told for path, told in self.waiting.items() if path != cgroup}
        return Migrated(
            None,
            {**waiting, cgroup: why} if why else waiting,
            {**self.results, result: self.results.get(result, 0) + 1},
            self.moved_bytes + moved_bytes,
            self.seconds + seconds,
        )
