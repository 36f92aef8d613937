"""Passkeys: options for the browser, and verification of its responses by WebAuthn Level 3 through the `webauthn` library."""

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
"""Milliseconds that a person has. WebAuthn, 15.1, recommends five minutes where the user is verified."""
MAX_CREDENTIAL: Final = 16_384
"""Maximum length of a response in characters."""


class RelyingParty(msgspec.Struct, frozen=True):
    """Our identity towards authenticators. It comes from the settings, never from the request."""

    id: str
    origin: str
    name: str


class RegisteredPasskey(msgspec.Struct, frozen=True):
    """A newly registered passkey. `synced` is true if it may be copied between the person's devices."""

    id: bytes
    public_key: bytes
    count: int
    synced: bool


def relying_party(issuer: str, site: str) -> RelyingParty:
    """Return our identity from the public URL and the site's name."""
    return RelyingParty(urlsplit(issuer).hostname or "", issuer, site)


def creation(
    party: RelyingParty, challenge: bytes, account: str, user_name: str, display_name: str, known: Sequence[bytes]
) -> str:
    """Return the options for registration as JSON. User verification and a discoverable credential are required.

    `user_name` tells the accounts of one person apart, `display_name` is the person's name, and `known` are the credentials that the
    account has already.
    """
    return options_to_json(
        webauthn.generate_registration_options(
            rp_id=party.id,
            rp_name=party.name,
            user_id=account.encode(),
            user_name=user_name,
            user_display_name=display_name or user_name,
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
    """Return the options for authentication as JSON. With no `allowed` credentials the person may choose any."""
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
    """Return the passkey in a registration response, or None if any check fails."""
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


def asserted(party: RelyingParty, answer: str, challenge: bytes, public_key: bytes) -> int | None:
    """Return the signature counter of a valid response, whatever it is.

    Returns None for a wrong origin, challenge or key, or a missing user verification.
    """
    try:
        found = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            # The counter is judged where it is written.
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found.new_sign_count


def id_of(answer: str) -> bytes:
    """Return the credential id that a response names, or an empty string."""
    response = _object_in(answer)
    return _bytes_of(response.get("rawId"))


def challenge_of(answer: str) -> bytes:
    """Return the challenge that a response says it answers, or an empty string. Nothing about the response is verified."""
    parts = _object_in(answer).get("response")
    client = _bytes_of(parts.get("clientDataJSON")) if isinstance(parts, dict) else b""
    return _bytes_of(_object_in(client).get("challenge"))


def _object_in(text: str | bytes) -> dict[str, object]:
    """Return the JSON object that a text holds; an empty one if it holds anything else, or is too long."""
    if len(text) > MAX_CREDENTIAL:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _bytes_of(text: object) -> bytes:
    """Return what a text in base64url stands for; an empty string if it is no such text."""
    if not isinstance(text, str):
        return b""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return b""
    is_canonical = base64.urlsafe_b64encode(raw).rstrip(b"=") == text.rstrip("=").encode("utf-8", "replace")
    return raw if is_canonical else b""
