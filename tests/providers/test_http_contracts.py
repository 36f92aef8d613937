"""What each provider is sent, and what its errors and receipts become, as its public documentation has them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.providers.http_peers import CALLBACK, SECRETS, TAKEN, Gateway, make, sample, sms
from tests.providers.peers import NOW

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, InputError
from countersign.providers import Callback, TakesReceipts
from countersign.providers.sms.twilio import request_signature, twiml
from countersign.providers.whatsapp import WhatsappProvider

if TYPE_CHECKING:
    from tests.providers.peers import StartServer

DELIVERED, UNDELIVERED = ReceiptState.DELIVERED, ReceiptState.UNDELIVERED


async def exchange(
    kind: str, start: StartServer, reply: tuple[int, object] | None = None, **changes: Any
) -> tuple[str, dict[str, str], bytes]:
    """Send a message to a gateway that answers so; return the request. Raises what the provider raises."""
    gateway = Gateway()
    gateway.answer(*(reply or TAKEN[kind][:2]))
    provider = make(kind, await start(gateway))
    try:
        await provider.send(sms(**changes) if kind != "ses" else sample(provider))
    finally:
        await provider.close()
    return gateway.posted[0]


async def read(kind: str, body: bytes, headers: dict[str, str], query: str = "", **changes: Any) -> tuple[Receipt, ...]:
    """Return what a provider makes of a callback."""
    provider = make(kind, 9, **changes)
    try:
        return await cast("TakesReceipts", provider).receipts(Callback("POST", query, headers, body))
    finally:
        await provider.close()


async def test_twilio_is_sent_a_form_in_the_name_of_the_account(start_tcp_server: StartServer) -> None:
    line, headers, body = await exchange("twilio", start_tcp_server)
    assert line == f"POST /2010-04-01/Accounts/{'AC' + '1' * 32}/Messages.json HTTP/1.1"
    key = base64.b64encode(f"{'AC' + '1' * 32}:token-of-tests".encode()).decode()
    assert headers["authorization"] == f"Basic {key}"
    assert dict(parse_qsl(body.decode())) == {
        "To": "+491701234567",
        "From": "+14155550100",
        "Body": sms().text,
        "StatusCallback": CALLBACK,
    }


async def test_twilio_calls_with_half_a_second_after_each_digit(start_tcp_server: StartServer) -> None:
    spoken = "Hallo & guten Tag. The code is: 4, 8, 1. 5, 1, 6. Once more: 4, 8, 1. 5, 1, 6."
    line, _, body = await exchange("twilio", start_tcp_server, channel=Channel.VOICE, text=spoken, locale="de")
    assert "/Calls.json" in line
    said = dict(parse_qsl(body.decode()))["Twiml"]
    assert said == twiml(sms(text=spoken, locale="de"))
    assert said.startswith('<Response><Pause length="1"/><Say language="de-DE">Hallo &amp; guten Tag.')
    assert said.count('4,<break time="500ms"/> 8,<break time="500ms"/> 1.<break') == 2


@pytest.mark.parametrize(
    ("locale", "voice"), [("en-GB", "en-GB"), ("en-ZA", "en-US"), ("he", "he-IL"), ("xx", "en-US"), ("", "en-US")]
)
def test_a_call_speaks_the_language_of_its_text(locale: str, voice: str) -> None:
    assert f'language="{voice}"' in twiml(sms(locale=locale))


@pytest.mark.parametrize(
    ("kind", "status", "body", "reason", "permanent"),
    [
        ("twilio", 400, {"code": 21211}, Reason.UNKNOWN_RECIPIENT, True),
        ("twilio", 400, {"code": 21614}, Reason.UNKNOWN_RECIPIENT, True),
        ("twilio", 400, {"code": 21610}, Reason.BLOCKED, True),
        ("twilio", 400, {"code": 21408}, Reason.MISCONFIGURED, True),
        ("twilio", 401, {"code": 20003}, Reason.MISCONFIGURED, True),
        ("twilio", 429, {"code": 20429}, Reason.THROTTLED, False),
        ("vonage", 422, {"type": "https://developer.vonage.com/api-errors/messages#1170"}, Reason.UNKNOWN_RECIPIENT, True),
        ("vonage", 422, {"title": "Invalid params"}, Reason.REFUSED, True),
        ("vonage", 429, {"type": "https://developer.vonage.com/api-errors/messages#1000"}, Reason.THROTTLED, False),
        ("vonage", 402, {"title": "Low balance"}, Reason.MISCONFIGURED, True),
        ("infobip", 200, {"messages": [{"status": {"groupId": 5, "id": 52}}]}, Reason.UNKNOWN_RECIPIENT, True),
        ("infobip", 200, {"messages": [{"status": {"groupId": 5, "id": 12}}]}, Reason.MISCONFIGURED, True),
        ("infobip", 200, {"messages": [{"status": {"groupId": 2, "id": 9}}]}, Reason.REFUSED, True),
        ("sns", 400, b"<Error><Code>InvalidParameter</Code></Error>", Reason.UNKNOWN_RECIPIENT, True),
        ("sns", 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", Reason.MISCONFIGURED, True),
        ("sns", 400, b"<Error><Code>Throttling</Code></Error>", Reason.THROTTLED, False),
        ("sns", 400, b"<Error><Code>OptedOut</Code></Error>", Reason.BLOCKED, True),
        ("ses", 400, {"__type": "MessageRejected"}, Reason.REFUSED, True),
        ("ses", 400, {"__type": "com.amazonaws#MailFromDomainNotVerifiedException"}, Reason.MISCONFIGURED, True),
        ("ses", 429, {"__type": "TooManyRequestsException"}, Reason.THROTTLED, False),
        ("ses", 403, {"__type": "UnrecognizedClientException"}, Reason.MISCONFIGURED, True),
        ("whatsapp", 400, {"error": {"code": 131026}}, Reason.UNKNOWN_RECIPIENT, True),
        ("whatsapp", 401, {"error": {"code": 190}}, Reason.MISCONFIGURED, True),
        ("whatsapp", 400, {"error": {"code": 130429}}, Reason.THROTTLED, False),
        ("whatsapp", 500, {"error": {"code": 131000}}, Reason.PROVIDER_ERROR, False),
        ("whatsapp", 400, {"error": {"code": 132001}}, Reason.MISCONFIGURED, True),
    ],
)  # fmt: skip
async def test_an_error_is_sorted(
    start_tcp_server: StartServer, kind: str, status: int, body: object, reason: Reason, permanent: object
) -> None:
    """D2: permanent, temporary, throttled or misconfigured."""
    with pytest.raises(DeliveryFailedError) as caught:
        await exchange(kind, start_tcp_server, (status, body))
    assert (caught.value.reason, caught.value.permanent) == (reason, permanent)


async def test_vonage_and_infobip_are_sent_json(start_tcp_server: StartServer) -> None:
    line, headers, body = await exchange("vonage", start_tcp_server)
    assert line == "POST /v1/messages HTTP/1.1"
    assert headers["authorization"] == f"Basic {base64.b64encode(b'abcd:secret-of-tests').decode()}"
    assert json.loads(body) == {
        "message_type": "text",
        "channel": "sms",
        "to": "491701234567",
        "from": "Shop",
        "text": sms().text,
        "client_ref": sms().key,
        "webhook_url": CALLBACK,
        "webhook_version": "v1",
    }
    line, headers, body = await exchange("infobip", start_tcp_server)
    assert line == "POST /sms/2/text/advanced HTTP/1.1"
    assert headers["authorization"] == "App key-of-tests"
    (sent,) = json.loads(body)["messages"]
    assert sent["destinations"] == [{"to": "491701234567", "messageId": sms().key}]
    assert (sent["from"], sent["text"]) == ("Shop", sms().text)
    assert sent["notifyUrl"].startswith(f"{CALLBACK}?sig=")


async def test_whatsapp_is_sent_the_template_with_the_code_for_its_button(start_tcp_server: StartServer) -> None:
    line, headers, body = await exchange("whatsapp", start_tcp_server, locale="pt-BR")
    assert line == "POST /v23.0/1029384756/messages HTTP/1.1"
    assert headers["authorization"] == "Bearer token-of-tests"
    sent = json.loads(body)
    assert (sent["to"], sent["type"]) == ("491701234567", "template")
    assert sent["template"]["language"] == {"code": "pt_BR"}
    assert [part["parameters"][0]["text"] for part in sent["template"]["components"]] == ["481516", "481516"]
    assert "Never share" not in body.decode()


async def test_a_notice_is_left_to_the_next_provider_by_whatsapp(start_tcp_server: StartServer) -> None:
    with pytest.raises(DeliveryFailedError) as caught:
        await exchange("whatsapp", start_tcp_server, code="")
    assert (caught.value.reason, caught.value.permanent) == (Reason.REFUSED, True)


async def test_whatsapp_is_greeted_by_the_word_of_the_settings_alone() -> None:
    provider = make("whatsapp", 9)
    assert isinstance(provider, WhatsappProvider)
    right = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "word-of-tests"}
    assert provider.answer_challenge(urlencode(right)) == "1158201444"
    assert provider.answer_challenge(urlencode({**right, "hub.verify_token": "another"})) is None
    assert provider.answer_challenge("") is None
    unset = make("whatsapp", 9, verify_token="")
    assert isinstance(unset, WhatsappProvider)
    assert unset.answer_challenge(urlencode({**right, "hub.verify_token": ""})) is None
    await provider.close()
    await unset.close()


def twilio_headers(fields: dict[str, str]) -> dict[str, str]:
    return {"X-Twilio-Signature": request_signature(SECRETS["twilio"]["auth_token"], CALLBACK, list(fields.items()))}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"MessageSid": "SM1", "MessageStatus": "sent"}, None),
        ({"MessageSid": "SM1", "MessageStatus": "delivered"}, (DELIVERED, None)),
        ({"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"}, (UNDELIVERED, Reason.NO_SIGNAL)),
        ({"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30007"}, (UNDELIVERED, Reason.BLOCKED)),
        ({"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "99999"}, (UNDELIVERED, Reason.REFUSED)),
        ({"CallSid": "SM1", "CallStatus": "ringing"}, None),
        ({"CallSid": "SM1", "CallStatus": "completed"}, (DELIVERED, None)),
        ({"CallSid": "SM1", "CallStatus": "no-answer"}, (UNDELIVERED, Reason.NO_SIGNAL)),
    ],
)
async def test_twilio_says_what_became_of_it(
    fields: dict[str, str], expected: tuple[ReceiptState, Reason | None] | None
) -> None:
    found = await read("twilio", urlencode(fields).encode(), twilio_headers(fields))
    assert found == ((Receipt("ours", "SM1", *expected),) if expected else ())


def vonage_headers(body: bytes, at: int = NOW // 1000, key: str = "s" * 32, **claims: object) -> dict[str, str]:
    given = {"iat": at, "payload_hash": hashlib.sha256(body).hexdigest(), **claims}
    made = jwt.encode({"alg": "HS256"}, given, OctKey.import_key(key.encode()))
    return {"Authorization": f"Bearer {made}"}


async def test_vonage_says_what_became_of_it() -> None:
    for said, expected in (
        ({"status": "submitted"}, ()),
        ({"status": "delivered"}, (Receipt("ours", "u-1", DELIVERED),)),
        ({"status": "undeliverable", "error": {"title": "1260"}}, (Receipt("ours", "u-1", UNDELIVERED, Reason.NO_SIGNAL),)),
        ({"status": "rejected"}, (Receipt("ours", "u-1", UNDELIVERED, Reason.REFUSED),)),
    ):  # fmt: skip
        body = json.dumps({"message_uuid": "u-1", **said}).encode()
        assert await read("vonage", body, vonage_headers(body)) == expected


async def test_infobip_says_what_became_of_each_message() -> None:
    body = json.dumps(
        {
            "results": [
                {"messageId": "m-1", "status": {"groupId": 3}},
                {"messageId": "m-2", "status": {"groupId": 1}},
                {"messageId": "m-3", "status": {"groupId": 2, "id": 9}, "error": {"id": 1}},
                {"messageId": "m-4", "status": {"groupId": 4, "id": 15}},
            ]
        }
    ).encode()
    mark = hmac.digest(b"key-of-tests", f"receipts:{CALLBACK}".encode(), "sha256").hex()
    assert await read("infobip", body, {}, f"sig={mark}") == (
        Receipt("ours", "m-1", DELIVERED),
        Receipt("ours", "m-3", UNDELIVERED, Reason.UNKNOWN_RECIPIENT),
        Receipt("ours", "m-4", UNDELIVERED, Reason.NO_SIGNAL),
    )


def whatsapp_headers(body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.digest(b"app-secret-of-tests", body, "sha256").hex()}


async def test_whatsapp_says_what_became_of_each_message() -> None:
    statuses = [
        {"id": "w-1", "status": "sent"},
        {"id": "w-2", "status": "delivered"},
        {"id": "w-3", "status": "failed", "errors": [{"code": 131026}]},
    ]
    body = json.dumps(
        {"entry": [{"changes": [{"value": {"statuses": statuses}}, {"value": {"messages": []}}]}]}
    ).encode()
    assert await read("whatsapp", body, whatsapp_headers(body)) == (
        Receipt("ours", "w-2", DELIVERED),
        Receipt("ours", "w-3", UNDELIVERED, Reason.UNKNOWN_RECIPIENT),
    )


async def test_nobody_but_the_provider_moves_a_message() -> None:
    """A receipt that is unsigned, signed with another key, of another body, or old, is refused."""
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    good = urlencode(fields).encode()
    body = b'{"message_uuid": "u-1", "status": "delivered"}'
    forged: list[tuple[str, bytes, dict[str, str], str]] = [
        ("twilio", good, {}, ""),
        ("twilio", good, {"X-Twilio-Signature": "\xe4"}, ""),
        ("vonage", body, {"Authorization": "Bearer \xe4.\xe4.\xe4"}, ""),
        ("whatsapp", b"{}", {"X-Hub-Signature-256": "sha256=\xe4"}, ""),
        ("twilio", good + b"&To=x", twilio_headers(fields), ""),
        ("vonage", body, {}, ""),
        ("vonage", body, vonage_headers(body, key="t" * 32), ""),
        ("vonage", body, vonage_headers(b"{}"), ""),
        ("vonage", body, vonage_headers(body, NOW // 1000 - 301), ""),
        ("vonage", body, vonage_headers(body, payload_hash=7), ""),
        ("vonage", body, vonage_headers(body, iat="now"), ""),
        ("infobip", b'{"results": []}', {}, ""),
        ("infobip", b'{"results": []}', {}, "sig=%C3%A4"),
        ("whatsapp", b"{}", {}, ""),
        ("whatsapp", b"{} ", whatsapp_headers(b"{}"), ""),
    ]
    for kind, sent, headers, query in forged:
        with pytest.raises(InputError) as caught:
            await read(kind, sent, headers, query)
        assert caught.value.reason == "signature_wrong", kind
    for kind, unset in (("vonage", {"signature_secret": ""}), ("whatsapp", {"app_secret": ""})):
        empty = {"X-Hub-Signature-256": "sha256=" + hmac.digest(b"", b"{}", "sha256").hex()}
        with pytest.raises(InputError):
            await read(kind, b"{}", empty, **unset)


async def test_what_is_signed_and_makes_no_sense_is_refused() -> None:
    mark = hmac.digest(b"key-of-tests", f"receipts:{CALLBACK}".encode(), "sha256").hex()
    for kind in ("vonage", "infobip", "whatsapp"):
        for body in (
            b"",
            b"[]",
            b"{",
            b"[" * 60_000,
            b'{"entry": 7, "results": 7, "status": 7}',
            b"\xff",
            b"x" * 70_000,
        ):
            headers = vonage_headers(body) if kind == "vonage" else whatsapp_headers(body)
            with pytest.raises(InputError):
                await read(kind, body, headers, f"sig={mark}")
    for odd in ({"entry": [7]}, {"entry": [{"changes": 7}]}, {"entry": [{"changes": [{"value": {"statuses": [7]}}]}]}):
        body = json.dumps(odd).encode()
        assert await read("whatsapp", body, whatsapp_headers(body)) == ()
    nameless = {"entry": [{"changes": [{"value": {"statuses": [{"status": "delivered", "id": 7}]}}]}]}
    body = json.dumps(nameless).encode()
    with pytest.raises(InputError):
        await read("whatsapp", body, whatsapp_headers(body))


@pytest.mark.parametrize("with_mark", [False, True])
async def test_receipts_of_infobip_bear_a_password(start_tcp_server: StartServer, *, with_mark: bool) -> None:
    """The address is no secret then: every log on the way keeps it. The mark counts beside it where that is asked for."""
    settings: dict[str, Any] = {
        "receipt_username": "infobip",
        "receipt_password": "word-of-tests",
        "receipt_mark": with_mark,
    }
    gateway = Gateway()
    gateway.answer(200, b'{"messages": [{"messageId": "m", "status": {"groupId": 1}}]}')
    provider = make("infobip", await start_tcp_server(gateway), **settings)
    await provider.send(sms())
    address = json.loads(gateway.posted[0][2])["messages"][0]["notifyUrl"]
    assert ("sig=" in address) is with_mark
    body = b'{"results": [{"messageId": "m", "status": {"groupId": 3}}]}'
    right = "Basic " + base64.b64encode(b"infobip:word-of-tests").decode()
    assert isinstance(provider, TakesReceipts)
    for header in ({"Authorization": right}, {"authorization": right}):
        assert len(await provider.receipts(Callback("POST", "", header, body))) == 1
    query = address.partition("?")[2] or "sig=" + "0" * 64
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": right + "x"},
        {"Authorization": "Basic "},
        {"Authorization": "basic word-of-tests"},
    ]
    for headers in wrong:
        with pytest.raises(InputError):
            await provider.receipts(Callback("POST", "", headers, body))
        if with_mark:
            assert len(await provider.receipts(Callback("POST", query, headers, body))) == 1
        else:
            with pytest.raises(InputError):
                await provider.receipts(Callback("POST", query, headers, body))
    assert "word-of-tests" not in repr(provider)
    await provider.close()
