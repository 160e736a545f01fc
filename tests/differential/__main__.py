"""Hold the cpuset model to a real kernel, step by step.

python -m tests.differential --seed 1 --steps 20000 --kernel 6.12
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.cpuset_model import V6_1, V6_12, V7_3
from tests.vm.machine import run_in_vm

from .generate import Generator
from .plan import TASKS, Bench
from .steps import Step

MODELS = {"6.1": V6_1, "6.12": V6_12, "new": V7_3}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--kernel", choices=MODELS, default="6.12")
    args = parser.parse_args()
    bench = Bench(MODELS[args.kernel])
    generator = Generator(bench, Random(args.seed))
    sequences = list(generator.sequences(args.steps))
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan")
        plan.write_text("".join(f"{line}\n" for line in (json.dumps(TASKS), *(one.line() for one in sequences))))
        done = run_in_vm(
            ["python3", "-m", "tests.differential.replay", str(plan), bench.kernel.name, bench.isolcpus],
            kernel=args.kernel,
            shares=[Path(folder)],
            timeout_s=60 + args.steps * 0.3,
        )
    passed = failed = 0
    for line in done.output.splitlines():
        if not line.startswith("{"):
            print(line)
            continue
        said = json.loads(line)
        passed += said.get("passed", 0)
        if "at" in said:
            failed += 1
            print(f"sequence {said['sequence']}, step {said['at']}: the shortest that shows it")
            for packed in said["steps"]:
                print(f"    {Step.unpacked(packed)}")
            for text in said["lines"]:
                print(f"  {text}")
    kept = sum(generator.kept_out.values())
    total = sum(len(one.steps) for one in sequences)
    print(f"kept out: {kept} of {kept + total} {dict(generator.kept_out)}; status {done.status}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or done.status else 0


if __name__ == "__main__":
    sys.exit(main())
