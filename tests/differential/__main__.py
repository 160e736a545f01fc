"""Hold the cpuset model to a real kernel, step by step.

    python -m tests.differential --seed 1 --steps 20000 --kernel 6.12
    python -m tests.differential --seed 1 --steps 4000 --kernel 6.12 --json 1.json                    # in pieces
    python -m tests.differential --seed 2 --steps 4000 --kernel 6.12 --json 2.json --after 1.json
    python -m tests.differential --sum 1.json 2.json

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
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Literal

from tests.cpuset_model import V6_1, V6_12, V7_3
from tests.vm.host import BenchError
from tests.vm.machine import run_in_vm

from .generate import Generator
from .plan import TASKS, Bench, Sequence
from .run import Run
from .steps import Step

MODELS = {"6.1": V6_1, "6.12": V6_12, "new": V7_3}
ISOLCPUS = "6-7"
SHARE = 0.12  # of the steps are taken on a machine that was booted with isolcpus=
Kernel = Literal["6.1", "6.12", "new"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.differential", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--kernel", choices=MODELS, default="6.12")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also keep what came of it")
    parser.add_argument("--after", type=Path, nargs="+", metavar="FILE", help="seek the rows that those met seldom")
    parser.add_argument("--sum", type=Path, nargs="+", metavar="FILE", help="take no steps: sum what was kept")
    args = parser.parse_args()
    run = summed(args.sum) if args.sum else taken(args.kernel, args.seed, args.steps, args.after)
    if args.json:
        args.json.write_text(run.to_text())
    print(*run.lines(), sep="\n")
    return 0 if run.good() else 1


def summed(files: Iterable[Path]) -> Run:
    first, *others = (Run.from_text(file.read_text()) for file in files)
    for other in others:
        first.add(other)
    return first


def taken(kernel: Kernel, seed: int, steps: int, after: Iterable[Path] | None = None) -> Run:
    run, met = Run(MODELS[kernel], [seed]), summed(after).tally.met if after else Counter[str]()
    for isolcpus, share in (("", 1 - SHARE), (ISOLCPUS, SHARE)):
        bench = Bench(run.kernel, isolcpus=isolcpus, isolated=isolcpus)
        generator = Generator(bench, Random(seed), met)
        compare(kernel, bench, list(generator.sequences(round(steps * share))), run)
        run.kept_out += generator.kept_out
    return run


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


if __name__ == "__main__":
    sys.exit(main())
