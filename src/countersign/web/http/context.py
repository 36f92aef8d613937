"""The desk: what every endpoint stands on, made once from the Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from countersign.web.http.idempotency import InFlight
from countersign.web.http.proxies import Proxies
from countersign.web.http.rate_limit_headers import Budgets

if TYPE_CHECKING:
    from countersign.wiring import Runtime

MOST_STREAMS: Final = 200
"""Streams of events that one process keeps open: each asks the database twice a second."""


class Desk:
    """What the Runtime holds, and what this process counts and keeps in hand."""

    def __init__(self, runtime: Runtime, worker_alive: Callable[[], bool]) -> None:
        self.runtime = runtime
        self.core = runtime.core
        self.stats = runtime.stats
        self.doorkeeper = runtime.doorkeeper
        self.worker_alive = worker_alive
        self.proxies = Proxies(runtime.settings.trusted_proxies)
        self.budgets = Budgets(runtime.core.policy)
        self.in_flight = InFlight()
        self.streams = 0
