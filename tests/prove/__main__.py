"""How silent an engine's CPUs are: unpinned, and in each way that Pinfold has, on a real kernel, beside noise.

    python -m tests.prove --seconds 60 --kernel 6.12

Boots a machine without Pinfold, one that holds pools by shrinking, one that holds two by partitions of both kinds, and
one more with an intruder. What is counted is proof: which tasks were switched to
on the engine's CPUs, by the scheduler's own trace points. The latencies only inform: the virtual CPUs outnumber the
real ones, so they are shown as ratios to the unpinned engine. `--json FILE` also writes all of it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pinfold import __version__
from tests.bench.machine import described
from tests.prove.outcome import Kind, Outcome, Regime
from tests.vm.host import BenchError, NotAvailableError
from tests.vm.machine import run_in_vm

Kernel = Literal["6.12", "new"]
COLUMNS: dict[str, Callable[[Outcome, Outcome], str]] = {
    "CPUS": lambda one, _: str(len(one.cpus)),
    "USER": lambda one, _: str(one.foreign_switches[Kind.USER]),
    "KTHREAD": lambda one, _: str(one.foreign_switches[Kind.KERNEL]),
    "PER-CPU": lambda one, _: str(one.foreign_switches[Kind.PER_CPU]),
    "MOVED": lambda one, _: str(one.migrations),
    "FORCED": lambda one, _: str(one.involuntary_switches),
    "THROTTLED": lambda one, _: str(one.throttled_periods),
    "ALONE %": lambda one, _: f"{one.alone_percent:.3f}",
    "LATE p50": lambda one, unpinned: _ratio(one, unpinned, "p50"),
    "p99": lambda one, unpinned: _ratio(one, unpinned, "p99"),
    "p99.9": lambda one, unpinned: _ratio(one, unpinned, "p99.9"),
}
MACHINES: tuple[tuple[Regime, ...], ...] = (
    (Regime.UNPINNED,),
    (Regime.SHRINK,),
    (Regime.PARTITION, Regime.ISOLATED),
)
WITNESSES = """\
What ran on the engine's CPUs and was not the engine, per-CPU kernel threads too. TRACE: by sched_stat_runtime, between
the two scrapes and around them. METRIC: by how much pinfold_exclusive_foreign_seconds grew. STATED: its error, by
pinfold_exclusive_foreign_error_seconds of both scrapes, and the engine's longest stint on each CPU, not counted yet."""
LEGEND = """\
USER, KTHREAD, PER-CPU: switches to a task that is not the engine's, on the CPUs that the engine may use: user tasks,
kernel threads that could run elsewhere, kernel threads of that CPU. MOVED: the engine to another CPU. FORCED: the
engine off its CPU. THROTTLED: periods. ALONE: of the CPUs' time, not counting per-CPU kernel threads. LATE: how late
the engine woke, as a ratio to unpinned."""


def measured(regimes: Sequence[Regime], seconds: float, kernel: Kernel, *, intruder: bool = False) -> list[Outcome]:
    """The guest's outcomes. Raises BenchError where there are none."""
    command = ["python3", "-m", "tests.prove.guest", *regimes, "--seconds", str(seconds)]
    done = run_in_vm(
        [*command, *(["--intruder"] if intruder else [])],
        kernel=kernel, init="systemd", smp="12,sockets=2,cores=3,threads=2", numa="2", timeout_s=900 + 3 * seconds,
    )  # fmt: skip
    if done.status:
        raise BenchError(f"{' '.join(regimes)}: exit {done.status}:\n{done.output[-3000:]}")
    return [Outcome.of(one) for one in json.loads(done.output.splitlines()[-1])]


def table(outcomes: dict[str, Outcome]) -> str:
    rows = [("", *COLUMNS)]
    for name, one in outcomes.items():
        rows.append((name, *(column(one, outcomes[Regime.UNPINNED]) for column in COLUMNS.values())))
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    first, *others = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    return "\n".join(
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    )


def witnesses(outcomes: dict[str, Outcome]) -> str:
    rows = [("", "TRACE s", "METRIC s", "OFF s", "STATED s", "")]
    for name, one in outcomes.items():
        if it := one.foreign:
            low, high = it.trace_s
            stated = f"{it.error_s:.4f} + {it.stint_s:.4f}"
            told = "agree" if it.agrees else "DIFFER"
            rows.append((name, f"{low:.4f} to {high:.4f}", f"{it.metric_s:.4f}", f"{it.off_s:.4f}", stated, told))
    return _aligned(rows)


def _ratio(one: Outcome, unpinned: Outcome, quantile: str) -> str:
    return f"{one.late_ns[quantile] / max(1, unpinned.late_ns[quantile]):.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.prove", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kernel", choices=("6.12", "new"), default="6.12")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    args = parser.parse_args()
    try:
        outcomes = {one.regime: one for regimes in MACHINES for one in measured(regimes, args.seconds, args.kernel)}
        (outcomes["intruder"],) = measured([Regime.SHRINK], args.seconds, args.kernel, intruder=True)
    except (BenchError, NotAvailableError) as error:
        print(f"prove: {error}", file=sys.stderr)
        return 1
    print(f"Linux {outcomes[Regime.UNPINNED].kernel}, {args.seconds:.0f} s each\n\n{table(outcomes)}\n\n{LEGEND}\n")
    print(f"{witnesses(outcomes)}\n\n{WITNESSES}\n")
    for name in (Regime.PARTITION, Regime.ISOLATED, "intruder"):
        tasks = ", ".join(f"{task} {count}" for task, count in outcomes[name].foreign_tasks.items())
        print(f"{name}: beside the engine ran {tasks or 'nothing'}")
    if args.json:
        found = {name: asdict(one) for name, one in outcomes.items()}
        args.json.write_text(json.dumps({**described(__version__), "outcomes": found}, indent=1))
    silent = all(outcomes[regime].is_silent for regime in (Regime.PARTITION, Regime.ISOLATED))
    agree = all(one.foreign.agrees for one in outcomes.values() if one.foreign)
    return 0 if silent and agree and outcomes["intruder"].foreign_switches[Kind.USER] else 1


if __name__ == "__main__":
    sys.exit(main())
