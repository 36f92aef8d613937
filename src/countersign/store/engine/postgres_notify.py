"""Notifies one worker that a delivery is due: this process's own at once, or one of another process by NOTIFY.

NOTIFY stands outside of every transaction. If every worker were woken, each message would cost a claim by each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Final

import asyncpg

from countersign.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHANNEL: Final = "countersign_due"
WORKER: Final = "countersign worker"
"""The name (application_name) by which sessions that wait for notifications are told from others."""
ROSTER_S: Final = 1.0
"""For how many seconds it is remembered which workers listen."""
POLL_S: Final = 0.25
"""How often workers look for due deliveries where nobody can notify them, in seconds."""
PAUSE_S: Final = 0.02
"""The shortest time between two notifications, in seconds; notifications in between are merged."""
RECONNECT_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""The pauses before each attempt to connect again, in seconds; the last one repeats."""


_WORKERS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()"

_CONNECTION_LOST: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises when the server goes away; the last of them in the middle of an answer."""


class PostgresNotifier:
    """One connection that listens and notifies, and reconnects when it is lost.

    `connect` returns a connection, a new one if the last is closed, or raises UnavailableError.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]]) -> None:
        self._connect = connect
        self._listeners: list[Callable[[], None]] = []
        self._wake_up = asyncio.Event()
        self._unsent = False
        self._named = False
        self._workers: list[int] = []
        self._workers_read_at = 0.0
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._run(), name="postgres-notify")

    async def close(self) -> None:
        """Stop listening, and close the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_termination_listener(self._lost)
            try:
                await connection.close(timeout=1.0)
            except (OSError, TimeoutError, *_CONNECTION_LOST):
                connection.terminate()

    def notify(self) -> None:
        """Call the listeners of this process at once; if it has none, notify one of another process."""
        if self._listeners:
            self._call_listeners()
        else:
            self.pass_on()

    def pass_on(self) -> None:
        """Notify a worker of another process."""
        self._unsent = True
        self._wake_up.set()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` at each notification, and after each reconnection, because a notification may have been missed."""
        self._listeners.append(wake)
        self._wake_up.set()

    def _call_listeners(self) -> None:
        for wake in self._listeners:
            wake()

    def _notified(self, _connection: object, pid: int, _channel: str, payload: object) -> None:
        connection = self._connection
        own = None if connection is None else connection.get_server_pid()
        if pid != own and (not payload or payload == str(own)):
            self._call_listeners()

    def _lost(self, _connection: object) -> None:
        self._wake_up.set()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._ensure_listening()
                failures = 0
                await self._send_when_woken()
            except (UnavailableError, OSError, TimeoutError, *_CONNECTION_LOST):
                if self._connection is not None:
                    self._connection.terminate()
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1

    async def _ensure_listening(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        reconnected = self._connection is not None
        connection = await self._connect()
        self._connection = connection
        self._named = False
        connection.add_termination_listener(self._lost)
        await connection.add_listener(CHANNEL, self._notified)
        if reconnected:
            self._call_listeners()

    async def _send_when_woken(self) -> None:
        await self._wake_up.wait()
        self._wake_up.clear()
        connection = self._connection
        if connection is None or connection.is_closed():
            return
        if self._listeners and not self._named:
            await connection.execute(f"SET application_name = '{WORKER}'")
            self._named = True
        if self._unsent:
            self._unsent = False
            try:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, await self._choose_worker(connection))
            except BaseException:
                self._unsent = True
                self._wake_up.set()
                raise
            await asyncio.sleep(PAUSE_S)

    async def _choose_worker(self, connection: asyncpg.Connection[asyncpg.Record]) -> str:
        """Return which session to notify; empty for all, if no other worker is known."""
        if time.monotonic() - self._workers_read_at > ROSTER_S:
            self._workers = [row[0] for row in await connection.fetch(_WORKERS, WORKER)]
            self._workers_read_at = time.monotonic()
        return str(secrets.choice(self._workers)) if self._workers else ""


class PollingNotifier:
    """Stands in where no notification can be heard, as behind a pooler in transaction mode: workers look for themselves, more often."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to call the listeners every POLL_S seconds."""
        self._task = asyncio.create_task(self._run(), name="postgres-poll")

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def notify(self) -> None:
        """Call the listeners of this process at once."""
        for wake in self._listeners:
            wake()

    def pass_on(self) -> None:
        """Do nothing: the others look for themselves."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` every POLL_S seconds."""
        self._listeners.append(wake)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self.notify()
