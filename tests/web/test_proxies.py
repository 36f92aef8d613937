"""Proxies: whose word on the client is believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
import structlog
from tests.web.client import Client, assert_problem
from tests.web.conftest import Opener

from countersign.web.app import make_app
from countersign.web.http.application import WebApplication
from countersign.web.http.csrf import CrossOriginGuard
from countersign.web.http.proxies import Proxies, is_this_machine
from countersign.web.http.request import Request
from countersign.web.http.response import Response


async def never() -> dict[str, object]:
    raise AssertionError("nobody reads a body here")


NOBODY = Proxies(())
EDGE = Proxies((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


def scope(peer: str | None, *forwarded: str, proto: str = "", scheme: str = "http") -> dict[str, object]:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    if proto:
        headers.append((b"x-forwarded-proto", proto.encode()))
    return {"client": (peer, 1) if peer else None, "headers": headers, "scheme": scheme}


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        (NOBODY, "203.0.113.9", (), "203.0.113.9"),
        (NOBODY, "203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        (NOBODY, "127.0.0.1", ("198.51.100.1",), "127.0.0.1"),
        (EDGE, "203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        (EDGE, "10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        (EDGE, "10.0.0.1", ("6.6.6.6, 198.51.100.1",), "198.51.100.1"),
        (EDGE, "10.0.0.1", ("6.6.6.6", "198.51.100.1"), "198.51.100.1"),
        (EDGE, "10.0.0.1", ("6.6.6.6, 198.51.100.1, 10.0.0.2",), "198.51.100.1"),
        (EDGE, "10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        (EDGE, "10.0.0.1", ("198.51.100.1, nonsense",), "10.0.0.1"),
        (EDGE, "10.0.0.1", (), "10.0.0.1"),
        (EDGE, "10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        (EDGE, "::ffff:10.0.0.1", ("[2001:db8::1]:4711",), "2001:db8::1"),
        (EDGE, "fd00::1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        (EDGE, None, ("198.51.100.1",), ""),
    ],
)
def test_the_right_most_address_that_no_trusted_proxy_has_is_the_client(
    proxies: Proxies, peer: str | None, forwarded: tuple[str, ...], client: str
) -> None:
    """H6: what stands further left, or comes from elsewhere, proves nothing."""
    assert proxies.client(scope(peer, *forwarded)) == client


@pytest.mark.parametrize(
    ("proxies", "peer", "proto", "scheme", "tls"),
    [
        (NOBODY, "203.0.113.9", "https", "http", False),
        (NOBODY, "203.0.113.9", "", "https", True),
        (EDGE, "203.0.113.9", "https", "http", False),
        (EDGE, "10.0.0.1", "https", "http", True),
        (EDGE, "10.0.0.1", "https, http", "http", False),
        (EDGE, "10.0.0.1", "http", "http", False),
        (EDGE, "10.0.0.1", "", "http", False),
    ],
)
def test_tls_is_believed_of_a_trusted_proxy_alone(
    proxies: Proxies, peer: str, proto: str, scheme: str, *, tls: bool
) -> None:
    """H6: X-Forwarded-Proto too."""
    assert proxies.is_tls(scope(peer, proto=proto, scheme=scheme)) is tls


def test_what_was_handed_on_is_not_from_this_machine() -> None:
    assert is_this_machine(scope("127.0.0.1"))
    assert is_this_machine(scope("::1"))
    assert not is_this_machine(scope("203.0.113.9"))
    assert not is_this_machine(scope("127.0.0.1", "203.0.113.9"))
    assert not is_this_machine(scope(None))


async def test_over_tls_every_answer_asks_for_it_again(open_house: Opener) -> None:
    """H4, H6: HSTS on TLS, ours or a trusted proxy's, and never at a stranger's word."""
    runtime = await open_house(trusted_proxies="10.0.0.0/8")
    app = make_app(runtime, worker_alive=lambda: True)
    forwarded = {"x-forwarded-proto": "https"}
    for path in ("/health/live", "/v1/nothing", "/nowhere"):
        assert "strict-transport-security" in (await Client(app, peer="10.0.0.1").get(path, headers=forwarded)).headers
        assert "strict-transport-security" in (await Client(app).get(path, scheme="https")).headers
        assert (
            "strict-transport-security"
            not in (await Client(app, peer="203.0.113.9").get(path, headers=forwarded)).headers
        )


async def test_handlers_learn_who_asks_by_the_word_of_trusted_proxies_alone(open_house: Opener) -> None:
    """H6: what a page or an endpoint sees as its client and its scheme is what may be believed."""
    runtime = await open_house(trusted_proxies="10.0.0.0/8")
    app = make_app(runtime, worker_alive=lambda: True)
    seen: list[tuple[str, bool]] = []

    async def look(req: Request, _: Response) -> None:
        seen.append((app.web.browser(req).ip, app.web.proxies.is_tls(req.scope)))

    app.mount({"/page": {"GET": look}}, guard=app.web.cross_origin.check_page, label="pages")
    app.mount({"/v1/endpoint": {"GET": look}})
    forwarded = {"x-forwarded-for": "6.6.6.6, 198.51.100.1", "x-forwarded-proto": "https"}
    for path in ("/page", "/v1/endpoint"):
        for peer, client, tls in [("10.0.0.1", "198.51.100.1", True), ("203.0.113.9", "203.0.113.9", False)]:
            await Client(app, peer=peer).get(path, headers=forwarded)
            assert seen.pop() == (client, tls)


async def test_every_answer_bears_the_headers_of_caution(app: WebApplication, client: Client) -> None:
    answers = [
        await client.post("/v1/verifications", {"to": "ada@example.org"}),
        await client.post("/v1/verifications", {}),
        await client.get("/nowhere"),
        await client.get("/health/ready"),
        await Client(app).get("/v1/verifications/x"),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"origin": "http://localhost:8000"}, False),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": "http://localhost.evil.example"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site", "origin": "http://localhost:8000"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, True),
        ({"origin": "http://[bad"}, True),
        ({"origin": "http://127.0.0.1"}, False),
        ({"origin": "http://[::1]:8300"}, False),
        ({"origin": "http://localhost:8300.evil.example"}, True),
        ({"origin": "http://[::1].evil.example"}, True),
        ({"origin": "http://localhost:8300/evil"}, True),
        ({"origin": "http://localhost:"}, True),
        ({"origin": "http://evil@localhost:8300"}, True),
        ({"origin": "http://localhost:123456"}, True),
        ({"origin": "file://localhost"}, True),
        ({"origin": "http://localhost\u00b2"}, True),
    ],
)
async def test_a_form_of_another_site_changes_nothing(
    app: WebApplication, headers: dict[str, str], *, refused: bool
) -> None:
    """H5: Origin and Sec-Fetch-Site decide for pages, whatever the page."""
    answer = await Client(app).post("/some-page", headers=headers)
    if refused:
        assert_problem(answer, 403, "cross-origin")
    else:
        assert answer.status == 404
    assert (await Client(app).get("/some-page", headers=headers)).status == 404


async def test_in_production_the_origin_is_that_of_the_public_address(app: WebApplication) -> None:
    guard = CrossOriginGuard("https://verify.example.org", development=False)
    for origin, refused in [
        ("https://verify.example.org", False),
        ("http://verify.example.org", True),
        ("http://localhost:8000", True),
    ]:
        scope = Client(app).scope("POST", "/", {"origin": origin})
        assert guard.refuses(Request(scope, never)) is refused


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "unnamed"),
    [
        (NOBODY, "127.0.0.1", ("203.0.113.9",), "127.0.0.1"),
        (NOBODY, "10.0.0.1", ("203.0.113.9",), "10.0.0.1"),
        (NOBODY, "::ffff:10.0.0.1", ("203.0.113.9",), "10.0.0.1"),
        (NOBODY, "127.0.0.1", (), ""),
        (NOBODY, "8.8.8.8", ("203.0.113.9",), ""),
        (NOBODY, None, ("203.0.113.9",), ""),
        (EDGE, "10.0.0.1", ("203.0.113.9",), ""),
        (EDGE, "127.0.0.1", ("203.0.113.9",), "127.0.0.1"),
    ],
)
def test_a_proxy_that_nobody_named_is_known_by_what_it_forwards(
    proxies: Proxies, peer: str | None, forwarded: tuple[str, ...], unnamed: str
) -> None:
    """H6: from the internet anybody can write such a header."""
    assert proxies.unnamed_proxy(scope(peer, *forwarded)) == unnamed


async def test_a_proxy_that_nobody_named_is_logged_once_with_the_setting_to_write(open_house: Opener) -> None:
    """H6: behind it everybody has one address."""
    app = make_app(await open_house(public_url="https://verify.example.org"), worker_alive=lambda: True)
    with structlog.testing.capture_logs() as logged:
        for path in ("/health/live", "/sign-in", "/v1/verifications/none"):
            await Client(app).get(path)
        assert not [line for line in logged if line["event"] == "proxy_not_trusted"]
        for path in ("/health/live", "/sign-in", "/v1/verifications/none"):
            await Client(app).get(path, headers={"x-forwarded-for": "203.0.113.9"})
    (said,) = [line for line in logged if line["event"] == "proxy_not_trusted"]
    assert (said["peer"], said["remedy"]) == ("127.0.0.1", "Set COUNTERSIGN_TRUSTED_PROXIES=127.0.0.1.")


@pytest.mark.parametrize(
    ("url", "trusted"), [("http://localhost:8000", ""), ("https://verify.example.org", "127.0.0.0/8")]
)
async def test_without_tls_or_with_a_named_proxy_nothing_is_logged(open_house: Opener, url: str, trusted: str) -> None:
    app = make_app(await open_house(public_url=url, trusted_proxies=trusted), worker_alive=lambda: True)
    with structlog.testing.capture_logs() as logged:
        await Client(app).get("/health/live", headers={"x-forwarded-for": "203.0.113.9"})
    assert not [line for line in logged if line["event"] == "proxy_not_trusted"]
