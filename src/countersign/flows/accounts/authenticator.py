"""What enrolment and sign-in share about authenticators: how often a code may be wrong, and how recovery codes and passkeys are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from countersign.domain.accounts.authenticator import Authenticator
    from countersign.flows.accounts.context import AccountContext

GUESSES_PER_FLOW: Final = 5
"""Codes of an authenticator that are checked in one login flow."""

_LOOKALIKES: Final = str.maketrans("oil", "011", " -\u2010\u2011\u2013")
"""What people type in a recovery code: lookalikes of its digits. Spaces and dashes are removed."""


class InvalidCode(msgspec.Struct, frozen=True):
    """The code was wrong. `left` more codes will be checked in this flow."""

    left: int


def recovery_code_hash(context: AccountContext, code: str) -> bytes:
    """Return the keyed hash under which a recovery code is stored. `code` is as entered: `ABCD-EF01`, `abcd efO1` give the same."""
    return context.token_hash(f"recovery code {code.strip().lower().translate(_LOOKALIKES)}")


class StoredPasskey(msgspec.Struct, frozen=True):
    """What is stored of a passkey, sealed. `synced`: it may be copied between the user's devices."""

    public_key: bytes
    synced: bool


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(StoredPasskey).decode


def encode_passkey(passkey: StoredPasskey) -> str:
    """Return what is sealed of a passkey, as JSON."""
    return _encode(passkey).decode()


def stored_passkey(context: AccountContext, authenticator: Authenticator) -> StoredPasskey:
    """Return what is stored of an authenticator that is a passkey."""
    return _decode(context.keyring.unseal(authenticator.secret, authenticator.id))
