"""Hold the cpuset model to a real kernel, step by step.

    python -m tests.differential --seed 1 --steps 50000 --kernel 6.12

Random steps are taken on the model and, in a virtual machine, on the kernel; after each one every file of every
cgroup, every task's mask and the errno are compared. A difference is shown by the shortest sequence that was found for
it. Steps that would enter a faulty state of the kernel (`cpuset_model.Fault`) are kept out and counted.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

from tests.cpuset_model import V6_1, V6_12, V7_3, Fault
from tests.vm.host import BenchError
from tests.vm.machine import run_in_vm

from .generate import Generator
from .plan import TASKS, Bench, Sequence
from .steps import Step
from .tally import Tally

MODELS = {"6.1": V6_1, "6.12": V6_12, "new": V7_3}
ISOLCPUS = "6-7"
SHARE = 0.1  # of the steps are taken on a machine that was booted with isolcpus=
MOST_KEPT_OUT = 0.05
OFTEN = 50  # what a long run should meet each row
Kernel = Literal["6.1", "6.12", "new"]


@dataclass(slots=True)
class Run:
    """What came of all sequences on one kernel."""

    tally: Tally
    passed: int = 0
    failed: int = 0
    not_taken: int = 0
    kept_out: Counter[Fault] = field(default_factory=Counter)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.differential", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--kernel", choices=MODELS, default="6.12")
    args = parser.parse_args()
    run = Run(Tally(MODELS[args.kernel]))
    for isolcpus, share in (("", 1 - SHARE), (ISOLCPUS, SHARE)):
        bench = Bench(MODELS[args.kernel], isolcpus=isolcpus, isolated=isolcpus)
        generator = Generator(bench, Random(args.seed))
        compare(args.kernel, bench, list(generator.sequences(round(args.steps * share))), run)
        run.kept_out += generator.kept_out
    return report(run, args.kernel, args.seed)


def compare(kernel: Kernel, bench: Bench, sequences: list[Sequence], run: Run) -> None:
    """Replay *sequences* in a machine of their own and add what came of them to *run*."""
    steps = sum(len(one.steps) for one in sequences)
    heard = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace")
    ended = ""
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan")
        plan.write_text("".join(f"{line}\n" for line in (json.dumps(TASKS), *(one.line() for one in sequences))))
        try:
            with contextlib.redirect_stdout(heard):
                done = run_in_vm(
                    ["python3", "-m", "tests.differential.replay", str(plan), bench.kernel.name, bench.isolcpus],
                    kernel=kernel,
                    append=f"isolcpus={bench.isolcpus}" if bench.isolcpus else "",
                    shares=[Path(folder)],
                    timeout_s=600 + steps * 0.3,
                    echo=True,
                )
            ended = f"the machine ended with status {done.status}" if done.status else ""
        except BenchError as error:
            ended = str(error)
    heard.seek(0)
    before = run.passed
    begun = hear(heard.read(), bench, sequences, run)
    if ended:
        run.failed += 1
        print(f"{ended}\n{_where(bench)}in sequence {begun}:")
        print(*(f"    {step}" for step in sequences[begun].steps), sep="\n")
    run.not_taken += steps - (run.passed - before)


def hear(text: str, bench: Bench, sequences: list[Sequence], run: Run) -> int:
    """Add what the guest says to *run*; the number of the last sequence that it began."""
    begun = 0
    for line in text.splitlines():
        if not line.startswith("{"):
            print(line)  # the machine's own words
            continue
        said = json.loads(line)
        if "begins" in said:
            begun = said["begins"]
            continue
        run.tally.add(sequences[said["sequence"]], said["passed"])
        run.passed += said["passed"]
        if "at" in said:
            run.failed += 1
            show(said, bench)
    return begun


def _where(bench: Bench) -> str:
    return f"booted with isolcpus={bench.isolcpus}, " if bench.isolcpus else ""


def show(said: dict[str, object], bench: Bench) -> None:
    print(f"{_where(bench)}sequence {said['sequence']}, step {said['at']} differs; the shortest that was found:")
    steps, lines = said["steps"], said["lines"]
    if isinstance(steps, list) and isinstance(lines, list):
        print(*(f"    {Step.unpacked(packed)}" for packed in steps), sep="\n")
        print(*(f"  {text}" for text in lines), sep="\n")


def report(run: Run, kernel: str, seed: int) -> int:
    print(*run.tally.lines(), sep="\n")
    kept_out = run.kept_out.total()
    taken = run.passed + run.failed
    print(f"\nseed {seed}, kernel {kernel}: {kept_out} of {taken + kept_out} steps kept out by rule")
    for fault, count in run.kept_out.most_common():
        print(f"  {count} {fault.value}")
    if run.not_taken:
        print(f"{run.not_taken} steps not taken: after a difference the rest of its sequence says nothing")
    if rare := run.tally.rare(OFTEN):
        print(f"met less than {OFTEN} times: {'; '.join(rare)}")
    if too_many := kept_out > MOST_KEPT_OUT * (taken + kept_out):
        print(f"more than {MOST_KEPT_OUT:.0%} kept out")
    print(f"{run.passed} passed, {run.failed} failed")
    return 1 if run.failed or too_many else 0


if __name__ == "__main__":
    sys.exit(main())
