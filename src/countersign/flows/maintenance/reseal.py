"""Reseal: renew every row of the database under the active key and the newest index, a batch at a time, while others serve.

It can be stopped at any moment and run again: rows that were renewed before are left as they are.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from countersign.domain.shared.event import Event, EventKind
from countersign.errors import CountersignError, SettingsError
from countersign.flows.maintenance.audit import hold_log
from countersign.flows.maintenance.renewal import RowRenewal, sealing_kid
from countersign.keys import LATE_READER, Keyring, StoredKeyring, close_keys, close_older_indexes
from countersign.store.engine.database import ConflictError, Database, Row, Table, Take
from countersign.store.ledger import event_log
from countersign.store.ledger.event_log import Log
from countersign.store.tables import metadata, protected_columns
from countersign.store.tables.protected_columns import PROTECTED_TABLES, position
from countersign.store.tables.schema import ACCOUNTS, IDENTIFIERS

BATCH: Final = 100
"""Rows of one transaction: few enough that nobody waits long for a lock."""

LONGEST_PAUSE: Final = 0.05
"""Seconds between two transactions at most; otherwise as long as the last one took, so that others have their turn."""

MAX_PASSES: Final = 5
"""How often all tables are looked through, as long as there is something left to renew."""

Pair = tuple[Row, Row | None]
"""A row as it is and as it must be; None if it must go."""

_log = structlog.get_logger("countersign.reseal")


class ResealProgress(msgspec.Struct, frozen=True):
    """How far a pass has come in one table: rows looked at, and rows renewed."""

    table: str
    seen: int
    renewed: int


class ResealReport(msgspec.Struct, frozen=True):
    """What was renewed, what could not be opened, and what is left to another run.

    `closed` are the retired keys that nothing is sealed with any more. `index` is the number of the index that is now the only one, None
    if that has not changed.
    """

    renewed: int
    unreadable: int
    left: int
    closed: tuple[str, ...] = ()
    index: int | None = None


async def reseal(
    database: Database,
    log: Log,
    keyring: Keyring,
    path: Path | None,
    clock: Callable[[], int],
    tell: Callable[[ResealProgress], None] = lambda _: None,
) -> ResealReport:
    """Renew all rows, then close retired keys and earlier indexes that nothing depends on any more.

    `database` is the database itself, not one that renews what it meets. `path` is the key file, None if the keys come from a command:
    then nothing is closed. Raises UnavailableError if the database is down; what was renewed until then stays so.
    """
    keyring.read_again()
    work = _Work(database, RowRenewal(keyring), tell)
    renewed = await work.run()
    report = ResealReport(renewed, work.unreadable, work.left)
    if path is not None and not work.unreadable and not work.left:
        report = await _close(database, keyring, path, clock(), report)
    if renewed or report.closed or report.index is not None:
        facts: dict[str, str | int] = {"renewed": renewed, "unreadable": work.unreadable}
        event = Event(clock(), EventKind.KEYS_RESEALED, "", keyring.primary.kid, facts)
        await log.run(database, event_log.append_event, event)
    return report


class _Work:
    """Looks through all tables until nothing is left to renew."""

    def __init__(self, database: Database, renewal: RowRenewal, tell: Callable[[ResealProgress], None]) -> None:
        self._database = database
        self._renewal = renewal
        self._tell = tell
        self.unreadable = 0
        self.left = 0

    async def run(self) -> int:
        """Look through all tables, and return how many rows were renewed."""
        renewed = 0
        for _ in range(MAX_PASSES):
            self.unreadable = self.left = 0
            done = 0
            for table in PROTECTED_TABLES.values():
                done += await self._renew_table(table)
            renewed += done
            if not done:
                break
        return renewed

    async def _renew_table(self, table: Table) -> int:
        after: Row | None = None
        seen = renewed = 0
        while rows := await self._database.read(protected_columns.list_page, table, after, BATCH):
            began = time.monotonic()
            pairs = self._pairs(table, rows)
            if pairs:
                renewed += await self._write(table, pairs)
                await asyncio.sleep(min(LONGEST_PAUSE, time.monotonic() - began))
            seen += len(rows)
            after = tuple(rows[-1][: len(table.key)])
            self._tell(ResealProgress(table.name, seen, renewed))
        return renewed

    def _pairs(self, table: Table, rows: Sequence[Row]) -> list[Pair]:
        pairs: list[Pair] = []
        for row in rows:
            before = tuple(row)
            if table == IDENTIFIERS and not self._renewal.is_open(bytes(before[0])):
                # Nobody finds it any more; renewed, it would let somebody sign in again.
                pairs.append((before, None))
                continue
            try:
                renewed = tuple(self._renewal.renewed_row(table, before))
            except (CountersignError, msgspec.MsgspecError, ValueError) as error:
                self.unreadable += 1
                row_id = before[0] if isinstance(before[0], str) else ""
                _log.warning("not_resealed", table=table.name, row=row_id, error=type(error).__name__)
                continue
            if renewed != before:
                pairs.append((before, renewed))
        return pairs

    async def _write(self, table: Table, pairs: Sequence[Pair]) -> int:
        try:
            return await self._database.run(_write_pairs, table, pairs)
        except ConflictError:
            written = 0
            for pair in pairs:
                try:
                    written += await self._database.run(_write_pairs, table, [pair])
                except ConflictError:
                    self.left += 1
            return written


async def _write_pairs(table: Table, pairs: Sequence[Pair]) -> int:
    """Write renewed rows; a row that has changed meanwhile stays as it is now.

    Rows of accounts are written while their accounts are locked. Flows lock an account before they read what belongs to it, and so none
    of them writes back a value that it read before it was renewed.
    """
    if accounts := _accounts_of(table, pairs):
        await Take(ACCOUNTS, [(account,) for account in accounts])
    for before, after in pairs:
        if after is None:
            await protected_columns.delete_row(table, before)
    gone = sum(after is None for _, after in pairs)
    return gone + await protected_columns.replace_rows(
        table, [(before, after) for before, after in pairs if after is not None]
    )


def _accounts_of(table: Table, pairs: Sequence[Pair]) -> list[str]:
    """Return the ids of the accounts that rows belong to, in order."""
    name = "id" if table == ACCOUNTS else "account"
    if name not in dict(table.columns):
        return []
    place = position(table, name)
    return sorted({before[place] for before, _ in pairs})


async def count_sealed(database: Database, keyring: Keyring) -> dict[str, int]:
    """Return how many values are sealed with each key that is not the active one, by its id; keys without any are left out."""
    primary = keyring.primary.kid
    found: Counter[str] = Counter()
    for kid in [kid for kid, _ in keyring.kids() if kid != primary]:
        for column in protected_columns.SEALED_COLUMNS:
            found[kid] += await database.read(protected_columns.count_sealed, column, kid)
    found.update(await _count_nested(database, primary))
    return {kid: count for kid, count in sorted(found.items()) if count}


async def _count_nested(database: Database, primary: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for table, column in protected_columns.NESTED_COLUMNS:
        after: Row | None = None
        place = position(table, column)
        while rows := await database.read(protected_columns.list_page, table, after, 1_000):
            for row in rows:
                kid = sealing_kid(table, bytes(row[place]))
                if kid not in {"", primary}:
                    found[kid] += 1
            after = tuple(rows[-1][: len(table.key)])
    return found


async def _close(database: Database, keyring: Keyring, path: Path, now: int, report: ResealReport) -> ResealReport:
    """Close what nothing depends on any more: retired keys, and the indexes before the newest one."""
    in_use = set(await count_sealed(database, keyring))

    def closable(stored: StoredKeyring) -> list[str]:
        found = []
        for key in stored.keys:
            over = stored.taken_over_at(key)
            settled = key.active_from > now or (over is not None and now >= over + LATE_READER)
            if key.retired_at is not None and key.kid not in in_use and settled:
                found.append(key.kid)
        return found

    closed = close_keys(path, closable, now)
    index = await _close_indexes(database, keyring, path, now)
    keyring.read_again()
    return msgspec.structs.replace(report, closed=tuple(key.kid for key in closed), index=index)


async def _close_indexes(database: Database, keyring: Keyring, path: Path, now: int) -> int | None:
    """Let no hash of an index before the newest one be found. Return its number, or None if it was the only one before."""
    if not keyring.replacing_index:
        return None
    number = keyring.hashes.number
    if now < keyring.index_active_from(number) + LATE_READER:
        raise SettingsError(
            f"Index {number} has just become active, and another program may not have read it yet. Run `countersign keys reseal` again in a minute."
        )
    await hold_log(database, keyring, now)
    await database.run(metadata.save, metadata.KEYS, keyring.fingerprint())
    close_older_indexes(path, number, now)
    return number
