"""A device: a browser that an account was used on, known by a random secret in its cookie and by nothing else."""

from __future__ import annotations

from typing import Final

import msgspec

TRUST_LIFETIME: Final = 30 * 86_400_000
"""Milliseconds after which trust ends, however often it was used (semantics S4)."""


class Device(msgspec.Struct, frozen=True):
    """A browser of one account; times in ms. `mark` is the keyed hash of its secret; user agent and place are for people alone."""

    account: str
    mark: bytes
    id: str
    created_at: int
    user_agent: str
    last_seen_at: int
    ip: str
    place: str
    trusted_at: int | None = None
    ended_at: int | None = None

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Device({self.id})"

    def trusted(self, now: int) -> bool:
        """Say whether the account trusts this browser."""
        return self.ended_at is None and self.trusted_at is not None and self.trusted_at <= now < self.trusted_until

    @property
    def trusted_until(self) -> int:
        """Return when trust ends; 0 for a device that has none."""
        return 0 if self.trusted_at is None else self.trusted_at + TRUST_LIFETIME
