"""Integration codes: static, scoped access tokens for a user's own programs. None is accepted as a one-time code."""

from __future__ import annotations

from typing import Final

import msgspec

PREFIX: Final = "csi_"
"""How every code begins, so that secret scanners find it."""
CODE_BYTES: Final = 24
"""Random bytes of a code: 192 bits (semantics I1)."""
ROTATION_OVERLAP: Final = 24 * 3_600_000
"""Milliseconds for which the old code still works after a rotation (semantics I3)."""
MAX_NAME: Final = 60
LAST_USED_INTERVAL: Final = 60_000
"""Milliseconds between two records of the last use of a code."""
MAX_INTEGRATION_CODES: Final = 20
"""Active integration codes of one account."""
DAY: Final = 86_400_000
LIFETIMES: Final = (30, 90, 365)
"""Lifetimes that are offered, in days. No code is accepted for longer than the longest."""


class IntegrationCode(msgspec.Struct, frozen=True):
    """An integration code of an account; times in milliseconds since the epoch. `key` is the keyed hash of the code, `name` is sealed."""

    key: bytes
    account: str
    id: str
    created_at: int
    name: bytes
    scopes: tuple[str, ...]
    expires_at: int
    last_used_at: int | None = None
    last_used_from: str = ""
    ended_at: int | None = None

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"IntegrationCode({self.id})"

    @property
    def ends_at(self) -> int:
        """Return when the code is accepted no more (ms): an earlier release could store an end centuries ahead."""
        return min(self.expires_at, self.created_at + LIFETIMES[-1] * DAY)

    def active(self, now: int) -> bool:
        """Return True if the code is accepted at `now` (ms)."""
        return self.ended_at is None and now < self.ends_at
