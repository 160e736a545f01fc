"""Every task that ran on a CPU, by the kernel's own word: histograms that it keeps at its scheduler's trace points.

Nothing is streamed, so that watching costs the watched CPUs little. Source: Documentation/trace/histogram.rst.
"""

import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

TRACEFS = Path("/sys/kernel/tracing")
SIZE = 8192
_SWITCHES = f"hist:keys=common_cpu,next_pid,next_comm:size={SIZE}"
_RUN_TIME = f"hist:keys=common_cpu,pid,comm:vals=runtime:size={SIZE}"
_MIGRATIONS = f"hist:keys=pid,comm:size={SIZE}"
_Key = TypeVar("_Key")
_ROW = re.compile(r"\{ (?P<keys>.*?) \} (?P<values>.*)")


class Ran(NamedTuple):
    """A task on a CPU; pid 0 is the idle task."""

    cpu: int
    pid: int
    comm: str


@dataclass(frozen=True, slots=True)
class Trace:
    switches: Mapping[Ran, int]
    """How often the task was switched to."""
    run_ns: Mapping[Ran, int]
    """By the CPU that counted it, which need not be the one that it ran on."""
    migrations: Mapping[int, int]
    """By pid: how often it was moved to another CPU."""

    def since(self, before: "Trace") -> "Trace":
        return Trace(
            _less(self.switches, before.switches),
            _less(self.run_ns, before.run_ns),
            _less(self.migrations, before.migrations),
        )


class Watch:
    """The histograms, while they are kept: counted from its making until `close`."""

    def __init__(self) -> None:
        if not (TRACEFS / "events").is_dir():
            subprocess.run(["mount", "-t", "tracefs", "tracefs", str(TRACEFS)], check=True)
        self._kept = {"sched_switch": _SWITCHES, "sched_stat_runtime": _RUN_TIME, "sched_migrate_task": _MIGRATIONS}
        for event, trigger in self._kept.items():
            self._file(event, "trigger").write_text(trigger)

    def texts(self) -> dict[str, str]:
        """What was counted until now, as the kernel shows it: to be `read` when there is time."""
        return {event: self._file(event, "hist").read_text() for event in self._kept}

    def close(self) -> None:
        for event, trigger in self._kept.items():
            self._file(event, "trigger").write_text(f"!{trigger}")

    def _file(self, event: str, name: str) -> Path:
        return TRACEFS / "events/sched" / event / name


def read(texts: Mapping[str, str]) -> Trace:
    """Raises RuntimeError where a histogram was too small."""
    for event, text in texts.items():
        if (dropped := re.search(r"Dropped: (\d+)", text)) and int(dropped[1]):
            raise RuntimeError(f"{event}: {dropped[1]} events found no place in {SIZE} rows")
    switches = {_ran(keys, "next_"): values["hitcount"] for keys, values in _rows(texts["sched_switch"])}
    run_ns = {_ran(keys): values["runtime"] for keys, values in _rows(texts["sched_stat_runtime"])}
    moved = {int(keys["pid"]): values["hitcount"] for keys, values in _rows(texts["sched_migrate_task"])}
    return Trace(switches, run_ns, moved)


def _less(after: Mapping[_Key, int], before: Mapping[_Key, int]) -> dict[_Key, int]:
    less = {key: count - before.get(key, 0) for key, count in after.items()}
    return {key: count for key, count in less.items() if count}


def _rows(text: str) -> list[tuple[dict[str, str], dict[str, int]]]:
    rows = [match for line in text.splitlines() if (match := _ROW.match(line))]
    return [(_pairs(row["keys"]), {key: int(value) for key, value in _pairs(row["values"]).items()}) for row in rows]


def _pairs(text: str) -> dict[str, str]:
    return {key: value.strip() for key, value in re.findall(r"(\w+):\s*(.*?)(?=,\s*\w+:|\s{2,}\w+:|$)", text)}


def _ran(keys: dict[str, str], prefix: str = "") -> Ran:
    return Ran(int(keys["common_cpu"]), int(keys[f"{prefix}pid"]), keys[f"{prefix}comm"])


def run_time_ns(cpus: Collection[int]) -> int:
    """Of all tasks on *cpus* since boot. Source: Documentation/scheduler/sched-stats.rst, the 7th number of cpuN."""
    lines = (line.split() for line in Path("/proc/schedstat").read_text().splitlines())
    return sum(int(fields[7]) for fields in lines if fields and fields[0] in {f"cpu{cpu}" for cpu in cpus})
