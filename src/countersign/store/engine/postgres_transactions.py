"""How a transaction is carried out on a PostgreSQL connection: with locks, or without and guarded by the rows' versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.store.engine import postgres_sql
from countersign.store.engine.database import APPENDED_OUTSIDE, Append, Claim, Seek, Sql, Take, Update, Upsert, Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from countersign.store.engine.database import Change, Row, Rows, Statement, Table

    Connection = asyncpg.Connection[asyncpg.Record]


class CollidedError(Exception):
    """The transaction lost to another one and may win the next time."""


class NeedsLocksError(Exception):
    """The transaction is of a kind that cannot go without BEGIN, locks and COMMIT."""


class LockedTransaction:
    """The statements of one transaction, which keys it took, and the primary keys that are violated if an absent one is not."""

    def __init__(
        self,
        connection: Connection,
        takes: dict[tuple[str, bool], str],
        writes: dict[postgres_sql.Shape, str],
        *,
        locks: bool,
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._takes = takes
        self._writes = writes
        self._found: dict[str, set[Row]] = {}
        self.believed_absent: set[str] = set()

    async def perform(self, statement: Statement) -> Rows:
        """Carry out one statement."""
        if isinstance(statement, Take):
            return await self._take(statement)
        if isinstance(statement, Sql):
            return [tuple(row) for row in await self._connection.fetch(statement.sql, *statement.args)]
        if isinstance(statement, Seek):
            if not statement.values:
                return ()
            return [tuple(row) for row in await self._connection.fetch(*postgres_sql.seek(statement))]
        if isinstance(statement, Claim):
            return [tuple(row) for row in await self._connection.fetch(postgres_sql.claim(statement), *statement.args)]
        if isinstance(statement, Append):
            raise AssertionError(APPENDED_OUTSIDE)  # noqa: TRY004 - a transaction written wrongly
        changes = [change for change in statement.changes if change.rows]
        if any(isinstance(change, Upsert) for change in changes):
            changes = self._settled(changes)
        if changes:
            shape = postgres_sql.shape(changes)
            sql = self._writes.get(shape)
            if sql is None:
                sql = self._writes[shape] = postgres_sql.write(changes)
            await self._connection.execute(sql, *postgres_sql.arguments(changes))
        return ()

    async def _take(self, statement: Take) -> Rows:
        table = statement.table
        found = self._found.setdefault(table.name, set())
        keys = sorted(set(map(tuple, statement.keys)))
        if not keys:
            return ()
        sql = self._takes.get((table.name, self._locks))
        if sql is None:
            sql = self._takes[table.name, self._locks] = postgres_sql.take(table, locked=self._locks)
        rows = [tuple(row) for row in await self._connection.fetch(sql, *postgres_sql.key_arrays(table, keys))]
        width = len(table.key)
        found.update([row[:width] for row in rows])
        return rows

    def _settled(self, changes: Sequence[Change]) -> list[Change]:
        """Return changes with each upsert as an insert and an update where the rows were taken, else in the order of keys."""
        settled: list[Change] = []
        for change in changes:
            if not isinstance(change, Upsert):
                settled.append(change)
                continue
            found = self._found.get(change.table.name)
            ordered = Upsert(change.table, postgres_sql.by_key(change.rows, len(change.table.key)))
            if found is None:
                settled.append(ordered)
            else:
                settled.extend(postgres_sql.divided(ordered, found))
                self.believed_absent.add(f"{change.table.name}_pkey")
        return settled


class GuardedTransaction:
    """The statements of a transaction that goes without locks: each row's version is kept, and the one write depends on them."""

    def __init__(self, connection: Connection, looks: dict[str, str], writes: dict[postgres_sql.Shape, str]) -> None:
        self._connection = connection
        self._looks = looks
        self._writes = writes
        self._versions: dict[str, dict[Row, str]] = {}
        self.written = False

    async def perform(self, statement: Statement) -> Rows:
        """Carry out one statement; raises NeedsLocksError, before anything is written, for what cannot go without locks."""
        if self.written:
            raise AssertionError("a statement follows a write that was promised to be the last")
        if isinstance(statement, Take):
            return await self._look(statement.table, statement.keys)
        if isinstance(statement, Seek):
            if not statement.values:
                return ()
            return [tuple(row) for row in await self._connection.fetch(*postgres_sql.seek(statement))]
        if isinstance(statement, Write) and statement.last:
            self.written = True  # from here on, whether it was carried out may not be known
            await self._write([change for change in statement.changes if change.rows])
            return ()
        raise NeedsLocksError

    async def _look(self, table: Table, keys: Rows) -> Rows:
        if not keys:
            return ()
        sql = self._looks.get(table.name)
        if sql is None:
            sql = self._looks[table.name] = postgres_sql.look(table)
        width = len(table.key)
        versions = self._versions.setdefault(table.name, {})
        rows: list[Row] = []
        for found in await self._connection.fetch(sql, *postgres_sql.key_arrays(table, keys)):
            row = tuple(found)
            versions[row[:width]] = row[-1]
            rows.append(row[:-1])
        return rows

    async def _write(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        shape = postgres_sql.shape(changes)
        sql = self._writes.get(shape)
        if sql is None:
            sql = self._writes[shape] = postgres_sql.guarded_write(changes)
        arguments: list[str | int] = []
        updated = 0
        for change in changes:
            arguments.extend(postgres_sql.arguments([change]))
            if isinstance(change, Update):
                width = len(change.table.key)
                versions = self._versions.get(change.table.name, {})
                try:
                    known = [versions[tuple(row[:width])] for row in change.rows]
                except KeyError:
                    raise NeedsLocksError from None  # it changes what it has not taken
                arguments.append(postgres_sql.array("int", known))
                updated += len(change.rows)
        await self._connection.fetch(sql, *arguments, updated)
