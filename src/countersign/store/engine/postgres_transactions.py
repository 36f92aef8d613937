"""Runs the statements of a transaction on a PostgreSQL connection: with locks, or without locks and guarded by the versions of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.store.engine import postgres_sql
from countersign.store.engine.database import (
    APPENDED_OUTSIDE,
    Append,
    Claim,
    ClaimShares,
    Seek,
    Sql,
    Take,
    Update,
    Upsert,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from countersign.store.engine.database import Change, Row, Rows, Statement, Table

    Connection = asyncpg.Connection[asyncpg.Record]


class CollidedError(Exception):
    """The transaction lost against another one, and may succeed when it is tried again."""


class NeedsLocksError(Exception):
    """The transaction cannot run without BEGIN, locks and COMMIT."""


class LockedTransaction:
    """Runs the statements of one transaction between BEGIN and COMMIT.

    It remembers which keys were taken and found. `believed_absent` names the primary keys that are violated if another transaction
    has written a key that was not found. If `locks` is False, as in a transaction that only reads, a Take locks nothing.
    """

    def __init__(self, connection: Connection, statements: postgres_sql.StatementCache, *, locks: bool) -> None:
        self._connection = connection
        self._statements = statements
        self._locks = locks
        self._found: dict[str, set[Row]] = {}
        self.believed_absent: set[str] = set()

    async def perform(self, statement: Statement) -> Rows:
        """Run one statement, and return its rows."""
        if isinstance(statement, Take):
            return await self._take(statement)
        if isinstance(statement, Sql):
            return [tuple(row) for row in await self._connection.fetch(statement.sql, *statement.args)]
        if isinstance(statement, Seek):
            return await _seek(self._connection, statement)
        if isinstance(statement, Claim):
            sql = postgres_sql.select_unclaimed(statement)
            return [tuple(row) for row in await self._connection.fetch(sql, *statement.args)]
        if isinstance(statement, ClaimShares):
            if not statement.shares:
                return ()
            sql, arguments = postgres_sql.select_shares(statement)
            return [tuple(row) for row in await self._connection.fetch(sql, *arguments)]
        if isinstance(statement, Append):
            raise AssertionError(APPENDED_OUTSIDE)  # noqa: TRY004 - a transaction written wrongly
        changes = [change for change in statement.changes if change.rows]
        if any(isinstance(change, Upsert) for change in changes):
            changes = self._without_lost_updates(changes)
        if changes:
            sql = self._statements.write(changes)
            await self._connection.execute(sql, *postgres_sql.write_arguments(changes))
        return ()

    async def _take(self, statement: Take) -> Rows:
        table = statement.table
        found = self._found.setdefault(table.name, set())
        keys = sorted(set(map(tuple, statement.keys)))
        if not keys:
            return ()
        sql = self._statements.select_by_key(table, locked=self._locks)
        rows = [tuple(row) for row in await self._connection.fetch(sql, *postgres_sql.key_arguments(table, keys))]
        width = len(table.key)
        found.update([row[:width] for row in rows])
        return rows

    def _without_lost_updates(self, changes: Sequence[Change]) -> list[Change]:
        """Return the changes with each upsert split if rows of its table were taken, and in the order of its keys otherwise."""
        result: list[Change] = []
        for change in changes:
            if not isinstance(change, Upsert):
                result.append(change)
                continue
            found = self._found.get(change.table.name)
            ordered = Upsert(change.table, postgres_sql.sorted_by_key(change.rows, len(change.table.key)))
            if found is None:
                result.append(ordered)
            else:
                result.extend(postgres_sql.split_upsert(ordered, found))
                self.believed_absent.add(f"{change.table.name}_pkey")
        return result


class GuardedTransaction:
    """Runs the statements of one transaction without locks.

    It remembers the version of each row that was read. The one write succeeds only if the rows still have these versions.
    `written` is True from the moment that the write is sent: from then on its outcome may be unknown.
    """

    def __init__(self, connection: Connection, statements: postgres_sql.StatementCache) -> None:
        self._connection = connection
        self._statements = statements
        self._versions: dict[str, dict[Row, str]] = {}
        self.written = False

    async def perform(self, statement: Statement) -> Rows:
        """Run one statement, and return its rows; raises NeedsLocksError, before anything is written, if it cannot run without locks."""
        if self.written:
            raise AssertionError("a statement follows a write that was promised to be the last")
        if isinstance(statement, Take):
            return await self._read(statement.table, statement.keys)
        if isinstance(statement, Seek):
            return await _seek(self._connection, statement)
        if isinstance(statement, Write) and statement.last:
            self.written = True
            await self._write([change for change in statement.changes if change.rows])
            return ()
        raise NeedsLocksError

    async def _read(self, table: Table, keys: Rows) -> Rows:
        if not keys:
            return ()
        sql = self._statements.select_by_key(table, versions=True)
        width = len(table.key)
        versions = self._versions.setdefault(table.name, {})
        rows: list[Row] = []
        for found in await self._connection.fetch(sql, *postgres_sql.key_arguments(table, keys)):
            row = tuple(found)
            versions[row[:width]] = row[-1]
            rows.append(row[:-1])
        return rows

    async def _write(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        sql = self._statements.write(changes, guarded=True)
        arguments: list[str | int] = []
        updated = 0
        for change in changes:
            arguments.extend(postgres_sql.write_arguments([change]))
            if isinstance(change, Update):
                width = len(change.table.key)
                versions = self._versions.get(change.table.name, {})
                try:
                    known = [versions[tuple(row[:width])] for row in change.rows]
                except KeyError:
                    raise NeedsLocksError from None  # it updates rows that it has not taken
                arguments.append(postgres_sql.text_array("int", known))
                updated += len(change.rows)
        await self._connection.fetch(sql, *arguments, updated)


async def _seek(connection: Connection, statement: Seek) -> Rows:
    if not statement.values:
        return ()
    return [tuple(row) for row in await connection.fetch(*postgres_sql.select_by_column(statement))]
