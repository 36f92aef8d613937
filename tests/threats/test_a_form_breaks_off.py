"""Attack: a request is cut off on its way, and what came reads like another one: a password of fewer letters, an act without a field.

However it is cut, nothing of it is carried out: on a connection of the real server, and behind another server that hands requests over.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import struct
from collections.abc import Awaitable, Callable, Iterator
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from tests.web.conftest import _made_home, app, client, code_of, open_house, place, runtime
from tests.web.test_me import signed_in
from tests.web.wire import replies

from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.sign_in.recover import recover
from countersign.flows.sign_in.verify import view_flow
from countersign.serving import protocol, web_process
from countersign.web.api import routes as api
from countersign.web.http.context import WebContext
from countersign.web.pages import routes as pages

if TYPE_CHECKING:
    from tests.web.client import Client
    from tests.web.served import Served

    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime

__all__ = ["_made_home", "app", "client", "code_of", "open_house", "place", "runtime"]

FIELDS = {
    "identifier": "ada@example.org",
    "contact": "eve@example.org",
    "name": "Ada Lovelace",
    "code": "123456",
    "current": "correct-horse-battery-staple",
    "ref": "x",
    "text": "https://evil.example",
    "others": "yes",
    "session": "others",
    "scope-read": "on",
    "days": "90",
    "password": "correct-horse-battery-staple",
}
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
REFUSED_BEFORE = {401, 404, 405, 415}
"""What a request hears whose body nobody needs: there is no such thing, or the sender has no key for it."""


def posted(app: WebApplication) -> dict[str, str]:
    """Return each path that takes a POST, with the type of its body."""
    web = app.web
    assert isinstance(web, WebContext)
    found: dict[str, str] = {}
    for table in (api.routes(web), api.browser_routes(web), pages.routes(web)):
        for path, methods in table.items():
            if "POST" in methods:
                is_json = path.startswith("/v1/") or path == "/test/clock"
                found[path.replace("{path_id}", "ver_00000000000000000000000000")] = JSON if is_json else FORM
    return found


def picture(runtime: Runtime) -> list[str]:
    """Return everything that the database holds."""
    address = runtime.settings.database_url
    with contextlib.closing(sqlite3.connect(address.partition(":///")[2])) as database:
        return list(database.iterdump())


def body_for(kind: str) -> bytes:
    """Return a body that reads well, and reads well too when its last letters are missing."""
    return urlencode(FIELDS).encode() if kind == FORM else b'{"to": "ada@example.org"}     '


def head(path: str, kind: str, framing: str, cookie: str, key: str) -> bytes:
    """Return the head of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", framing]
    lines += [f"Cookie: {cookie}"] if cookie else []
    lines += [f"Authorization: Bearer {key}"] if path.startswith("/v1/ver") or path == "/test/clock" else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Say that nothing more comes, and read on."""
    writer.write_eof()
    return await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """End the connection at once."""
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await asyncio.sleep(0.05)
    return b""


async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> bytes:
    """Let the server's patience end."""
    return await reader.read()


ENDINGS: dict[str, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]] = {
    "the sender hangs up": hang_up,
    "the connection is reset": reset,
    "nothing more comes": wait,
}


async def break_off(
    place: Served,
    parts: tuple[bytes, ...],
    ending: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]],
) -> bytes:
    """Send a part of a request, end it, and return what came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    try:
        writer.write(b"".join(parts))
        await writer.drain()
        await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            return await ending(reader, writer)
    finally:
        writer.close()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "BODY_WITHIN", 0.3)
    monkeypatch.setattr(web_process, "LOOK_EVERY", 0.03)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("framing", ["length", "chunks", "half a chunk"])
async def test_no_route_acts_on_a_part(
    place: Served, app: WebApplication, runtime: Runtime, framing: str, ending: str
) -> None:
    """A9: every path that takes a POST, on a connection of the real server."""
    _, session, device = await signed_in(runtime.accounts)
    cookie = f"__Host-session={session}; __Host-device={device}"
    before = picture(runtime)
    routes = posted(app)
    assert len(routes) > 40

    async def attack(path: str, kind: str) -> None:
        body = body_for(kind)
        part = body[:-4]
        if framing == "length":
            parts = (head(path, kind, f"Content-Length: {len(body)}", cookie, place.key), part)
        else:
            size, end = (len(part), b"\r\n") if framing == "chunks" else (len(body), b"")
            chunk = f"{size:x}\r\n".encode() + part + end
            parts = (head(path, kind, "Transfer-Encoding: chunked", cookie, place.key), chunk)
        answers = replies(await break_off(place, parts, ENDINGS[ending]))
        for answer in answers:
            assert answer.status in {408, *REFUSED_BEFORE}, (path, answer.status)
            assert answer.status != 408 or answer.json["type"].endswith("/timed-out")
        assert answers or ending != "nothing more comes", path

    await asyncio.gather(*[attack(path, kind) for path, kind in routes.items()])
    assert picture(runtime) == before


@pytest.mark.parametrize("way", ["too short", "too long", "gone"])
async def test_no_route_acts_on_a_part_that_another_server_hands_over(
    app: WebApplication, client: Client, runtime: Runtime, way: str
) -> None:
    """A9: a server in front may take a request for whole that is not: what came is held against Content-Length."""
    _, session, device = await signed_in(runtime.accounts)
    before = picture(runtime)
    for path, kind in posted(app).items():
        body = body_for(kind)
        told = len(body) + {"too short": 4, "too long": -4, "gone": 4}[way]
        headers = {
            "content-type": kind,
            "content-length": str(told),
            "cookie": f"__Host-session={session}; __Host-device={device}",
        }
        if not (path.startswith("/v1/ver") or path == "/test/clock"):
            headers["authorization"] = ""
        answer = await handed_over(client, path, headers, body, gone=way == "gone")
        wanted = 400 if way == "too long" else 408
        assert answer[0] in {wanted, *REFUSED_BEFORE}, (path, answer)
        if kind == FORM and not path.startswith("/oauth/userinfo"):
            assert answer[0] == wanted, path
    assert picture(runtime) == before


async def handed_over(
    client: Client, path: str, headers: dict[str, str], body: bytes, *, gone: bool
) -> tuple[int, bytes]:
    """Hand a request to the application as a server would, and return the status and body of its answer."""
    events: list[dict[str, Any]] = []
    coming: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": body, "more_body": gone}, {"type": "http.disconnect"}]
        if gone
        else [{"type": "http.request", "body": body, "more_body": False}]
    )

    async def receive() -> dict[str, Any]:
        return next(coming, {"type": "http.disconnect"})

    async def send(event: dict[str, Any]) -> None:
        events.append(event)

    told = {"host": "localhost:8000", "authorization": f"Bearer {client.key}", **headers}
    told = {name: value for name, value in told.items() if value}
    await client.app(client.scope("POST", path, told), receive, send)
    return events[0]["status"], b"".join(event.get("body", b"") for event in events[1:])


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_password_that_was_cut_off_is_not_set(
    place: Served, runtime: Runtime, code_of: Callable[[str], Awaitable[str]], ending: str
) -> None:
    """A9: as a thief of nothing but a bad line would have it, `correct-horse-ba` is nobody's password."""
    _, _, device = await signed_in(runtime.accounts)
    asked = await recover(runtime.accounts, BrowserContext(device=device, ip="192.0.2.1"), "ada@example.org")
    assert isinstance(asked, CodeRequested)
    cookie = f"__Host-visit={asked.flow}; __Host-device={asked.device}"
    view = await view_flow(runtime.accounts, BrowserContext(flow=asked.flow, device=asked.device))
    assert view is not None
    assert view.challenge is not None
    proved = await whole(place, "/verify", {"code": await code_of(view.challenge.id)}, cookie)
    assert (proved.status, proved.headers["location"]) == (303, "/recover/password")
    before = picture(runtime)
    body = urlencode({"password": "correct-horse-battery-staple"}).encode()
    framing = f"Content-Length: {len(body)}"
    said = await break_off(place, (head("/recover/password", FORM, framing, cookie, ""), body[:25]), ENDINGS[ending])
    assert all(answer.status == 408 for answer in replies(said))
    assert picture(runtime) == before
    done = await whole(place, "/recover/password", {"password": "correct-horse-battery-staple"}, cookie)
    assert done.status in {200, 303}
    assert picture(runtime) != before


async def whole(place: Served, path: str, fields: dict[str, str], cookie: str) -> Any:
    """Send a form that is whole, and return the answer."""
    body = urlencode(fields).encode()
    first = head(path, FORM, f"Content-Length: {len(body)}\r\nConnection: close", cookie, "")
    (answer,) = replies(await break_off(place, (first + body,), wait))
    return answer


@pytest.mark.parametrize("length", ["0000000000000000000042", "9" * 5_000, "4_2", "\u00b2", "+42", " 42 1", "-1"])
async def test_a_length_is_read_whole(client: Client, length: str) -> None:
    """A9: what is judged is what is used, however many zeros stand in front."""
    headers = {"content-type": FORM, "content-length": length, "authorization": ""}
    status, _ = await handed_over(client, "/sign-in", headers, b"identifier=a", gone=False)
    assert status in {400, 408, 413}


async def test_two_lengths_are_none(client: Client) -> None:
    scope = client.scope("POST", "/sign-in", {"host": "localhost:8000", "content-type": FORM, "content-length": "5"})
    scope["headers"].append((b"content-length", b"12"))
    events: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"identifier=a", "more_body": False}

    async def send(event: dict[str, Any]) -> None:
        events.append(event)

    await client.app(scope, receive, send)
    assert events[0]["status"] == 400
