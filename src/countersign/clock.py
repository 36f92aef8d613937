"""The clock of one process: the machine's own, or, in development, one that a test has moved ahead of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

MOST_AHEAD: Final = 400 * 86_400_000
"""Milliseconds: every deadline there is lies within a year, and a slip of the pen must not lead out of the calendar."""


class Clock:
    """Tells milliseconds since the epoch: what `machine` tells, and `ahead` more.

    It only ever moves ahead: what was written under a later time would be taken for the future by an earlier one.
    """

    def __init__(self, machine: Callable[[], int]) -> None:
        self._machine = machine
        self._moved = asyncio.Event()
        self._before: list[Callable[[int], Awaitable[None]]] = []
        self._after: list[Callable[[], None]] = []
        self.ahead = 0
        self.turn = asyncio.Lock()

    def __call__(self) -> int:
        """Return the time."""
        return self._machine() + self.ahead

    def hear(self, before: Callable[[int], Awaitable[None]], after: Callable[[], None]) -> None:
        """Have `before` called with the time that will be (ms) when the clock is about to be moved, and `after` once it was."""
        self._before.append(before)
        self._after.append(after)

    async def move(self, ahead: int) -> None:
        """Be `ahead` milliseconds ahead of the machine from now on; less than before is a ValueError."""
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
        """Wait for so long by this clock: a move ahead shortens it."""
        until = self() + round(seconds * 1_000)
        while (left := until - self()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left / 1_000):
                    await self._moved.wait()
