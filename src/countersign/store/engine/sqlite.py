"""SQLite as a Database: one writer thread that a whole transaction visits once, reader threads beside it, a WAL kept short."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from countersign.errors import UnavailableError
from countersign.store.engine.database import (
    APPENDED_OUTSIDE,
    Append,
    Change,
    Claim,
    ConflictError,
    Insert,
    RejectedError,
    Row,
    Rows,
    Runner,
    Seek,
    Sql,
    Statement,
    Table,
    Take,
    Transaction,
    Update,
)
from countersign.store.engine.sqlite_threads import Checkpoints, WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
P = ParamSpec("P")

BUSY_MS: Final = 5_000
"""How long a writer waits for another process (the command line beside the server) to finish, in milliseconds."""
KEYS_A_QUERY: Final = 1_024
"""Keys looked up by one SELECT; SQLite takes 32,766 parameters."""

_FULL: Final = 13
_UNAVAILABLE: Final = {
    5: "another process has held it for more than {wait:g} seconds: end the program that keeps a transaction open",
    6: "one of its tables is locked: end the program that keeps a transaction open",
    8: "it, or its folder, cannot be written: check owner, permissions, and whether the disk is mounted read-only",
    10: "the disk reports an I/O error: look at the system's log, and check disk and mount",
    11: "it is damaged: restore it from a backup",
    _FULL: "the disk is full: free some space; nothing else needs to be done",
    14: "it cannot be opened: check that the folder exists and belongs to the user who runs Countersign",
    15: "its lock cannot be had: put it on a local disk, not on a network share",
    26: "the file is not an SQLite database: check the path",
}
_UNMIGRATED: Final = re.compile(r"no such (table|column)|has no column named")
_PARAMETER: Final = re.compile(r"\$(\d+)")
_LOCKING: Final = re.compile(r"\s+FOR\s+(NO\s+KEY\s+)?UPDATE(\s+OF\s+\w+)?(\s+(SKIP\s+LOCKED|NOWAIT))?", re.IGNORECASE)


@functools.lru_cache(maxsize=1_024)
def in_sqlite(sql: str) -> str:
    """Return a statement as SQLite reads it: `$n` becomes `?n`, and locks of rows go, since there is one writer."""
    return _PARAMETER.sub(r"?\1", _LOCKING.sub("", sql))


@functools.lru_cache(maxsize=256)
def _select(table: Table, count: int) -> str:
    """Return the SELECT of rows by `count` keys, each looked up in the index: with IN, two columns would be a scan.

    CROSS JOIN keeps the planner from turning the two around, so rows come in the order of the keys.
    """
    one = f"({', '.join('?' * len(table.key))})"
    wanted = ", ".join([one] * count)
    same = " AND ".join(f"t.{name} = w.column{n}" for n, (name, _) in enumerate(table.key, 1))
    columns = ", ".join(f"t.{name}" for name, _ in table.columns)
    return f"SELECT {columns} FROM (VALUES {wanted}) AS w CROSS JOIN {table.name} AS t ON {same}"


def _room_for(keys: int) -> int:
    """Return the number of keys that a statement for `keys` keys has room for; so few statements are kept prepared, the rest is NULL."""
    room = 1
    while room < keys:
        room *= 4
    return room


def _change(change: Change) -> str:
    """Return the statement that is carried out once for each row of a change."""
    table = change.table
    columns = [name for name, _ in table.columns]
    key = [name for name, _ in table.key]
    moving = [name for name, _ in table.moving]
    if isinstance(change, Update):
        assignments = ", ".join(f"{name} = ?{len(key) + n}" for n, name in enumerate(moving, 1))
        condition = " AND ".join(f"{name} = ?{n}" for n, name in enumerate(key, 1))
        return f"UPDATE {table.name} SET {assignments} WHERE {condition}"
    insert = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    if isinstance(change, Insert):
        return insert
    replaced = ", ".join(f"{name} = excluded.{name}" for name in moving)
    return f"{insert} ON CONFLICT ({', '.join(key)}) DO {f'UPDATE SET {replaced}' if replaced else 'NOTHING'}"


def _texts(change: Change) -> tuple[int, ...]:
    """Return the positions of text in the rows of a change."""
    table = change.table
    columns = table.key + table.moving if isinstance(change, Update) else table.columns
    return tuple(n for n, (_, kind) in enumerate(columns) if kind == "text")


class SqliteDatabase:
    """A store of rows in one file, for one serving process; a second one (the command line) may write beside it.

    `path` is the database's file; it is made readable to its owner only, as are folders that have to be made for it.
    Announcements reach this process alone: another one finds what is due by polling.
    """

    def __init__(self, path: Path | str, *, readers: int = 2) -> None:
        self._path = Path(path)
        self._readers = readers
        self._wakes: list[Callable[[], None]] = []
        self._sql: dict[tuple[type[Change], Table], tuple[str, tuple[int, ...]]] = {}
        self._write_room: WorkerThreads | None = None
        self._read_room: WorkerThreads | None = None
        self._checkpoints: Checkpoints | None = None

    async def open(self) -> None:
        """Make the file if need be and connect; raises UnavailableError with what to check."""
        await asyncio.to_thread(self._make_file)
        self._checkpoints = Checkpoints(self._connect, BUSY_MS)
        self._write_room = WorkerThreads("sqlite-writer", 1, self._connect_writer)
        self._read_room = WorkerThreads("sqlite-reader", self._readers, self._connect_reader)
        try:
            await self._write_room.visit(self._greet)
            await self._read_room.visit(self._greet)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what runs and let go; the last connection that closes puts the WAL into the file."""
        rooms = (self._read_room, self._write_room)
        checkpoints = self._checkpoints
        self._read_room = self._write_room = self._checkpoints = None
        for room in rooms:
            if room is not None:
                await room.close()
        if checkpoints is not None:
            await asyncio.to_thread(checkpoints.close)

    async def run(self, steps: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that writes, in one visit to the writer thread; see Runner."""
        if self._write_room is None:
            raise UnavailableError("The database is not open.")
        return await self._write_room.visit(lambda connection: self._write(connection, steps(*args, **kwargs)))

    async def read(self, steps: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that only reads, on one snapshot; it never waits for a writer."""
        if self._read_room is None:
            raise UnavailableError("The database is not open.")
        return await self._read_room.visit(
            lambda connection: self._transaction(connection, "BEGIN", steps(*args, **kwargs))
        )

    def lanes(self) -> Sequence[Runner]:
        """Return the one runner there can be: this."""
        return (self,)

    def announce(self) -> None:
        """Say that a delivery is due to whoever hears in this process."""
        for wake in self._wakes:
            wake()

    def hear(self, wake: Callable[[], None]) -> None:
        """Call `wake` when something was announced."""
        self._wakes.append(wake)

    def _make_file(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise UnavailableError(
                f"The database {self._path} cannot be opened ({error.strerror}): check that its folder belongs to the user"
                " who runs Countersign and that the disk is not full."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, timeout=BUSY_MS / 1_000, check_same_thread=False, cached_statements=512
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        with self._explained():
            connection = self._connect()
            connection.execute("PRAGMA cache_size = -65536")
            return connection

    def _connect_reader(self) -> sqlite3.Connection:
        with self._explained():
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _greet(self, connection: sqlite3.Connection) -> None:
        with self._explained():
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()

    def _write(self, connection: sqlite3.Connection, steps: Transaction[T]) -> T:
        checkpoints = self._checkpoints
        if checkpoints is not None:
            checkpoints.begin_anew(connection)
        result = self._transaction(connection, "BEGIN IMMEDIATE", steps)
        if checkpoints is not None:
            checkpoints.count(connection.total_changes)
        return result

    def _transaction(self, connection: sqlite3.Connection, begin: str, steps: Transaction[T]) -> T:
        try:
            with self._explained():
                connection.execute(begin)
            result = self._drive(connection, steps)
            with self._explained():
                connection.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back by itself; whatever did not is undone here, or the next BEGIN would fail for ever.
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        finally:
            steps.close()
        return result

    def _drive(self, connection: sqlite3.Connection, steps: Transaction[T]) -> T:
        rows: Rows | None = None
        while True:
            try:
                statement = steps.send(rows)
            except StopIteration as end:
                result: T = end.value
                return result
            with self._explained():
                rows = self._perform(connection, statement)

    def _perform(self, connection: sqlite3.Connection, statement: Statement) -> Rows:
        if isinstance(statement, Take):
            return self._take(connection, statement.table, statement.keys)
        if isinstance(statement, Sql):
            if any(isinstance(value, str) and "\0" in value for value in statement.args):
                raise RejectedError("A text holds the character NUL, which no text may.")
            return connection.execute(in_sqlite(statement.sql), statement.args).fetchall()
        if isinstance(statement, Seek):
            return self._seek(connection, statement)
        if isinstance(statement, Claim):
            sql = (
                f"SELECT {statement.table.names} FROM {statement.table.name} WHERE {statement.condition}"
                f" ORDER BY {statement.by} LIMIT {statement.most}"
            )
            return connection.execute(in_sqlite(sql), statement.args).fetchall()
        if isinstance(statement, Append):
            raise AssertionError(APPENDED_OUTSIDE)  # noqa: TRY004 - a transaction written wrongly
        for change in statement.changes:
            if change.rows:
                self._change(connection, change)
        return ()

    def _change(self, connection: sqlite3.Connection, change: Change) -> None:
        known = self._sql.get((type(change), change.table))
        if known is None:
            known = self._sql[type(change), change.table] = (_change(change), _texts(change))
        sql, texts = known
        # PostgreSQL refuses NUL in text; SQLite would keep it, and cut the text off there when a function reads it.
        for n in texts:
            if any("\0" in row[n] for row in change.rows if row[n]):
                raise RejectedError(f"A text for {change.table.name} holds the character NUL, which no text may.")
        connection.executemany(sql, change.rows)

    @staticmethod
    def _take(connection: sqlite3.Connection, table: Table, keys: Sequence[Row]) -> Rows:
        wanted = sorted(set(map(tuple, keys)))
        width = len(table.key)
        found: list[Row] = []
        for start in range(0, len(wanted), KEYS_A_QUERY):
            values = [value for key in wanted[start : start + KEYS_A_QUERY] for value in key]
            count = _room_for(len(values) // width)
            values.extend([None] * (count * width - len(values)))
            found.extend(connection.execute(_select(table, count), values))
        return found

    @staticmethod
    def _seek(connection: sqlite3.Connection, statement: Seek) -> Rows:
        table = statement.table
        condition = f" AND {statement.condition}" if statement.condition else ""
        found: list[Row] = []
        for start in range(0, len(statement.values), KEYS_A_QUERY):
            chunk = list(statement.values[start : start + KEYS_A_QUERY])
            count = _room_for(len(chunk))
            chunk.extend([None] * (count - len(chunk)))
            marks = ", ".join("?" * count)
            sql = f"SELECT {table.names} FROM {table.name} WHERE {statement.by} IN ({marks}){condition}"
            found.extend(connection.execute(sql, chunk).fetchall())
        return found

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> Exception:
        """Return what an error of the driver means to a caller."""
        if isinstance(error, (OverflowError, UnicodeEncodeError, sqlite3.DataError)):
            return RejectedError("A value does not fit: integers have 64 bits, and text is valid Unicode.")
        code: int = getattr(error, "sqlite_errorcode", 0)
        if code in {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}:
            return ConflictError("A row with this key exists.")
        if isinstance(error, sqlite3.IntegrityError):
            return RejectedError(f"The database refuses a value ({error}).")
        remedy = _UNAVAILABLE.get(code & 0xFF)
        if remedy is not None:
            return UnavailableError(f"The database {self._path} is unavailable: {remedy.format(wait=BUSY_MS / 1_000)}.")
        if isinstance(error, sqlite3.OperationalError) and _UNMIGRATED.search(str(error)):
            return UnavailableError(f"The database {self._path} lacks a table or column: run `countersign migrate`.")
        return error
