"""How alone the owner of exclusive CPUs was: what ran there and was not his, measured and never clipped.

On CPUs that one cgroup owns, *foreign* is the time that anything ran, less the time that the owner used. Pure: the
kernel's texts in, values out. Source: sched-stats.rst (the 7th number of a CPU is its run time in ns), cgroup-v2.rst
(cpu.stat), proc_stat(5).

The error: the owner's time is read before and after the CPUs', and half of what lies between is ``error_s``. The kernel
adds to a CPU's run time when a task leaves it, and to the owner's at each tick: while one task runs on without a
switch, the figure is too low by that stint, below zero too, and with the switch it is right again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pinfold.cpuset import CpuSet
from pinfold.pods.model import PodUid

_RUN_TIME = 7
_IRQ, _SOFTIRQ = 6, 7


@dataclass(frozen=True, slots=True)
class Claim:
    """CPUs that one cgroup owns alone, as the kernel confirms."""

    uid: PodUid
    namespace: str
    pod: str
    container: str
    """Whose slice; empty: the pod's pool."""
    cgroup: str
    cpus: CpuSet


@dataclass(frozen=True, slots=True)
class Counts:
    """What the kernel had counted, read as nearly at one moment as can be."""

    at_s: float = 0.0
    """Monotonic."""
    ran_ns: Mapping[int, int] = field(default_factory=dict)
    """Run time of each online CPU since boot."""
    interrupted_s: Mapping[int, float] = field(default_factory=dict)
    """Of each, in interrupts and soft interrupts; counted at ticks."""
    used_before_us: Mapping[str, int] = field(default_factory=dict)
    """Run time of cgroups, read right before that of the CPUs."""
    used_after_us: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one claim's CPUs and cgroup."""

    at_s: float
    ran_ns: int
    used_us: float
    error_us: float
    interrupted_s: float


@dataclass(frozen=True, slots=True)
class Alone:
    """What came to pass on a claim's CPUs since it was first looked at."""

    claim: Claim
    foreign_s: float
    """Below zero where the kernel's two counts differ by more than what was foreign."""
    error_s: float
    measured_s: float
    """CPU seconds that there were: CPUs times the time."""
    interrupted_s: float

    @property
    def share(self) -> float | None:
        """Of all that time the part in which nothing foreign ran; None: no time has passed."""
        return 1 - self.foreign_s / self.measured_s if self.measured_s else None


@dataclass(frozen=True, slots=True)
class Watched:
    """The claims that are followed, each with the sample that it began with."""

    begun: Mapping[Claim, Sample] = field(default_factory=dict)

    def followed(self, claims: Iterable[Claim], counts: Counts) -> "Watched":
        """The same, with *claims* alone: who is new begins now, who changed in anything begins anew."""
        both = ((claim, self.begun.get(claim) or sampled(claim, counts)) for claim in claims)
        return Watched({claim: sample for claim, sample in both if sample})

    def measured(self, counts: Counts) -> tuple[Alone, ...]:
        """Of each claim whose CPUs and cgroup are still there."""
        now = ((claim, begun, sampled(claim, counts)) for claim, begun in self.begun.items())
        return tuple(_between(claim, begun, ended) for claim, begun, ended in now if ended)


def sampled(claim: Claim, counts: Counts) -> Sample | None:
    """None where a CPU is offline, or the cgroup gone."""
    before, after = counts.used_before_us.get(claim.cgroup), counts.used_after_us.get(claim.cgroup)
    if before is None or after is None or any(cpu not in counts.ran_ns for cpu in claim.cpus):
        return None
    return Sample(
        counts.at_s,
        sum(counts.ran_ns[cpu] for cpu in claim.cpus),
        (before + after) / 2,
        (after - before) / 2,
        sum(counts.interrupted_s.get(cpu, 0.0) for cpu in claim.cpus),
    )


def _between(claim: Claim, begun: Sample, ended: Sample) -> Alone:
    return Alone(
        claim,
        foreign_s=(ended.ran_ns - begun.ran_ns) / 1e9 - (ended.used_us - begun.used_us) / 1e6,
        error_s=(ended.error_us + begun.error_us) / 1e6,
        measured_s=len(claim.cpus) * (ended.at_s - begun.at_s),
        interrupted_s=ended.interrupted_s - begun.interrupted_s,
    )


def run_times_ns(schedstat: str) -> dict[int, int]:
    """CPU → run time, from /proc/schedstat; its lines for domains are passed over."""
    lines = (line.split() for line in schedstat.splitlines() if line.startswith("cpu"))
    return {int(words[0][3:]): int(words[_RUN_TIME]) for words in lines if len(words) > _RUN_TIME}


def interrupted_s(stat: str, ticks_per_s: int) -> dict[int, float]:
    """CPU → seconds in interrupts and soft interrupts, from /proc/stat."""
    lines = (line.split() for line in stat.splitlines() if line.startswith("cpu") and not line.startswith("cpu "))
    return {int(words[0][3:]): (int(words[_IRQ]) + int(words[_SOFTIRQ])) / ticks_per_s for words in lines}
