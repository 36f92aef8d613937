"""What enrolment and sign-in share about authenticators: how their codes are read, how often one may be wrong, and how one is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.shared.identifier import ALPHABET
from countersign.domain.shared.typed_code import read_code
from countersign.domain.verifications.code import CodeShape, read
from countersign.totp import DIGITS

if TYPE_CHECKING:
    from countersign.domain.accounts.authenticator import Authenticator
    from countersign.flows.accounts.context import AccountContext

GUESSES_PER_FLOW: Final = 5
"""Codes of an authenticator that are checked in one login flow."""
RECOVERY_CODE_LENGTH: Final = 16
"""Symbols of a recovery code, without its dashes."""


class InvalidCode(msgspec.Struct, frozen=True):
    """The code was wrong. `left` more codes will be checked in this flow."""

    left: int


class MalformedCode(InvalidCode, frozen=True):
    """What was entered cannot be such a code. Nothing was compared, and no guess was counted (semantics J3)."""


def read_app_code(typed: str) -> str | None:
    """Return the code of an authenticator app that was typed or pasted, or None if that cannot be one."""
    return read(typed, CodeShape(DIGITS))


def read_recovery_code(typed: str) -> str | None:
    """Return the recovery code that was typed or pasted, without dashes, or None if that cannot be one."""
    return read_code(typed, ALPHABET, RECOVERY_CODE_LENGTH)


def recovery_code_hash(context: AccountContext, code: str) -> bytes:
    """Return the keyed hash under which a recovery code is stored. `code` is as entered: `ABCD-EF01`, `abcd efO1` give the same.

    Raises ValueError for what cannot be a recovery code.
    """
    meant = read_recovery_code(code)
    if meant is None:
        raise ValueError("no recovery code")
    return context.token_hash(f"recovery code {meant}")


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
