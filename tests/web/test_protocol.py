"""HTTP as it comes over the wire: time limits, bounds, framing, HTTP/1.0."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time

import pytest
from tests.web.served import Served
from tests.web.wire import BEGIN, CLOSE, JSON, begin, replies, request, talk

from countersign.serving import protocol, web_process


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.3)
    monkeypatch.setattr(protocol, "BODY_WITHIN", 0.3)
    monkeypatch.setattr(protocol, "IDLE_FOR", 0.3)
    monkeypatch.setattr(web_process, "LOOK_EVERY", 0.05)


# ---- time limits


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"GET /health/live HT",),
        (b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n",),
        tuple(b"X" for _ in range(40)),
    ],
    ids=["nothing", "half a line", "no end of the headers", "byte by byte"],
)
async def test_headers_that_do_not_come_in_time_end_the_connection(place: Served, parts: tuple[bytes, ...]) -> None:
    """H3: however the bytes trickle."""
    began = time.monotonic()
    said = b""
    with contextlib.suppress(ConnectionError):  # it may be closed while we write
        said = await talk(place, *parts, pause=0.05)
    assert b"200" not in said
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("path", [BEGIN, "/not-me", "/oauth/token", "/health/live"])
@pytest.mark.parametrize("sent", [b"", b"{"], ids=["nothing", "a part"])
async def test_a_body_that_never_comes_is_waited_for_so_long(place: Served, path: str, sent: bytes) -> None:
    """H3: the API, OAuth and pages alike."""
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {place.key}\r\nContent-Length: 25\r\n"
    began = time.monotonic()
    (answer,) = replies(await talk(place, f"{head}{JSON if path == BEGIN else form}\r\n".encode() + sent))
    assert time.monotonic() - began < 5
    if path == "/health/live":
        assert answer.status == 405  # nobody reads the body: it is answered, and what is missing ends the connection
    else:
        assert answer.status == 408
        assert answer.json["type"].endswith("/timed-out")
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("_quick")
async def test_a_connection_without_a_request_is_kept_for_so_long(place: Served) -> None:
    (answer,) = replies(await talk(place, request(place, "GET", "/health/live")))
    assert answer.status == 200
    assert "connection" not in answer.headers


async def test_no_more_connections_are_held_than_there_is_room_for(
    place: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 1)
    _, held = await asyncio.open_connection("127.0.0.1", place.port)
    await asyncio.sleep(0.1)
    (answer,) = replies(await talk(place))
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert int(answer.headers["retry-after"]) >= 1
    held.close()


# ---- HTTP/1.0


@pytest.mark.parametrize("headers", ["", "Connection: keep-alive\r\n", "Host: localhost\r\nConnection: close\r\n"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/sign-in", "/is-this-us", "/health/live", "/.well-known/openid-configuration", "/nowhere"]
)
async def test_http_1_0_is_answered_as_1_1_is(place: Served, method: str, path: str, headers: str) -> None:
    """H7: as a proxy asks by default that speaks HTTP/1.0 to what is behind it."""
    old = await talk(place, f"{method} {path} HTTP/1.0\r\n{headers}\r\n".encode())
    new = await talk(place, request(place, method, path, headers="Connection: close\r\n", key=""))
    for said in (old, new):
        assert b"transfer-encoding" not in said.lower()
    # Each look at the sign-in page gets a challenge for a passkey of its own.
    bodies = [re.sub(rb'data-challenge="[^"]+"', b"", said.partition(b"\r\n\r\n")[2]) for said in (old, new)]
    heads = [said.partition(b"\r\n\r\n")[0].splitlines()[0] for said in (old, new)]
    assert heads[0] == heads[1]
    assert bodies[0] == bodies[1]
    assert bool(bodies[0]) is (method == "GET")


async def test_a_verification_is_begun_over_http_1_0(place: Served) -> None:
    """H7."""
    body = begin("ada@example.org")
    head = f"POST {BEGIN} HTTP/1.0\r\nAuthorization: Bearer {place.key}\r\nContent-Length: {len(body)}\r\n{JSON}\r\n"
    (answer,) = replies(await talk(place, head.encode(), body, pause=0.05))
    assert (answer.status, answer.json["status"]) == (201, "pending")


async def test_events_over_http_1_0_are_not_sent_in_chunks(place: Served) -> None:
    """H7: they end with the connection."""
    begun = replies(await talk(place, request(place, "POST", BEGIN, begin("ada@example.org"), JSON + CLOSE)))[0].json
    path = f"{BEGIN}/{begun['id']}"
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(f"GET {path}/events HTTP/1.0\r\nAuthorization: Bearer {place.key}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert (await reader.readline()).startswith(b"data: {")
    writer.close()


# ---- framing

FRAMINGS = {
    "both lengths": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "both lengths, the other way round": "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "two lengths": "Content-Length: 5\r\nContent-Length: 6\r\n",
    "one length twice": "Content-Length: 5\r\nContent-Length: 5\r\n",
    "a list of lengths": "Content-Length: 5, 5\r\n",
    "a length with a sign": "Content-Length: +5\r\n",
    "a negative length": "Content-Length: -5\r\n",
    "a hexadecimal length": "Content-Length: 0x5\r\n",
    "a space before the colon": "Content-Length : 5\r\n",
    "a folded header": "Content-Length: 5\r\nX-A: b\r\n c\r\n",
    "chunked and something": "Transfer-Encoding: chunked, identity\r\n",
    "something like chunked": "Transfer-Encoding: xchunked\r\n",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "a vertical tab": "Transfer-Encoding: \x0bchunked\r\n",
    "no colon": "Content-Length 5\r\n",
    "two hosts": "Content-Length: 5\r\nHost: elsewhere\r\n",
    "a bare line feed": "Content-Length: 5\nX-A: b\r\n",
    "a bare carriage return": "Content-Length: 5\r\nX-A: a\rb\r\n",
}
"""Headers that a proxy in front might read otherwise than we do."""


@pytest.mark.parametrize("path", [BEGIN, "/sign-in"])
@pytest.mark.parametrize("shape", FRAMINGS)
async def test_a_body_whose_length_can_be_read_in_two_ways_is_refused(place: Served, shape: str, path: str) -> None:
    """H3: nothing is smuggled in behind a request."""
    smuggled = request(place, "GET", "/health/live")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {place.key}\r\n{JSON}{FRAMINGS[shape]}\r\n"
    )
    said = await talk(place, head.encode("latin-1") + b"0\r\n\r\n" + smuggled)
    (answer,) = replies(said)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "first",
    [
        "GET /health/live HTTP/1.1\r\n\r\n",
        "GET /health/live HTTP/2.0\r\nHost: localhost\r\n\r\n",
        "GET /health/live HTTP/0.9\r\nHost: localhost\r\n\r\n",
        "GET /health/l\xefve HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health/live?\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /sign-in HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(101)) + "\r\n",
    ],
)
async def test_what_is_no_request_of_ours_is_refused(place: Served, first: str) -> None:
    (answer,) = replies(await talk(place, first.encode("latin-1")))
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_headers_that_have_no_end_are_refused(place: Served) -> None:
    """H3: in bounded memory."""
    part = b"X-Long: " + b"a" * 8_000 + b"\r\n"
    (answer,) = replies(await talk(place, b"GET / HTTP/1.1\r\nHost: localhost\r\n", *[part] * 6, pause=0.02))
    assert (answer.status, answer.headers["connection"]) == (431, "close")


async def test_what_comes_behind_a_chunked_body_is_no_header(place: Served) -> None:
    """H6: a proxy in front looks at headers alone."""
    body = begin("ada@example.org")
    head = f"POST {BEGIN} HTTP/1.1\r\nHost: localhost\r\n{JSON}{CLOSE}Transfer-Encoding: chunked\r\n\r\n"
    sent = b"%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % (len(body), body, place.key.encode())
    (answer,) = replies(await talk(place, head.encode() + sent))
    assert answer.status == 401


async def test_a_body_in_chunks_is_taken(place: Served) -> None:
    body = begin("ada@example.org")
    head = request(place, "GET", BEGIN, headers=f"{JSON}{CLOSE}Transfer-Encoding: chunked\r\n").replace(
        b"GET", b"POST", 1
    )
    parts = [b"%x\r\n%b\r\n" % (1, body[n : n + 1]) for n in range(len(body))]
    (answer,) = replies(await talk(place, head, *parts, b"0\r\n\r\n", pause=0.001))
    assert answer.status == 201


async def test_a_body_is_asked_for_only_of_who_may_send_one(place: Served) -> None:
    """Expect: 100-continue (RFC 9110, 10.1.1)."""
    body = begin("ada@example.org")
    expect = f"{JSON}{CLOSE}Expect: 100-continue\r\n"
    stranger = request(place, "POST", BEGIN, body, expect, key="").removesuffix(body)
    (answer,) = replies(await talk(place, stranger))
    assert answer.status == 401
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(request(place, "POST", BEGIN, body, expect).removesuffix(body))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    (answer,) = replies(await reader.read())
    assert answer.status == 201
    writer.close()
