"""What the kernel has counted of a pod's cgroups, read while a scrape waits: CPU time, throttling, pressure.

Nothing of it is kept. The words are cAdvisor's (``container_cpu_cfs_…``, ``container_pressure_…``), which the field's
dashboards are written in. Pure but for the reader that it is handed. Source: cgroup-v2.rst, accounting/psi.rst.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from pinfold.report.families import Family, counter
from pinfold.report.snapshot import PodStatus

ReadFiles = Callable[[str, tuple[str, ...]], Mapping[str, str]]
"""Cgroup and file names → the texts of those that are there. Called in threads of the endpoint; never raises."""


def no_files(cgroup: str, files: tuple[str, ...]) -> Mapping[str, str]:  # noqa: ARG001
    """Where there is no kernel to read."""
    return {}


CPU_STAT = "cpu.stat"
PRESSURES = {"cpu": "cpu.pressure", "memory": "memory.pressure", "io": "io.pressure"}

_MICROSECONDS = 1e-6
_POD = ("namespace", "pod")
_CFS = (
    ("pod_cpu_usage_seconds", "usage_usec", _MICROSECONDS, "CPU time that the pod or container used"),
    ("pod_cpu_cfs_periods", "nr_periods", 1.0, "Periods in which its CPU quota was enforced"),
    ("pod_cpu_cfs_throttled_periods", "nr_throttled", 1.0, "Periods in which it was throttled"),
    ("pod_cpu_cfs_throttled_seconds", "throttled_usec", _MICROSECONDS, "Time for which it was throttled"),
)


def usage(pods: Iterable[PodStatus], read: ReadFiles) -> Iterator[Family]:
    """Of the pods that own CPUs. A file that the kernel does not have makes no series."""
    owners = {(pod.namespace, pod.name): pod for pod in pods if pod.owned and pod.kernel.pod}
    counted: dict[tuple[str, ...], Mapping[str, int]] = {}
    pressed: dict[tuple[str, ...], Mapping[str, str]] = {}
    for key, pod in owners.items():
        at = pod.kernel.pod.cgroup if pod.kernel.pod else ""
        pressed[key] = texts = read(at, (CPU_STAT, *PRESSURES.values()))
        counted[(*key, "")] = flat_keyed(texts.get(CPU_STAT, ""))
        for name, view in pod.kernel.containers.items():
            counted[(*key, name)] = flat_keyed(read(view.cgroup, (CPU_STAT,)).get(CPU_STAT, ""))
    for name, field, unit, what in _CFS:
        series = {key: stat[field] * unit for key, stat in counted.items() if field in stat}
        yield counter(name, f"{what}; the container is empty for the pod's own cgroup.", (*_POD, "container"), series)
    for resource, file in PRESSURES.items():
        for line, word, who in (("some", "waiting", "some task"), ("full", "stalled", "every task")):
            totals = {key: total(texts.get(file, ""), line) for key, texts in pressed.items()}
            yield counter(
                f"pod_pressure_{resource}_{word}_seconds",
                f"Time in which {who} of the pod waited for {resource} (PSI, {line}).",
                _POD,
                {key: value * _MICROSECONDS for key, value in totals.items() if value is not None},
            )


def flat_keyed(text: str) -> dict[str, int]:
    """``KEY VALUE`` lines; what is no such line is left out."""
    pairs = (line.split(" ") for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def total(pressure: str, line: str) -> int | None:
    """Microseconds after ``total=`` in the line ``some`` or ``full``; None where it does not stand there."""
    for words in map(str.split, pressure.splitlines()):
        if words[:1] == [line]:
            value = words[-1].removeprefix("total=")
            return int(value) if value.isdecimal() else None
    return None
