"""Silence on a real kernel, and that the proof of it can fail."""

import pytest

from .__main__ import measured
from .outcome import Kind, Regime


@pytest.mark.vm
def test_no_user_task_is_ever_switched_to_on_the_cpus_of_a_slice_in_a_partition() -> None:
    outcome = measured(Regime.PARTITION, 10, "6.12")
    assert outcome.engine_switches > 0, "the trace saw nothing at all"
    assert outcome.foreign_switches[Kind.USER] == 0, outcome.foreign_tasks


@pytest.mark.vm
def test_an_intruder_is_seen_by_name() -> None:
    outcome = measured(Regime.SHRINK, 10, "6.12", intruder=True)
    assert outcome.foreign_switches[Kind.USER] > 0
    assert "python3 (user)" in outcome.foreign_tasks
