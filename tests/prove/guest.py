"""One regime on a real kernel: an engine beside neighbours that are not silent, and who ran on its CPUs.

    python -m tests.vm --init systemd --smp 12,sockets=2,cores=3,threads=2 -- python3 -m tests.prove.guest partition 60

Runs as root in the guest; the last line is the outcome as JSON.
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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from tests.prove.outcome import Kind, Outcome, Regime
from tests.prove.trace import Ran, Trace, Watch, run_time_ns
from tests.vm.daemon import MANIFESTS, Daemon, until
from tests.vm.node import Node, Process
from tests.vm.node.tasks import CGROUPS, PF_KTHREAD, parse

HERE = Path(__file__).parent
PYTHON = ("/usr/bin/python3", "-I", "-S")
NOISE = [*PYTHON, str(HERE / "noise.py")]
RESULT = Path("/run/engine.json")
POD = "prove/engine"
NEIGHBOURS = 4
"""In each of system.slice and a burstable pod; the engine has a sidecar that is as noisy."""


def engine_pod(regime: Regime) -> dict[str, Any]:
    own = {"cpu": "2", "memory": "64Mi"}
    pool = {"cpu": "3", "memory": "128Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "engine",
            "namespace": "prove",
            "uid": "0b8a3e52-7c41-4c9e-9d4a-2f61c6a7d001",
            "annotations": {"pinfold.dev/isolated": "true"} if regime is Regime.ISOLATED else {},
        },
        "spec": {
            "resources": {"requests": pool, "limits": pool},
            "containers": [
                {
                    "name": "engine",
                    "image": "engine",
                    "command": [*PYTHON, str(HERE / "engine.py")],
                    "env": [{"name": "RESULT", "value": str(RESULT)}],
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
        "metadata": {"name": "noise", "namespace": "prove", "uid": "0b8a3e52-7c41-4c9e-9d4a-2f61c6a7d002"},
        "spec": {"containers": [{"name": f"noise{place}", **container} for place in range(NEIGHBOURS)]},
    }


class Pinned(Daemon):
    """The daemon as the regime wants it, sampling what ran where every few seconds."""

    def __init__(self, regime: Regime) -> None:
        exclusivity = "shrink" if regime is Regime.SHRINK else "partition"
        self.ARGUMENTS = (*Daemon.ARGUMENTS, "--set", f"exclusivity={exclusivity}")
        super().__init__()


def play(regime: Regime, seconds: float, *, intruder: bool) -> Outcome:
    MANIFESTS.mkdir(parents=True, exist_ok=True)
    node = Node("systemd")
    for place in range(NEIGHBOURS):
        subprocess.run(["systemd-run", "-q", f"--unit=noise{place}", *NOISE], check=True)
    daemon = None if regime is Regime.UNPINNED else Pinned(regime)
    for pod in (engine_pod(regime), noisy_pod()):
        (MANIFESTS / f"{pod['metadata']['name']}.yaml").write_text(yaml.safe_dump(pod))
        node.start_pod(pod)
    if daemon and not until("the engine is pinned", lambda: daemon.settled(POD)):
        sys.exit(f"the engine is not pinned: {daemon.pods()}")
    engine = next(process for process in node.processes() if process.container == "engine")
    cpus = sorted(parse(_status(engine.pid)["Cpus_allowed_list"]))
    if intruder:
        subprocess.Popen([*PYTHON, str(HERE / "intruder.py"), str(cpus[-1])], preexec_fn=_to_the_root_cgroup)
    time.sleep(3)
    return _measured(regime, seconds, engine, cpus, daemon)


def _to_the_root_cgroup() -> None:
    (CGROUPS / "cgroup.procs").write_text(str(os.getpid()))


def _foreign_s(daemon: Daemon | None) -> float:
    """Since the engine was confined, as the daemon measures it at the scrape."""
    return daemon.metric("pinfold_exclusive_foreign_seconds") if daemon else 0.0


def _measured(regime: Regime, seconds: float, engine: Process, cpus: list[int], daemon: Daemon | None) -> Outcome:
    cgroup = CGROUPS / engine.cgroup.lstrip("/")
    watch, foreign_s = Watch(), _foreign_s(daemon)
    before, stat, ran_ns, began = _status(engine.pid), _cpu_stat(cgroup), run_time_ns(cpus), time.monotonic()
    os.kill(engine.pid, signal.SIGUSR1)
    time.sleep(seconds)
    tasks = {int(tid.name) for tid in Path(f"/proc/{engine.pid}/task").iterdir()}
    ran_ns, took_s = run_time_ns(cpus) - ran_ns, time.monotonic() - began
    after, stat_after = _status(engine.pid), _cpu_stat(cgroup)
    trace = watch.read()
    kinds = {ran: _kind(ran) for ran in trace.switches if ran.pid and ran.pid not in tasks and ran.cpu in cpus}
    os.kill(engine.pid, signal.SIGTERM)
    os.waitpid(engine.pid, 0)
    measured = json.loads(RESULT.read_text())
    return Outcome(
        regime=regime,
        seconds=round(took_s, 1),
        kernel=os.uname().release,
        cpus=cpus,
        engine_switches=sum(count for ran, count in trace.switches.items() if ran.pid in tasks and ran.cpu in cpus),
        foreign_switches=_by_kind(kinds, trace.switches),
        foreign_ns=_by_kind(kinds, trace.run_ns),
        foreign_tasks=_by_name(kinds, trace),
        run_time_ns=ran_ns,
        usage_ns=(stat_after["usage_usec"] - stat["usage_usec"]) * 1000,
        metric_s=_foreign_s(daemon) - foreign_s if daemon else None,
        migrations=sum(count for pid, count in trace.migrations.items() if pid in tasks),
        involuntary_switches=_counted(after, before, "nonvoluntary_ctxt_switches"),
        throttled_periods=stat_after.get("nr_throttled", 0) - stat.get("nr_throttled", 0),
        late_ns=_quantiles(measured["late_ns"]),
        served_ns=_quantiles(measured["served_ns"]),
    )


def _by_kind(kinds: dict[Ran, Kind], counts: dict[Ran, int]) -> dict[str, int]:
    return {kind: sum(counts.get(ran, 0) for ran, one in kinds.items() if one is kind) for kind in Kind}


def _by_name(kinds: dict[Ran, Kind], trace: Trace) -> dict[str, int]:
    names: Counter[str] = Counter()
    for ran, kind in kinds.items():
        names[f"{ran.comm} ({kind})"] += trace.switches[ran]
    return dict(names.most_common())


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
    parser.add_argument("regime", type=Regime, choices=list(Regime))
    parser.add_argument("seconds", type=float)
    parser.add_argument("--intruder", action="store_true", help="a task of the host asks for one of the engine's CPUs")
    args = parser.parse_args()
    print(json.dumps(asdict(play(args.regime, args.seconds, intruder=args.intruder))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
