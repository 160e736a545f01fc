"""A family of metrics as data: a scrape, the reference and the checks of dashboards and alerts all read it.

Pure. Source: the Prometheus text format and OpenMetrics 1.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pinfold.report.counters import Histogram

PREFIX = "pinfold_"

Series = Mapping[tuple[str, ...], float]
"""Label values, in the order of the family's labels → value."""
Histograms = Mapping[tuple[str, ...], Histogram]

_UNITS = ("seconds", "bytes", "millicores", "cpus")


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    """As it is asked for in PromQL, a counter's with its ``_total``."""
    kind: Kind
    documentation: str
    labels: tuple[str, ...]
    series: Series = field(default_factory=dict)
    histograms: Histograms = field(default_factory=dict)
    """A histogram has these and no series."""

    @property
    def unit(self) -> str:
        """The base unit that the name ends in; empty: a plain number."""
        words = self.name.removesuffix("_total").split("_")
        if words[-2:] == ["timestamp", "seconds"]:
            return "seconds since the epoch"
        return words[-1] if words[-1] in _UNITS else ""

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its samples."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


def gauge(name: str, documentation: str, labels: tuple[str, ...], series: Series) -> Family:
    return Family(f"{PREFIX}{name}", Kind.GAUGE, documentation, labels, series)


def counter(name: str, documentation: str, labels: tuple[str, ...], series: Series) -> Family:
    """*name* without the ``_total`` that its sample ends in."""
    return Family(f"{PREFIX}{name}_total", Kind.COUNTER, documentation, labels, series)


def histogram(name: str, documentation: str, labels: tuple[str, ...], histograms: Histograms) -> Family:
    return Family(f"{PREFIX}{name}", Kind.HISTOGRAM, documentation, labels, histograms=histograms)
