"""Counts of requests by route and status, cheap to add to, told as Prometheus wants them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import HistogramMetricFamily

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds."""


class _Row:
    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0


class Counts:
    """How many requests of each kind there were, and how long they took; for one event loop, so without a lock."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int], _Row] = {}

    def add(self, method: str, route: str, status: int, took: float) -> None:
        """Count one request; `took` in seconds. `method` and `route` are names of ours, so there are few."""
        key = (method, route, status)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row()
        row.buckets[bisect_left(BUCKETS, took)] += 1
        row.total += took

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the counts as prometheus-client's registry collects them."""
        family = HistogramMetricFamily(
            "countersign_http_request_seconds", "Requests by route and status, and how long they took.", labels=["method", "route", "status"]
        )
        for (method, route, status), row in self._rows.items():
            count = 0
            buckets: list[tuple[str, float]] = []
            for bound, more in zip((*map(str, BUCKETS), "+Inf"), row.buckets, strict=True):
                count += more
                buckets.append((bound, count))
            family.add_metric([method, route, str(status)], buckets, row.total)
        yield family
