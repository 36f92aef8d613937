"""Moving the clock: in development a test has time pass that it does not want to wait for."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from countersign.clock import MOST_AHEAD
from countersign.store.tables import metadata

if TYPE_CHECKING:
    from countersign.clock import Clock
    from countersign.store.engine.database import Database


class ClockNotMoved(StrEnum):
    """Why the clock was left as it is."""

    BACKWARD = "backward"
    TOO_FAR = "too_far"


async def move_clock(
    clock: Clock, database: Database, *, by: int | None = None, to: int | None = None
) -> ClockNotMoved | None:
    """Move the clock `by` milliseconds, or `to` a moment (ms since the epoch); return why not, None if it was moved.

    How far it is ahead is written down first: a process that takes over from this one goes on from there, never from an earlier time.
    """
    async with clock.turn:
        further = by if by is not None else 0 if to is None else to - clock()
        if further < 0:
            return ClockNotMoved.BACKWARD
        ahead = clock.ahead + further
        if ahead > MOST_AHEAD:
            return ClockNotMoved.TOO_FAR
        await database.run(metadata.put, metadata.AHEAD, b"%d" % ahead)
        await clock.move(ahead)
    return None


async def restore_clock(clock: Clock, database: Database) -> None:
    """Go on from where a process before this one left the clock."""
    known = await database.read(metadata.find, metadata.AHEAD)
    if known is not None:
        await clock.move(int(known))
