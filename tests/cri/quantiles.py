"""The middle and the tail of many durations, as values or as a histogram of Prometheus."""

import re
from collections.abc import Sequence


def of_values(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return (
        {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * q))], 4) for name, q in _ASKED} if ordered else {}
    )


def of_histogram(metrics: str, name: str, **labels: str) -> dict[str, float]:
    """By linear interpolation within a bucket, as PromQL's histogram_quantile."""
    buckets = []
    for line in metrics.splitlines():
        if line.startswith(f"{name}_bucket{{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            found = re.search(r'le="([^"]+)"', line)
            assert found is not None
            buckets.append((float(found[1]), float(line.rpartition(" ")[2])))
    if not buckets or not buckets[-1][1]:
        return {}
    return {"count": buckets[-1][1]} | {word: round(_quantile(buckets, q), 4) for word, q in _ASKED}


_ASKED = (("p50", 0.5), ("p99", 0.99))


def _quantile(buckets: Sequence[tuple[float, float]], q: float) -> float:
    rank, low, below = q * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            return low if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low
