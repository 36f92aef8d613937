"""Authenticators beside password and contacts: authenticator apps, passkeys and recovery codes (NIST SP 800-63B)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class AuthenticatorKind(StrEnum):
    """The kinds of authenticators."""

    APP = "app"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"


STRONG_KINDS: Final = frozenset({AuthenticatorKind.APP, AuthenticatorKind.PASSKEY})
"""Kinds for which a code by mail or phone does not stand in, once one is enrolled (semantics R2)."""
MAX_NAME: Final = 60
MAX_AUTHENTICATORS: Final = 20
"""Authenticator apps and passkeys of one account."""


class Authenticator(msgspec.Struct, frozen=True):
    """An authenticator of an account; times in milliseconds since the epoch.

    `mark` finds it: the credential id of a passkey or the keyed hash of a recovery code; empty for an app. `secret` and `name` are
    sealed. `used` is the last time step of an app or the last counter of a passkey, and nothing up to it is accepted again. One with
    `ended_at` was removed or used up, and is kept while that can be undone.
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
        return f"Authenticator({self.id}, {self.kind.value})"
