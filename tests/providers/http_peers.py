"""Every provider with an HTTP API, its peer, and what that peer says when it takes a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.providers.contexts import flat
from tests.providers.peers import NOW, message

from countersign.domain.shared.contact import Channel
from countersign.providers.registry import ConfiguredProvider, find_kind, make_provider

if TYPE_CHECKING:
    from countersign.domain.delivery.delivery import Message
    from countersign.providers import Provider

SECRETS: dict[str, dict[str, Any]] = {
    "twilio": {"account_sid": "AC" + "1" * 32, "auth_token": "token-of-tests", "sender": "+14155550100"},
    "vonage": {"api_key": "abcd", "api_secret": "secret-of-tests", "sender": "Shop", "signature_secret": "s" * 32},
    "infobip": {"api_key": "key-of-tests", "sender": "Shop"},
    "sns": {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret-of-tests"},
    "ses": {
        "region": "eu-central-1",
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "secret-of-tests",
        "from_address": "codes@shop.example",
    },
    "whatsapp": {
        "phone_number_id": "1029384756",
        "access_token": "token-of-tests",
        "template": "code",
        "languages": ("en", "de", "pt_BR"),
        "app_secret": "app-secret-of-tests",
        "verify_token": "word-of-tests",
    },
}
TAKEN: dict[str, tuple[int, bytes, str]] = {
    "twilio": (201, b'{"sid": "SM1", "status": "queued"}', "SM1"),
    "vonage": (202, b'{"message_uuid": "uuid-1"}', "uuid-1"),
    "infobip": (
        200,
        b'{"messages": [{"messageId": "ver_01kabc.1.0", "status": {"groupId": 1, "id": 26}}]}',
        "ver_01kabc.1.0",
    ),
    "sns": (
        200,
        b"<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>",
        "m-1",
    ),
    "ses": (200, b'{"MessageId": "m-1"}', "m-1"),
    "whatsapp": (200, b'{"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]}', "wamid.1"),
}
"""Status, body, and the id in it, as the public documentation of each has them."""
HTTP_KINDS = tuple(SECRETS)
WITH_RECEIPTS = frozenset(
    name for name in HTTP_KINDS if find_kind(name).has_receipts and hasattr(find_kind(name).provider, "receipts")
)
"""The kinds that report later what became of a message. SNS has no `receipts`: it declares `has_receipts` since its errors say why."""
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail"
CALLBACK = "https://verify.example.org/v1/receipts/ours"


def make(kind: str, port: int, callback: str = CALLBACK, **changes: Any) -> Provider:
    """Return a provider of a kind that speaks to a port of this machine."""
    given = {
        "url": f"http://127.0.0.1:{port}",
        "allow_http": True,
        "allow_private": True,
        "timeout": 1.0,
        **({"topic_arn": TOPIC, "receipt_within": 60_000} if kind == "ses" else {}),
        **SECRETS[kind],
        **changes,
    }
    settings = flat(find_kind(kind).settings, **given)
    return make_provider(ConfiguredProvider("ours", kind, settings, callback), lambda: NOW)


def sms(**changes: Any) -> Message:
    """Return a message to a phone with the code in it."""
    text = "481516 is your Shop sign-in code. Never share it.\n@shop.example #481516"
    given = {"channel": Channel.SMS, "to": "+491701234567", "text": text, "html": "", "subject": "", "code": "481516"}
    return message(**{**given, **changes})


def sample(provider: Provider) -> Message:
    """Return a message that this provider carries."""
    return message(code="481516") if type(provider).__name__ == "SesProvider" else sms()


class Gateway:
    """A peer that keeps what is posted, and answers with `reply`."""

    def __init__(self) -> None:
        self.reply = b""
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.answer(200)

    async def __call__(self, reader: Any, writer: Any) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.posted.append((head[0], headers, body))
            writer.write(self.reply)

    def answer(self, status: int, body: object = b"", headers: str = "") -> None:
        """Answer the next requests so."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.reply = f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\n{headers}\r\n".encode() + raw
