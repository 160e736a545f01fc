"""What one regime showed."""

from dataclasses import dataclass
from enum import StrEnum


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
    metric_s: float | None
    """pinfold_exclusive_foreign_seconds, of this time."""
    migrations: int
    involuntary_switches: int
    throttled_periods: int
    late_ns: dict[str, int]
    """p50, p99, p99.9 and the longest of how late the engine woke."""
    served_ns: dict[str, int]

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
