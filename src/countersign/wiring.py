"""Wiring: Settings become a Runtime, and this is the only place that picks implementations."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import time
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.clock import Clock
from countersign.config import Settings
from countersign.domain.delivery.delivery import Accepted, Message
from countersign.domain.policy import INBOX
from countersign.domain.shared import identifier
from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.errors import DeliveryFailedError, NotFoundError, SettingsError, UnavailableError
from countersign.flows.accounts.context import AccountContext
from countersign.flows.context import CoreContext, own_application
from countersign.flows.delivery.bounces import bounce_signer
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.receipts import record_receipt
from countersign.flows.maintenance.applications import ApplicationDirectory, add_application, rotate_application_key
from countersign.flows.maintenance.move_clock import restore_clock
from countersign.geolocation import GeoDatabase
from countersign.keys import Keyring, new_file
from countersign.links import links_of
from countersign.messages.custom.custom_templates import CustomTemplates, load_templates
from countersign.passwords import Passwords
from countersign.providers import Provider, PushesReceipts, TakesReceipts
from countersign.providers.inbox import Inbox, InboxProvider
from countersign.providers.registry import make_provider
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import ConflictError, Database
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.ledger.ledger import Ledger
from countersign.store.tables import deliveries, metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from countersign.metrics import Metrics

DEMO: Final = "demo"
"""The application of development, whose test key the start page and the first curl line use."""


def clock() -> int:
    """Return the machine's time in milliseconds since the epoch; what runs on a ground asks that ground's clock instead."""
    return time.time_ns() // 1_000_000


class Installation(msgspec.Struct, frozen=True):
    """What every command stands on: an open database of the right revision, the keys it was made with, and the time there."""

    settings: Settings
    database: Database
    keyring: Keyring
    clock: Clock

    def log(self) -> Log:
        """Return the log of a new writer, with a chain of its own."""
        return Log(
            Chain(lambda: identifier.make("wri", self.clock(), os.urandom(identifier.RANDOM_BYTES)), self.keyring.link)
        )


class Runtime(msgspec.Struct, frozen=True):
    """Everything that serving and delivering stand on.

    `receivers` are the providers that say later what became of a message.
    `inbox` is None in production, where nobody may look into it. `demo_key` is the test key of the application "demo" in development.
    `stopping` is set as soon as the process is told to stop: what would go on for ever (a stream of events) ends then.
    """

    settings: Settings
    core: CoreContext
    accounts: AccountContext
    doorkeeper: ApplicationDirectory
    inbox: Inbox | None
    providers: Mapping[str, Provider]
    receivers: Mapping[str, TakesReceipts]
    delivery: DeliveryContext
    stats: Metrics
    demo_key: str | None
    letters: Inbox
    stopping: asyncio.Event
    clock: Clock
    learning: asyncio.Task[None]

    def __repr__(self) -> str:
        """Hide the key."""
        return f"Runtime({self.settings!r})"

    async def metrics(self) -> bytes:
        """Return the page of /metrics, `stats.content_type`; a database that is away leaves out only what it would have told."""
        try:
            due, oldest = await self.core.database.read(deliveries.count_due, self.core.now())
        except UnavailableError:
            pass
        else:
            self.stats.backlog(due, oldest)
        return self.stats.page()


async def open_runtime(settings: Settings) -> Runtime:
    """Open everything; raises SettingsError or UnavailableError with what to do, and leaves nothing open then."""
    from countersign.metrics import Metrics

    ground = await open_installation(settings)
    database, keyring, clock = ground.database, ground.keyring, ground.clock
    stats = Metrics()
    try:
        demo_key = await _demo_key(ground) if settings.development else None
        passwords = Passwords(settings.passwords.slots, settings.passwords.breached_file)
        places = GeoDatabase(settings.risk.places_file, settings.risk.lists)
        words = templates_of(settings)
        letters = Inbox(settings.home / "inbox.db")
        carriers = {
            name: make_provider(each, clock, bounce_signer(keyring)) for name, each in settings.providers.items()
        }
        inbox = InboxProvider(letters, clock, clock.sleep)
        providers = {name: _Counted(name, each, stats) for name, each in {INBOX: inbox, **carriers}.items()}
        core = _core_context(ground, places, stats.batch)
    except BaseException:
        await database.close()
        raise
    core.ledger.open()
    stats.queue(lambda: core.ledger.waiting)
    accounts = AccountContext(
        core=core,
        log=ground.log(),
        passwords=passwords,
        risk=settings.risk.policy,
        password_min_length=settings.passwords.least,
        sign_in_policy=settings.sign_in.policy,
        password_context_words=(settings.site, settings.host.rpartition(".")[0] or settings.host),
    )
    delivery = DeliveryContext(
        core,
        providers,
        random.random,
        claims=ground.log(),
        records=ground.log(),
        receipts=ground.log(),
        on_withheld=stats.held_back,
        templates=words,
    )
    for each in (inbox, *carriers.values()):
        if isinstance(each, PushesReceipts):
            each.on_receipt = functools.partial(record_receipt, delivery)
    return Runtime(
        settings=settings,
        core=core,
        accounts=accounts,
        doorkeeper=ApplicationDirectory(database, keyring, clock),
        inbox=letters if settings.development else None,
        providers=providers,
        receivers={name: each for name, each in carriers.items() if isinstance(each, TakesReceipts)},
        delivery=delivery,
        stats=stats,
        demo_key=demo_key,
        letters=letters,
        stopping=asyncio.Event(),
        clock=clock,
        learning=asyncio.create_task(delivery.stats.run(database, clock)),
    )


def templates_of(settings: Settings) -> CustomTemplates:
    """Return the operator's templates, each checked; raises SettingsError that names what is wrong with them."""
    return load_templates(
        settings.messages.folder, settings.purposes, code_in_subject=settings.messages.code_in_subject
    )


async def close_runtime(runtime: Runtime) -> None:
    """Let the ledger finish what waits, then let go of providers, inbox and database."""
    await runtime.core.ledger.close()
    runtime.learning.cancel()
    await asyncio.gather(runtime.learning, return_exceptions=True)
    with contextlib.suppress(UnavailableError):
        await runtime.delivery.stats.write(runtime.core.database, runtime.core.now())
    runtime.accounts.passwords.close()
    runtime.core.geolocation.close()
    await asyncio.gather(*(provider.close() for provider in runtime.providers.values()))
    await runtime.letters.close()
    await runtime.core.database.close()


async def open_installation(settings: Settings) -> Installation:
    """Open the database and the keys, and see that they belong together.

    Development makes what is missing: home, keys, schema. Production refuses to start without.
    """
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.development and not settings.secret_file.exists():
        _make_keys(settings)
    time_there = Clock(clock)
    keyring = Keyring(settings.secret_file, time_there)
    database = open_database(
        settings.database_url, ledger_connections=settings.database_lanes, pool=settings.database_pool
    )
    await database.open()
    try:
        await _see_to_schema(settings, database)
        await _see_to_fingerprint(settings, database, keyring)
        if settings.development:
            await restore_clock(time_there, database)
    except BaseException:
        await database.close()
        raise
    return Installation(settings, database, keyring, time_there)


@contextlib.asynccontextmanager
async def installation_of(settings: Settings) -> AsyncIterator[Installation]:
    """Open the ground for one command, and close it."""
    ground = await open_installation(settings)
    try:
        yield ground
    finally:
        await ground.database.close()


def receipt_context(ground: Installation) -> DeliveryContext:
    """Return what receipts are taken with, without a provider to send by: for a command."""
    return DeliveryContext(
        _core_context(ground, GeoDatabase(), lambda _size, _waited, _took: None),
        {},
        random.random,
        claims=ground.log(),
        records=ground.log(),
        receipts=ground.log(),
    )


def _core_context(
    ground: Installation, geolocation: GeoDatabase, observe: Callable[[int, float, float], None]
) -> CoreContext:
    """Return the core context of an installation, with a ledger that is not open yet; it calls `observe` for each batch."""
    settings, database = ground.settings, ground.database
    ledger = Ledger(
        database.ledger_connections(),
        log=ground.log,
        clock=ground.clock,
        deliveries_due=database.notify,
        observe_batch=observe,
        bound=settings.queue_bound,
    )
    return CoreContext(
        database,
        ledger,
        ground.keyring,
        settings.policy,
        links_of(settings.public_url),
        own_application(settings.site, settings.host),
        geolocation,
        ground.clock,
        os.urandom,
    )


async def prepare(settings: Settings) -> str | None:
    """See, once and before any process starts, that all of them can; return the key of the demonstration in development."""
    templates_of(settings)
    async with installation_of(settings) as ground:
        return await _demo_key(ground) if settings.development else None


async def is_current(database: Database) -> bool:
    """Say whether the schema has the newest revision."""
    try:
        return await database.read(metadata.find_revision) == metadata.newest_revision()
    except UnavailableError:
        return False  # never migrated, or away: who asks more closely is told which


def foreign_keys(settings: Settings) -> SettingsError:
    """Return the error for a key file that is not the database's."""
    return SettingsError(
        f"The key file {settings.secret_file} is not the one that this database was made with: nothing stored could be read, and every"
        " application key would be refused. Restore the right file from your backup (COUNTERSIGN_SECRET_FILE), or name another"
        " database (COUNTERSIGN_DATABASE_URL)."
    )


def _make_keys(settings: Settings) -> None:
    try:
        new_file(settings.secret_file, clock())
    except SettingsError:
        if not settings.secret_file.exists():  # else another program was quicker, and its keys are as good
            raise


async def _see_to_schema(settings: Settings, database: Database) -> None:
    if await is_current(database):
        return
    from countersign.store.engine.migrate import migrate, pending

    if settings.development:
        await asyncio.to_thread(migrate, settings.database_url)
        return
    missing = await asyncio.to_thread(pending, settings.database_url)
    if missing:
        raise SettingsError(
            f"The database's schema is behind by {len(missing)} revision{'s' * (len(missing) > 1)} ({', '.join(missing)}): run `countersign migrate`."
        )


async def _see_to_fingerprint(settings: Settings, database: Database, keyring: Keyring) -> None:
    known = await database.read(metadata.find, metadata.KEYS)
    if known is None:
        try:
            await database.run(metadata.add, metadata.KEYS, keyring.fingerprint())
        except ConflictError:
            known = await database.read(metadata.find, metadata.KEYS)
        else:
            return
    if known != keyring.fingerprint():
        raise foreign_keys(settings)


async def _demo_key(ground: Installation) -> str:
    """Return the test key of the application "demo", made anew where there is none that still opens."""
    database, keyring, clock = ground.database, ground.keyring, ground.clock
    path = ground.settings.home / "demo.key"
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if kept and await ApplicationDirectory(database, keyring, clock).authenticate(kept) is not None:
        return kept
    log = ground.log()
    try:
        _, key = await rotate_application_key(database, log, keyring, DEMO, clock(), os.urandom)
    except NotFoundError:
        wanted = ApplicationDraft(DEMO, ApplicationMode.TEST, ground.settings.site, ground.settings.host)
        _, key = await add_application(database, log, keyring, wanted, clock(), os.urandom)
    draft = path.with_name(f".demo.key.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    draft.replace(path)
    return key


class _Counted:
    """A provider whose every word is counted."""

    def __init__(self, name: str, provider: Provider, stats: Metrics) -> None:
        self._name = name
        self._provider = provider
        self._stats = stats

    async def send(self, message: Message) -> Accepted:
        """Hand the message on; what comes back is counted, and passes through."""
        began = time.perf_counter()
        outcome = "broke_off"
        try:
            word = await self._provider.send(message)
            outcome = "accepted"
        except DeliveryFailedError as error:
            outcome = error.reason
            raise
        finally:
            self._stats.tried(self._name, outcome, time.perf_counter() - began)
        return word

    async def close(self) -> None:
        """Close the provider."""
        await self._provider.close()
