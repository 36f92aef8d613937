"""Requests to providers: endpoints are checked, waits are bounded, and a look sends nothing."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from countersign.errors import SettingsError
from countersign.providers.http.client import (
    MAX_ID,
    MAX_RETRY_AFTER,
    Endpoint,
    HttpClient,
    parse_retry_after,
    usable_id,
)

if TYPE_CHECKING:
    import asyncio

    from tests.providers.peers import Authority, StartServer

NOW = 1_795_428_000  # 2026-11-23T10:00:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999999999", MAX_RETRY_AFTER),
        ("Mon, 23 Nov 2026 10:01:00 GMT", 60),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("\u0663", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: int | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "kept"), [("m-1", "m-1"), ("x" * (MAX_ID + 1), ""), ("a\nb", ""), (7, ""), (None, "")]
)
def test_an_id_that_cannot_be_stored_is_none(text: object, kept: str) -> None:
    assert usable_id(text) == kept


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"url": "sender"}, "sns_url"),
        ({"url": "http://sender.example"}, "allow_http"),
        ({"url": "https://a:b@sender.example"}, "password"),
        ({"timeout": 0.0}, "timeout"),
        ({"connections": 0}, "connections"),
    ],
)
def test_an_endpoint_that_cannot_be_meant_is_named_as_the_settings_call_it(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        Endpoint(**{"label": "Acme", "url": "https://sender.example", **changes}).check("sns_url")


class Silent:
    """A server that keeps whatever it is sent, and says nothing."""

    def __init__(self) -> None:
        self.received = b""

    async def __call__(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        self.received += await reader.read()


async def test_a_look_connects_and_sends_nothing(start_tcp_server: StartServer) -> None:
    server = Silent()
    port = await start_tcp_server(server)
    client = HttpClient(Endpoint(label="Acme", url=f"http://127.0.0.1:{port}", allow_http=True, allow_private=True))
    found = await client.check()
    await client.close()
    assert (found.seen, found.remedy) == (f"127.0.0.1 port {port} can be reached without TLS", "")
    assert server.received == b""


async def test_a_look_says_what_is_wrong_with_a_remedy(start_tcp_server: StartServer, authority: Authority) -> None:
    port = await start_tcp_server(Silent(), tls=True)
    cases = {
        "private": Endpoint(label="Acme", url=f"https://localhost:{port}"),
        "not valid": Endpoint(label="Acme", url=f"https://localhost:{port}", allow_private=True),
        "cannot be reached": Endpoint(label="Acme", url="https://localhost:9", allow_private=True),
    }
    for word, endpoint in cases.items():
        client = HttpClient(endpoint)
        found = await client.check()
        await client.close()
        assert word in found.seen
        assert found.remedy
    client = HttpClient(
        Endpoint(label="Acme", url=f"https://localhost:{port}", allow_private=True, ca_file=authority.ca_file)
    )
    assert (await client.check()).seen.endswith("can be reached over TLS")
    await client.close()


async def test_a_clock_that_is_off_is_told_once_and_so_is_its_end(start_tcp_server: StartServer) -> None:
    """O6: where the database is on the same machine, or is SQLite, nothing that ran said so: only the doctor did."""
    ahead: int | None = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = "" if ahead is None else f"date: {formatdate(time.time() - ahead, usegmt=True)}\r\n"
        writer.write(f"HTTP/1.1 200 OK\r\n{date}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()

    url = f"http://127.0.0.1:{await start_tcp_server(answer)}"
    client = HttpClient(Endpoint(label="Acme", url=url, allow_http=True, allow_private=True))
    with capture_logs() as logs:
        for ahead in (0, 25, 240, 240, None, 0, -240):  # noqa: B007 - the server reads it
            await client.post(f"{url}/x", {}, b"")
    await client.close()
    told = [(line["event"], line.get("seconds", 0)) for line in logs]
    assert [event for event, _ in told] == [
        "provider_clock_differs",
        "provider_clock_agrees",
        "provider_clock_differs",
    ]
    assert told[0][1] == pytest.approx(239, abs=2)
    assert told[2][1] == pytest.approx(-239, abs=2)
