"""Receipts that the operator's sender posts back: signed by the same scheme, fresh, and understood; all else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from tests.providers.peers import ADA, CODE, NOW

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState
from countersign.errors import InputError
from countersign.providers.http.webhook_signature import parse_secret, sign
from countersign.providers.webhook import parse_receipt

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
SECONDS = NOW // 1000
BODY = json.dumps({"id": "SM1", "state": "delivered"}).encode()


def signature(body: bytes, seconds: int = SECONDS, key: bytes = KEY) -> str:
    signed = b"msg_1." + str(seconds).encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(body: bytes, seconds: int = SECONDS, changes: dict[str, str] | None = None) -> dict[str, str]:
    given = {
        "Webhook-Id": "msg_1",
        "WEBHOOK-TIMESTAMP": str(seconds),
        "webhook-signature": signature(body, seconds),
        "host": "we.example",
    }
    return {**given, **(changes or {})}


def test_the_scheme_is_that_of_standard_webhooks() -> None:
    """The example of the specification's reference libraries (github.com/standard-webhooks/standard-webhooks)."""
    made = sign(
        parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("body", "receipt"),
    [
        ({"id": "SM1", "state": "delivered"}, Receipt("our-sender", "SM1", ReceiptState.DELIVERED)),
        (
            {"id": "SM1", "state": "delivered", "reason": "blocked", "extra": 1},
            Receipt("our-sender", "SM1", ReceiptState.DELIVERED),
        ),
        (
            {"id": "SM1", "state": "undelivered", "reason": "unknown_recipient"},
            Receipt("our-sender", "SM1", ReceiptState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT),
        ),
        (
            {"id": "SM1", "state": "undelivered", "reason": "the moon"},
            Receipt("our-sender", "SM1", ReceiptState.UNDELIVERED, Reason.REFUSED),
        ),
        ({"id": "SM1", "state": "undelivered"}, Receipt("our-sender", "SM1", ReceiptState.UNDELIVERED, Reason.REFUSED)),
        (
            {"id": "SM1", "state": "undelivered", "reason": "expired"},
            Receipt("our-sender", "SM1", ReceiptState.UNDELIVERED, Reason.REFUSED),
        ),
    ],
)
def test_a_signed_receipt_is_understood(body: dict[str, object], receipt: Receipt) -> None:
    posted = json.dumps(body).encode()
    assert parse_receipt("our-sender", KEY, headers(posted), posted, NOW) == receipt


def test_one_right_signature_among_several_is_enough() -> None:
    """A sender that is changing its secret signs with both; versions we do not know are passed over."""
    several = f"v1a,AAAA v2,{'A' * 44} v1,!!! v1,{'A' * 43}= {signature(BODY, key=b'x' * 24)} {signature(BODY)}"
    assert (
        parse_receipt(
            "our-sender", KEY, headers(BODY, changes={"webhook-signature": several}), BODY, NOW
        ).provider_message_id
        == "SM1"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"webhook-signature": ""}, "bad_signature"),
        ({"webhook-signature": "v1,"}, "bad_signature"),
        ({"webhook-signature": signature(BODY)[3:]}, "bad_signature"),
        ({"webhook-signature": signature(BODY).replace("v1", "v2")}, "bad_signature"),
        ({"webhook-signature": signature(BODY, key=b"x" * 24)}, "bad_signature"),
        ({"webhook-signature": signature(BODY + b" ")}, "bad_signature"),
        ({"webhook-signature": ("v1," + "A" * 43 + "= ") * 16 + signature(BODY)}, "bad_signature"),
        ({"webhook-signature": "v1,ä"}, "bad_signature"),
        ({"Webhook-Id": "msg_2"}, "bad_signature"),
        ({"Webhook-Id": ""}, "malformed"),
        ({"Webhook-Id": "x" * 300}, "malformed"),
        ({"WEBHOOK-TIMESTAMP": str(SECONDS + 1)}, "bad_signature"),
        ({"WEBHOOK-TIMESTAMP": ""}, "malformed"),
        ({"WEBHOOK-TIMESTAMP": "-1"}, "malformed"),
        ({"WEBHOOK-TIMESTAMP": "1e9"}, "malformed"),
        ({"WEBHOOK-TIMESTAMP": "٣"}, "malformed"),
    ],
)
def test_a_signature_that_is_not_right_is_refused(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_receipt("our-sender", KEY, headers(BODY, changes=changes), BODY, NOW)
    assert caught.value.reason == reason
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("late", "taken"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_receipt_is_taken_for_five_minutes(late: int, *, taken: bool) -> None:
    given = headers(BODY, SECONDS - late)
    if taken:
        assert parse_receipt("our-sender", KEY, given, BODY, NOW).state is ReceiptState.DELIVERED
        return
    with pytest.raises(InputError) as caught:
        parse_receipt("our-sender", KEY, given, BODY, NOW)
    assert caught.value.reason == "stale_signature"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"id": "SM1"}',
        b'{"id": "", "state": "delivered"}',
        b'{"id": 7, "state": "delivered"}',
        b'{"id": "SM1", "state": "sent"}',
        b'{"id": "SM1", "state": "delivered", "reason": 1}',
        b'{"id": "' + b"x" * 300 + b'", "state": "delivered"}',
        b'{"id": ' * 5_000,
        f'{{"id": "{ADA}", "state": "{CODE}"}}'.encode(),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_signed_body_that_is_no_receipt_is_refused_and_not_repeated(body: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_receipt("our-sender", KEY, headers(body), body, NOW)
    assert caught.value.reason == "malformed"
    assert CODE not in str(caught.value)


def test_a_body_that_is_too_long_is_not_even_verified() -> None:
    body = b"x" * 70_000
    with pytest.raises(InputError) as caught:
        parse_receipt("our-sender", KEY, headers(body), body, NOW)
    assert caught.value.reason == "too_large"
