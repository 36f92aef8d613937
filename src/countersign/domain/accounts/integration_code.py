"""A credential: an integration code, static and scoped, which is no one-time code and is accepted where none is asked for."""

from __future__ import annotations

from typing import Final

import msgspec

PREFIX: Final = "csi_"
"""What secret scanners look for."""
CODE_BYTES: Final = 24
"""192 bits of chance in a code (semantics I1)."""
OVERLAP: Final = 24 * 3_600_000
"""Milliseconds for which the code before a rotation still works (semantics I3)."""
MAX_NAME: Final = 60
SEEN_EVERY: Final = 60_000
"""Milliseconds after which it is written down again that one is in use."""
MOST: Final = 20
"""Integration codes of one account that are alive."""
DAY: Final = 86_400_000
LIFETIMES: Final = (30, 90, 365)
"""Days that one may last."""


class IntegrationCode(msgspec.Struct, frozen=True):
    """An integration code of an account; times in ms. `key` is the keyed hash of the code, `name` is sealed."""

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
        return f"Credential({self.id})"

    def active(self, now: int) -> bool:
        """Say whether it is accepted."""
        return self.ended_at is None and now < self.expires_at
