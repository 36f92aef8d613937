"""The checks of `countersign doctor` for the database: schema, keys, room to write, connections, clock, and what waits."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.cli.doctor.connection_checks import check_connections
from countersign.cli.doctor.event_log_checks import check_months
from countersign.cli.doctor.key_checks import check_sealing
from countersign.cli.doctor.pumping_checks import check_pumping_mode
from countersign.cli.doctor.restoration_checks import check_restoration
from countersign.cli.doctor.theme_checks import check_themes
from countersign.clock import system_clock
from countersign.config import Settings
from countersign.config.agreement import agreement_of, differing_sections
from countersign.domain.policy import INBOX
from countersign.errors import CountersignError
from countersign.flows.maintenance.clock_skew import measure_skew
from countersign.flows.maintenance.environment import environment_fault
from countersign.flows.maintenance.housekeeper import is_missing
from countersign.keys import Keyring
from countersign.store.engine.connect import open_database, sqlite_path
from countersign.store.engine.database import Database
from countersign.store.tables import deliveries, metadata, queue
from countersign.wiring import foreign_keys, schema_url

SKEW_TO_LOOK_AT: Final = 2_000
SKEW_UNSAFE: Final = 5_000
"""Milliseconds. From here on programs say by themselves that they are not ready."""

LATE: Final = 60_000
"""Milliseconds. A message that is due for longer without being sent means that no worker delivers."""

WRITTEN: Final = 64 * 1024
"""Bytes that are written to see whether there is room: on a nearly full disk a small value still finds some."""


async def check_database(settings: Settings, keyring: Keyring | None) -> list[CheckResult]:
    """Return what there is to say of the database. `keyring` are the keys; None if they cannot be read."""
    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        how = "It is created at the first start." if settings.development else "Create it: countersign migrate"
        return [
            CheckResult(
                "database",
                CheckState.ADVICE if settings.development else CheckState.UNSAFE,
                f"{path} does not exist yet.",
                how,
            )
        ]
    from countersign.store.engine.migrate import pending

    try:
        missing = await asyncio.to_thread(pending, schema_url(settings))
    except CountersignError as error:
        return [CheckResult("database", CheckState.UNSAFE, str(error), "Countersign cannot serve without it.")]
    if missing:
        return [
            CheckResult(
                "database",
                CheckState.UNSAFE,
                f"Its schema is behind by {', '.join(missing)}.",
                "Run: countersign migrate",
            )
        ]
    database = open_database(settings.database_url, ledger_connections=1, pool=1, pooled=settings.database_pooled)
    try:
        await database.open()
    except CountersignError as error:
        return [CheckResult("database", CheckState.UNSAFE, str(error), "Countersign cannot serve without it.")]
    try:
        return [
            *await _reachable(database),
            *await _writable(database),
            *await _environment_of(settings, database),
            *await _agreement(settings, database),
            *await check_restoration(settings, database),
            *await check_themes(settings.themes, database),
            *(await _fingerprint(settings, database, keyring) if keyring is not None else []),
            *(await check_sealing(database, keyring) if keyring is not None else []),
            *(await _clock(database) if path is None else []),
            *(await check_connections(settings, database) if path is None else []),
            *await check_pumping_mode(settings, database),
            *(
                await check_months(settings.events.retention, database, keyring, database.now())
                if keyring is not None
                else []
            ),
            *await _worker(database),
            *await _backlog(settings, database),
        ]
    except CountersignError as error:
        return [CheckResult("database", CheckState.UNSAFE, str(error), "Look at its log.")]
    finally:
        await database.close()


async def _reachable(database: Database) -> list[CheckResult]:
    began = time.perf_counter()
    revision = await database.read(metadata.find_revision)
    newer = ", newer than this program, which can live with it" if (revision or "") > metadata.newest_revision() else ""
    return [
        CheckResult(
            "database",
            CheckState.FINE,
            f"revision {revision}{newer}, answers in {(time.perf_counter() - began) * 1_000:.1f} ms",
        )
    ]


async def _writable(database: Database) -> list[CheckResult]:
    """Write a value that means nothing, as `/health/ready` does: a full disk, and a database that only reads, still answer a read."""
    began = time.perf_counter()
    try:
        await database.run(metadata.save, f"{metadata.WRITE_PROBE}doctor", os.urandom(WRITTEN))
    except CountersignError as error:
        return [
            CheckResult(
                "database writes",
                CheckState.UNSAFE,
                f"It takes none: {error}",
                "Look at its disk (data and WAL), at whether it is a standby or read-only, at its synchronous standbys,"
                " and at the rights of its user.",
            )
        ]
    return [
        CheckResult("database writes", CheckState.FINE, f"durable in {(time.perf_counter() - began) * 1_000:.1f} ms")
    ]


async def _agreement(settings: Settings, database: Database) -> list[CheckResult]:
    """Compare the settings that all programs must share with those of the program that started last."""
    stored = await database.read(metadata.find, metadata.SETTINGS)
    differing = differing_sections(agreement_of(settings), stored)
    if stored is None or not differing:
        return []
    return [
        CheckResult(
            "settings",
            CheckState.ADVICE,
            f"The program that started last has other settings than these: {', '.join(differing)}.",
            "Give all programs of this database the same settings, then send each SIGHUP.",
        )
    ]


async def _environment_of(settings: Settings, database: Database) -> list[CheckResult]:
    fault = await environment_fault(database, development=settings.development)
    return [CheckResult("database", CheckState.UNSAFE, fault, "Countersign does not start with it.")] if fault else []


async def _fingerprint(settings: Settings, database: Database, keyring: Keyring) -> list[CheckResult]:
    known = await database.read(metadata.find, metadata.KEYS)
    if known is not None and not keyring.belongs_to(known):
        return [
            CheckResult(
                "fingerprint",
                CheckState.UNSAFE,
                str(foreign_keys(settings)),
                "Use the key file that belongs to this database.",
            )
        ]
    return [
        CheckResult(
            "fingerprint",
            CheckState.FINE,
            "the key file belongs to the database" if known else "the database has no key file yet",
        )
    ]


async def _clock(database: Database) -> list[CheckResult]:
    skew = abs(await measure_skew(database, system_clock))
    if skew > SKEW_TO_LOOK_AT:
        state = CheckState.UNSAFE if skew >= SKEW_UNSAFE else CheckState.ADVICE
        return [
            CheckResult(
                "clock",
                state,
                f"It differs from the database's clock by {skew / 1_000:.1f} s.",
                "Synchronise both machines by NTP.",
            )
        ]
    return [CheckResult("clock", CheckState.FINE, f"within {skew} ms of the database's")]


async def _worker(database: Database) -> list[CheckResult]:
    """Return whether a worker runs, where one has ever run."""
    lease = await database.read(metadata.find, metadata.HOUSEKEEPER)
    if lease is None:
        return []
    if is_missing(lease, database.now()):
        return [
            CheckResult(
                "worker",
                CheckState.ADVICE,
                "None runs: no message is sent, and nothing is swept.",
                "Start `countersign work`, or `countersign serve` without no_worker.",
            )
        ]
    return [CheckResult("worker", CheckState.FINE, "one keeps house")]


async def _backlog(settings: Settings, database: Database) -> list[CheckResult]:
    now = database.now()
    due, oldest = await database.read(deliveries.count_due, now)
    known = {"", INBOX, *settings.providers}
    unknown = [one for one in await database.read(queue.list_queues, now) if one.provider not in known]
    if unknown:
        waiting = sum(one.due + one.waiting for one in unknown)
        names = ", ".join(sorted({one.provider for one in unknown}))
        return [
            CheckResult(
                "deliveries",
                CheckState.UNSAFE,
                f"{waiting} messages wait for a provider that these settings do not name: {names}.",
                "Have it in the settings of every process, or `countersign queue cancel` them.",
            )
        ]
    if oldest > LATE:
        return [
            CheckResult(
                "deliveries",
                CheckState.ADVICE,
                f"{due} messages are due, the oldest for {oldest // 1_000} s: `countersign queue list` says whose.",
                "Check that `countersign serve` or `countersign work` runs, and what its log reports about providers.",
            )
        ]
    return [CheckResult("deliveries", CheckState.FINE, f"{due} due")]
