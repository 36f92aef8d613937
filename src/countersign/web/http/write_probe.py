"""Whether a begin would be durable now: known from the last writes of this process, and from one that is tried."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING, Final

import structlog

from countersign.errors import CountersignError
from countersign.logs import scrub
from countersign.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.store.engine.database import Database

PROVED_FOR: Final = 5.0
"""Seconds for which one write that succeeded speaks for the next. Whoever asks how we are causes no more writes than that."""

REFUTED_FOR: Final = 1.0
"""Seconds after which a write is tried again where the last one failed."""

WRITE_WITHIN: Final = 2.0
"""Seconds that a write may take. One that takes longer goes on: to break it off would leave a session waiting in the database."""

FAILURES: Final = 3
REMEMBERED_FOR: Final = 3.0
"""So many requests in a row that failed for want of the database speak for so many seconds, whatever a trial says: a begin needs room in
more tables than one."""

SMALL: Final = 8 * 1024
LARGE: Final = 64 * 1024
"""Bytes that are written: more after a failure, since a nearly full disk still has room for little. They are random, so they need it."""

_PLACES: Final = 16
"""Rows among which a trial chooses, so that it seldom waits for another program's."""

_log = structlog.get_logger("countersign.web")


class WriteProbe:
    """Tells whether the database takes writes. `clock` returns seconds that only grow."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._is_writable = True
        self._tried_at = -PROVED_FOR
        self._is_suspect = False
        self._failures = 0
        self._failed_at = 0.0
        self._trial: asyncio.Task[None] | None = None

    def succeeded(self) -> None:
        """Remember that a request has written something durably, which is worth more than any trial."""
        self._failures = 0
        self._is_suspect = False
        self._tried_at = self._clock()
        self._note(is_writable=True)

    def failed(self) -> None:
        """Remember that a request failed because the database was not available."""
        self._failures += 1
        self._failed_at = self._clock()
        self._is_suspect = True

    async def is_writable(self) -> bool:
        """Return True if the last write succeeded, and was not long ago. A trial is made at most as often as the constants say."""
        now = self._clock()
        if self._failures >= FAILURES and now - self._failed_at < REMEMBERED_FOR:
            return False
        wait = PROVED_FOR if self._is_writable and not self._is_suspect else REFUTED_FOR
        if self._trial is None and now - self._tried_at >= wait:
            self._tried_at = now
            self._trial = asyncio.create_task(self._try(LARGE if self._is_suspect else SMALL), name="write probe")
        if self._trial is not None:
            # A trial that another look has begun, and waited for, has had its time.
            patience = max(0.0, self._tried_at + WRITE_WITHIN - now)
            done, _ = await asyncio.wait({self._trial}, timeout=patience)
            if not done:
                self._note(is_writable=False, why=f"A write takes longer than {WRITE_WITHIN:g} seconds.")
        return self._is_writable

    async def _try(self, size: int) -> None:
        place = f"{metadata.WRITE_PROBE}{random.randrange(_PLACES)}"  # noqa: S311 - protects nothing
        began = self._clock()
        try:
            await self._database.run(metadata.save, place, os.urandom(size))
        except CountersignError as error:
            self._note(is_writable=False, why=scrub(str(error)))
        except Exception as error:  # noqa: BLE001 - whatever it is, a begin would meet it too
            self._note(is_writable=False, why=type(error).__name__)
        else:
            if self._clock() - began < WRITE_WITHIN:
                self._is_suspect = False
                self._failures = 0
                self._note(is_writable=True)
        finally:
            self._trial = None

    def _note(self, *, is_writable: bool, why: str = "") -> None:
        """Keep what was found, and log it when it changes."""
        if is_writable and not self._is_writable:
            _log.info("writable_again")
        elif not is_writable and self._is_writable:
            _log.error("not_writable", detail=why)
        if not is_writable:
            self._is_suspect = True
        self._is_writable = is_writable
