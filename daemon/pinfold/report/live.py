"""What moves all the time, read while somebody looks and never else: the CPUs' times, and the pods' throttling.

Nothing is kept: the figures are the kernel's own counts, and whoever looks twice has what happened in between.
Source: proc_stat(5), cgroup-v2.rst (cpu.stat).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pinfold.report.snapshot import PodStatus
from pinfold.report.usage import CPU_STAT, ReadFiles, flat_keyed


class CpuTime(NamedTuple):
    """Of one CPU, in USER_HZ ticks since the machine booted."""

    busy: int
    """All but idle and waiting for I/O."""
    all: int


def cpu_times(proc: Path = Path("/proc")) -> dict[int, CpuTime]:
    """Of every online CPU; none where /proc/stat cannot be read.

    ``psutil.cpu_times(percpu=True)`` gives a list that does not say which CPU is which: one offline CPU shifts it.
    """
    try:
        text = (proc / "stat").read_text()
    except OSError:
        return {}
    times = {}
    for name, *fields in map(str.split, text.splitlines()):
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(one) for one in fields[:8]]  # guest time, which follows, is in user time already
            times[int(name[3:])] = CpuTime(sum(ticks) - ticks[3] - ticks[4], sum(ticks))
    return times


@dataclass(frozen=True, slots=True)
class Throttling:
    """By the quotas of a pod and of its containers, since they started."""

    periods: int = 0
    """In which a quota was enforced; 0: there is none, or nothing was read."""
    throttled_periods: int = 0
    throttled_seconds: float = 0.0


def throttling(pods: Iterable[PodStatus], read: ReadFiles) -> dict[str, Throttling]:
    """Of the pods that own CPUs and have a cgroup, by UID."""
    return {pod.uid: _throttled(pod, pod.kernel.pod.cgroup, read) for pod in pods if pod.owned and pod.kernel.pod}


def _throttled(pod: PodStatus, cgroup: str, read: ReadFiles) -> Throttling:
    cgroups = (cgroup, *(view.cgroup for view in pod.kernel.containers.values()))
    counts = [flat_keyed(read(one, (CPU_STAT,)).get(CPU_STAT, "")) for one in cgroups]
    periods, throttled, us = (
        sum(count.get(key, 0) for count in counts) for key in ("nr_periods", "nr_throttled", "throttled_usec")
    )
    return Throttling(periods, throttled, us / 1e6)


def cpus_json(etag: str, times: Mapping[int, CpuTime]) -> dict[str, Any]:
    """What ``/usage/cpus`` answers; *etag* is the status document's, so that one question tells whether it changed."""
    return {"etag": etag, "ticks": {str(cpu): list(time) for cpu, time in times.items()}}


def pods_json(found: Mapping[str, Throttling]) -> dict[str, Any]:
    """What ``/usage/pods`` answers, by UID."""
    return {
        "pods": {
            uid: {
                "periods": one.periods,
                "throttledPeriods": one.throttled_periods,
                "throttledSeconds": one.throttled_seconds,
            }
            for uid, one in found.items()
        }
    }
