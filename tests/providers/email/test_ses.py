"""Notifications of SES through SNS: believed with a certificate that SNS serves, of our topic, and in no other case."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.providers.contexts import flat
from tests.providers.http_peers import SECRETS, TOPIC, Gateway, make
from tests.providers.peers import NOW, StartServer

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState
from countersign.errors import InputError, SettingsError, UnavailableError
from countersign.providers import Callback
from countersign.providers.email.ses import SesProvider, SesSettings
from countersign.providers.http.sns_notification import FETCHES

HOST = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-01.pem"
FIELDS = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    del number  # another number, another key
    return rsa.generate_private_key(65_537, 2048)


def certificate(days: int = 30) -> bytes:
    now = datetime.fromtimestamp(NOW / 1000, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key(0).public_key())
    builder = builder.serial_number(7).not_valid_before(now - timedelta(days=90))
    return builder.not_valid_after(now + timedelta(days=days)).sign(key(0), SHA256()).public_bytes(Encoding.PEM)


class Sns(Gateway):
    """SNS, which serves its certificate, and says yes to a confirmation."""

    def __init__(self, served: bytes) -> None:
        super().__init__()
        self.answer(200, served)


@pytest.fixture
def sns() -> Sns:
    return Sns(certificate())


@pytest.fixture
async def ses(sns: Sns, start_tcp_server: StartServer) -> AsyncIterator[SesProvider]:
    made = make("ses", 9, sns_url=f"http://127.0.0.1:{await start_tcp_server(sns)}")
    assert isinstance(made, SesProvider)
    yield made
    await made.close()


def signed(message: dict[str, str], version: str = "2", by: int = 0) -> dict[str, str]:
    text = "".join(f"{name}\n{message[name]}\n" for name in FIELDS if name in message)
    signature = key(by).sign(text.encode(), padding.PKCS1v15(), (SHA1 if version == "1" else SHA256)())
    return {
        **message,
        "SignatureVersion": version,
        "Signature": base64.b64encode(signature).decode(),
        "SigningCertURL": CERTIFICATE,
    }


def notification(said: object, **changes: str) -> dict[str, str]:
    return {
        "Type": "Notification",
        "MessageId": "n-1",
        "TopicArn": TOPIC,
        "Message": json.dumps(said),
        "Timestamp": "2026-11-25T12:00:00.000Z",
        **changes,
    }


def confirmation(**changes: str) -> dict[str, str]:
    return {
        "Type": "SubscriptionConfirmation",
        "MessageId": "n-2",
        "Token": "t-1",
        "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe.",
        "SubscribeURL": f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t-1",
        "Timestamp": "2026-11-25T12:00:00.000Z",
        **changes,
    }


def callback(message: object) -> Callback:
    return Callback("POST", "", {"content-type": "text/plain"}, json.dumps(message).encode())


def bounce(kind: str, detail: str = "General", **recipient: str) -> dict[str, Any]:
    told = {"bounceType": kind, "bounceSubType": detail, "bouncedRecipients": [recipient]}
    return {"notificationType": "Bounce", "mail": {"messageId": "m-1"}, "bounce": told}


def lost(reason: Reason) -> tuple[Receipt, ...]:
    return (Receipt("ours", "m-1", ReceiptState.UNDELIVERED, reason),)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    ("said", "receipts"),
    [
        (bounce("Permanent", "NoEmail"), lost(Reason.UNKNOWN_RECIPIENT)),
        (bounce("Permanent", "OnAccountSuppressionList"), lost(Reason.UNKNOWN_RECIPIENT)),
        (bounce("Permanent", status="5.1.1", diagnosticCode="smtp; 550 5.1.1 no"), lost(Reason.UNKNOWN_RECIPIENT)),
        (bounce("Permanent", status="5.7.1"), lost(Reason.BLOCKED)),
        (bounce("Permanent"), lost(Reason.REFUSED)),
        (bounce("Transient", "MailboxFull"), lost(Reason.MAILBOX_FULL)),
        (bounce("Transient", status="5.1.1"), lost(Reason.REFUSED)),
        (bounce("Undetermined"), lost(Reason.REFUSED)),
        ({"notificationType": "Bounce", "mail": {"messageId": "m-1"}, "bounce": 7}, lost(Reason.REFUSED)),
        (
            {"notificationType": "Complaint", "mail": {"messageId": "m-1"}},
            (Receipt("ours", "m-1", ReceiptState.DELIVERED, complained=True),),
        ),
        (
            {"eventType": "Delivery", "mail": {"messageId": "m-1"}},
            (Receipt("ours", "m-1", ReceiptState.DELIVERED),),
        ),
        ({"eventType": "Bounce", **{k: v for k, v in bounce("Permanent", "NoEmail").items() if k != "notificationType"}},
         lost(Reason.UNKNOWN_RECIPIENT)),
        ({"eventType": "DeliveryDelay", "mail": {"messageId": "m-1"}}, ()),
        ({"eventType": "Open", "mail": {"messageId": "m-1"}}, ()),
        ("Successfully validated SNS topic for Amazon SES event publishing.", ()),
    ],
)  # fmt: skip
async def test_a_signed_notification_is_understood(
    ses: SesProvider, version: str, said: object, receipts: tuple[Receipt, ...]
) -> None:
    """D2: bounces, complaints and deliveries, in both spellings that SES has."""
    assert await ses.receipts(callback(signed(notification(said), version))) == receipts


async def test_a_certificate_is_fetched_once(ses: SesProvider, sns: Sns) -> None:
    for _ in range(5):
        await ses.receipts(callback(signed(notification({"eventType": "Open"}, Subject="Amazon SES"))))
    assert [line.split()[1] for line, _, _ in sns.posted] == ["/SimpleNotificationService-01.pem"]


async def test_our_subscription_is_confirmed_at_sns(ses: SesProvider, sns: Sns) -> None:
    assert await ses.receipts(callback(signed(confirmation()))) == ()
    assert [line.split()[1] for line, _, _ in sns.posted][1:] == [
        f"/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t-1"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription&TopicArn={topic}",
        "http://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}",
        HOST + ".evil.example/?Action=ConfirmSubscription&TopicArn={topic}",
        HOST + "@evil.example/?Action=ConfirmSubscription&TopicArn={topic}",
        HOST + "/?Action=DeleteTopic&TopicArn={topic}",
        HOST + "/?Action=ConfirmSubscription&Action=DeleteTopic&TopicArn={topic}",
        HOST + "/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:999999999999:mail",
        HOST + "/other?Action=ConfirmSubscription&TopicArn={topic}",
    ],
)
async def test_no_other_address_is_visited(ses: SesProvider, sns: Sns, url: str) -> None:
    """D2: a confirmation makes us visit an address; only SNS's own is."""
    with pytest.raises(InputError):
        await ses.receipts(callback(signed(confirmation(SubscribeURL=url.format(topic=TOPIC)))))
    assert len(sns.posted) <= 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/SimpleNotificationService-01.pem",
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-01.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-01.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
        "https://evil.sns.eu-central-1.amazonaws.com/a.pem",
        HOST + "/a.pem?x=1.txt#.pem",
        HOST + "/../a.txt",
        HOST + "/",
        HOST + "/a b.pem",
        "",
        "https://[",
    ],
)
async def test_a_certificate_from_elsewhere_is_not_even_fetched(ses: SesProvider, sns: Sns, url: str) -> None:
    """D2: whoever chooses the certificate chooses what is true."""
    with pytest.raises(InputError):
        await ses.receipts(callback({**signed(notification(bounce("Permanent", "NoEmail"))), "SigningCertURL": url}))
    assert sns.posted == []


RIGHT = notification(bounce("Permanent", "NoEmail"))


@pytest.mark.parametrize(
    "forged",
    [
        {**signed(RIGHT), "Message": json.dumps(bounce("Permanent", "Suppressed"))},
        {**signed(RIGHT), "Subject": "added"},
        {**signed(RIGHT), "Signature": "AAAA"},
        {**signed(RIGHT), "Signature": "?"},
        {**signed(RIGHT), "SignatureVersion": "3"},
        {**signed(RIGHT, "1"), "SignatureVersion": "2"},
        signed(RIGHT, by=1),
        signed({**RIGHT, "TopicArn": "arn:aws:sns:eu-central-1:999999999999:mail"}),
        {**signed(RIGHT), "Type": "SubscriptionConfirmation"},
        signed({**RIGHT, "Type": "SubscriptionConfirmation", "Token": "t"}),
        {**signed(RIGHT), "Type": ["Notification"]},
        {**signed(RIGHT), "Message": {"notificationType": "Bounce"}},
        RIGHT,
        {},
        [],
        "",
        None,
    ],
)
async def test_what_is_not_signed_by_sns_for_our_topic_is_refused(ses: SesProvider, forged: object) -> None:
    """D2: everybody can have a topic of their own, whose messages AWS signs as well."""
    with pytest.raises(InputError):
        await ses.receipts(callback(forged))


async def test_without_a_topic_nothing_is_believed(sns: Sns, start_tcp_server: StartServer) -> None:
    url = f"http://127.0.0.1:{await start_tcp_server(sns)}"
    bare = make("ses", 9, sns_url=url, topic_arn="", receipt_within=None)
    assert isinstance(bare, SesProvider)
    for arn in (TOPIC, ""):
        with pytest.raises(InputError):
            await bare.receipts(callback(signed({**RIGHT, "TopicArn": arn})))
    assert sns.posted == []
    await bare.close()


@pytest.mark.parametrize("served", [b"", b"no certificate", certificate(days=-1)])
async def test_a_certificate_that_is_none_or_has_run_out_proves_nothing(
    ses: SesProvider, sns: Sns, served: bytes
) -> None:
    sns.answer(200, served)
    with pytest.raises(InputError):
        await ses.receipts(callback(signed(RIGHT)))


async def test_whoever_knows_the_topic_makes_us_fetch_little(ses: SesProvider, sns: Sns) -> None:
    """L5: its ARN is no secret. Only names that AWS gives are fetched, what is no certificate once, and all of them so often."""
    sns.answer(200, b"no certificate")
    for path in ("/a.pem", "/x/SimpleNotificationService-01.pem", "/SimpleNotificationService-../../x.pem"):
        with pytest.raises(InputError):
            await ses.receipts(callback({**signed(RIGHT), "SigningCertURL": HOST + path}))
    assert sns.posted == []
    for _ in range(3):
        with pytest.raises(InputError):
            await ses.receipts(callback(signed(RIGHT)))
    assert len(sns.posted) == 1
    for number in range(3 * FETCHES):
        url = f"{HOST}/SimpleNotificationService-{number}a.pem"
        with pytest.raises((InputError, UnavailableError)):
            await ses.receipts(callback({**signed(RIGHT), "SigningCertURL": url}))
    assert len(sns.posted) == FETCHES


async def test_when_sns_is_away_the_notification_may_come_again(ses: SesProvider, sns: Sns) -> None:
    """D2: no word of it is lost, and none is believed unseen."""
    sns.answer(503, b"")
    with pytest.raises(UnavailableError):
        await ses.receipts(callback(signed(RIGHT)))
    sns.answer(200, certificate())
    assert await ses.receipts(callback(signed(RIGHT))) == lost(Reason.UNKNOWN_RECIPIENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"topic_arn": "mail"},
        {"topic_arn": "arn:aws:sns:us-east-1:123456789012:mail"},
        {"receipt_within": 60_000},
        {"sns_url": "http://sns.example"},
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="|".join(changes)):
        flat(SesSettings, **{**SECRETS["ses"], **changes})
