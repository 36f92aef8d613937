"""Times in responses (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(at: int) -> str:
    """Return `at`, in milliseconds since the epoch, as `2026-11-23T16:32:05Z`."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
