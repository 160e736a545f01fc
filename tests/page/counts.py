"""What the kernel would have counted of a node's pods, in files: run time, throttling, where memory lies."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pinfold.planning.ledger import PodEntry
from pinfold.report.snapshot import KernelView, PodStatus
from pinfold.topology.model import Topology

GIB = 1 << 30
LOAD = 0.8
"""How busy every CPU was."""


def write_counts(root: Path, topology: Topology, pods: Iterable[PodStatus], seconds: int) -> None:
    """As they are after so many *seconds*: below ``cgroup`` and ``proc``."""
    ran_ns = round(seconds * LOAD * 1e9)
    lines = [f"cpu{cpu} 0 0 0 0 0 0 {ran_ns} 0 0\n" for cpu in topology.online]
    (root / "proc/schedstat").write_text(f"version 17\ntimestamp 1\n{''.join(lines)}")
    (root / "proc/stat").write_text("".join(f"cpu{cpu} 0 0 0 0 0 0 0 0 0 0\n" for cpu in topology.online))
    for pod in pods:
        if pod.entry and pod.kernel.pod:
            number = int(pod.uid[:8], 16)
            foreign_s = seconds * (0.0055 if number % 9 == 4 else 0.000013)
            _write(root, pod.kernel.pod, **{"cpu.stat": _cpu_stat(pod.kernel.pod, seconds, foreign_s)})
            _write(root, pod.kernel.pod, **{"memory.numa_stat": _numa_stat(pod.entry, number)})
            _write(root, pod.kernel.pod, **{"cpu.pressure": _pressure(seconds * 900), "memory.pressure": _pressure(7)})
            for place, view in enumerate(pod.kernel.containers.values()):
                periods = seconds * 10 if place else 0  # the first has its slice, and no quota
                throttled = seconds if place and number % 4 == 0 else 0
                _write(root, view, **{"cpu.stat": _cpu_stat(view, seconds, foreign_s, periods, throttled)})


def _cpu_stat(view: KernelView, seconds: int, foreign_s: float, periods: int = 0, throttled: int = 0) -> str:
    used_us = round((len(view.cpus) * LOAD * seconds - foreign_s) * 1e6) if seconds else 0
    return f"usage_usec {used_us}\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {throttled * 23000}\n"


def _pressure(total_us: int) -> str:
    return "".join(f"{who} avg10=0.00 avg60=0.00 avg300=0.00 total={total_us}\n" for who in ("some", "full"))


def _numa_stat(entry: PodEntry, number: int) -> str:
    """On the pod's nodes, and of every third pod a little elsewhere."""
    near = list(entry.mems) or [0]
    booked = sum(block.size_bytes for block in entry.blocks)
    anon = dict.fromkeys(near, booked * (40 + number % 7 * 5) // 100 // len(near))
    if number % 3 == 0:
        far = (near[0] + 1) % 2
        anon[far] = anon.get(far, 0) + booked * (number % 5) // 100
    file = dict.fromkeys(near, booked // 10)
    return f"anon{_nodes(anon)}\nfile{_nodes(file)}\nshmem{_nodes(file)}\n"


def _nodes(sizes: Mapping[int, int]) -> str:
    return "".join(f" N{node}={size}" for node, size in sorted(sizes.items()))


def _write(root: Path, view: KernelView, **files: str) -> None:
    directory = root / "cgroup" / view.cgroup
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
