"""SQLite as a Database: one writer thread that a whole transaction visits once, reader threads beside it, a WAL kept short."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import sqlite3
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from countersign.errors import OverloadedError, UnavailableError
from countersign.store.database import (
    Change,
    Claim,
    ConflictError,
    Insert,
    Query,
    RejectedError,
    Row,
    Rows,
    Runner,
    Seek,
    Statement,
    Steps,
    Table,
    Take,
    Update,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
P = ParamSpec("P")

BUSY_MS: Final = 5_000
"""How long a writer waits for another process (the command line beside the server) to finish, in milliseconds."""
RESTART_MS: Final = 50
"""How long the writer waits for readers before it gives up making the WAL short this time, in milliseconds."""
LONG_WAL: Final = 8_000
"""Pages of WAL above which the writer begins it anew; passive checkpoints alone let it grow to gigabytes under load."""
HUGE_WAL: Final = 4 * LONG_WAL
"""Pages of WAL above which its file is cut off too, not only begun anew."""
CHECKPOINT_EVERY: Final = 1_000
"""Changed rows after which the background checkpoint is woken."""
WAITING: Final = 1_024
"""Transactions that may wait for a thread; more are refused as overload."""
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
_RECONNECT: Final = {8, 10, 11, 14, 15, 26}
"""After these a connection is made anew; the others leave it as good as it was."""
_UNMIGRATED: Final = re.compile(r"no such (table|column)|has no column named")
_PARAMETER: Final = re.compile(r"\$(\d+)")
_LOCKING: Final = re.compile(r"\s+FOR\s+(NO\s+KEY\s+)?UPDATE(\s+OF\s+\w+)?(\s+(SKIP\s+LOCKED|NOWAIT))?", re.IGNORECASE)


@functools.lru_cache(maxsize=1_024)
def in_sqlite(sql: str) -> str:
    """Return a statement as SQLite reads it: `$n` becomes `?n`, and locks of rows go, since there is one writer."""
    return _PARAMETER.sub(r"?\1", _LOCKING.sub("", sql))


@functools.lru_cache(maxsize=256)
def _select(name: str, key: tuple[str, ...], columns: str, count: int) -> str:
    """Return the SELECT of `count` keys; a row of parameters is VALUES, which SQLite looks up in the index as IN does."""
    names = ", ".join(key)
    if len(key) == 1:
        wanted = ", ".join("?" * count)
    else:
        one = "(" + ", ".join("?" * len(key)) + ")"
        wanted = "VALUES " + ", ".join([one] * count)
    return f"SELECT {columns} FROM {name} WHERE ({names}) IN ({wanted}) ORDER BY {names}"


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


def _code(error: BaseException | None) -> int:
    """Return the primary result code of SQLite behind an error, 0 if there is none."""
    cause = error.__cause__ if isinstance(error, UnavailableError) else error
    code: int = getattr(cause, "sqlite_errorcode", 0)
    return code & 0xFF


class _Job:
    """One transaction that waits for a thread, and the future that its caller awaits."""

    __slots__ = ("_future", "_loop", "_work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self._loop.create_future()

    async def outcome(self) -> Any:  # noqa: ANN401 - whatever the generator returns
        return await self._future

    def carry_out(self, connect: Callable[[], sqlite3.Connection]) -> BaseException | None:
        if self._future.cancelled():
            return None
        try:
            result = self._work(connect())
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, who awaits the future
            self._settle(self._future.set_exception, error)
            return error
        self._settle(self._future.set_result, result)
        return None

    def _settle(self, settle: Callable[[Any], None], value: object) -> None:
        def unless_cancelled() -> None:
            if not self._future.done():
                settle(value)

        # The loop may have ended while the thread was at work; then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(unless_cancelled)


class _Room:
    """Threads, each with a connection of its own, and one bounded queue before them."""

    def __init__(self, name: str, threads: int, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._queue: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._live, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    async def visit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._wake:
            if self._closed:
                raise UnavailableError("The database is closed.")
            if len(self._queue) >= WAITING:
                raise OverloadedError("Too many transactions wait for the database; nothing was done.")
            job = _Job(work)
            self._queue.append(job)
            self._wake.notify()
        result: T = await job.outcome()
        return result

    async def close(self) -> None:
        """Carry out what waits, then end the threads and close their connections."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _live(self) -> None:
        connection: sqlite3.Connection | None = None

        def connected() -> sqlite3.Connection:
            nonlocal connection
            if connection is None:
                connection = self._connect()
            return connection

        for job in self._jobs():
            error = job.carry_out(connected)
            if connection is not None and _code(error) in _RECONNECT:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
                connection = None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _jobs(self) -> Iterator[_Job]:
        while True:
            with self._wake:
                while not self._queue:
                    if self._closed:
                        return
                    self._wake.wait()
                job = self._queue.popleft()
            yield job


class SqliteDatabase:
    """A store of rows in one file, for one serving process; a second one (the command line) may write beside it.

    `path` is the database's file; it is made readable to its owner only, as are folders that have to be made for it.
    Announcements reach this process alone: another one finds what is due by polling.
    """

    def __init__(self, path: Path | str, *, readers: int = 2) -> None:
        self._path = Path(path)
        self._readers = readers
        self._wakes: list[Callable[[], None]] = []
        self._sql: dict[tuple[type[Change], str], tuple[str, tuple[int, ...]]] = {}
        self._write_room: _Room | None = None
        self._read_room: _Room | None = None
        self._checkpoints: _Checkpoints | None = None
        self._changes_seen = 0

    async def open(self) -> None:
        """Make the file if need be and connect; raises UnavailableError with what to check."""
        await asyncio.to_thread(self._make_file)
        self._checkpoints = _Checkpoints(self._connect)
        self._write_room = _Room("sqlite-writer", 1, self._connect_writer)
        self._read_room = _Room("sqlite-reader", self._readers, self._connect_reader)
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

    async def run(self, steps: Callable[P, Steps[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that writes, in one visit to the writer thread; see Runner."""
        if self._write_room is None:
            raise UnavailableError("The database is not open.")
        return await self._write_room.visit(lambda connection: self._write(connection, steps(*args, **kwargs)))

    async def read(self, steps: Callable[P, Steps[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
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
            self._changes_seen = 0
            return connection

    def _connect_reader(self) -> sqlite3.Connection:
        with self._explained():
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _greet(self, connection: sqlite3.Connection) -> None:
        with self._explained():
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()

    def _write(self, connection: sqlite3.Connection, steps: Steps[T]) -> T:
        checkpoints = self._checkpoints
        if checkpoints is not None:
            checkpoints.begin_anew(connection)
        result = self._transaction(connection, "BEGIN IMMEDIATE", steps)
        if checkpoints is not None and connection.total_changes - self._changes_seen >= CHECKPOINT_EVERY:
            self._changes_seen = connection.total_changes
            checkpoints.wake()
        return result

    def _transaction(self, connection: sqlite3.Connection, begin: str, steps: Steps[T]) -> T:
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

    def _drive(self, connection: sqlite3.Connection, steps: Steps[T]) -> T:
        rows: Rows | None = None
        while True:
            try:
                statement = next(steps) if rows is None else steps.send(rows)
            except StopIteration as end:
                result: T = end.value
                return result
            with self._explained():
                rows = self._perform(connection, statement)

    def _perform(self, connection: sqlite3.Connection, statement: Statement) -> Rows:
        if isinstance(statement, Take):
            return self._take(connection, statement.table, statement.keys)
        if isinstance(statement, Query):
            if any(isinstance(value, str) and "\0" in value for value in statement.args):
                raise RejectedError("A text holds the character NUL, which no text may.")
            return connection.execute(in_sqlite(statement.sql), statement.args).fetchall()
        if isinstance(statement, Seek):
            return self._seek(connection, statement)
        if isinstance(statement, Claim):
            sql = (
                f"SELECT {statement.table.names} FROM {statement.table.name} WHERE {statement.condition}"  # noqa: S608 - ours
                f" ORDER BY {statement.by} LIMIT {statement.most}"
            )
            return connection.execute(in_sqlite(sql), statement.args).fetchall()
        for change in statement.changes:
            if not change.rows:
                continue
            known = self._sql.get((type(change), change.table.name))
            if known is None:
                known = self._sql[type(change), change.table.name] = (_change(change), _texts(change))
            sql, texts = known
            rows = change.rows
            # PostgreSQL refuses NUL in text; SQLite would keep it, and cut the text off there when a function reads it.
            for n in texts:
                if any("\0" in row[n] for row in rows if row[n]):
                    raise RejectedError(f"A text for {change.table.name} holds the character NUL, which no text may.")
            connection.executemany(sql, rows)
        return ()

    @staticmethod
    def _take(connection: sqlite3.Connection, table: Table, keys: Sequence[Row]) -> Rows:
        wanted = sorted(set(map(tuple, keys)))
        names = tuple(name for name, _ in table.key)
        found: list[Row] = []
        for start in range(0, len(wanted), KEYS_A_QUERY):
            chunk = wanted[start : start + KEYS_A_QUERY]
            count = 1
            while count < len(chunk):
                count *= 4
            # Few statements are kept prepared: the rest is filled with the last key, which IN takes once.
            chunk.extend(chunk[-1:] * (count - len(chunk)))
            values = [value for key in chunk for value in key]
            found.extend(connection.execute(_select(table.name, names, table.names, count), values))
        return found

    @staticmethod
    def _seek(connection: sqlite3.Connection, statement: Seek) -> Rows:
        table = statement.table
        condition = f" AND {statement.condition}" if statement.condition else ""
        found: list[Row] = []
        for start in range(0, len(statement.values), KEYS_A_QUERY):
            chunk = list(statement.values[start : start + KEYS_A_QUERY])
            marks = ", ".join("?" * len(chunk))
            sql = f"SELECT {table.names} FROM {table.name} WHERE {statement.by} IN ({marks}){condition}"  # noqa: S608 - ours
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


class _Checkpoints:
    """Moves the WAL into the database's file beside the writer, and tells the writer when the WAL has grown long."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._due = threading.Event()
        self._closed = False
        self._pages = 0
        self._thread = threading.Thread(target=self._live, name="sqlite-checkpoints", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._due.set()

    def begin_anew(self, connection: sqlite3.Connection) -> None:
        """Begin the WAL anew if it is long; called by the writer between transactions."""
        pages = self._pages
        if pages <= LONG_WAL:
            return
        self._pages = 0
        # A reader on an old snapshot only puts this off until the next background checkpoint asks again.
        with contextlib.suppress(sqlite3.Error):
            connection.execute(f"PRAGMA busy_timeout = {RESTART_MS}")
            connection.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if pages > HUGE_WAL else 'RESTART'})").fetchall()
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def close(self) -> None:
        self._closed = True
        self._due.set()
        self._thread.join()

    def _live(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._closed:
            self._due.wait()
            self._due.clear()
            # Full disk, lock, damage: the writer meets the same and says so; the next time may succeed.
            with contextlib.suppress(sqlite3.Error):
                if connection is None:
                    connection = self._connect()
                _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._pages = pages
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
