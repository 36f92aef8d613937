"""The clock of one process. In development a test can move it ahead of the machine's own clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

MOST_AHEAD: Final = 400 * 86_400_000
"""The most that a test may move the clock ahead, in milliseconds: one year, longer than any deadline here."""


def system_clock() -> int:
    """Return the machine's time in milliseconds since the epoch. Whatever belongs to an installation uses that one's `Clock`."""
    return time.time_ns() // 1_000_000


class Clock:
    """A clock in milliseconds since the epoch: the machine's time plus `ahead`.

    It moves forward only. Rows written under a later time would otherwise lie in the future.
    """

    def __init__(self, machine: Callable[[], int]) -> None:
        self._machine = machine
        self._moved = asyncio.Event()
        self._before: list[Callable[[int], Awaitable[None]]] = []
        self._after: list[Callable[[], None]] = []
        self.ahead = 0
        self.turn = asyncio.Lock()

    def __call__(self) -> int:
        """Return the current time in ms."""
        return self._machine() + self.ahead

    def hear(self, before: Callable[[int], Awaitable[None]], after: Callable[[], None]) -> None:
        """Register callbacks for a move: `before(now)` runs just before it with the new time in ms, `after()` once it is done."""
        self._before.append(before)
        self._after.append(after)

    async def move(self, ahead: int) -> None:
        """Run `ahead` milliseconds ahead of the machine from now on. Raises ValueError for less than before."""
        if ahead < self.ahead:
            raise ValueError("A clock is not put back.")
        for prepare in self._before:
            await prepare(self._machine() + ahead)
        self.ahead = ahead
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        for tell in self._after:
            tell()

    async def sleep(self, seconds: float) -> None:
        """Sleep for a duration in ms by this clock. Moving the clock ahead shortens the wait."""
        until = self() + round(seconds * 1_000)
        while (left := until - self()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left / 1_000):
                    await self._moved.wait()
