"""How silent an engine's CPUs are: unpinned, and in each way that Pinfold has, on a real kernel, beside noise.

    python -m tests.prove --seconds 60 --kernel 6.12

Boots a machine for each regime and one more with an intruder. What is counted is proof: which tasks were switched to
on the engine's CPUs, by the scheduler's own trace points. The latencies only inform: the virtual CPUs outnumber the
real ones, so they are shown as ratios to the unpinned engine. `--json FILE` also writes all of it.
"""

import argparse
import json
import sys
from collections.abc import Callable
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
LEGEND = """\
USER, KTHREAD, PER-CPU: switches to a task that is not the engine's, on the CPUs that the engine may use: user tasks,
kernel threads that could run elsewhere, kernel threads of that CPU. MOVED: the engine to another CPU. FORCED: the
engine off its CPU. THROTTLED: periods. ALONE: of the CPUs' time, not counting per-CPU kernel threads. LATE: how late
the engine woke, as a ratio to unpinned."""


def measured(regime: Regime, seconds: float, kernel: Kernel, *, intruder: bool = False) -> Outcome:
    """The guest's outcome. Raises BenchError where there is none."""
    done = run_in_vm(
        ["python3", "-m", "tests.prove.guest", regime, str(seconds), *(["--intruder"] if intruder else [])],
        kernel=kernel, init="systemd", smp="12,sockets=2,cores=3,threads=2", numa="2", timeout_s=300 + 3 * seconds,
    )  # fmt: skip
    if done.status:
        raise BenchError(f"{regime}: exit {done.status}:\n{done.output[-3000:]}")
    return Outcome(**json.loads(done.output.splitlines()[-1]))


def table(outcomes: dict[str, Outcome]) -> str:
    rows = [("", *COLUMNS)]
    for name, one in outcomes.items():
        rows.append((name, *(column(one, outcomes[Regime.UNPINNED]) for column in COLUMNS.values())))
    first, *others = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    return "\n".join(
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    )


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
        outcomes: dict[str, Outcome] = {regime: measured(regime, args.seconds, args.kernel) for regime in Regime}
        outcomes["intruder"] = measured(Regime.SHRINK, args.seconds, args.kernel, intruder=True)
    except (BenchError, NotAvailableError) as error:
        print(f"prove: {error}", file=sys.stderr)
        return 1
    print(f"Linux {outcomes[Regime.UNPINNED].kernel}, {args.seconds:.0f} s each\n\n{table(outcomes)}\n\n{LEGEND}\n")
    for name, one in outcomes.items():
        print(f"{name}: schedstat less the engine's usage differs from the trace by {one.error_s:+.3f} s")
    if args.json:
        found = {name: asdict(one) for name, one in outcomes.items()}
        args.json.write_text(json.dumps({**described(__version__), "outcomes": found}, indent=1))
    silent = not any(outcomes[regime].foreign_switches[Kind.USER] for regime in (Regime.PARTITION, Regime.ISOLATED))
    return 0 if silent and outcomes["intruder"].foreign_switches[Kind.USER] else 1


if __name__ == "__main__":
    sys.exit(main())
