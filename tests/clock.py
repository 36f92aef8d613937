"""A clock that stands still until a test moves it."""

from __future__ import annotations

from typing import Final

NOON: Final = 1_795_435_200_000
"""2026-11-23 12:00:00 UTC, in milliseconds since the epoch."""

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class FixedClock:
    """Tells `now` in milliseconds, the same each time it is asked."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the time that the clock shows."""
        return self.now

    def forward(self, ms: int) -> None:
        """Let time pass; a negative `ms` is a clock that somebody set back."""
        self.now += ms
