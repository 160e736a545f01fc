"""Seconds of churn in every run, and that the judge of leaks sees one; hours of it are `python -m tests.soak`."""

from dataclasses import replace

import pytest

from .__main__ import Soak
from .growth import Held, leaks

MIB = 1 << 20


@pytest.mark.parametrize("seed", [0, 1, 2], ids=["6.1", "6.12", "7.3"])
def test_some_steps_of_churn_break_no_promise(seed: int) -> None:
    soak = Soak(seed, 600, steps_at_most=25)
    soak.run()
    assert soak.broken == []
    assert soak.steps == 25
    assert soak.pods
    assert soak.writes


def test_what_grows_without_end_is_a_leak_and_what_fills_up_at_first_is_none() -> None:
    def looks(rss_mib: list[float], descriptors: int = 20) -> list[Held]:
        return [Held(place, int(mib * MIB), 70_000, descriptors, 5) for place, mib in enumerate(rss_mib)]

    filled = [60.0, 70.0, 75.0, 77.0, *[78.0] * 12]
    assert leaks(looks(filled)) == []
    (told,) = leaks(looks([mib + place for place, mib in enumerate(filled)]))
    assert told.startswith("rss_bytes grew by")
    (told,) = leaks([replace(one, objects=70_000 + 1000 * place) for place, one in enumerate(looks(filled))])
    assert told.startswith("objects grew by")
    (told,) = leaks([*looks(filled, 20)[:10], *looks(filled, 40)[10:]])
    assert told == "descriptors grew by 20 from 20"
