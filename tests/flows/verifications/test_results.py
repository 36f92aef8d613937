"""Results are stored for a day beside idempotency keys: another release must read them, whatever the fields are called in its code."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from countersign.domain.delivery.delivery import Delivery
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.shared.phone_region import PhoneRegion
from countersign.domain.verifications.challenge import Challenge, ChallengeState, Refusal, Terms
from countersign.domain.verifications.purpose import Policy
from countersign.flows.verifications.results import Done, KeyReused, Missing, Outcome, RateLimitStatus, Refused

TERMS = Terms(
    "sign_in",
    Policy(),
    b"sealed",
    "a***@example.org",
    ContactKind.MAIL,
    "k1",
    decoy_notice=NoticeKind.SIGN_UP_KNOWN.value,
)
CHALLENGE = Challenge(
    "ver_1", "app_1", b"twin", b"standing", TERMS, 1, 600_001, ChallengeState.PENDING, Channel.SMS, sent_at=1
)
DELIVERY = Delivery(
    "ver_1", 1, Channel.SMS, ("a", "b"), 1, position=1, region=PhoneRegion("DE", "+49170"), application="app_1"
)
STORED_CHALLENGE = {
    "id": "ver_1",
    "application": "app_1",
    "twin": b"twin",
    "standing": b"standing",
    "terms": {
        "purpose": "sign_in",
        "policy": {},
        "to": b"sealed",
        "to_masked": "a***@example.org",
        "to_kind": "mail",
        "kid": "k1",
        "told": "sign_up_known",
    },
    "begun_at": 1,
    "expires_at": 600_001,
    "state": "pending",
    "channel": "sms",
    "guesses": 0,
    "sends": 1,
    "round": 0,
    "sent_at": 1,
    "ended_at": None,
}
STORED_DELIVERY = {
    "owner": "ver_1",
    "number": 1,
    "channel": "sms",
    "route": ["a", "b"],
    "created_at": 1,
    "round": 0,
    "state": "queued",
    "leg": 1,
    "tries": 0,
    "attempts": 0,
    "due_at": None,
    "reason": None,
    "changed_at": 0,
    "area": {"country": "DE", "prefix": "+49170"},
    "settled_at": None,
    "application": "app_1",
    "lapses": 0,
}


@pytest.mark.parametrize(
    ("result", "stored"),
    [
        (
            Done(CHALLENGE, DELIVERY, True, RateLimitStatus("destination", 10, 9, 60_000)),
            {
                "type": "Done",
                "challenge": STORED_CHALLENGE,
                "delivery": STORED_DELIVERY,
                "continued": True,
                "budget": {"name": "destination", "burst": 10, "remaining": 9, "reset_after": 60_000},
            },
        ),
        (
            Refused(Refusal.LIMITED, retry_after=5, limit="destination"),
            {
                "type": "Refused",
                "refusal": "limited",
                "challenge": None,
                "retry_after": 5,
                "limit": "destination",
                "reason": "",
                "at": 0,
            },
        ),
        (Missing(), {"type": "Missing"}),
        (KeyReused(), {"type": "KeyReused"}),
    ],
)
def test_a_result_is_stored_under_the_names_that_it_always_had(result: Outcome, stored: dict[str, Any]) -> None:
    """H2: an upgrade between a request and its repetition changes nothing."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result)) == stored
    assert msgspec.msgpack.Decoder(Outcome).decode(msgspec.msgpack.encode(stored)) == result


def test_a_delivery_that_an_older_release_stored_is_read() -> None:
    """H2: it belonged to nobody by name, and had no lapses."""
    older = {name: value for name, value in STORED_DELIVERY.items() if name not in {"application", "lapses"}}
    found = msgspec.msgpack.Decoder(Delivery).decode(msgspec.msgpack.encode(older))
    assert found == msgspec.structs.replace(DELIVERY, application="")
