"""Runs SQLite on threads of its own: worker threads that run transactions, and a thread for checkpoints that keeps the WAL short."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from countersign.errors import OverloadedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

MAX_WAITING: Final = 1_024
"""How many transactions may wait for a thread; any more are refused with OverloadedError."""
RESTART_MS: Final = 50
"""How long the writer waits for readers when it restarts the WAL, in milliseconds; then it goes on without."""
LONG_WAL: Final = 8_000
"""Pages of the WAL above which the writer restarts it; with passive checkpoints alone it grows to gigabytes under load."""
HUGE_WAL: Final = 4 * LONG_WAL
"""Pages of the WAL above which its file is truncated as well."""
CHECKPOINT_EVERY: Final = 1_000
"""How many changed rows wake the background checkpoint."""

_RECONNECT: Final = {8, 10, 11, 14, 15, 26}
"""Result codes of SQLite after which a connection is opened again; after any other it can still be used."""


def _code(error: BaseException | None) -> int:
    """Return the primary result code of SQLite that caused an error, or 0."""
    cause = error.__cause__ if isinstance(error, UnavailableError) else error
    code: int = getattr(cause, "sqlite_errorcode", 0)
    return code & 0xFF


class Job:
    """Work that waits for a thread, and the future that its caller awaits."""

    __slots__ = ("_future", "_loop", "_work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self._loop.create_future()

    async def outcome(self) -> Any:  # noqa: ANN401 - whatever the work returns
        """Return the result of the work, or raise what it raised."""
        return await self._future

    def run(self, connect: Callable[[], sqlite3.Connection]) -> BaseException | None:
        """Do the work, unless its caller was cancelled; return the exception that it raised, or None."""
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

        # The event loop may have ended while the thread was at work. Then nobody waits for the result.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(unless_cancelled)


class WorkerThreads:
    """Threads that share one bounded queue, each with a connection of its own.

    `name` is the prefix of the names of the threads, `connect` opens a connection.
    """

    def __init__(self, name: str, threads: int, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._queue: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work_loop, name=f"{name}-{n}", daemon=True) for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work on one of the threads, and return its result; raises OverloadedError if too much is waiting."""
        with self._wake:
            if self._closed:
                raise UnavailableError("The database is closed.")
            if len(self._queue) >= MAX_WAITING:
                raise OverloadedError("Too many transactions are waiting for the database. Nothing was done.")
            job = Job(work)
            self._queue.append(job)
            self._wake.notify()
        result: T = await job.outcome()
        return result

    async def close(self) -> None:
        """Run what is waiting, then end the threads and close their connections."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _work_loop(self) -> None:
        connection: sqlite3.Connection | None = None

        def connected() -> sqlite3.Connection:
            nonlocal connection
            if connection is None:
                connection = self._connect()
            return connection

        for job in self._jobs():
            error = job.run(connected)
            if connection is not None and _code(error) in _RECONNECT:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
                connection = None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _jobs(self) -> Iterator[Job]:
        while True:
            with self._wake:
                while not self._queue:
                    if self._closed:
                        return
                    self._wake.wait()
                job = self._queue.popleft()
            yield job


class Checkpoints:
    """Moves the WAL into the file of the database in the background, and has the writer restart the WAL when it has grown long.

    `connect` opens a connection, `busy_ms` is the time limit that the writer waits for other processes.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], busy_ms: int) -> None:
        self._connect = connect
        self._busy_ms = busy_ms
        self._changes_seen = 0
        self._due = threading.Event()
        self._closed = False
        self._pages = 0
        self._thread = threading.Thread(target=self._work_loop, name="sqlite-checkpoints", daemon=True)
        self._thread.start()

    def count(self, changes: int) -> None:
        """Wake the background checkpoint if many rows were changed; `changes` counts all rows that the writer's connection has changed."""
        # A new connection of the writer counts from zero.
        if abs(changes - self._changes_seen) >= CHECKPOINT_EVERY:
            self._changes_seen = changes
            self._due.set()

    def restart_wal(self, connection: sqlite3.Connection) -> None:
        """Restart the WAL if it is long; the writer calls this between transactions."""
        pages = self._pages
        if pages <= LONG_WAL:
            return
        self._pages = 0
        # A reader on an old snapshot delays this until after the next background checkpoint.
        with contextlib.suppress(sqlite3.Error):
            connection.execute(f"PRAGMA busy_timeout = {RESTART_MS}")
            connection.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if pages > HUGE_WAL else 'RESTART'})").fetchall()
        connection.execute(f"PRAGMA busy_timeout = {self._busy_ms}")

    def close(self) -> None:
        """End the thread, and close its connection."""
        self._closed = True
        self._due.set()
        self._thread.join()

    def _work_loop(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._closed:
            self._due.wait()
            self._due.clear()
            # The writer meets the same fault, such as a full disk, and reports it. The next checkpoint may succeed.
            with contextlib.suppress(sqlite3.Error):
                if connection is None:
                    connection = self._connect()
                _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._pages = pages
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
