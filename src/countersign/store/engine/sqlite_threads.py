"""The threads that SQLite works on: rooms that a transaction visits once, and checkpoints that keep the WAL short beside them."""

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

WAITING: Final = 1_024
"""Transactions that may wait for a thread; more are refused as overload."""
RESTART_MS: Final = 50
"""How long the writer waits for readers before it gives up making the WAL short this time, in milliseconds."""
LONG_WAL: Final = 8_000
"""Pages of WAL above which the writer begins it anew; passive checkpoints alone let it grow to gigabytes under load."""
HUGE_WAL: Final = 4 * LONG_WAL
"""Pages of WAL above which its file is cut off too, not only begun anew."""
CHECKPOINT_EVERY: Final = 1_000
"""Changed rows after which the background checkpoint is woken."""

_RECONNECT: Final = {8, 10, 11, 14, 15, 26}
"""After these a connection is made anew; the others leave it as good as it was."""


def _code(error: BaseException | None) -> int:
    """Return the primary result code of SQLite behind an error, 0 if there is none."""
    cause = error.__cause__ if isinstance(error, UnavailableError) else error
    code: int = getattr(cause, "sqlite_errorcode", 0)
    return code & 0xFF


class Job:
    """One transaction that waits for a thread, and the future that its caller awaits."""

    __slots__ = ("_future", "_loop", "_work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self._loop.create_future()

    async def outcome(self) -> Any:  # noqa: ANN401 - whatever the work returns
        """Wait for the work's result, or raise what it raised."""
        return await self._future

    def carry_out(self, connect: Callable[[], sqlite3.Connection]) -> BaseException | None:
        """Do the work, unless its caller has left, and return the error that it ended in."""
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


class WorkerThreads:
    """Threads, each with a connection of its own, and one bounded queue before them."""

    def __init__(self, name: str, threads: int, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._queue: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._live, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    async def visit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out work on one of the threads; raises OverloadedError when too much waits already."""
        with self._wake:
            if self._closed:
                raise UnavailableError("The database is closed.")
            if len(self._queue) >= WAITING:
                raise OverloadedError("Too many transactions wait for the database; nothing was done.")
            job = Job(work)
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
    """Moves the WAL into the database's file beside the writer, and tells the writer when the WAL has grown long."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], busy_ms: int) -> None:
        self._connect = connect
        self._busy_ms = busy_ms
        self._changes_seen = 0
        self._due = threading.Event()
        self._closed = False
        self._pages = 0
        self._thread = threading.Thread(target=self._live, name="sqlite-checkpoints", daemon=True)
        self._thread.start()

    def count(self, changes: int) -> None:
        """Wake the background checkpoint if many rows were changed; `changes` is the writer's total."""
        # A writer that connected anew counts from nothing again.
        if abs(changes - self._changes_seen) >= CHECKPOINT_EVERY:
            self._changes_seen = changes
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
        connection.execute(f"PRAGMA busy_timeout = {self._busy_ms}")

    def close(self) -> None:
        """End the thread and close its connection."""
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
