"""Silence on a real kernel, and that the proof of it can fail."""

import pytest

from .__main__ import measured
from .outcome import Kind, Regime


@pytest.mark.vm
def test_in_a_partition_of_either_kind_nothing_runs_but_its_owner_and_kernel_threads_of_its_cpus() -> None:
    for outcome in measured([Regime.PARTITION, Regime.ISOLATED], 10, "6.12"):
        assert outcome.engine_switches > 0, "the trace saw nothing at all"
        assert outcome.is_silent, outcome.foreign_tasks
        assert outcome.foreign
        assert outcome.foreign.agrees, outcome.foreign


@pytest.mark.vm
def test_an_intruder_is_seen_by_name_and_measured_by_the_metric_as_by_the_trace() -> None:
    (outcome,) = measured([Regime.SHRINK], 10, "6.12", intruder=True)
    assert outcome.foreign_switches[Kind.USER] > 0
    assert "python3 (user)" in outcome.foreign_tasks
    assert outcome.foreign
    assert outcome.foreign.agrees, outcome.foreign
