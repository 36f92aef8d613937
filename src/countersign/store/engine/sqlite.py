"""Implements Database on SQLite: one writer thread that runs each transaction as a whole, reader threads, and a WAL that is kept short."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from countersign.errors import UnavailableError
from countersign.store.engine.database import (
    APPENDED_OUTSIDE,
    Append,
    Change,
    Claim,
    ClaimShares,
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
"""How long a writer waits for another process, such as a command beside the server, in milliseconds."""
KEYS_PER_SELECT: Final = 1_024
"""How many keys one SELECT looks up; SQLite takes 32,766 parameters."""

_FULL: Final = 13
_UNAVAILABLE: Final = {
    5: "another process has locked it for more than {wait:g} seconds: end the program that keeps a transaction open",
    6: "one of its tables is locked: end the program that keeps a transaction open",
    8: "it, or its folder, cannot be written: check owner, permissions, and whether the disk is mounted read-only",
    10: "the disk reports an I/O error: look at the log of the system, and check the disk and its mount",
    11: "it is damaged: restore it from a backup",
    _FULL: "the disk is full: free some space; nothing else needs to be done",
    14: "it cannot be opened: check that the folder exists and belongs to the user who runs Countersign",
    15: "it cannot be locked: put it on a local disk, not on a network share",
    26: "the file is not an SQLite database: check the path",
}
_UNMIGRATED: Final = re.compile(r"no such (table|column)|has no column named")
_PARAMETER: Final = re.compile(r"\$(\d+)")
_LOCKING: Final = re.compile(r"\s+FOR\s+(NO\s+KEY\s+)?UPDATE(\s+OF\s+\w+)?(\s+(SKIP\s+LOCKED|NOWAIT))?", re.IGNORECASE)


@functools.lru_cache(maxsize=1_024)
def in_dialect(sql: str) -> str:
    """Return a statement in the dialect of SQLite: `$n` becomes `?n`, and locking clauses are left out, because there is one writer."""
    return _PARAMETER.sub(r"?\1", _LOCKING.sub("", sql))


@functools.lru_cache(maxsize=256)
def _select(table: Table, count: int) -> str:
    """Return the SELECT of rows by `count` keys, each looked up in the index; with IN, a key of two columns would need a scan.

    CROSS JOIN keeps the planner from swapping the two tables, so rows come in the order of the keys.
    """
    one = f"({', '.join('?' * len(table.key))})"
    wanted = ", ".join([one] * count)
    same = " AND ".join(f"t.{name} = w.column{n}" for n, (name, _) in enumerate(table.key, 1))
    columns = ", ".join(f"t.{name}" for name, _ in table.columns)
    return f"SELECT {columns} FROM (VALUES {wanted}) AS w CROSS JOIN {table.name} AS t ON {same}"


def _parameters_for(keys: int) -> int:
    """Return the number of parameters of a statement for `keys` keys, a power of four, so that few statements are prepared.

    The parameters that are left over are NULL.
    """
    count = 1
    while count < keys:
        count *= 4
    return count


def _change(change: Change) -> str:
    """Return the statement that is run once for each row of a change."""
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


def _text_positions(change: Change) -> tuple[int, ...]:
    """Return the positions of text columns in the rows of a change."""
    table = change.table
    columns = table.key + table.moving if isinstance(change, Update) else table.columns
    return tuple(n for n, (_, kind) in enumerate(columns) if kind == "text")


class SqliteDatabase:
    """A store of rows in one file, for one server process; a command may write beside it.

    `path` is the file of the database. It is created for its owner alone, and so are missing folders. `readers` is the number of reader
    threads. Notifications reach this process alone; another process finds due deliveries by polling.
    """

    def __init__(self, path: Path | str, *, readers: int = 2) -> None:
        self._path = Path(path)
        self._readers = readers
        self._listeners: list[Callable[[], None]] = []
        self._statements: dict[tuple[type[Change], Table], tuple[str, tuple[int, ...]]] = {}
        self._writer_threads: WorkerThreads | None = None
        self._reader_threads: WorkerThreads | None = None
        self._checkpoints: Checkpoints | None = None

    async def open(self) -> None:
        """Create the file if it is missing, and connect; raises UnavailableError, whose message says what to check."""
        await asyncio.to_thread(self._create_file)
        self._checkpoints = Checkpoints(self._connect, BUSY_MS)
        self._writer_threads = WorkerThreads("sqlite-writer", 1, self._connect_writer)
        self._reader_threads = WorkerThreads("sqlite-reader", self._readers, self._connect_reader)
        try:
            await self._writer_threads.run(self._probe)
            await self._reader_threads.run(self._probe)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish the transactions under way, and close every connection; the last one moves the WAL into the file."""
        pools = (self._reader_threads, self._writer_threads)
        checkpoints = self._checkpoints
        self._reader_threads = self._writer_threads = self._checkpoints = None
        for threads in pools:
            if threads is not None:
                await threads.close()
        if checkpoints is not None:
            await asyncio.to_thread(checkpoints.close)

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that writes, as a whole on the writer thread; see Runner."""
        if self._writer_threads is None:
            raise UnavailableError("The database is not open.")
        return await self._writer_threads.run(lambda connection: self._write(connection, transaction(*args, **kwargs)))

    async def read(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that only reads, on one snapshot; it never waits for a writer."""
        if self._reader_threads is None:
            raise UnavailableError("The database is not open.")
        return await self._reader_threads.run(
            lambda connection: self._transaction(connection, "BEGIN", transaction(*args, **kwargs))
        )

    def ledger_connections(self) -> Sequence[Runner]:
        """Return this database: SQLite has one writer."""
        return (self,)

    def now(self) -> int:
        """Return this machine's time (ms): the database is on it."""
        return time.time_ns() // 1_000_000

    def pass_on(self) -> None:
        """Do nothing: no worker of another process hears of it."""

    def notify(self) -> None:
        """Notify the listeners of this process that a delivery is due."""
        for wake in self._listeners:
            wake()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever this process notifies."""
        self._listeners.append(wake)

    def _create_file(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Never opened if it is there: closing it again would drop every lock that this process has on it (POSIX, fcntl).
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
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
        with self._translated_errors():
            connection = self._connect()
            connection.execute("PRAGMA cache_size = -65536")
            return connection

    def _connect_reader(self) -> sqlite3.Connection:
        with self._translated_errors():
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _probe(self, connection: sqlite3.Connection) -> None:
        with self._translated_errors():
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()

    def _write(self, connection: sqlite3.Connection, transaction: Transaction[T]) -> T:
        checkpoints = self._checkpoints
        if checkpoints is not None:
            checkpoints.restart_wal(connection)
        result = self._transaction(connection, "BEGIN IMMEDIATE", transaction)
        if checkpoints is not None:
            checkpoints.count(connection.total_changes)
        return result

    def _transaction(self, connection: sqlite3.Connection, begin: str, transaction: Transaction[T]) -> T:
        try:
            with self._translated_errors():
                connection.execute(begin)
            result = self._drive(connection, transaction)
            with self._translated_errors():
                connection.execute("COMMIT")
        except BaseException:
            # SQLite rolls back by itself when the disk is full. Anything else is rolled back here, or every later BEGIN would fail.
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        finally:
            transaction.close()
        return result

    def _drive(self, connection: sqlite3.Connection, transaction: Transaction[T]) -> T:
        rows: Rows | None = None
        while True:
            try:
                statement = transaction.send(rows)
            except StopIteration as end:
                result: T = end.value
                return result
            with self._translated_errors():
                rows = self._perform(connection, statement)

    def _perform(self, connection: sqlite3.Connection, statement: Statement) -> Rows:
        if isinstance(statement, Take):
            return self._take(connection, statement.table, statement.keys)
        if isinstance(statement, Sql):
            if any(isinstance(value, str) and "\0" in value for value in statement.args):
                raise RejectedError("A text contains the character NUL, which is not allowed.")
            return connection.execute(in_dialect(statement.sql), statement.args).fetchall()
        if isinstance(statement, Seek):
            return self._seek(connection, statement)
        if isinstance(statement, Claim):
            sql = (
                f"SELECT {statement.table.names} FROM {statement.table.name} WHERE {statement.condition}"
                f" ORDER BY {statement.order_by} LIMIT {statement.limit}"
            )
            return connection.execute(in_dialect(sql), statement.args).fetchall()
        if isinstance(statement, ClaimShares):
            return self._claim_shares(connection, statement)
        if isinstance(statement, Append):
            raise AssertionError(APPENDED_OUTSIDE)  # noqa: TRY004 - a transaction written wrongly
        for change in statement.changes:
            if change.rows:
                self._change(connection, change)
        return ()

    def _change(self, connection: sqlite3.Connection, change: Change) -> None:
        known = self._statements.get((type(change), change.table))
        if known is None:
            known = self._statements[type(change), change.table] = (_change(change), _text_positions(change))
        sql, texts = known
        # PostgreSQL refuses NUL in text. SQLite would store it, and its functions would read the text only up to there.
        for n in texts:
            if any("\0" in row[n] for row in change.rows if row[n]):
                raise RejectedError(f"A text for {change.table.name} contains the character NUL, which is not allowed.")
        connection.executemany(sql, change.rows)

    @staticmethod
    def _take(connection: sqlite3.Connection, table: Table, keys: Sequence[Row]) -> Rows:
        wanted = sorted(set(map(tuple, keys)))
        width = len(table.key)
        found: list[Row] = []
        for start in range(0, len(wanted), KEYS_PER_SELECT):
            values = [value for key in wanted[start : start + KEYS_PER_SELECT] for value in key]
            count = _parameters_for(len(values) // width)
            values.extend([None] * (count * width - len(values)))
            found.extend(connection.execute(_select(table, count), values))
        return found

    @staticmethod
    def _claim_shares(connection: sqlite3.Connection, statement: ClaimShares) -> Rows:
        """Return the rows of each group; nobody else writes meanwhile."""
        group, most = (f"${len(statement.args) + n}" for n in (1, 2))
        sql = in_dialect(
            f"SELECT {statement.table.names} FROM {statement.table.name} WHERE {statement.column} = {group}"
            f" AND {statement.condition} ORDER BY {statement.order_by} LIMIT {most}"
        )
        return [row for share in statement.shares for row in connection.execute(sql, (*statement.args, *share))]

    @staticmethod
    def _seek(connection: sqlite3.Connection, statement: Seek) -> Rows:
        table = statement.table
        condition = f" AND {statement.condition}" if statement.condition else ""
        found: list[Row] = []
        for start in range(0, len(statement.values), KEYS_PER_SELECT):
            chunk = list(statement.values[start : start + KEYS_PER_SELECT])
            count = _parameters_for(len(chunk))
            chunk.extend([None] * (count - len(chunk)))
            marks = ", ".join("?" * count)
            sql = f"SELECT {table.names} FROM {table.name} WHERE {statement.column} IN ({marks}){condition}"
            found.extend(connection.execute(sql, chunk).fetchall())
        return found

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> Exception:
        """Return the error that a caller gets for an error of the driver."""
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
