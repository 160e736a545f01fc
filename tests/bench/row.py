"""A line of the table: what was measured, and the bar that it is held against."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    part: str
    """``a`` to ``e``: what kind of question it answers."""
    what: str
    value: float
    unit: str
    bar: float | None = None
    """No more than this; None: it only informs."""

    @property
    def is_met(self) -> bool | None:
        return None if self.bar is None else self.value <= self.bar

    def __str__(self) -> str:
        bar = "" if self.bar is None else f"≤ {self.bar:g} {'met' if self.is_met else 'NOT MET'}"
        return f"{self.part}  {self.what:66}{_figure(self.value):>10} {self.unit:9}{bar}".rstrip()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"
