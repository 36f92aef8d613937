"""A factor: what a person proves with beside password and contacts: an authenticator app, a passkey, or a recovery code."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class AuthenticatorKind(StrEnum):
    """What it is."""

    APP = "app"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"


STRONG_KINDS: Final = frozenset({AuthenticatorKind.APP, AuthenticatorKind.PASSKEY})
"""What a code by mail or phone no longer stands in for, once it is enrolled (semantics R2)."""
MAX_NAME: Final = 60
MOST: Final = 20
"""Authenticator apps and passkeys of one account."""


class Authenticator(msgspec.Struct, frozen=True):
    """One factor of an account; times in ms.

    `mark` is what it is found by (a passkey's credential id, a recovery code's keyed hash; empty for an app), `secret` and `name` are
    sealed. `used` is the last step of an app or the last counter of a passkey: nothing up to it is accepted again. One with `ended_at`
    was removed or spent, and is kept while that can be undone.
    """

    account: str
    id: str
    kind: AuthenticatorKind
    added_at: int
    mark: bytes
    secret: bytes
    name: bytes
    used: int = 0
    last_used_at: int | None = None
    ended_at: int | None = None

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Factor({self.id}, {self.kind.value})"
