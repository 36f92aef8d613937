"""Dependencies of the delivery flows, and the statistics of providers that they collect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog

from countersign.domain.delivery.answer_time import HORIZON, LearnedTimes
from countersign.domain.delivery.delivery import Delivery
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket, merged
from countersign.domain.look.theme import Themes
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import Application
from countersign.errors import UnavailableError
from countersign.flows.context import CoreContext
from countersign.geolocation import GeoDatabase
from countersign.keys import Keyring
from countersign.links import Links
from countersign.messages.custom.custom_templates import DEFAULT_TEMPLATES, CustomTemplates
from countersign.providers import Provider
from countersign.store.engine.database import Database
from countersign.store.ledger.event_log import Log
from countersign.store.tables import provider_health

WRITE_INTERVAL: Final = 1.0
"""Seconds after which new statistics are written to the database, where every process reads them."""

WRITES_PER_READ: Final = 10
"""Intervals after which the statistics of other processes are read even if there is nothing to write."""

NEWS_INTERVAL: Final = 3_600_000
"""Milliseconds after which the same destination is worth another line of the log."""

MOST_UNRIPE: Final = 20_000
"""Entries of codes that are kept until their time counts. What is beyond that is not learned from."""

_log = structlog.get_logger("countersign.statistics")


class StatsRecorder:
    """The statistics of providers: those of all processes as last read, and new ones of this process that are not written yet.

    New counts stay in memory for a second. A process that is killed loses them, and nothing else. `on_add` is told what is new.
    """

    def __init__(self, on_add: Callable[[ProviderKey, ProviderStats], None] = lambda _key, _stats: None) -> None:
        self._on_add = on_add
        self._new: dict[ProviderKey, ProviderStats] = {}
        self._unripe: list[tuple[int, ProviderKey, int]] = []
        self._told: dict[str, int] = {}
        self._times = LearnedTimes({})
        self.known: Mapping[ProviderKey, ProviderStats] = {}

    @property
    def answer_times(self) -> LearnedTimes:
        """Return how long people take to enter a code, over all processes."""
        return self._times

    def add(self, key: ProviderKey, stats: ProviderStats) -> None:
        """Add `stats` to what this process has not written yet."""
        self._on_add(key, stats)
        self._keep(key, stats)

    def add_entry(self, key: ProviderKey, sent_at: int, took: int) -> None:
        """Add the time (ms) that somebody took to enter the code of a message that was sent at `sent_at` (ms).

        It counts once nobody answers any more what was sent when this was. Else, soon after a launch, only the quick ones were known, and
        everybody else would seem to be late.
        """
        if len(self._unripe) < MOST_UNRIPE:
            self._unripe.append((sent_at, key, took))

    def _ripen(self, now: int) -> None:
        ripe = [one for one in self._unripe if one[0] < now - HORIZON]
        if ripe:
            self._unripe = [one for one in self._unripe if one[0] >= now - HORIZON]
        for _, key, took in ripe:
            self._keep(key, ProviderStats(entries={bucket(took): 1}))

    def _keep(self, key: ProviderKey, stats: ProviderStats) -> None:
        self._new[key] = merged(self._new.get(key, ProviderStats()), stats)

    def is_news(self, what: str, now: int) -> bool:
        """Return True once in an hour for what an operator is told of, so that an attack does not fill the log."""
        self._told = {one: until for one, until in self._told.items() if now < until}
        is_news = what not in self._told
        self._told.setdefault(what, now + NEWS_INTERVAL)
        return is_news

    def get(self, key: ProviderKey) -> ProviderStats | None:
        """Return the statistics of a provider over all processes, or None if there are none."""
        return self.known.get(key)

    async def write(self, database: Database, now: int) -> None:
        """Write what is new and read the statistics of all processes.

        Raises UnavailableError if the database is down. What is new is then kept for the next call.
        """
        self._ripen(now)
        new, self._new = self._new, {}
        try:
            self.known = await (
                database.run(provider_health.add_stats, new, now) if new else database.read(provider_health.find_stats)
            )
        except UnavailableError:
            for key, stats in new.items():
                self._keep(key, stats)
            raise
        self._times = LearnedTimes(self.known)

    async def run(self, database: Database, clock: Callable[[], int]) -> None:
        """Write and read until this task is cancelled. `clock()` returns ms since the epoch."""
        turns = 0
        while True:
            try:
                if self._new or turns % WRITES_PER_READ == 0:
                    await self.write(database, clock())
                turns += 1
            except UnavailableError as error:
                _log.warning("statistics_failed", detail=str(error))
            except Exception as error:  # noqa: BLE001 - a fault in one turn must not end the task
                _log.error("statistics_error", error=type(error).__name__)
            await asyncio.sleep(WRITE_INTERVAL)


class DeliveryContext(msgspec.Struct, frozen=True):
    """What the delivery flows need beside the core.

    `jitter()` returns a float in [0, 1), which spreads retries. `on_withheld(country)` is called for each message that is not
    sent because of SMS pumping. Claims, records and receipts each append to a log of their own, so that none waits for the others.
    """

    core: CoreContext
    providers: Mapping[str, Provider]
    jitter: Callable[[], float]
    claims: Log
    records: Log
    receipts: Log
    on_withheld: Callable[[str], None] = lambda _country: None
    stats: StatsRecorder = msgspec.field(default_factory=StatsRecorder)
    templates: CustomTemplates = DEFAULT_TEMPLATES
    themes: Themes = Themes()

    @property
    def database(self) -> Database:
        """Return the database."""
        return self.core.database

    @property
    def keyring(self) -> Keyring:
        """Return the keys."""
        return self.core.keyring

    @property
    def policy(self) -> InstallationPolicy:
        """Return the policies, rate limits and routes of the installation."""
        return self.core.policy

    @property
    def links(self) -> Links:
        """Return the addresses of the installation."""
        return self.core.links

    @property
    def own(self) -> Application:
        """Return the application of our own pages."""
        return self.core.own

    @property
    def geolocation(self) -> GeoDatabase:
        """Return the database that says where a network address is."""
        return self.core.geolocation

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return self.core.clock()


def provider_key_of(delivery: Delivery) -> ProviderKey:
    """Return the key of the statistics that the current provider of a message has."""
    return ProviderKey(delivery.provider or "", delivery.channel, delivery.region.country)
