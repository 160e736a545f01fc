"""What a scrape gets: the families as Prometheus text or OpenMetrics, and this process's own figures beside them."""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from pinfold.report.families import Family, Kind
from pinfold.report.metrics import families
from pinfold.report.snapshot import Snapshot
from pinfold.report.usage import ReadFiles, no_files

_OPENMETRICS = "application/openmetrics-text"


class SnapshotCollector(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot | None], read: ReadFiles, now: Callable[[], float]) -> None:
        self._snapshot, self._read, self._now = snapshot, read, now

    def collect(self) -> Iterator[Metric]:
        return (_metric(family) for family in families(self._snapshot(), self._read, self._now()))


def _metric(family: Family) -> Metric:
    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(family.name, family.documentation, labels=family.labels)
        for values, times in family.histograms.items():
            bounds = [f"{bound:g}" for bound in times.bounds] + ["+Inf"]
            histogram.add_metric(values, list(zip(bounds, times.cumulative, strict=True)), times.sum)
        return histogram
    made = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = made(family.name, family.documentation, labels=family.labels)
    for values, value in family.series.items():
        metric.add_metric(values, value)
    return metric


def registry(
    snapshot: Callable[[], Snapshot | None], read: ReadFiles = no_files, now: Callable[[], float] = time.time
) -> CollectorRegistry:
    """What ``/metrics`` shows: the snapshot, and this process's own CPU time, memory and descriptors."""
    both = CollectorRegistry(auto_describe=False)
    both.register(SnapshotCollector(snapshot, read, now))
    ProcessCollector(registry=both)
    return both


def exposition(shown: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The body and its content type: OpenMetrics where *accept* asks for it, else the Prometheus text format."""
    # The client's own text stays out of the choice: a version that is no number would be an error there.
    encoder, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in accept else "")
    return encoder(shown), content_type
