"""Devices: the browsers that an account was used on, and whether the account trusts them.

A browser is recognised by the random secret in its device cookie and by nothing else.
"""

from __future__ import annotations

from typing import Final

import msgspec

TRUST_LIFETIME: Final = 30 * 86_400_000
"""Milliseconds after which trust in a browser ends, however often the browser was used (semantics S4)."""


class Device(msgspec.Struct, frozen=True):
    """One browser of one account. Times are milliseconds since the epoch.

    `token_hash` is the keyed hash of the device cookie. `user_agent`, `ip` and `place` are shown to the user and decide nothing.
    """

    account: str
    token_hash: bytes
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
        """Return True if the account trusts this browser at `now`."""
        return self.ended_at is None and self.trusted_at is not None and self.trusted_at <= now < self.trusted_until

    @property
    def trusted_until(self) -> int:
        """Return when trust ends; 0 if the browser was never trusted."""
        return 0 if self.trusted_at is None else self.trusted_at + TRUST_LIFETIME
