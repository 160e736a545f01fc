"""What one regime showed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Regime(StrEnum):
    UNPINNED = "unpinned"
    SHRINK = "shrink"
    PARTITION = "partition"
    ISOLATED = "isolated"


class Kind(StrEnum):
    """Of a task that is not the engine's."""

    USER = "user"
    PER_CPU = "per-CPU kernel thread"
    KERNEL = "other kernel thread"


@dataclass(frozen=True, slots=True)
class Foreign:
    """What ran on the engine's CPUs and was not the engine, by two witnesses: the scheduler's trace and the metric."""

    trace_s: tuple[float, float]
    """Between the two scrapes, and with them: the scrape's own moment lies in between."""
    metric_s: float
    """The growth of pinfold_exclusive_foreign_seconds from one scrape to the other."""
    error_s: float
    """What both scrapes state as pinfold_exclusive_foreign_error_seconds."""
    stint_s: float
    """The longest that the engine ran on without a switch, on each of its CPUs: so much is not counted yet."""

    @property
    def off_s(self) -> float:
        """How far the metric lies outside of what the trace allows; 0: they agree to the last."""
        low, high = self.trace_s
        return max(low - self.metric_s, self.metric_s - high, 0.0)

    @property
    def agrees(self) -> bool:
        return self.off_s <= self.error_s + self.stint_s


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was counted on the engine's CPUs within *seconds*."""

    regime: str
    seconds: float
    kernel: str
    cpus: list[int]
    engine_switches: int
    foreign_switches: dict[str, int]
    """By `Kind`."""
    foreign_ns: dict[str, int]
    foreign_tasks: dict[str, int]
    """Every other task that was switched to, by its name → how often."""
    run_time_ns: int
    """Of all tasks, by /proc/schedstat."""
    usage_ns: int
    """Of the engine, by its cpu.stat."""
    foreign: Foreign | None
    """None where no daemon runs."""
    migrations: int
    involuntary_switches: int
    throttled_periods: int
    late_ns: dict[str, int]
    """p50, p99, p99.9 and the longest of how late the engine woke."""
    served_ns: dict[str, int]

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """As the guest wrote it."""
        foreign = told["foreign"]
        return cls(**{**told, "foreign": Foreign(**foreign) if foreign else None})

    @property
    def is_silent(self) -> bool:
        """Whether nothing but the engine and kernel threads of its very CPUs was switched to."""
        return not (self.foreign_switches[Kind.USER] or self.foreign_switches[Kind.KERNEL])

    @property
    def foreign_s(self) -> float:
        """Seconds that tasks ran on the engine's CPUs though they could run elsewhere, by the trace."""
        return (self.foreign_ns[Kind.USER] + self.foreign_ns[Kind.KERNEL]) / 1e9

    @property
    def alone_percent(self) -> float:
        """Of the CPUs' time; per-CPU kernel threads are not counted against it."""
        return 100 - 100 * self.foreign_s / (self.seconds * len(self.cpus))

    @property
    def error_s(self) -> float:
        """By how much schedstat less the engine's usage differs from what the trace saw of others."""
        return (self.run_time_ns - self.usage_ns - sum(self.foreign_ns.values())) / 1e9
