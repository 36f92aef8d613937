"""Move the clock ahead, in development: a test skips the time that it does not want to wait for."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from countersign.clock import MOST_AHEAD
from countersign.store.tables import metadata

if TYPE_CHECKING:
    from countersign.clock import Clock
    from countersign.store.engine.database import Database


class ClockNotMoved(StrEnum):
    """Why the clock was not moved."""

    BACKWARD = "backward"
    TOO_FAR = "too_far"


async def move_clock(
    clock: Clock, database: Database, *, by: int | None = None, to: int | None = None
) -> ClockNotMoved | None:
    """Move the clock by `by` ms, or to the time `to` (ms since the epoch). Returns the reason if it was not moved, else None.

    The new offset is stored first. A process that replaces this one continues from it, never from an earlier time.
    """
    async with clock.turn:
        further = by if by is not None else 0 if to is None else to - clock()
        if further < 0:
            return ClockNotMoved.BACKWARD
        ahead = clock.ahead + further
        if ahead > MOST_AHEAD:
            return ClockNotMoved.TOO_FAR
        await database.run(metadata.save, metadata.AHEAD, b"%d" % ahead)
        await clock.move(ahead)
    return None


async def restore_clock(clock: Clock, database: Database) -> None:
    """Set the clock to the offset that an earlier process stored."""
    known = await database.read(metadata.find, metadata.AHEAD)
    if known is not None:
        await clock.move(int(known))
