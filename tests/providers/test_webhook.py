"""Messages by webhook, against a small receiver that verifies what it gets with nothing of ours."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.providers.contexts import context, flat
from tests.providers.peers import ADA, CODE, NOW, Authority, Hidden, StartServer, message

from countersign.domain.delivery.delivery import Accepted, Message, Reason
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.webhook import WebhookProvider, WebhookSettings

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BOUND = 2.0


@dataclass
class Receiver:
    """The operator's sender: keeps what is posted, and answers with `reply` (a head and a body)."""

    reply: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    then: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any] | None = None
    posted: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.posted.append((head[0], headers, body))
            writer.write(self.reply)
            if self.then is not None:
                await self.then(reader, writer)

    def answer(self, status: int, body: bytes = b"", headers: str = "") -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        self.reply = head.encode() + body

    def verified(self, number: int = -1) -> dict[str, object]:
        """Return the body of a post, having checked its signature by the specification's words."""
        _, headers, body = self.posted[number]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        found = json.loads(body)
        assert isinstance(found, dict)
        return found


@pytest.fixture
async def receiver(start_tcp_server: StartServer) -> Receiver:
    made = Receiver()
    made.port = await start_tcp_server(made)
    return made


def settings(port: int, **changes: object) -> WebhookSettings:
    given: dict[str, Any] = {
        "url": f"http://127.0.0.1:{port}/messages?from=us",
        "secret": SECRET,
        "allow_http": True,
        "allow_private": True,
        "timeout": 1.0,
    }
    return flat(WebhookSettings, **{**given, **changes})


def provider(port: int, **changes: object) -> WebhookProvider:
    return WebhookProvider(settings(port, **changes), context())


def sms() -> Message:
    return message(channel=Channel.SMS, to="+14155550123", text=f"Your code is {CODE}", subject="", html="")


async def refusal(webhook: WebhookProvider, **changes: object) -> DeliveryFailedError:
    async with asyncio.timeout(BOUND):
        with pytest.raises(DeliveryFailedError) as caught:
            await webhook.send(message(**changes))
    await webhook.close()
    return caught.value


async def test_a_message_is_posted_signed_and_whole(receiver: Receiver) -> None:
    webhook = provider(receiver.port)
    word = await webhook.send(sms())
    await webhook.close()
    assert receiver.verified() == {
        "type": "message.send",
        "channel": "sms",
        "to": "+14155550123",
        "text": f"Your code is {CODE}",
        "subject": "",
        "html": "",
        "locale": "de-DE",
        "key": "ver_01kabc.1.0",
    }
    line, headers, _ = receiver.posted[0]
    assert line == "POST /messages?from=us HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "ver_01kabc.1.0"
    assert headers["webhook-timestamp"] == str(NOW // 1000)
    assert word == Accepted("ver_01kabc.1.0", None)


async def test_every_try_bears_the_same_id(receiver: Receiver) -> None:
    """D2: the sender can drop what it has already taken."""
    webhook = provider(receiver.port)
    receiver.answer(500)
    await refusal(webhook)
    receiver.answer(200)
    webhook = provider(receiver.port)
    await webhook.send(message())
    await webhook.close()
    assert [headers["webhook-id"] for _, headers, _ in receiver.posted] == ["ver_01kabc.1.0"] * 2


async def test_the_senders_own_id_and_the_wait_for_a_receipt_are_kept(receiver: Receiver) -> None:
    receiver.answer(202, b'{"id": "SM123", "more": [1]}')
    webhook = provider(receiver.port, receipt_within=30_000)
    assert await webhook.send(message()) == Accepted("SM123", 30_000)
    await webhook.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"[]",
        b'{"id": 7}',
        b'{"id": ""}',
        b"\xff",
        b"[" * 50_000,
        b'{"id": "' + b"x" * 300 + b'"}',
        b"x" * 70_000,
    ],
)
async def test_an_answer_that_says_nothing_is_still_a_yes(receiver: Receiver, body: bytes) -> None:
    receiver.answer(200, body)
    webhook = provider(receiver.port)
    assert (await webhook.send(message())).provider_message_id == "ver_01kabc.1.0"
    await webhook.close()


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason", "permanent", "rest"),
    [
        (429, "retry-after: 17\r\n", b"", Reason.THROTTLED, False, 17),
        (429, "", b"", Reason.THROTTLED, False, None),
        (503, "retry-after: 5\r\n", b"", Reason.THROTTLED, False, 5),
        (503, "retry-after: 999999999999999\r\n", b"", Reason.THROTTLED, False, 86_400),
        (429, "retry-after: soon\r\n", b"", Reason.THROTTLED, False, None),
        (429, "retry-after: -5\r\n", b"", Reason.THROTTLED, False, None),
        (429, "retry-after: Mon, 23 Nov 2026 10:01:00 GMT\r\n", b"", Reason.THROTTLED, False, 60),
        (429, "retry-after: Mon, 23 Nov 2026 09:00:00 GMT\r\n", b"", Reason.THROTTLED, False, 0),
        (503, "", b"", Reason.PROVIDER_ERROR, False, None),
        (500, "", b"", Reason.PROVIDER_ERROR, False, None),
        (504, "", b"", Reason.PROVIDER_ERROR, False, None),
        (409, "", b"", Reason.PROVIDER_ERROR, False, None),
        (401, "", b"", Reason.MISCONFIGURED, True, None),
        (403, "", b"", Reason.MISCONFIGURED, True, None),
        (404, "", b"", Reason.MISCONFIGURED, True, None),
        (410, "", b"", Reason.MISCONFIGURED, True, None),
        (405, "", b"", Reason.MISCONFIGURED, True, None),
        (400, "", b"", Reason.REFUSED, True, None),
        (422, "", b'{"reason": "unknown_recipient"}', Reason.UNKNOWN_RECIPIENT, True, None),
        (400, "", b'{"reason": "blocked"}', Reason.BLOCKED, True, None),
        (422, "", b'{"reason": "the moon"}', Reason.REFUSED, True, None),
        (422, "", b'{"reason": "expired"}', Reason.REFUSED, True, None),  # that is for us to say
        (422, "", b'{"reason": 3}', Reason.REFUSED, True, None),
    ],
)
async def test_a_refusal_is_told_by_its_status(
    receiver: Receiver,
    hidden: Hidden,
    status: int,
    headers: str,
    body: bytes,
    reason: Reason,
    *,
    permanent: bool,
    rest: int | None,
) -> None:
    """D2: what is temporary is tried again, and the sender's wish for rest is passed on in seconds."""
    assert NOW == 1_795_428_000_000  # Mon, 23 Nov 2026 10:00:00 GMT
    receiver.answer(status, body, headers + f"x-echo: {ADA} {CODE}\r\n")
    failure = await refusal(provider(receiver.port))
    assert (failure.reason, failure.permanent, failure.retry_after) == (reason, permanent, rest)
    assert str(status) in str(failure)
    hidden.check(failure, secrets=(CODE, ADA, SECRET, "from=us"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer(status, b"", f"location: http://127.0.0.1:{receiver.port}/elsewhere\r\n")
    failure = await refusal(provider(receiver.port))
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert len(receiver.posted) == 1


async def test_nothing_of_a_message_is_logged_or_shown(receiver: Receiver, hidden: Hidden) -> None:
    """C8: at level DEBUG, with a receiver that repeats all of it in its headers and body."""
    receiver.answer(200, f'{{"id": "SM1", "to": "{ADA}"}}'.encode(), f"x-echo: {ADA} {CODE}\r\n")
    webhook = provider(receiver.port)
    word = await webhook.send(message())
    await webhook.close()
    hidden.check(word, webhook, webhook._settings, message(), secrets=(CODE, ADA, SECRET, "from=us"))


async def test_connections_are_kept_and_a_dropped_one_is_replaced(receiver: Receiver) -> None:
    webhook = provider(receiver.port)
    receiver.answer(200)
    for _ in range(3):
        await webhook.send(message())
    assert receiver.connections == 1

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    receiver.then = hang_up
    await webhook.send(message())
    receiver.then = None
    await asyncio.sleep(0.05)
    await webhook.send(message())
    await webhook.close()
    assert receiver.connections == 2


@pytest.mark.parametrize("fault", ["silence", "half a head", "endless head", "endless body", "slow body"])
async def test_a_receiver_that_does_not_finish_is_given_up_in_bounded_time_and_memory(
    start_tcp_server: StartServer, hidden: Hidden, fault: str
) -> None:
    """D2: a time-out is temporary."""
    written = 0

    async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        if fault == "half a head":
            writer.write(b"HTTP/1.1 500 Inter")
        if fault == "endless head":
            writer.write(b"HTTP/1.1 500 X\r\n")
        if fault in {"endless body", "slow body"}:
            writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 99999999999\r\n\r\n")
        while fault.startswith("endless"):
            writer.write(b"x-more: 1\r\n" * 1000)
            await writer.drain()
            written += 11_000
        while fault == "slow body":
            writer.write(b"x")
            await asyncio.sleep(0.05)
        await asyncio.sleep(30)

    failure = await refusal(provider(await start_tcp_server(misbehave), timeout=0.5))
    assert failure.reason in {Reason.TIMED_OUT, Reason.PROVIDER_ERROR}
    assert not failure.permanent
    assert written < 20_000_000  # what fits in the sockets' buffers, and no more
    hidden.check(failure)


@pytest.mark.parametrize("answer", [b"", b"220 mail.example\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nxx"])
async def test_a_receiver_that_breaks_off_is_temporary(
    start_tcp_server: StartServer, hidden: Hidden, answer: bytes
) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    failure = await refusal(provider(await start_tcp_server(break_off)))
    assert failure.reason in {Reason.UNREACHABLE, Reason.PROVIDER_ERROR}
    assert not failure.permanent
    hidden.check(failure)


async def test_nobody_listening_is_unreachable(hidden: Hidden) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failure = await refusal(provider(unused.getsockname()[1]))
    assert (failure.reason, failure.permanent) == (Reason.UNREACHABLE, False)
    hidden.check(failure)


async def test_tls_is_spoken_with_the_name_in_the_url_and_its_certificate_checked(
    start_tcp_server: StartServer, authority: Authority
) -> None:
    receiver = Receiver()
    receiver.port = await start_tcp_server(receiver, tls=True)
    url = f"https://localhost:{receiver.port}/messages"
    webhook = provider(0, url=url, allow_http=False, ca_file=authority.ca_file)
    await webhook.send(message())
    await webhook.close()
    assert receiver.verified()["to"] == ADA
    assert receiver.posted[0][1]["host"] == f"localhost:{receiver.port}"


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_that_is_not_trusted_or_not_for_the_name_is_refused(
    start_tcp_server: StartServer, authority: Authority, hidden: Hidden, *, trusted: bool
) -> None:
    receiver = Receiver()
    port = await start_tcp_server(receiver, tls=True)
    host, ca_file = ("127.0.0.2", authority.ca_file) if trusted else ("127.0.0.1", None)
    if trusted:
        port = await start_tcp_server(receiver, tls=True, address=host)
    failure = await refusal(provider(0, url=f"https://{host}:{port}/", ca_file=ca_file))
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert "certificate" in str(failure)
    assert receiver.posted == []
    hidden.check(failure)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"url": "sender.example"}, "url"),
        ({"url": "ftp://sender.example/"}, "url"),
        ({"url": "https:///messages"}, "url"),
        ({"url": "https://sender.example:99999/"}, "url"),
        ({"url": "https://sender.example:0/"}, "url"),
        ({"url": "https://sender.example/\r\nx: y"}, "url"),
        ({"url": "https://us:secret@sender.example/"}, "url"),
        ({"url": "https://sender.example/#part"}, "url"),
        ({"url": "https://0177.0.0.1/"}, "url"),
        ({"url": "http://sender.example/", "allow_http": False}, "allow_http"),
        ({"secret": "hunter2"}, "secret"),
        ({"secret": "whsec_short"}, "secret"),
        ({"secret": "whsec_" + base64.b64encode(b"x" * 23).decode()}, "secret"),
        ({"secret": "whsec_" + base64.b64encode(b"x" * 65).decode()}, "secret"),
        ({"secret": "whsec_ä"}, "secret"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 60}, "timeout"),
        ({"connections": 0}, "connections"),
        ({"receipt_within": 0}, "receipt_within"),
    ],
)
def test_a_bad_setting_is_named_and_no_secret_with_it(changes: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        settings(80, **changes)
    for secret in ("hunter2", "us:secret", SECRET):
        assert secret not in str(caught.value)
