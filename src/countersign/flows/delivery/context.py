"""The post: what delivering stands on, and what it learns on the way about carriers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog

from countersign.domain.delivery.delivery import Delivery
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, merged
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
from countersign.store.tables import provider_health
from countersign.store.tables.events import Log

WRITE_INTERVAL: Final = 1.0
"""Seconds after which what was learned is written down, for every process to know."""

WRITES_PER_READ: Final = 10
"""How many of those pass before what others learned is read although there is nothing to write."""

_log = structlog.get_logger("countersign.carriers")


class StatsRecorder:
    """What this process learned of carriers and has not written down yet, and what all had learned when it last did.

    Counts are kept in memory for a second: a process that is killed loses them, and nothing else.
    """

    def __init__(self) -> None:
        self._new: dict[ProviderKey, ProviderStats] = {}
        self.known: Mapping[ProviderKey, ProviderStats] = {}

    def note(self, where: ProviderKey, lesson: ProviderStats) -> None:
        """Take in what was seen of a carrier."""
        self._new[where] = merged(self._new.get(where, ProviderStats()), lesson)

    def of(self, where: ProviderKey) -> ProviderStats | None:
        """Return how a carrier does, as far as all know; None if nothing is known."""
        return self.known.get(where)

    async def write(self, database: Database, now: int) -> None:
        """Write down what is new, and read what all know; raises UnavailableError, and keeps what is new then."""
        lessons, self._new = self._new, {}
        try:
            self.known = await (
                database.run(provider_health.learn, lessons, now) if lessons else database.read(provider_health.paces)
            )
        except UnavailableError:
            for where, lesson in lessons.items():
                self.note(where, lesson)
            raise

    async def keep_learning(self, database: Database, clock: Callable[[], int]) -> None:
        """Write and read for as long as the process runs."""
        turns = 0
        while True:
            try:
                if self._new or turns % WRITES_PER_READ == 0:
                    await self.write(database, clock())
                turns += 1
            except UnavailableError as error:
                _log.warning("statistics_failed", detail=str(error))
            except Exception as error:  # noqa: BLE001 - what cannot be learned must not end the learning
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
    """Return what the provider in use of a message is known by."""
    return ProviderKey(delivery.provider or "", delivery.channel, delivery.region.country)
