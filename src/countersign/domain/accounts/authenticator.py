"""Authenticators beside password and contacts: authenticator apps, passkeys and recovery codes (NIST SP 800-63B)."""

from __future__ import annotations

from collections.abc import Iterable
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
    `ended_at` was removed or used up, and is kept while that can be undone. `unkept` is true of a recovery code that was shown, and of
    which its user has not said yet that they have kept it.
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
    unkept: bool = False

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Authenticator({self.id}, {self.kind.value})"


def has_way_back(authenticators: Iterable[Authenticator]) -> bool:
    """Return True if the user can still prove who they are after the loss of one authenticator (semantics A11).

    Codes by mail and phone do until an app or a passkey is enrolled. From then on it takes a recovery code that its user has kept, or a
    second app or passkey. `authenticators` are the active ones of one account.
    """
    active = tuple(authenticators)
    strong = sum(one.kind in STRONG_KINDS for one in active)
    kept = any(one.kind is AuthenticatorKind.RECOVERY_CODE and not one.unkept for one in active)
    return strong != 1 or kept
