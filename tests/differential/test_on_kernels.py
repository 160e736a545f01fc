"""A short run on each kernel; `python -m tests.differential` makes the long ones."""

from random import Random

import pytest

from tests.differential.__main__ import MODELS, Kernel, Run, compare
from tests.differential.generate import Generator
from tests.differential.plan import Bench
from tests.differential.tally import Tally


@pytest.mark.vm
@pytest.mark.parametrize("kernel", MODELS)
def test_five_hundred_random_steps_come_out_as_the_model_says(kernel: Kernel) -> None:
    bench = Bench(MODELS[kernel])
    run = Run(Tally(bench.kernel))
    sequences = list(Generator(bench, Random(7)).sequences(500))
    compare(kernel, bench, sequences, run)
    assert (run.passed, run.failed) == (sum(len(one.steps) for one in sequences), 0)
