"""The account behind a key is asked for, as the doctor does: a wrong key is seen before the first message, and nothing is sent."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from tests.providers.http_peers import SECRETS, Gateway, make

from countersign.providers import ChecksConnectivity

if TYPE_CHECKING:
    from tests.providers.peers import StartServer

    from countersign.providers import Connectivity

ASKED = {
    "twilio": "GET /2010-04-01/Accounts/{}.json HTTP/1.1",
    "vonage": "GET /v2/applications?page_size=1 HTTP/1.1",
    "infobip": "GET /account/1/balance HTTP/1.1",
    "ses": "GET /v2/email/account HTTP/1.1",
    "sns": "POST / HTTP/1.1",
    "whatsapp": "GET /v23.0/{}?fields=verified_name,quality_rating HTTP/1.1",
}
SES_FINE = {"SendingEnabled": True, "ProductionAccessEnabled": True, "EnforcementStatus": "HEALTHY"}


async def look(
    kind: str, start: StartServer, status: int, body: object = b"", headers: str = ""
) -> tuple[Connectivity, Gateway]:
    """Have a provider looked at whose API answers so."""
    gateway = Gateway()
    gateway.answer(status, body, headers)
    provider = make(kind, await start(gateway))
    assert isinstance(provider, ChecksConnectivity)
    found = await provider.check()
    await provider.close()
    return found, gateway


@pytest.mark.parametrize("kind", sorted(ASKED))
async def test_a_right_key_is_told_and_nothing_is_sent(kind: str, start_tcp_server: StartServer) -> None:
    found, gateway = await look(kind, start_tcp_server, 200, SES_FINE if kind == "ses" else {"status": "active"})
    assert found.remedy == ""
    assert found.seen.endswith("accepts our key")
    ((line, headers, body),) = gateway.posted
    before, _, after = ASKED[kind].partition("{}")
    assert line.startswith(before)
    assert line.endswith(after)
    assert "authorization" in headers
    assert b"Publish" not in body


@pytest.mark.parametrize(
    ("kind", "status", "body", "headers", "said"),
    [
        ("twilio", 401, {"code": 20003}, "", "refuses our key"),
        ("twilio", 404, {"code": 20404}, "", "no such account"),
        ("twilio", 200, {"status": "suspended"}, "", "suspended"),
        ("twilio", 200, {"status": "closed"}, "", "closed"),
        ("vonage", 401, {"title": "Unauthorized"}, "", "refuses our key"),
        ("infobip", 401, {}, "", "refuses our key"),
        ("ses", 403, {}, "x-amzn-errortype: UnrecognizedClientException:\r\n", "UnrecognizedClientException"),
        ("ses", 403, {}, "x-amzn-errortype: InvalidSignatureException\r\n", "InvalidSignatureException"),
        ("ses", 200, {**SES_FINE, "ProductionAccessEnabled": False}, "", "sandbox"),
        ("ses", 200, {**SES_FINE, "SendingEnabled": False}, "", "may not send"),
        ("ses", 200, {**SES_FINE, "EnforcementStatus": "SHUTDOWN"}, "", "may not send"),
        ("sns", 403, b"<Error><Code>InvalidClientTokenId</Code></Error>", "", "InvalidClientTokenId"),
        ("sns", 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", "", "SignatureDoesNotMatch"),
        ("whatsapp", 401, {"error": {"code": 190}}, "", "refuses our token"),
        ("whatsapp", 400, {"error": {"code": 190}}, "", "refuses our token"),
        ("whatsapp", 400, {"error": {"code": 100}}, "", "no such number"),
        *((kind, 503, b"", "", "answered 503") for kind in ASKED),
    ],
)
async def test_what_keeps_messages_from_going_out_is_seen_before_the_first(
    kind: str, status: int, body: object, headers: str, said: str, start_tcp_server: StartServer
) -> None:
    """It was "fine, can be reached"."""
    found, _ = await look(kind, start_tcp_server, status, body, headers)
    assert said in found.seen
    assert found.remedy
    for secret in SECRETS[kind].values():
        if isinstance(secret, str) and len(secret) > 8:
            assert secret not in found.seen + found.remedy


@pytest.mark.parametrize(
    ("kind", "status", "body", "headers"),
    [
        ("infobip", 403, {}, ""),
        ("vonage", 403, {}, ""),
        ("ses", 403, {}, "x-amzn-errortype: AccessDeniedException:\r\n"),
        ("sns", 403, b"<Error><Code>AuthorizationError</Code></Error>", ""),
        ("vonage", 404, {}, ""),
        ("twilio", 404, b"", ""),
        ("infobip", 429, {}, ""),
    ],
)
async def test_a_key_that_may_do_no_more_than_send_is_no_fault(
    kind: str, status: int, body: object, headers: str, start_tcp_server: StartServer
) -> None:
    found, _ = await look(kind, start_tcp_server, status, body, headers)
    assert found.remedy == ""


async def test_one_that_hangs_up_is_told(start_tcp_server: StartServer) -> None:
    async def hangs_up(reader: Any, writer: Any) -> None:
        del reader
        writer.close()

    provider = make("twilio", await start_tcp_server(hangs_up))
    assert isinstance(provider, ChecksConnectivity)
    found = await provider.check()
    await provider.close()
    assert found.remedy


@pytest.mark.parametrize(("off", "ahead"), [(0, 0), (-180, 180_000), (180, -180_000)])
async def test_their_clock_tells_on_ours(off: int, ahead: int, start_tcp_server: StartServer) -> None:
    date = formatdate(time.time() + off, usegmt=True)
    found, _ = await look("vonage", start_tcp_server, 200, {}, f"date: {date}\r\n")
    assert found.ahead is not None
    assert abs(found.ahead - ahead) <= 3_000
    without, _ = await look("vonage", start_tcp_server, 200, {}, "date: yesterday\r\n")
    assert without.ahead is None
