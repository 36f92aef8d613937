"""Notifies processes that a delivery is due: this one at once, the others by NOTIFY, outside of every transaction."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import asyncpg

from countersign.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHANNEL: Final = "countersign_due"
PAUSE_S: Final = 0.02
"""The shortest time between two notifications, in seconds; notifications in between are merged."""
RECONNECT_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""The pauses before each attempt to connect again, in seconds; the last one repeats."""


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
        """Call the listeners of this process at once, and have the other processes notified."""
        self._call_listeners()
        self._unsent = True
        self._wake_up.set()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` at each notification, and after each reconnection, because a notification may have been missed."""
        self._listeners.append(wake)

    def _call_listeners(self) -> None:
        for wake in self._listeners:
            wake()

    def _notified(self, _connection: object, pid: int, _channel: str, _payload: object) -> None:
        connection = self._connection
        if connection is None or pid != connection.get_server_pid():
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
        connection.add_termination_listener(self._lost)
        await connection.add_listener(CHANNEL, self._notified)
        if reconnected:
            self._call_listeners()

    async def _send_when_woken(self) -> None:
        await self._wake_up.wait()
        self._wake_up.clear()
        if self._unsent and self._connection is not None and not self._connection.is_closed():
            self._unsent = False
            try:
                await self._connection.execute(f"NOTIFY {CHANNEL}")
            except BaseException:
                self._unsent = True
                self._wake_up.set()
                raise
            await asyncio.sleep(PAUSE_S)
