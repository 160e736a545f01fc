"""The doors with what they are meant for, and with that spoilt a thousand times, always in the same way."""

from random import Random

import pytest

from .seeds import SEEDS
from .spoiling import spoilt, words
from .targets import TARGETS

TIMES = 300


@pytest.mark.parametrize("name", TARGETS)
def test_every_door_holds_its_promise_for_seeds_and_for_seeds_that_were_spoilt(name: str) -> None:
    target, seeds, random = TARGETS[name], SEEDS[name](), Random(7)
    assert seeds
    for seed in seeds:
        target(seed)
    known = words(seeds)
    for _ in range(TIMES):
        data = spoilt(random.choice(seeds), known, random)
        try:
            target(data)
        except Exception as error:
            raise AssertionError(f"{name} does not hold for {data!r}") from error
