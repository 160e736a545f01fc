"""``irqGuard`` in the configuration."""

from pathlib import Path

import pytest

from pinfold.config import Config, ConfigError, load
from pinfold.interrupts.affinities import IrqGuard


@pytest.mark.parametrize(
    ("text", "guard"),
    [
        pytest.param("off", IrqGuard.OFF, id="which-YAML-reads-as-false"),
        pytest.param('"off"', IrqGuard.OFF, id="quoted"),
        pytest.param("slices", IrqGuard.SLICES, id="slices"),
        pytest.param("pools", IrqGuard.POOLS, id="pools"),
    ],
)
def test_the_guard_is_one_of_three_words(tmp_path: Path, text: str, guard: IrqGuard) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"irqGuard: {text}\n")
    assert load(path, {}).irq_guard is guard
    assert load(path, {}).dumped()["irqGuard"] == guard.value
    assert load(path, {"PINFOLD_IRQ_GUARD": text}).irq_guard is guard


@pytest.mark.parametrize("text", ["on", "exclusive"])
def test_another_word_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"irqGuard: {text}\n")
    with pytest.raises(ConfigError, match=r"line 1: irqGuard: .*write off, slices or pools"):
        load(path, {})


def test_no_interrupt_is_touched_unless_asked_for() -> None:
    assert Config().irq_guard is IrqGuard.OFF
