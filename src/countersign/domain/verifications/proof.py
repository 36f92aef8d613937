"""The proof of an approval: signed claims that the requesting site can check offline."""

from __future__ import annotations

from typing import Any, Final

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import Challenge

LIFETIME: Final = 300
"""Seconds for which a proof is valid: enough to hand it on, too few to keep it."""

ACR: Final = {
    Channel.EMAIL: "urn:countersign:acr:mail-code",
    Channel.SMS: "urn:countersign:acr:phone-code",
    Channel.VOICE: "urn:countersign:acr:phone-code",
    Channel.WHATSAPP: "urn:countersign:acr:phone-code",
}
AMR: Final = {Channel.EMAIL: "mail", Channel.SMS: "sms", Channel.VOICE: "tel", Channel.WHATSAPP: "sms"}
"""Authentication methods of RFC 8176. `mail` is our own value: the RFC has none for a code by e-mail."""


def claims(challenge: Challenge, issuer: str, to_hash: str) -> dict[str, Any]:
    """Return the claims of an approved challenge. Times are in seconds (RFC 7519), and `jti` is the challenge's id.

    `to_hash` is the SHA-256 of the canonical destination in base64url. A site that knows the destination can compare it.
    """
    approved_at = (challenge.ended_at or 0) // 1000
    terms = challenge.terms
    found: dict[str, Any] = {
        "iss": issuer,
        "aud": challenge.application,
        "sub": terms.subject,
        "jti": challenge.id,
        "iat": approved_at,
        "exp": approved_at + LIFETIME,
        "purpose": terms.purpose,
        "to_hash": to_hash,
        "channel": challenge.channel.value,
        "amr": [AMR[challenge.channel], "otp"],
        "acr": ACR[challenge.channel],
    }
    if terms.action.summary or terms.action.hash:
        found["action"] = {"summary": terms.action.summary, "hash": terms.action.hash}
    return found
