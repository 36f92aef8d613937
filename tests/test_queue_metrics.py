"""Whose messages are due, as /metrics tells it: a bounded list, in one process and in several."""

from __future__ import annotations

import re

from countersign.metrics import MOST_APPLICATIONS, OTHERS, Metrics


def test_the_ten_with_the_most_have_a_series_each_and_all_others_one_together() -> None:
    """D10, D12: a thousand applications do not make a thousand series, and none is left behind."""
    metrics = Metrics()
    metrics.queues({f"shop {n}": (n, 1_000 * n) for n in range(1, 31)})
    due = _due(metrics)
    assert len(due) == MOST_APPLICATIONS + 1
    assert (due["shop 30"], due["shop 21"], due[OTHERS]) == (30, 21, sum(range(1, 21)))
    assert 'countersign_application_deliveries_oldest_seconds{application="(others)"} 20.0' in metrics.page().decode()
    metrics.queues({"shop 1": (1, 0)})
    assert _due(metrics) == {"shop 1": 1}
    metrics.queues({})
    assert _due(metrics) == {}


def _due(metrics: Metrics) -> dict[str, float]:
    page = metrics.page().decode()
    pattern = r'^countersign_application_deliveries_due\{application="(.+)"\} (\S+)$'
    return {name: float(count) for name, count in re.findall(pattern, page, re.MULTILINE)}
