"""A proof's claims: who, for what, by which way, how strong, and for how long."""

from __future__ import annotations

import msgspec
import pytest
from tests.clock import NOON

from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.verifications.challenge import Action, Challenge, ChallengeState, Terms, begin
from countersign.domain.verifications.proof import ACR, AMR, claims
from countersign.domain.verifications.purpose import Policy


def approved(channel: Channel = Channel.EMAIL, action: Action | None = None) -> Challenge:
    terms = Terms(
        "step_up", Policy(), b"sealed", "a***@example.org", ContactKind.MAIL, "k1", "user-42", action or Action()
    )
    begun = begin(
        id="ver_1", application="app_1", dedup_key=b"t", lockout_key=b"s", terms=terms, channel=channel, now=NOON
    )
    return msgspec.structs.replace(begun, state=ChallengeState.APPROVED, ended_at=NOON + 61_999)


def test_a_proof_says_who_approved_what_when_and_how() -> None:
    assert claims(approved(), "https://verify.example", "HASH") == {
        "iss": "https://verify.example",
        "aud": "app_1",
        "sub": "user-42",
        "jti": "ver_1",
        "iat": 1_795_435_261,
        "exp": 1_795_435_561,
        "purpose": "step_up",
        "to_hash": "HASH",
        "channel": "email",
        "amr": ["mail", "otp"],
        "acr": "urn:countersign:acr:mail-code",
    }


def test_a_proof_names_the_action_it_is_worth() -> None:
    """C4: and is worth no other."""
    told = claims(approved(action=Action("Pay 10 EUR", "abc")), "", "")
    assert told["action"] == {"summary": "Pay 10 EUR", "hash": "abc"}


@pytest.mark.parametrize(
    ("channel", "amr", "acr"),
    [
        (Channel.EMAIL, "mail", "mail-code"),
        (Channel.SMS, "sms", "phone-code"),
        (Channel.VOICE, "tel", "phone-code"),
        (Channel.WHATSAPP, "sms", "phone-code"),
    ],
)
def test_a_code_by_mail_is_never_reported_as_one_by_phone(channel: Channel, amr: str, acr: str) -> None:
    told = claims(approved(channel), "", "")
    assert (told["amr"], told["acr"]) == ([amr, "otp"], f"urn:countersign:acr:{acr}")


def test_every_channel_has_its_claims() -> None:
    assert set(ACR) == set(AMR) == set(Channel)
