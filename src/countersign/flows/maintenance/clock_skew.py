"""Compares the clock of this machine with that of the database, and says in the log when they part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from countersign.errors import UnavailableError
from countersign.store.engine.database import Database, Sql

LOOK_EVERY: Final = 30.0
"""Seconds between two looks."""

NOTED: Final = 2_000
"""Milliseconds. A smaller difference is not worth a line: it changes no lifetime of a code that a person would notice."""

_log = structlog.get_logger("countersign.clock")


async def find_database_time() -> int:
    """Return the time of PostgreSQL's machine, in milliseconds since the epoch."""
    rows = await Sql("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")
    now: int = rows[0][0]
    return now


async def measure_skew(database: Database, clock: Callable[[], int]) -> int:
    """Return by how many ms `clock` is ahead of the database's at least; negative if it is behind.

    The time that the answer took is not held against either. Raises UnavailableError.
    """
    before = clock()
    theirs = await database.read(find_database_time)
    after = clock()
    skew, doubt = (before + after) // 2 - theirs, (after - before + 1) // 2
    return max(0, skew - doubt) if skew > 0 else min(0, skew + doubt)


class ClockWatch:
    """Looks at the clocks now and then. `clock` is the machine's own; `on_skew(ms)` is told what each look has found."""

    def __init__(self, database: Database, clock: Callable[[], int], on_skew: Callable[[int], None]) -> None:
        self._database = database
        self._clock = clock
        self._on_skew = on_skew
        self._is_noted = False

    async def look(self) -> int:
        """Return by how many ms this machine is ahead; a difference is logged once, and so is its end. Raises UnavailableError."""
        skew = await measure_skew(self._database, self._clock)
        self._on_skew(skew)
        if abs(skew) >= NOTED and not self._is_noted:
            self._is_noted = True
            _log.error("clock_skewed", seconds=round(skew / 1_000, 1), remedy="Synchronise both machines by NTP.")
        elif abs(skew) < NOTED // 2 and self._is_noted:
            self._is_noted = False
            _log.info("clock_agrees")
        return skew

    async def run(self) -> None:
        """Look until this task is cancelled."""
        while True:
            try:
                await self.look()
            except UnavailableError:
                pass  # others say so
            except Exception as error:  # noqa: BLE001 - a fault in one look must not end the others
                _log.error("clock_error", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY)
