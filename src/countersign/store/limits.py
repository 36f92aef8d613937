"""Counters that outlive their use, and how they are forgotten."""

from __future__ import annotations

from countersign.store.database import Query, Steps


def forget(now: int, before: int) -> Steps[None]:
    """Delete answers whose time is over, limits that are full again since `before` (ms), and counts of contacts that are clean."""
    yield Query("DELETE FROM answers WHERE expires_at <= $1", (now,))
    yield Query("DELETE FROM limits WHERE tat < $1", (before,))
    yield Query("DELETE FROM standings WHERE in_a_row = 0 AND day_began_at < $1", (before,))
