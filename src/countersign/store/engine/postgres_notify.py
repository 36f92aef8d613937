"""The bell that says a delivery is due: at once in this process, by NOTIFY in the others, outside of every transaction."""

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
"""The shortest time between two notifications, in seconds; what is said in between is merged."""
RECONNECT_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""The pauses before a lost connection is tried again, in seconds; the last one repeats."""


_AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises when the server goes away, the last of them in the middle of an answer."""


class PostgresNotifier:
    """One connection that listens and notifies, and comes back when it is lost.

    `connect` gives a connection, a new one if the last is closed, or raises UnavailableError.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]]) -> None:
        self._connect = connect
        self._wakes: list[Callable[[], None]] = []
        self._stir = asyncio.Event()
        self._rung = False
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._live(), name="postgres-bell")

    async def close(self) -> None:
        """Stop listening."""
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
            except (OSError, TimeoutError, *_AWAY):
                connection.terminate()

    def ring(self) -> None:
        """Wake whoever hears here, and have the others notified."""
        self._wake_all()
        self._rung = True
        self._stir.set()

    def hear(self, wake: Callable[[], None]) -> None:
        """Call `wake` at each ring; also after a connection came back, since a ring may have been missed."""
        self._wakes.append(wake)

    def _wake_all(self) -> None:
        for wake in self._wakes:
            wake()

    def _heard(self, _connection: object, pid: int, _channel: str, _payload: object) -> None:
        connection = self._connection
        if connection is None or pid != connection.get_server_pid():
            self._wake_all()

    def _lost(self, _connection: object) -> None:
        self._stir.set()

    async def _live(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen()
                failures = 0
                await self._notify()
            except (UnavailableError, OSError, TimeoutError, *_AWAY):
                if self._connection is not None:
                    self._connection.terminate()
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1

    async def _listen(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        again = self._connection is not None
        connection = await self._connect()
        self._connection = connection
        connection.add_termination_listener(self._lost)
        await connection.add_listener(CHANNEL, self._heard)
        if again:
            self._wake_all()

    async def _notify(self) -> None:
        await self._stir.wait()
        self._stir.clear()
        if self._rung and self._connection is not None and not self._connection.is_closed():
            self._rung = False
            try:
                await self._connection.execute(f"NOTIFY {CHANNEL}")
            except BaseException:
                self._rung = True
                self._stir.set()
                raise
            await asyncio.sleep(PAUSE_S)
