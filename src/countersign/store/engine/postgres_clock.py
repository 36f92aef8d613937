"""Knows the time by the database's clock: measured on its connections, and counted on by this machine's clock that nobody sets."""

from __future__ import annotations

import time
from typing import Final

MEASURE_EVERY_S: Final = 10.0
"""After how many seconds the clock is measured again on a connection that is at hand."""

TOLERANCE_MS: Final = 50
"""A new measurement that differs by less changes nothing, so that the network's jitter does not move the time to and fro."""

MEASURE: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
"""The statement that asks for the database's time in ms."""


def steady_ms() -> int:
    """Return the milliseconds since this machine started, time in which it slept included. Setting its clock does not change them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class PostgresClock:
    """The database's time. Until it was measured, this machine's time stands for it."""

    def __init__(self) -> None:
        self._difference: int | None = None
        self._measured_at = -1_000_000

    def now(self) -> int:
        """Return the time by the database's clock (ms)."""
        return time.time_ns() // 1_000_000 if self._difference is None else steady_ms() + self._difference

    @property
    def is_due(self) -> bool:
        """Say whether it should be measured again."""
        return steady_ms() - self._measured_at >= MEASURE_EVERY_S * 1_000

    def record(self, theirs: int, began: int, ended: int) -> None:
        """Record that the database's clock said `theirs` (ms) at some moment between `began` and `ended` (both of `steady_ms`)."""
        measured = theirs - (began + ended) // 2
        self._measured_at = ended
        if self._difference is None or abs(measured - self._difference) > TOLERANCE_MS + (ended - began) // 2:
            self._difference = measured
