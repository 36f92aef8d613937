"""Carriers against peers that others wrote: Twilio as npm `emulate` plays it and as its own SDK signs, AWS as moto plays it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.providers.http_peers import CALLBACK, SECRETS, make, sample, sms

from countersign.domain.delivery.delivery import Reason, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError
from countersign.providers import Callback, TakesReceipts
from countersign.providers.http.sigv4 import sign_request
from countersign.providers.sms.twilio import request_signature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.providers.peers import StartServer

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "tests" / "peers"
NODE = shutil.which("node") is not None and (ROOT / "node_modules" / "emulate").exists()
needs_node = pytest.mark.skipif(not NODE, reason="needs Node.js and npm ci")
pytestmark = pytest.mark.peers


@contextlib.asynccontextmanager
async def twilio_peer() -> AsyncIterator[int]:
    """Give the port of a Twilio that knows our account."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    secrets = SECRETS["twilio"]
    process = await asyncio.create_subprocess_exec(
        "node", str(PEERS / "twilio_peer.mjs"), str(port), secrets["account_sid"], secrets["auth_token"],
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert b"http" in await asyncio.wait_for(process.stdout.readline(), 30)
        yield port
    finally:
        process.stdin.close()
        await process.stdout.read()
        await process.wait()


class Ear:
    """Our address for receipts: hands each callback to the provider, as the API does."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Callback] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.heard.put_nowait(Callback("POST", "", headers, body))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@needs_node
async def test_twilio_takes_it_and_its_signed_callbacks_move_it(start_tcp_server: StartServer) -> None:
    ear = Ear()
    port = await start_tcp_server(ear)
    async with twilio_peer() as peer, asyncio.timeout(30):
        provider = make("twilio", peer, callback=f"http://127.0.0.1:{port}/v1/receipts/ours", timeout=10.0)
        word = await provider.send(sms())
        assert word.provider_message_id.startswith("SM")
        taker = cast("TakesReceipts", provider)
        assert await taker.receipts(await ear.heard.get()) == ()  # queued
        secrets = SECRETS["twilio"]
        base = f"http://127.0.0.1:{peer}/2010-04-01/Accounts/{secrets['account_sid']}"
        async with httpx2.AsyncClient(auth=(secrets["account_sid"], secrets["auth_token"]), trust_env=False) as client:
            found = (await client.get(f"{base}/Messages/{word.provider_message_id}.json")).json()
            assert (found["to"], found["from"], found["body"]) == ("+491701234567", "+14155550100", sms().text)
            for status, expected in (("undelivered", ReceiptState.UNDELIVERED), ("delivered", ReceiptState.DELIVERED)):
                await client.post(f"{base}/Messages/{word.provider_message_id}.json", data={"Status": status})
                (told,) = await taker.receipts(await ear.heard.get())
                assert (told.provider_message_id, told.state) == (word.provider_message_id, expected)
        called = await provider.send(sms(channel=Channel.VOICE, text="The code is: 4, 8, 1. 5, 1, 6."))
        assert called.provider_message_id.startswith("CA")
        await provider.close()


@needs_node
async def test_twilio_refuses_who_has_another_key_and_a_number_that_is_none() -> None:
    async with twilio_peer() as peer, asyncio.timeout(30):
        stranger = make("twilio", peer, auth_token="another", timeout=10.0)
        with pytest.raises(DeliveryFailedError) as caught:
            await stranger.send(sms())
        assert (caught.value.reason, caught.value.permanent) == (Reason.MISCONFIGURED, True)
        await stranger.close()
        provider = make("twilio", peer, timeout=10.0)
        with pytest.raises(DeliveryFailedError) as caught:
            await provider.send(sms(to=""))
        assert (caught.value.reason, caught.value.permanent) == (Reason.UNKNOWN_RECIPIENT, True)
        await provider.close()


@needs_node
def test_twilios_own_sdk_signs_a_form_as_we_do() -> None:
    forms: list[dict[str, str]] = [
        {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+491701234567"},
        {"Body": "Größe & Maß = 1€ 漢字", "A": "", "a": "z", "Z": "y"},
        {},
    ]
    given = {"token": SECRETS["twilio"]["auth_token"], "url": CALLBACK, "forms": forms}
    done = subprocess.run(
        ["node", str(PEERS / "twilio_oracle.mjs")], input=json.dumps(given), capture_output=True, text=True, check=True,
        cwd=ROOT, timeout=60,
    )  # fmt: skip
    ours = [
        request_signature(SECRETS["twilio"]["auth_token"], CALLBACK, parse_qsl(urlencode(form), keep_blank_values=True))
        for form in forms
    ]
    assert done.stdout.split() == ours


@pytest.mark.parametrize("body", [b"", b"Action=Publish&Message=%C3%9F", b'{"a": 1}'])
@pytest.mark.parametrize("path", ["/", "/v2/email/outbound-emails"])
def test_awss_own_library_signs_a_request_as_we_do(body: bytes, path: str) -> None:
    """The header Authorization, octet by octet, from botocore."""
    url, moment = f"https://sns.eu-central-1.amazonaws.com{path}", 1_795_428_000_000
    request = AWSRequest("POST", url, data=body, headers={"content-type": "text/plain"})
    signer: Any = SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "sns", "eu-central-1")
    ours = sign_request(
        url, {"content-type": "text/plain"}, body, service="sns", region="eu-central-1", key_id="AKIDEXAMPLE",
        secret="secret", now=moment,
    )  # fmt: skip
    request.context["timestamp"] = ours["x-amz-date"]
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    theirs = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert ours["authorization"].endswith(f"Signature={theirs}")


async def test_sns_takes_it_as_moto_plays_it() -> None:
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.server import ThreadedMotoServer
    from moto.sns.models import sns_backends

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    await asyncio.to_thread(server.start)
    try:
        _, port = server.get_host_and_port()
        provider = make("sns", port, sender="Shop", timeout=10.0)
        word = await provider.send(sms())
        assert len(word.provider_message_id) == 36
        kept = sns_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].sms_messages
        assert kept[word.provider_message_id] == ("+491701234567", sms().text)
        with pytest.raises(DeliveryFailedError) as caught:
            await provider.send(sms(to="+1"))
        assert (caught.value.reason, caught.value.permanent) == (Reason.UNKNOWN_RECIPIENT, True)
        await provider.close()
    finally:
        await asyncio.to_thread(server.stop)


async def test_ses_takes_the_letter_as_moto_plays_it() -> None:
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.server import ThreadedMotoServer
    from moto.ses.models import ses_backends

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    await asyncio.to_thread(server.start)
    try:
        _, port = server.get_host_and_port()
        provider = make("ses", port, timeout=10.0)
        with pytest.raises(DeliveryFailedError) as caught:
            await provider.send(sample(provider))
        assert (caught.value.reason, caught.value.permanent) == (Reason.REFUSED, True)
        backend: Any = ses_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"]
        backend.verify_email_identity("codes@shop.example")
        word = await provider.send(sample(provider))
        (kept,) = [one for one in backend.sent_messages if one.id == word.provider_message_id]
        assert set(kept.destinations) == {"ada.lovelace@example.org"}
        assert "Auto-Submitted: auto-generated" in kept.raw_data
        await provider.close()
    finally:
        await asyncio.to_thread(server.stop)
