"""The counters and gauges behind /metrics: the ledger's batches, answers to callers, and results of providers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from countersign import __version__
from countersign.errors import DeliveryFailedError
from countersign.providers import BoundsSending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from countersign.domain.delivery.delivery import Accepted, Message
    from countersign.domain.delivery.latency import ProviderKey, ProviderStats
    from countersign.providers import Provider

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asked for

SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the directory for several processes' counts. prometheus-client reads it at import."""

_BY_PROVIDER: Final = ("provider", "channel", "country")
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0)


MOST_APPLICATIONS: Final = 10
"""Applications whose due messages have a series of their own: those with the most."""

OTHERS: Final = "(others)"
"""The label under which all other applications are counted together."""


class _Queues(Collector):
    """Whose the due messages are, as last read. They are not kept from one page to the next, so no application leaves a series behind."""

    def __init__(self) -> None:
        self.due: Mapping[str, tuple[int, int]] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the gauges."""
        due = GaugeMetricFamily(
            "countersign_application_deliveries_due",
            "Messages that are due and not sent, of the applications with the most.",
            labels=("application",),
        )
        oldest = GaugeMetricFamily(
            "countersign_application_deliveries_oldest_seconds",
            "How long the oldest of them has waited.",
            labels=("application",),
        )
        for application, (count, waited) in self.due.items():
            due.add_metric((application,), count)
            oldest.add_metric((application,), waited / 1_000)
        yield due
        yield oldest


class Metrics:
    """The metrics of this process. No label comes from a caller: routes, statuses, refusals and names are ours."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._queues = _Queues()
        registry.register(self._queues)
        self._waiting_now: Callable[[], int] = int
        # Finding a series by its labels costs more than counting in it.
        self._kept: dict[tuple[str, str], Counter] = {}
        self._timed: dict[tuple[str, int], Histogram] = {}
        self._sizes = Histogram(
            "countersign_ledger_batch_size", "Commands in a batch.", registry=registry, buckets=_SIZES
        )
        self._waits = Histogram(
            "countersign_ledger_wait_seconds",
            "How long the oldest command of a batch waited.",
            registry=registry,
            buckets=_SECONDS,
        )
        self._batches = Histogram(
            "countersign_ledger_batch_seconds", "How long a batch took.", registry=registry, buckets=_SECONDS
        )
        self._waiting = Gauge(
            "countersign_ledger_waiting", "Commands that wait.", registry=registry, multiprocess_mode="livesum"
        )
        self._outcomes = Counter(
            "countersign_outcomes", "What was answered: done, or the refusal.", ("act", "outcome"), registry=registry
        )
        self._requests = Histogram(
            "countersign_request_seconds",
            "Requests over HTTP.",
            ("route", "status"),
            registry=registry,
            buckets=_SECONDS,
        )
        self._tries = Histogram(
            "countersign_try_seconds",
            "Messages handed to providers.",
            ("provider", "outcome"),
            registry=registry,
            buckets=_LONG,
        )
        self._held_back = Counter(
            "countersign_messages_held_back",
            "Phone messages not sent because of pumping.",
            ("country",),
            registry=registry,
        )
        self._gathered = Counter(
            "countersign_notices_gathered",
            "Notices beyond the budget of their contact, which were told of together.",
            ("contact",),
            registry=registry,
        )
        self._due = Gauge(
            "countersign_deliveries_due",
            "Messages that are due and not sent.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._oldest = Gauge(
            "countersign_deliveries_oldest_seconds",
            "How long the oldest of them has waited.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._worker = Gauge(
            "countersign_worker_alive", "Delivery loops that run.", registry=registry, multiprocess_mode="livesum"
        )
        self._limited = Counter(
            "countersign_limited", "Requests of the API that a limit refused.", ("limit",), registry=registry
        )
        self._accepted = Counter(
            "countersign_messages_accepted", "Messages that a provider accepted.", _BY_PROVIDER, registry=registry
        )
        self._receipts = Counter(
            "countersign_receipts",
            "What providers reported later: delivered, undelivered, or missing where the report did not come in time.",
            (*_BY_PROVIDER, "result"),
            registry=registry,
        )
        self._conversions = Counter(
            "countersign_conversions",
            "Messages whose verification ended: whether their code was entered.",
            (*_BY_PROVIDER, "entered"),
            registry=registry,
        )
        self._left_out = Gauge(
            "countersign_provider_left_out",
            "1 while messages skip this provider because it failed.",
            ("provider",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._lost_lines = Counter(
            "countersign_log_lines_lost", "Lines of the log that nobody took in time.", registry=registry
        )
        self._skew = Gauge(
            "countersign_clock_skew_seconds",
            "How far the clock of this machine is ahead of the database's.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._key_age = Gauge(
            "countersign_key_age_seconds",
            "How long the active key has been in use.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._key_age_now: Callable[[], float] | None = None
        self._build = Gauge(
            "countersign_build_info",
            "Always 1; its label is the version.",
            ("version",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._build.labels(__version__).set(1)
        if SHARED not in os.environ:
            ProcessCollector(registry=registry)

    def batch(self, size: int, waited: float, took: float) -> None:
        """Record one batch of the ledger. Times are in seconds."""
        self._sizes.observe(size)
        self._waits.observe(waited)
        self._batches.observe(took)

    def queue(self, waiting_now: Callable[[], int]) -> None:
        """Set the function that returns how many commands wait."""
        self._waiting_now = waiting_now

    def outcome(self, act: str, outcome: str) -> None:
        """Count an answer. `act` is begin, check, resend or cancel; `outcome` is done or the refusal."""
        kept = self._kept.get((act, outcome))
        if kept is None:
            kept = self._kept[act, outcome] = self._outcomes.labels(act, outcome)
        kept.inc()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request and its duration. `route` is a template such as /v1/verifications/{}, never the path itself."""
        timed = self._timed.get((route, status))
        if timed is None:
            timed = self._timed[route, status] = self._requests.labels(route, str(status))
        timed.observe(seconds)

    def tried(self, provider: str, outcome: str, seconds: float) -> None:
        """Count an attempt at a provider. `outcome` is accepted, or the reason of the failure."""
        self._tries.labels(provider, outcome).observe(seconds)

    def held_back(self, country: str) -> None:
        """Count a message held back by the pumping breaker. `country` is a two-letter code of ISO 3166, or empty."""
        self._held_back.labels(country).inc()

    def gathered(self, contact: str, count: int) -> None:
        """Count notices that were gathered. `contact` is mail or phone."""
        self._gathered.labels(contact).inc(count)

    def limited(self, limit: str) -> None:
        """Count a request that a limit refused. `limit` is its name, as in the settings."""
        self._limited.labels(limit).inc()

    def provider_stats(self, key: ProviderKey, stats: ProviderStats) -> None:
        """Count what is new of a provider: messages that it accepted, its receipts, and codes that came back."""
        where = (key.provider, key.channel.value, key.country)
        if stats.taken:
            self._accepted.labels(*where).inc(stats.taken)
        results = {"delivered": stats.delivered, "undelivered": stats.undelivered, "missing": stats.overdue}
        for result, count in results.items():
            if count:
                self._receipts.labels(*where, result).inc(count)
        for entered, count in (("yes", stats.converted), ("no", stats.ended - stats.converted)):
            if count:
                self._conversions.labels(*where, entered).inc(count)

    def left_out(self, providers: Mapping[str, bool]) -> None:
        """Set, for each provider, whether messages skip it now."""
        for provider, is_left_out in providers.items():
            self._left_out.labels(provider).set(int(is_left_out))

    def lines_lost(self, count: int) -> None:
        """Count lines of the log that were lost."""
        self._lost_lines.inc(count)

    def clock_skew(self, skew: int) -> None:
        """Set by how many ms the clock of this machine is ahead of the database's."""
        self._skew.set(skew / 1_000)

    def watch_key(self, age: Callable[[], float]) -> None:
        """Set the function that returns how many seconds the active key has been in use."""
        self._key_age_now = age

    def backlog(self, due: int, oldest: int) -> None:
        """Set how many messages are due, and how long the oldest has waited in ms."""
        self._due.set(due)
        self._oldest.set(oldest / 1_000)

    def queues(self, due: Mapping[str, tuple[int, int]]) -> None:
        """Set how many messages are due and how long the oldest has waited in ms, by the name of their application."""
        ordered = sorted(due.items(), key=lambda item: (-item[1][0], item[0]))
        shown, rest = dict(ordered[:MOST_APPLICATIONS]), [figures for _, figures in ordered[MOST_APPLICATIONS:]]
        if rest:
            shown[OTHERS] = (sum(count for count, _ in rest), max(waited for _, waited in rest))
        self._queues.due = shown

    def worker(self, *, alive: bool) -> None:
        """Set whether the delivery loop of this process runs."""
        self._worker.set(int(alive))

    def page(self) -> bytes:
        """Return the metrics in Prometheus' text format, summed over all processes of this server."""
        self._waiting.set(self._waiting_now())
        if self._key_age_now is not None:
            self._key_age.set(self._key_age_now())
        folder = os.environ.get(SHARED)
        if folder is None:
            return generate_latest(self._registry)
        from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

        for pid in _left_behind(Path(folder)):
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
        together = CollectorRegistry()
        MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
        together.register(self._queues)
        return generate_latest(together)


def _left_behind(folder: Path) -> set[int]:
    """Return the process ids with files here that have ended. Their counters stay; their gauges are removed."""
    pids = {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}
    return {pid for pid in pids if not _lives(pid)}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class CountedProvider:
    """A provider whose results are counted and timed. `most_at_once` is that of the provider; None if it has no bound."""

    def __init__(self, name: str, provider: Provider, metrics: Metrics) -> None:
        self.most_at_once: int | None = provider.most_at_once if isinstance(provider, BoundsSending) else None
        self._name = name
        self._provider = provider
        self._metrics = metrics

    async def send(self, message: Message) -> Accepted:
        """Send the message by the provider; its result is counted and passed on."""
        began = time.perf_counter()
        outcome = "broke_off"
        try:
            accepted = await self._provider.send(message)
            outcome = "accepted"
        except DeliveryFailedError as error:
            outcome = error.reason
            raise
        finally:
            self._metrics.tried(self._name, outcome, time.perf_counter() - began)
        return accepted

    async def close(self) -> None:
        """Close the provider."""
        await self._provider.close()
