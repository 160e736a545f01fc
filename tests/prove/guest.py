"""Regimes on a real kernel: engines beside neighbours that are not silent, and who ran on their CPUs.

    python -m tests.vm --init systemd --smp 12 -- python3 -m tests.prove.guest partition isolated --seconds 60

Runs as root in the guest; the last line is the outcomes as JSON.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from tests.prove.outcome import Foreign, Kind, Outcome, Regime
from tests.prove.trace import Ran, Trace, Watch, read, run_time_ns
from tests.vm.daemon import MANIFESTS, Daemon, until
from tests.vm.node import Node, Process
from tests.vm.node.tasks import CGROUPS, PF_KTHREAD, parse

HERE = Path(__file__).parent
PYTHON = ("/usr/bin/python3", "-I", "-S")
NOISE = [*PYTHON, str(HERE / "noise.py")]
NEIGHBOURS = 4
"""In each of system.slice and a burstable pod; the engine has a sidecar that is as noisy."""


def name_of(regime: Regime) -> str:
    return f"engine-{regime}"


def result_of(regime: Regime) -> Path:
    return Path(f"/run/{name_of(regime)}.json")


def engine_pod(regime: Regime) -> dict[str, Any]:
    own = {"cpu": "2", "memory": "64Mi"}
    pool = {"cpu": "3", "memory": "128Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name_of(regime),
            "namespace": "prove",
            "uid": f"0b8a3e52-7c41-4c9e-9d4a-2f61c6a7d00{[*Regime].index(regime)}",
            "annotations": {"pinfold.dev/isolated": "true"} if regime is Regime.ISOLATED else {},
        },
        "spec": {
            "resources": {"requests": pool, "limits": pool},
            "containers": [
                {
                    "name": "engine",
                    "image": "engine",
                    "command": [*PYTHON, str(HERE / "engine.py")],
                    "env": [{"name": "RESULT", "value": str(result_of(regime))}],
                    "resources": {"requests": own, "limits": own},
                },
                {"name": "exporter", "image": "exporter", "command": NOISE},
            ],
        },
    }


def noisy_pod() -> dict[str, Any]:
    container = {"image": "noise", "command": NOISE, "resources": {"requests": {"cpu": "100m"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "noise", "namespace": "prove", "uid": "0b8a3e52-7c41-4c9e-9d4a-2f61c6a7d009"},
        "spec": {"containers": [{"name": f"noise{place}", **container} for place in range(NEIGHBOURS)]},
    }


class Pinned(Daemon):
    """The daemon as the regime wants it, sampling what ran where every few seconds."""

    def __init__(self, regime: Regime) -> None:
        exclusivity = "shrink" if regime is Regime.SHRINK else "partition"
        self.ARGUMENTS = (*Daemon.ARGUMENTS, "--set", f"exclusivity={exclusivity}", "--set", "irqGuard=slices")
        super().__init__()


def play(regimes: Sequence[Regime], seconds: float, *, intruder: bool) -> list[Outcome]:
    """One machine with an engine for each of *regimes*, which the same daemon can hold, or none."""
    MANIFESTS.mkdir(parents=True, exist_ok=True)
    node = Node("systemd")
    daemon = None if Regime.UNPINNED in regimes else Pinned(regimes[0])  # first: noise would be in its way
    for pod in (*map(engine_pod, regimes), noisy_pod()):
        (MANIFESTS / f"{pod['metadata']['name']}.yaml").write_text(yaml.safe_dump(pod))
        node.start_pod(pod)
    for place in range(NEIGHBOURS):
        subprocess.run(["systemd-run", "-q", f"--unit=noise{place}", *NOISE], check=True)
    names = [f"prove/{name_of(regime)}" for regime in regimes]
    if daemon and not until("the engines are pinned", lambda: daemon.settled(*names)):
        sys.exit(f"the engines are not pinned: {daemon.pods()}")
    engines = [Engine(regime, _process(node, regime)) for regime in regimes]
    if intruder:
        cpu = engines[0].cpus[-1]
        subprocess.Popen([*PYTHON, str(HERE / "intruder.py"), str(cpu)], preexec_fn=_to_the_root_cgroup)
    time.sleep(3)
    return _measured(engines, seconds, daemon)


def _process(node: Node, regime: Regime) -> Process:
    name = f"prove/{name_of(regime)}"
    return next(one for one in node.processes() if one.pod == name and one.container == "engine")


def _to_the_root_cgroup() -> None:
    (CGROUPS / "cgroup.procs").write_text(str(os.getpid()))


@dataclass(frozen=True, slots=True)
class Counts:
    """Of an engine, at one moment."""

    status: dict[str, str]
    cpu_stat: dict[str, int]
    ran_ns: int
    """Of all tasks, on its CPUs."""


class Engine:
    def __init__(self, regime: Regime, process: Process) -> None:
        self.regime = regime
        self.pid = process.pid
        self.cpus = sorted(parse(_status(process.pid)["Cpus_allowed_list"]))
        self._cgroup = CGROUPS / process.cgroup.lstrip("/")

    def counts(self) -> Counts:
        return Counts(_status(self.pid), _cpu_stat(self._cgroup), run_time_ns(self.cpus))

    def tasks(self) -> set[int]:
        return {int(tid.name) for tid in Path(f"/proc/{self.pid}/task").iterdir()}

    def ended(self) -> dict[str, list[int]]:
        """What it measured itself."""
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        return dict(json.loads(result_of(self.regime).read_text()))


@dataclass(frozen=True, slots=True)
class Scrape:
    """The metrics, and the trace right before and after."""

    before: dict[str, str]
    metrics: str
    after: dict[str, str]

    @classmethod
    def now(cls, watch: Watch, daemon: Daemon | None) -> Self:
        return cls(watch.texts(), daemon.get("/metrics") if daemon else "", watch.texts())

    def seconds(self, metric: str, regime: Regime) -> float:
        """Of the engine, as the daemon says."""
        line = rf'pinfold_{metric}{{(?=.*container="engine")(?=.*pod="{name_of(regime)}").*}} (\S+)'
        return sum(map(float, re.findall(line, self.metrics)))


def _measured(engines: Sequence[Engine], seconds: float, daemon: Daemon | None) -> list[Outcome]:
    watch = Watch()
    first, before, began = Scrape.now(watch, daemon), [one.counts() for one in engines], time.monotonic()
    for engine in engines:
        os.kill(engine.pid, signal.SIGUSR1)
    time.sleep(seconds)
    after, took_s = [one.counts() for one in engines], time.monotonic() - began
    last = Scrape.now(watch, daemon)
    watch.close()
    within, around = read(last.before).since(read(first.after)), read(last.after).since(read(first.before))
    seen = [Seen.of(engine, around) for engine in engines]
    return [
        _outcome(engine, one, within, around, counts, took_s, (first, last) if daemon else None)
        for engine, one, counts in zip(engines, seen, zip(before, after, strict=True), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Seen:
    """The tasks that ran on an engine's CPUs, and what they are: looked at before any of them ends."""

    tasks: set[int]
    """The engine's."""
    kinds: dict[Ran, Kind]
    """Of the others."""

    @classmethod
    def of(cls, engine: Engine, trace: Trace) -> Self:
        tasks = engine.tasks()
        rans = (ran for ran in trace.switches if ran.pid and ran.pid not in tasks and ran.cpu in engine.cpus)
        return cls(tasks, {ran: _kind(ran) for ran in rans})

    def run_ns(self, trace: Trace) -> dict[str, int]:
        """By `Kind`. A per-CPU thread runs on its CPU alone, whichever counted that."""
        of_pid: Counter[int] = Counter()
        for ran, run_ns in trace.run_ns.items():
            of_pid[ran.pid] += run_ns
        per_cpu = {ran.pid for ran, kind in self.kinds.items() if kind is Kind.PER_CPU}
        by_kind: dict[str, int] = {kind: sum(trace.run_ns.get(ran, 0) for ran in self._of(kind)) for kind in Kind}
        by_kind[Kind.PER_CPU] = sum(of_pid[pid] for pid in per_cpu)
        return by_kind

    def switches(self, trace: Trace) -> dict[str, int]:
        return {kind: sum(trace.switches.get(ran, 0) for ran in self._of(kind)) for kind in Kind}

    def by_name(self, trace: Trace) -> dict[str, int]:
        names: Counter[str] = Counter()
        for ran, kind in self.kinds.items():
            names[f"{ran.comm} ({kind})"] += trace.switches[ran]
        return dict(names.most_common())

    def _of(self, kind: Kind) -> list[Ran]:
        return [ran for ran, one in self.kinds.items() if one is kind]


def _outcome(
    engine: Engine,
    seen: Seen,
    within: Trace,
    around: Trace,
    counts: tuple[Counts, Counts],
    took_s: float,
    scrapes: tuple[Scrape, Scrape] | None,
) -> Outcome:
    before, after = counts
    measured = engine.ended()
    served = _quantiles(measured["served_ns"])
    run_ns = seen.run_ns(around)
    foreign = None
    if scrapes:
        first, last = (one.seconds("exclusive_foreign_seconds", engine.regime) for one in scrapes)
        errors_s = (one.seconds("exclusive_foreign_error_seconds", engine.regime) for one in scrapes)
        trace_s = sum(seen.run_ns(within).values()) / 1e9, sum(run_ns.values()) / 1e9
        foreign = Foreign(trace_s, last - first, sum(errors_s), len(engine.cpus) * served["max"] / 1e9)
    switched = ((ran, count) for ran, count in around.switches.items() if ran.pid in seen.tasks)
    return Outcome(
        regime=engine.regime,
        seconds=round(took_s, 1),
        kernel=os.uname().release,
        cpus=engine.cpus,
        engine_switches=sum(count for ran, count in switched if ran.cpu in engine.cpus),
        foreign_switches=seen.switches(around),
        foreign_ns=run_ns,
        foreign_tasks=seen.by_name(around),
        run_time_ns=after.ran_ns - before.ran_ns,
        usage_ns=(after.cpu_stat["usage_usec"] - before.cpu_stat["usage_usec"]) * 1000,
        foreign=foreign,
        migrations=sum(count for pid, count in around.migrations.items() if pid in seen.tasks),
        involuntary_switches=_counted(after.status, before.status, "nonvoluntary_ctxt_switches"),
        throttled_periods=after.cpu_stat.get("nr_throttled", 0) - before.cpu_stat.get("nr_throttled", 0),
        late_ns=_quantiles(measured["late_ns"]),
        served_ns=served,
    )


def _kind(ran: Ran) -> Kind:
    """Of a task; one that is gone is the kernel's own where it has a worker's name."""
    try:
        flags = int(Path(f"/proc/{ran.pid}/stat").read_text().rpartition(")")[2].split()[6])
        is_kernel, alone = bool(flags & PF_KTHREAD), len(parse(_status(ran.pid)["Cpus_allowed_list"])) == 1
    except (FileNotFoundError, ProcessLookupError):
        is_kernel, alone = ran.comm.startswith("kworker/"), bool(re.match(r"kworker/\d", ran.comm))
    if not is_kernel:
        return Kind.USER
    return Kind.PER_CPU if alone else Kind.KERNEL


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _cpu_stat(cgroup: Path) -> dict[str, int]:
    pairs = (line.split() for line in (cgroup / "cpu.stat").read_text().splitlines())
    return {key: int(value) for key, value in pairs}


def _counted(after: dict[str, str], before: dict[str, str], key: str) -> int:
    return int(after[key]) - int(before[key])


def _quantiles(values: list[int]) -> dict[str, int]:
    ordered = sorted(values)
    places = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    return {name: ordered[int(share * (len(ordered) - 1))] for name, share in places.items()} | {"max": ordered[-1]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regimes", type=Regime, choices=list(Regime), nargs="+")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--intruder", action="store_true", help="a task of the host asks for one of the first engine's CPUs"
    )
    args = parser.parse_args()
    outcomes = play(args.regimes, args.seconds, intruder=args.intruder)
    print(json.dumps([asdict(one) for one in outcomes]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
