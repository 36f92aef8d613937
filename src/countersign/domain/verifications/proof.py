"""A proof: the claims of an approval that the asking site can check offline."""

from __future__ import annotations

from typing import Any, Final

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import Challenge

LIFETIME: Final = 300
"""Seconds for which a proof is worth something: long enough to be handed on, too short to be kept."""

ACR: Final = {
    Channel.EMAIL: "urn:countersign:acr:mail-code",
    Channel.SMS: "urn:countersign:acr:phone-code",
    Channel.VOICE: "urn:countersign:acr:phone-code",
    Channel.WHATSAPP: "urn:countersign:acr:phone-code",
}
AMR: Final = {Channel.EMAIL: "mail", Channel.SMS: "sms", Channel.VOICE: "tel", Channel.WHATSAPP: "sms"}
"""RFC 8176 values; `mail` is ours, since the RFC has none for a code by e-mail."""


def claims(challenge: Challenge, issuer: str, to_hash: str) -> dict[str, Any]:
    """Return the claims of an approved challenge; times in seconds (RFC 7519), `jti` the challenge's id.

    `to_hash` is the base64url SHA-256 of the canonical destination, so that a site that knows it can compare.
    """
    approved_at = (challenge.ended_at or 0) // 1000
    terms = challenge.terms
    told: dict[str, Any] = {
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
        told["action"] = {"summary": terms.action.summary, "hash": terms.action.hash}
    return told
