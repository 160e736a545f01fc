"""A short run on each kernel; `python -m tests.differential` makes the long ones."""

from random import Random

import pytest

from tests.cpuset_model import V6_12
from tests.differential.__main__ import MODELS, Kernel, compare
from tests.differential.generate import Generator
from tests.differential.plan import Bench, Sequence, foretold
from tests.differential.run import Run
from tests.differential.scenarios.stage import control, cpus, exclusive, move, partition
from tests.differential.steps import Op, Step


def lost_and_found() -> Sequence:
    """6.12 loses CPUs to nobody, makes no partition of them any more, and has them back: the random run stays out."""
    steps = (
        *(control("", "+cpuset"), Step(Op.MKDIR, "K"), control("K", "+cpuset")),
        *(Step(Op.MKDIR, path) for path in ("K/podA", "K/podC", "x")),
        *(move("t1", "K/podA"), move("t2", "K/podC")),
        *(exclusive("K", "2-7"), exclusive("K/podA", "2-3"), partition("K/podA", "root")),
        *(exclusive("K/podC", "4"), partition("K/podC", "root")),
        *(exclusive("K", ""), exclusive("K/podA", "")),
        *(exclusive("K", "2-7"), exclusive("K/podA", "2-3"), partition("K/podA", "root")),
        *(cpus("x", "2-3"), exclusive("K", "4-7")),
        *(cpus("x", "2-3"), partition("x", "root"), partition("x", "member"), Step(Op.RMDIR, "x")),
        *(partition("K/podA", "member"), exclusive("K", "2-7"), partition("K/podA", "root")),
    )
    return foretold(Bench(V6_12, may_lose=True), steps)


@pytest.mark.vm
@pytest.mark.parametrize("kernel", MODELS)
def test_five_hundred_random_steps_come_out_as_the_model_says(kernel: Kernel) -> None:
    bench = Bench(MODELS[kernel])
    run = Run(bench.kernel, [7])
    sequences = list(Generator(bench, Random(7)).sequences(500))
    if bench.kernel is V6_12:
        sequences.append(lost_and_found())
    compare(kernel, bench, sequences, run)
    assert (run.passed, run.failed) == (sum(len(one.steps) for one in sequences), 0)
