"""Behind nginx, HAProxy, Apache, Caddy and Traefik, each as it comes: pages, forms, the API and its event stream."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from typing import TYPE_CHECKING, Final

import pytest
from tests.peers.emulator import Emulator
from tests.peers.program import PATIENCE, Program, Server, free_port
from tests.peers.proxies import PROXIES, Proxy, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.peers

PAGES: Final = (
    "/",
    "/sign-up",
    "/sign-in",
    "/sign-out",
    "/verify",
    "/verify/app",
    "/recover",
    "/recover/lost",
    "/not-me",
    "/is-this-us",
    "/inbox",
    "/account",
    "/account/contacts",
    "/account/methods",
    "/oauth/authorize",
    "/oauth/sign-out",
    "/nowhere",
    "/openapi.yaml",
    "/.well-known/openid-configuration",
    "/.well-known/jwks.json",
    "/health/ready",
)
"""What anybody may ask for, to be shown a page, a refusal or a way on."""

ALIKE: Final = ("content-type", "location", "cache-control", "x-frame-options", "referrer-policy")
"""Headers of the program's own that no proxy may change."""

SOON: Final = 2.0
"""Seconds in which an event must have come that was not held back: the program looks each half second."""


class Behind:
    """A program behind a proxy: as its clients see it, through the proxy, and the server itself."""

    def __init__(self, port: int, server: Server) -> None:
        self.port = port
        self.server = server
        self.client = Emulator({"url": f"http://localhost:{port}", "key": server.key}, server.started.pid)


@pytest.fixture(scope="module", params=PROXIES, ids=[proxy.program for proxy in PROXIES])
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """One that runs behind each of the proxies in turn."""
    proxy: Proxy = request.param
    if why := proxy.missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp(proxy.program)
    port = free_port()
    program = Program(folder, ENVIRONMENT="development", PUBLIC_URL=f"http://localhost:{port}")
    with program.serving() as server:
        place = tmp_path_factory.mktemp(f"{proxy.program}-itself")
        with proxied(proxy, place, port, server.port):
            yield Behind(port, server)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_the_same_as_without_the_proxy(behind: Behind, path: str) -> None:
    """H7: status, headers and text, but for what is made anew for each answer."""
    there = behind.server.ask("GET", path, Host=f"localhost:{behind.port}")
    here = behind.client.browse("GET", path)
    assert here.status == there.status != 500, here.body
    assert {name: here.headers.get(name) for name in ALIKE} == {name: there.headers.get(name) for name in ALIKE}
    assert _without_chance(here.body) == _without_chance(there.body)


def test_what_a_page_is_made_of_comes_whole(behind: Behind) -> None:
    """H7: scripts, styles and pictures, by the addresses that the page names."""
    parts = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', behind.client.browse("GET", "/sign-in").body.decode()))
    assert parts
    for path in parts:
        there, here = behind.server.ask("GET", path), behind.client.browse("GET", path)
        assert (here.status, here.body) == (200, there.body)


def test_an_account_is_opened_and_signed_in_to_by_its_forms(behind: Behind) -> None:
    """H7, J2: each POST is answered with a redirect, within the site, that the browser follows."""
    to = "ada@example.org"
    fields = {"identifier": to, "password": "correct horse battery", "return_to": "/account"}
    opened = behind.client.browse("POST", "/sign-up", name="Ada", **fields)
    assert (opened.status, _path(opened.headers["location"])) == (303, "/verify"), opened.body
    assert behind.client.browse("GET", "/verify").status == 200
    entered = behind.client.browse("POST", "/verify", code=behind.server.code_for(to))
    assert (entered.status, _path(entered.headers["location"])) == (303, "/account"), entered.body
    account = behind.client.browse("GET", "/account")
    assert account.status == 200
    assert b"Ada" in account.body
    elsewhere = Emulator({"url": behind.client.url, "key": behind.client.key}, behind.server.started.pid)
    assert elsewhere.browse("GET", "/sign-in").status == 200
    asked = elsewhere.browse("POST", "/sign-in", **fields)
    assert (asked.status, _path(asked.headers["location"])) == (303, "/verify"), asked.body


def test_a_form_from_elsewhere_is_refused(behind: Behind) -> None:
    """H5: the proxy changes neither Origin nor what the program takes for its own."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
    with contextlib.closing(http.client.HTTPConnection("localhost", behind.port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/sign-in", "identifier=ada%40example.org&password=x", headers)
        assert connection.getresponse().status == 403


def test_a_verification_is_begun_once_and_checked(behind: Behind) -> None:
    """H2: the idempotency key goes through, and a refusal is the program's own."""
    with contextlib.closing(http.client.HTTPConnection("localhost", behind.port, timeout=PATIENCE)) as connection:
        told = []
        for _ in range(2):  # on one connection, which a proxy keeps
            headers = _headers(behind) | {"Idempotency-Key": "once"}
            connection.request("POST", "/v1/verifications", json.dumps({"to": "grace@example.org"}), headers)
            answer = connection.getresponse()
            told.append((answer.status, json.loads(answer.read())))
    assert [status for status, _ in told] == [201, 201]
    assert told[0][1]["id"] == told[1][1]["id"]
    code = behind.server.code_for("grace@example.org").replace(" ", "")
    wrong = behind.client.check(told[0][1], f"{(int(code) + 1) % 1_000_000:06}")
    assert (wrong["refusal"], wrong["guesses_left"]) == ("wrong_code", 4)
    assert behind.client.check(told[0][1], code)["status"] == "approved"
    refused = behind.client.ask("GET", "/v1/verifications/nothing", key="csk_test_wrong")
    assert (refused.status, refused.headers["content-type"]) == (401, "application/problem+json")


def test_a_long_body_is_refused(behind: Behind) -> None:
    """H3: 413, by the program or by the proxy."""
    assert behind.client.ask("POST", "/v1/verifications", {"to": "a" * 200_000}).status == 413


def test_events_come_as_they_happen(behind: Behind) -> None:
    """H7: the first at once and the last before the stream ends; nothing is held back until there is more."""
    begun = behind.client.begin("stream@example.org")
    with contextlib.closing(http.client.HTTPConnection("localhost", behind.port, timeout=PATIENCE)) as connection:
        began = time.monotonic()
        connection.request("GET", f"/v1/verifications/{begun['id']}/events", headers=_headers(behind))
        answer = connection.getresponse()
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        first = _event(answer)
        assert (first["id"], first["status"]) == (begun["id"], "pending")
        assert time.monotonic() - began < SOON
        assert behind.client.ask("POST", f"/v1/verifications/{begun['id']}/cancel", {}).status == 200
        ended = time.monotonic()
        while _event(answer)["status"] != "canceled":
            pass
        assert time.monotonic() - ended < SOON


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program by itself."""
    with Program(tmp_path_factory.mktemp("alone"), ENVIRONMENT="development").serving() as started:
        yield started


@pytest.mark.parametrize("path", PAGES)
def test_http_1_0_is_answered_as_1_1_is(server: Server, path: str) -> None:
    """H7: without a Host, too, and the connection ends with the answer."""
    same = server.ask("GET", path)
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        told = b""
        while part := connection.recv(65_536):
            told += part
    head, _, body = told.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == same.status != 500, head
    assert b"\r\ntransfer-encoding: chunked" not in head.lower()
    assert _without_chance(body) == _without_chance(same.body)


def _headers(behind: Behind) -> dict[str, str]:
    return {"Authorization": f"Bearer {behind.client.key}", "Content-Type": "application/json"}


def _event(answer: http.client.HTTPResponse) -> dict[str, str]:
    while line := answer.readline():
        if line.startswith(b"data: "):
            event: dict[str, str] = json.loads(line[6:])
            return event
    raise AssertionError("the stream ended")


def _path(location: str) -> str:
    """Return the path of a redirect, which may be whole: Apache writes it so."""
    return re.sub(r"^http://localhost:\d+", "", location).partition("?")[0]


def _without_chance(body: bytes) -> bytes:
    """Take out what differs in each answer (nonces, marks of forms, moments), and the Host that the page for developers repeats."""
    return re.sub(
        rb'(?<=["=])[\w.~-]{16,}(?=")|"\d{4}-\d\d-\d\dT[^"]*"|(?<=http://)(localhost|127\.0\.0\.1):\d+', b"", body
    )
