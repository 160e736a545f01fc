"""What moves all the time, read while somebody looks and never else: CPU times, the pods' memory and throttling.

Nothing is kept: the figures are the kernel's own counts, and whoever looks twice has what happened in between.
Source: proc_stat(5), cgroup-v2.rst (memory.numa_stat, cpu.stat).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pinfold.report.snapshot import PodStatus, Snapshot
from pinfold.report.usage import CPU_STAT, ReadFiles, flat_keyed

MEMORY_STAT = "memory.numa_stat"
_RESIDENT = ("anon", "file")
"""Lines of it that together are what a pod holds, tmpfs and shared memory included."""


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
class PodUsage:
    memory_bytes: Mapping[int, int] = field(default_factory=dict)
    """By NUMA node; empty where it was not read."""
    local_share: float | None = None
    """Of its memory, on the nodes of its CPUs; None where there is none."""
    periods: int = 0
    """Of its quota and its containers', enforced so far."""
    throttled_periods: int = 0
    throttled_seconds: float = 0.0


def pod_usage(snapshot: Snapshot, read: ReadFiles) -> dict[str, PodUsage]:
    """Of the pods that own CPUs, by UID."""
    owners = (pod for pod in snapshot.pods if pod.owned)
    return {pod.uid: _usage(pod, snapshot, read) for pod in owners}


def _usage(pod: PodStatus, snapshot: Snapshot, read: ReadFiles) -> PodUsage:
    if pod.kernel.pod is None:
        return PodUsage()
    files = read(pod.kernel.pod.cgroup, (CPU_STAT, MEMORY_STAT))
    inside = [read(view.cgroup, (CPU_STAT,)) for view in pod.kernel.containers.values()]
    counts = [flat_keyed(one.get(CPU_STAT, "")) for one in (files, *inside)]
    by_node = _resident(files.get(MEMORY_STAT, ""))
    near = snapshot.topology.nodes_of(pod.owned)
    local = sum(size for node, size in by_node.items() if node in near)
    return PodUsage(
        by_node,
        local / sum(by_node.values()) if any(by_node.values()) else None,
        sum(one.get("nr_periods", 0) for one in counts),
        sum(one.get("nr_throttled", 0) for one in counts),
        sum(one.get("throttled_usec", 0) for one in counts) / 1e6,
    )


def _resident(numa_stat: str) -> dict[int, int]:
    """Node → bytes."""
    found: dict[int, int] = {}
    for name, *nodes in map(str.split, numa_stat.splitlines()):
        if name in _RESIDENT:
            for node, size in (word.split("=") for word in nodes):
                number = int(node.removeprefix("N"))
                found[number] = found.get(number, 0) + int(size)
    return found


def cpus_json(etag: str, times: Mapping[int, CpuTime]) -> dict[str, Any]:
    """What ``/usage/cpus`` answers; *etag* is the status document's, so that one question tells whether it changed."""
    return {"etag": etag, "ticks": {str(cpu): list(time) for cpu, time in times.items()}}


def pods_json(usage: Mapping[str, PodUsage]) -> dict[str, Any]:
    """What ``/usage/pods`` answers."""
    return {
        "pods": {
            uid: {
                "memoryBytes": {str(node): size for node, size in one.memory_bytes.items()},
                "localShare": one.local_share,
                "periods": one.periods,
                "throttledPeriods": one.throttled_periods,
                "throttledSeconds": one.throttled_seconds,
            }
            for uid, one in usage.items()
        }
    }
