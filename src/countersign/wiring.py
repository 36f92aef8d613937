"""Turns Settings into a Runtime. This is the only place that chooses implementations."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
from typing import TYPE_CHECKING

import msgspec

from countersign.clock import Clock, system_clock
from countersign.config import Settings
from countersign.config.database_address import database_address
from countersign.database_mark import DatabaseMark
from countersign.domain.look.theme import Themes
from countersign.domain.policy import INBOX
from countersign.domain.shared import identifier
from countersign.errors import SettingsError, UnavailableError
from countersign.flows.accounts.context import AccountContext
from countersign.flows.changes.take_back import complete_restoration
from countersign.flows.context import CoreContext, own_application
from countersign.flows.delivery.bounces import bounce_signer
from countersign.flows.delivery.context import DeliveryContext, StatsRecorder
from countersign.flows.delivery.receipts import record_receipt
from countersign.flows.maintenance.applications import ApplicationDirectory, find_due_by_application
from countersign.flows.maintenance.clock_skew import ClockWatch
from countersign.flows.maintenance.demo_key import ensure_demo_key
from countersign.flows.maintenance.environment import check_environment, claim_environment, claim_keys
from countersign.flows.maintenance.move_clock import restore_clock
from countersign.flows.maintenance.renewal import RowRenewal
from countersign.flows.maintenance.restoration import notice_restoration
from countersign.geolocation import GeoDatabase
from countersign.keys import KeyCommand, KeyFile, Keyring, KeySource, new_file
from countersign.links import links_of
from countersign.messages.custom.custom_templates import CustomTemplates, load_templates
from countersign.passwords import Passwords
from countersign.providers import PushesReceipts, TakesReceipts
from countersign.providers.inbox import Inbox, InboxProvider
from countersign.providers.registry import make_provider
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Database
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.ledger.ledger import Ledger
from countersign.store.ledger.renewing_database import RenewingDatabase
from countersign.store.tables import applications, deliveries, metadata, provider_health

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from countersign.metrics import Metrics


class Installation(msgspec.Struct, frozen=True):
    """What every command needs: an open database of the right revision, the keys that belong to it, and its clock.

    `database` renews keyed hashes as it meets them, while they are replaced; `rows` is the same database as it is. `mark` remembers the
    last page of the event log.
    """

    settings: Settings
    database: Database
    keyring: Keyring
    clock: Clock
    rows: Database
    mark: DatabaseMark

    def log(self) -> Log:
        """Return a log with a hash chain of its own."""
        return Log(
            Chain(
                lambda: identifier.make("wri", self.clock(), os.urandom(identifier.RANDOM_BYTES)),
                self.keyring.link,
                lambda head: self.mark.record(head.writer, head.seq, head.hash),
            )
        )


class Runtime(msgspec.Struct, frozen=True):
    """Everything that a process needs to answer requests and to deliver messages.

    - `core`, `delivery` and `accounts` are the contexts of the flows; the latter two contain the first.
    - `applications` authenticates the keys of applications.
    - `inbox` keeps the messages of development and of test keys; `shown_inbox` is what pages may show of it.
    - `receivers` are the providers, by name, that report later what became of a message.
    - `demo_key` is the test key of the application "demo"; None in production.
    - `stopping` is set as soon as the process is told to stop, so that endless streams end.
    - `stats_writer` stores what this process learns about providers, for as long as it runs.
    - `clock_watch` compares this machine's clock with the database's; None where they are one.
    - `background` are further tasks that run as long as the process.
    """

    settings: Settings
    core: CoreContext
    delivery: DeliveryContext
    accounts: AccountContext
    applications: ApplicationDirectory
    inbox: Inbox
    receivers: Mapping[str, TakesReceipts]
    metrics: Metrics
    demo_key: str | None
    clock: Clock
    stopping: asyncio.Event
    stats_writer: asyncio.Task[None]
    clock_watch: ClockWatch | None = None
    background: tuple[asyncio.Task[None], ...] = ()

    def __repr__(self) -> str:
        """Hide the key."""
        return f"Runtime({self.settings!r})"

    @property
    def shown_inbox(self) -> Inbox | None:
        """Return the inbox where it may be looked into: in development alone."""
        return self.inbox if self.settings.development else None

    async def metrics_page(self) -> bytes:
        """Return the page of /metrics, of type `metrics.content_type`. Without a database only its own figures are missing."""
        try:
            due, oldest = await self.core.database.read(deliveries.count_due, self.core.now())
            breakers = await self.core.database.read(provider_health.find_breakers)
            queues = await self.core.database.read(find_due_by_application, self.core.own, self.core.now())
        except UnavailableError:
            pass
        else:
            self.metrics.backlog(due, oldest)
            self.metrics.left_out(
                {name: name in breakers and breakers[name].tripped for name in self.delivery.providers}
            )
            self.metrics.queues(queues)
        return self.metrics.page()


async def open_runtime(settings: Settings, templates: CustomTemplates | None = None) -> Runtime:
    """Open everything. Raises SettingsError or UnavailableError, which say what to do; nothing is left open then.

    `templates` are the operator's own, where they were read before; otherwise they are read now.
    """
    from countersign import logs
    from countersign.metrics import CountedProvider, Metrics

    installation = await open_installation(settings)
    database, keyring, clock = installation.database, installation.keyring, installation.clock
    metrics = Metrics()
    try:
        demo_key = await _demo_key(installation) if settings.development else None
        passwords = Passwords(settings.passwords.slots, settings.passwords.breached_file)
        geolocation = GeoDatabase(settings.risk.places_file, settings.risk.lists)
        templates = templates or templates_of(settings)
        inbox = Inbox(settings.home / "inbox.db")
        inbox_provider = InboxProvider(inbox, clock, clock.sleep)
        configured = {
            name: make_provider(each, clock, bounce_signer(keyring)) for name, each in settings.providers.items()
        }
        every = {INBOX: inbox_provider, **configured}
        providers = {name: CountedProvider(name, each, metrics) for name, each in every.items()}
        core = _core_context(installation, geolocation, metrics.batch)
        themes = await _named_themes(installation)
    except BaseException:
        await database.close()
        raise
    core.ledger.open()
    metrics.queue(lambda: core.ledger.waiting)
    metrics.watch_key(lambda: (system_clock() - keyring.primary.active_from) / 1_000)
    logs.on_lines_lost(metrics.lines_lost)
    clock_watch = None if settings.sqlite else ClockWatch(database, system_clock, metrics.clock_skew)
    accounts = AccountContext(
        core=core,
        log=installation.log(),
        passwords=passwords,
        risk=settings.risk.policy,
        password_min_length=settings.passwords.least,
        sign_in_policy=settings.sign_in.policy,
        on_gathered=metrics.gathered,
        recovery_policy=settings.recovery.policy,
        deletion_policy=settings.accounts.deletion,
        password_context_words=(settings.site, settings.host.rpartition(".")[0] or settings.host),
    )
    try:
        await complete_restoration(accounts)
    except BaseException:
        await core.ledger.close()
        await database.close()
        raise
    delivery = DeliveryContext(
        core,
        providers,
        random.random,
        claims=installation.log(),
        records=installation.log(),
        receipts=installation.log(),
        on_withheld=metrics.held_back,
        stats=StatsRecorder(metrics.provider_stats),
        templates=templates,
        themes=themes,
    )
    for each in every.values():
        if isinstance(each, PushesReceipts):
            each.on_receipt = functools.partial(record_receipt, delivery)
    return Runtime(
        settings=settings,
        core=core,
        delivery=delivery,
        accounts=accounts,
        applications=ApplicationDirectory(database, keyring, clock),
        inbox=inbox,
        receivers={name: each for name, each in configured.items() if isinstance(each, TakesReceipts)},
        metrics=metrics,
        demo_key=demo_key,
        clock=clock,
        stopping=asyncio.Event(),
        stats_writer=asyncio.create_task(delivery.stats.run(database, clock)),
        clock_watch=clock_watch,
        background=() if clock_watch is None else (asyncio.create_task(clock_watch.run(), name="clock watch"),),
    )


def templates_of(settings: Settings) -> CustomTemplates:
    """Return the operator's message templates, checked. Raises SettingsError, which names what is wrong with them."""
    return load_templates(
        settings.messages.folder, settings.purposes, code_in_subject=settings.messages.code_in_subject
    )


async def _named_themes(installation: Installation) -> Themes:
    """Return the themes with the names of their applications, by which messages know on whose behalf they are sent."""
    themes, by_site = installation.settings.themes, {}
    for application, theme in themes.by_application.items():
        found = await installation.database.read(applications.find, application)
        if found is not None and found.removed_at is None:
            by_site[found.site.casefold()] = theme
    return msgspec.structs.replace(themes, by_site=by_site)


async def close_runtime(runtime: Runtime) -> None:
    """Let the ledger finish what is queued, then close providers, inbox and database."""
    await runtime.core.ledger.close()
    tasks = (runtime.stats_writer, *runtime.background)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(UnavailableError):
        await runtime.delivery.stats.write(runtime.core.database, runtime.core.now())
    runtime.accounts.passwords.close()
    runtime.core.geolocation.close()
    await asyncio.gather(*(provider.close() for provider in runtime.delivery.providers.values()))
    await runtime.inbox.close()
    await runtime.core.database.close()


async def open_installation(settings: Settings) -> Installation:
    """Open the database and the keys, and check that they belong together.

    Development creates what is missing: home, keys, schema. Production refuses to start without them.
    """
    _make_home(settings)
    if settings.development and not settings.secret_command and not settings.secret_file.exists():
        _make_keys(settings)
    rows = open_database(
        database_address(settings),
        ledger_connections=settings.database_lanes,
        pool=settings.database_pool,
        pooled=settings.database_pooled,
        notify_url=settings.database_direct_url or "",
    )
    # Leases and due times are written by one process and read by another, so all go by the database's clock.
    clock = Clock(rows.now)
    keyring = Keyring(key_source_of(settings), clock)
    database = RenewingDatabase(rows, RowRenewal(keyring))
    await database.open()
    try:
        await check_environment(database, development=settings.development)
        await _check_schema(settings, database)
        await claim_environment(database, development=settings.development)
        if not await claim_keys(database, keyring):
            raise foreign_keys(settings)
        if settings.development:
            await restore_clock(clock, database)
        mark = DatabaseMark(settings.mark_file, clock)
        installation = Installation(settings, database, keyring, clock, rows, mark)
        await notice_restoration(database, mark, installation.log(), clock())
    except BaseException:
        await database.close()
        raise
    return installation


@contextlib.asynccontextmanager
async def installation_of(settings: Settings) -> AsyncIterator[Installation]:
    """Open an installation for one command, and close it afterwards."""
    installation = await open_installation(settings)
    try:
        yield installation
    finally:
        await installation.database.close()


def receipt_context(installation: Installation) -> DeliveryContext:
    """Return the context in which a command records receipts. It has no provider to send by."""
    return DeliveryContext(
        _core_context(installation, GeoDatabase(), lambda _size, _waited, _took: None),
        {},
        random.random,
        claims=installation.log(),
        records=installation.log(),
        receipts=installation.log(),
    )


def _core_context(
    installation: Installation, geolocation: GeoDatabase, observe: Callable[[int, float, float], None]
) -> CoreContext:
    """Return the core context of an installation, with a ledger that is not open yet; it calls `observe` for each batch."""
    settings, database = installation.settings, installation.database
    ledger = Ledger(
        database.ledger_connections(),
        log=installation.log,
        clock=installation.clock,
        deliveries_due=database.notify,
        observe_batch=observe,
        bound=settings.queue_bound,
    )
    return CoreContext(
        database,
        ledger,
        installation.keyring,
        settings.policy,
        links_of(settings.public_url),
        own_application(settings.site, settings.host),
        geolocation,
        installation.clock,
        os.urandom,
    )


async def prepare(settings: Settings) -> str | None:
    """Check, once and before any process starts, that all of them can; return the demo key in development."""
    templates_of(settings)
    async with installation_of(settings) as installation:
        return await _demo_key(installation) if settings.development else None


def key_source_of(settings: Settings) -> KeySource:
    """Return where the secrets of an installation are read."""
    return KeyCommand(settings.secret_command) if settings.secret_command else KeyFile(settings.secret_file)


def schema_url(settings: Settings) -> str:
    """Return the address at which the schema is migrated: past a pooler, if the settings name a way."""
    return settings.database_direct_url or settings.database_url


async def is_current(database: Database) -> bool:
    """Return True if this program can live with the schema that the database has."""
    try:
        return await database.read(metadata.can_serve)
    except UnavailableError:
        return False  # never migrated, or unreachable: whoever opens it next is told which


def foreign_keys(settings: Settings) -> SettingsError:
    """Return the error for a key file that belongs to another database."""
    return SettingsError(
        f"The key file {settings.secret_file} is not the one that this database was made with: nothing stored could be read, and every"
        " application key would be refused. Restore the right file from your backup (COUNTERSIGN_SECRET_FILE), or name another"
        " database (COUNTERSIGN_DATABASE_URL)."
    )


def _make_home(settings: Settings) -> None:
    """Make the folder of what has no other place. Production that keeps nothing there needs none, so a read-only disk will do."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        inside = settings.secret_file.is_relative_to(settings.home) and not settings.secret_command
        if settings.development or settings.sqlite or inside:
            raise SettingsError(
                f"home (COUNTERSIGN_HOME): the folder {settings.home} cannot be made ({error.strerror}); name one that this user may make,"
                " or that is there."
            ) from error


def _make_keys(settings: Settings) -> None:
    try:
        new_file(settings.secret_file, system_clock())
    except SettingsError:
        if not settings.secret_file.exists():  # another process was faster, and its keys are as good
            raise


async def _check_schema(settings: Settings, database: Database) -> None:
    if await is_current(database):
        return
    from countersign.store.engine.migrate import migrate, pending

    if settings.development:
        await asyncio.to_thread(migrate, schema_url(settings))
        return
    missing = await asyncio.to_thread(pending, schema_url(settings))
    if missing:
        raise SettingsError(
            f"The database's schema is behind by {len(missing)} revision{'s' * (len(missing) > 1)} ({', '.join(missing)}): run `countersign migrate`."
        )


async def _demo_key(installation: Installation) -> str:
    settings = installation.settings
    return await ensure_demo_key(
        settings.home / "demo.key",
        installation.database,
        installation.log(),
        installation.keyring,
        installation.clock,
        site=settings.site,
        host=settings.host,
    )
