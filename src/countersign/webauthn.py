"""Passkeys: what a browser is asked for, and what it answers, judged by the rules of WebAuthn (level 3) through the library."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers import options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

CHALLENGE_BYTES: Final = 32
TIMEOUT: Final = 300_000
"""Milliseconds that a person has; WebAuthn, 15.1, recommends five minutes where a person is verified."""
MAX_CREDENTIAL: Final = 16_384
"""Characters of an answer."""


class RelyingParty(msgspec.Struct, frozen=True):
    """Us, as authenticators know us: from the settings, never from the request."""

    id: str
    origin: str
    name: str


class RegisteredPasskey(msgspec.Struct, frozen=True):
    """A passkey that was made. `synced` says that it may be copied between a person's devices."""

    id: bytes
    public_key: bytes
    count: int
    synced: bool


def relying_party(issuer: str, site: str) -> RelyingParty:
    """Return us, by the address that people reach us at."""
    return RelyingParty(urlsplit(issuer).hostname or "", issuer, site)


def creation(party: RelyingParty, challenge: bytes, account: str, shown: str, known: Sequence[bytes]) -> str:
    """Return what a browser needs to make a passkey, as JSON. The person is verified, and the authenticator keeps it by itself."""
    return options_to_json(
        webauthn.generate_registration_options(
            rp_id=party.id,
            rp_name=party.name,
            user_id=account.encode(),
            user_name=shown,
            user_display_name=shown,
            challenge=challenge,
            timeout=TIMEOUT,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        )
    )


def request(party: RelyingParty, challenge: bytes, allowed: Sequence[bytes]) -> str:
    """Return what a browser needs to use a passkey, as JSON; none allowed means whichever the person chooses."""
    return options_to_json(
        webauthn.generate_authentication_options(
            rp_id=party.id,
            challenge=challenge,
            timeout=TIMEOUT,
            allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in allowed],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def registered(party: RelyingParty, answer: str, challenge: bytes) -> RegisteredPasskey | None:
    """Return the passkey that an answer holds, or None if anything of it is wrong."""
    try:
        found = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, RecursionError):
        return None
    synced = found.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    return RegisteredPasskey(found.credential_id, found.credential_public_key, found.sign_count, synced)


def asserted(party: RelyingParty, answer: str, challenge: bytes, public_key: bytes, count: int) -> int | None:
    """Return the counter of an answer that is right; None for another origin, challenge or key, nobody verified, or too low a counter."""
    try:
        found = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found.new_sign_count


def id_of(answer: str) -> bytes:
    """Return the id of the passkey that an answer is by; empty if it names none."""
    if len(answer) > MAX_CREDENTIAL:
        return b""
    try:
        told = json.loads(answer)
        text = told["rawId"] if isinstance(told, dict) else ""
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if isinstance(text, str) else b""
    except (ValueError, KeyError, binascii.Error, RecursionError):
        return b""
