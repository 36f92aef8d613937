"""Attack: four kilobytes of the right text keep the one loop of a process busy, and everybody waits (semantics L5).

Every field of every form, every parameter, every header that is read and every field of the API's JSON is filled with texts that parsers
dislike. What a text costs beyond a harmless one is measured in the CPU time of the loop's thread, as the best of three.
"""

from __future__ import annotations

import gc
import json
import re
import time
from collections.abc import Awaitable, Callable
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

import pytest
from tests.rounds import is_full
from tests.threats.costly_texts import TEXTS
from tests.threats.test_a_form_breaks_off import posted
from tests.web.client import Answer, Client
from tests.web.conftest import _made_home, app, client, open_house, runtime
from tests.web.test_me import signed_in

from countersign.web.http.proxies import Proxies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime

__all__ = ["_made_home", "app", "client", "open_house", "runtime"]

Asks: TypeAlias = list[tuple[str, Callable[[str], Awaitable[Answer]]]]

SOURCE: Final = Path(__file__).parents[2] / "src" / "countersign"
MOST: Final = 0.005
"""Seconds of CPU."""

FORMS: Final[dict[str, dict[str, str]]] = {
    "/sign-up": {
        "name": "Ada",
        "identifier": "a@example.org",
        "password": "short",
        "return_to": "/account",
        "page": "",
    },
    "/sign-in": {"identifier": "a@example.org", "password": "", "return_to": "/account", "page": ""},
    "/sign-in/cancel": {"return_to": "/account"},
    "/sign-in/passkey/begin": {"return_to": "/account"},
    "/sign-in/passkey": {"credential": "{}", "return_to": "/account"},
    "/verify": {"code": "", "remember": "", "far": "", "flow": "x", "seen": ""},
    "/verify/resend": {"seen": ""},
    "/verify/new": {"seen": ""},
    "/verify/address": {"identifier": ""},
    "/verify/cancel": {"return_to": "/account"},
    "/verify/way": {"contact": "", "channel": "email"},
    "/verify/app": {"code": ""},
    "/verify/recovery-code": {"code": ""},
    "/verify/passkey": {"credential": "{}", "remember": ""},
    "/recover": {"identifier": "", "return_to": "/account"},
    "/recover/password": {"password": "short", "current": ""},
    "/recover/lost": {"identifier": "", "contact": ""},
    "/account/end": {"session": "x", "browser": "", "others": ""},
    "/account/contacts": {"contact": "", "replaces": ""},
    "/zone": {"zone": ""},
    "/account/contacts/show": {},
    "/account/contacts/primary": {"contact": ""},
    "/account/profile": {"name": "", "language": "", "timezone": ""},
    "/account/data": {},
    "/account/data/file": {},
    "/account/data/delete": {},
    "/account/data/keep": {},
    "/account/contacts/remove": {"contact": ""},
    "/account/contacts/checked": {},
    "/account/password": {"password": "short", "sealed": ""},
    "/account/methods/app": {"name": ""},
    "/account/methods/app/confirm": {"code": ""},
    "/account/methods/passkey": {"name": ""},
    "/account/methods/passkey/made": {"credential": "{}"},
    "/account/methods/recovery-codes": {"return_to": "/account"},
    "/account/methods/recovery-codes/kept": {"flow": "x"},
    "/account/methods/remove": {"method": ""},
    "/account/changes/cancel": {"change": ""},
    "/account/changes/undo": {"change": ""},
    "/account/changes/allow": {"do": "allow"},
    "/account/integration-codes": {"name": "", "days": "30", "scope-read": ""},
    "/account/integration-codes/rotate": {"code": ""},
    "/account/integration-codes/revoke": {"code": ""},
    "/account/integration-codes/kept": {"flow": "x"},
    "/not-me": {"ref": "x"},
    "/is-this-us": {"text": "x"},
    "/oauth/authorize": {"client_id": "x", "state": "x"},
    "/language": {"language": "de", "back": "/account"},
    "/oauth/token": {
        "grant_type": "authorization_code",
        "code": "x",
        "redirect_uri": "x",
        "code_verifier": "x",
        "client_id": "x",
        "client_secret": "x",
        "client_assertion": "x",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    },
    "/oauth/par": {
        "client_id": "x",
        "client_secret": "x",
        "redirect_uri": "x",
        "request": "x",
        "authorization_details": "[]",
    },
    "/oauth/introspect": {"token": "x", "client_id": "x", "client_secret": "x"},
    "/oauth/sign-out": {"id_token_hint": "x", "post_logout_redirect_uri": "x", "state": "", "client_id": "x"},
}
QUERIES: Final[dict[str, dict[str, str]]] = {
    "/language": {"back": "/account"},
    "/oauth/authorize": {
        "client_id": "x",
        "redirect_uri": "x",
        "response_type": "code",
        "response_mode": "query",
        "scope": "openid",
        "state": "x",
        "nonce": "x",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "prompt": "login",
        "max_age": "1",
        "login_hint": "x",
        "ui_locales": "x",
        "acr_values": "mail-code",
        "authorization_details": "[]",
    },
    "/oauth/sign-out": {"id_token_hint": "x", "post_logout_redirect_uri": "x", "state": "", "client_id": "x"},
    "/sign-in": {"return_to": "/account", "done": ""},
    "/sign-up": {"return_to": "/account"},
    "/verify": {"by": "app"},
    "/not-me": {"ref": "x"},
    "/inbox": {"to": "", "message": "", "part": ""},
    "/inbox/messages": {"to": ""},
    "/account": {"done": "x"},
}
HEADERS: Final = (
    "Accept",
    "User-Agent",
    "Accept-Language",
    "Cookie",
    "Host",
    "Origin",
    "Sec-Fetch-Site",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Forwarded",
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Idempotency-Key",
    "If-None-Match",
    "Referer",
    "Accept",
    "Accept-Encoding",
    "Traceparent",
)
BODIES: Final[dict[str, dict[str, Any]]] = {
    "/v1/verifications": {
        "to": "ada@example.org",
        "channel": "auto",
        "purpose": "sign_in",
        "subject": "",
        "action": {"summary": "", "hash": ""},
        "locale": "en",
        "requester": {"ip": "192.0.2.1", "user_agent": "", "device": ""},
    },
    "/v1/verifications/ver_00000000000000000000000000/check": {"code": "123456"},
    "/v1/verifications/ver_00000000000000000000000000/resend": {"channel": "email"},
    "/v1/integration-codes/verify": {"code": "csi_x", "requester": {"ip": "192.0.2.1", "user_agent": "", "device": ""}},
    "/v1/me/contacts": {"add": "+14155550123", "replaces": ""},
    "/v1/me/methods": {"remove": "x"},
    "/v1/me/sessions": {"end": "x"},
    "/v1/me/devices": {"remove": "x"},
    "/v1/me/integration-codes": {"name": "x", "scopes": ["read"], "days": 30},
    "/v1/me/changes": {"undo": "x"},
    "/test/clock": {"at": "2026-11-26T10:00:00Z"},
}


FIELD: Final = re.compile(r"fields(?:\.get\(\"([a-z_-]+)\"|\[\"([a-z_-]+)\"\])")


class Meter:
    """Asks, and keeps what cost too much."""

    def __init__(self, app: WebApplication, key: str, cookie: str) -> None:
        self.app = app
        self.key = key
        self.cookie = cookie
        self.asked = 0
        self.slow: list[tuple[float, str]] = []
        self._plain: dict[str, float] = {}

    def client(self, *, key: bool = False) -> Client:
        """Return a client at an address of its own, so that no limit answers in the place of what is measured."""
        self.asked += 1
        address = f"10.{self.asked >> 16 & 255}.{self.asked >> 8 & 255}.{self.asked & 255}"
        return Client(self.app, self.key if key else "", peer=address)

    async def measure(self, name: str, ask: Callable[[str], Awaitable[Answer]], text: str) -> None:
        """Ask with a text, and note it if it cost more than the text `x` did."""
        where = name.partition(":")[0]
        if where not in self._plain:
            await ask("x")
            self._plain[where] = await self._best(ask, "x", 3, 0.0)
        took = await self._best(ask, text, 20, self._plain[where] + MOST) - self._plain[where]
        if took > MOST:
            took = await self._in_turns(ask, text)
        if took > MOST:
            self.slow.append((round(took * 1_000, 1), name))

    async def _in_turns(self, ask: Callable[[str], Awaitable[Answer]], text: str) -> float:
        """Return what a text costs more than `x` does now: the machine may have been quicker when `x` alone was asked."""
        plain = best = 1e9
        for _ in range(20):
            plain = min(plain, await self._best(ask, "x", 1, 0.0))
            best = min(best, await self._best(ask, text, 1, 0.0))
        return best - plain

    async def _best(self, ask: Callable[[str], Awaitable[Answer]], text: str, times: int, enough: float) -> float:
        best = 1e9
        for _ in range(times):
            began = time.thread_time()
            answer = await ask(text)
            best = min(best, time.thread_time() - began)
            assert answer.status != 500, answer.body
            if best < enough:
                break
        return best


@cache
def quoted(text: str) -> str:
    """Return a text as a form holds it; once, since what the sender spends is not to be measured."""
    return quote(text, safe="")


def form(meter: Meter, path: str, name: str) -> Callable[[str], Awaitable[Answer]]:
    """Return what sends a form with a text in one field."""

    async def ask(text: str) -> Answer:
        fields = FORMS[path] | {name: text}
        raw = "&".join(f"{key}={quoted(value)}" for key, value in fields.items()).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "cookie": meter.cookie}
        return await meter.client().post(path, raw=raw, headers=headers)

    return ask


def query(meter: Meter, path: str, name: str) -> Callable[[str], Awaitable[Answer]]:
    """Return what asks for a page with a text in one parameter."""

    async def ask(text: str) -> Answer:
        params = "&".join(f"{key}={quoted(value)}" for key, value in (QUERIES[path] | {name: text}).items())
        return await meter.client().get(f"{path}?{params}", headers={"cookie": meter.cookie})

    return ask


def header(meter: Meter, path: str, name: str) -> Callable[[str], Awaitable[Answer]]:
    """Return what sends a header with a text."""

    async def ask(text: str) -> Answer:
        sent = text.encode().decode("latin-1").replace("\n", " ").replace("\r", " ")
        posted = path.startswith("/v1/ver")
        headers = {"cookie": meter.cookie, name: f"Bearer {sent}" if name == "Authorization" and posted else sent}
        client = meter.client(key=posted)
        return await (
            client.post(path, {"to": "ada@example.org"}, headers=headers)
            if posted
            else client.get(path, headers=headers)
        )

    return ask


def body(
    meter: Meter, path: str, place: tuple[str, ...], *, as_name: bool = False
) -> Callable[[str], Awaitable[Answer]]:
    """Return what sends JSON with a text in one field, or as the name of a field."""

    async def ask(text: str) -> Answer:
        sent = json.loads(json.dumps(BODIES[path]))
        at = sent
        for step in place[:-1]:
            at = at[step]
        if as_name:
            at[text] = text
        else:
            at[place[-1]] = [text] if isinstance(at[place[-1]], list) else text
        mine = path.startswith("/v1/me/")
        client = meter.client(key=not mine)
        return await client.post(path, sent, headers={"cookie": meter.cookie} if mine else {})

    return ask


def places(found: dict[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each field."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield from places(value, (*before, name))
        else:
            yield (*before, name)


@pytest.fixture
async def meter(app: WebApplication, runtime: Runtime) -> Meter:
    """A meter with the cookies of somebody who is signed in."""
    _, session, device = await signed_in(runtime.accounts)
    return Meter(app, runtime.demo_key or "", f"__Host-session={session}; __Host-device={device}")


def forms(meter: Meter) -> Asks:
    """Return what sends each field of each form."""
    return [(f"{path} {name}", form(meter, path, name)) for path, fields in FORMS.items() for name in fields]


def queries(meter: Meter) -> Asks:
    """Return what sends each parameter of each page."""
    return [(f"GET {path} {name}", query(meter, path, name)) for path, params in QUERIES.items() for name in params]


def headers(meter: Meter) -> Asks:
    """Return what sends each header: to a page, to the account, and to the API."""
    paths = ("/sign-in", "/account/sessions", "/v1/verifications")
    return [(f"{path} {name}", header(meter, path, name)) for path in paths for name in HEADERS]


def bodies(meter: Meter) -> Asks:
    """Return what sends each field of the API's JSON, as a value and as a name."""
    return [
        (f"{path} {'.'.join(place)} {as_name}", body(meter, path, place, as_name=as_name))
        for path, fields in BODIES.items()
        for place in places(fields)
        for as_name in (False, True)
    ]


@pytest.mark.parametrize("kind", [forms, queries, headers, bodies])
async def test_no_field_costs_much(meter: Meter, kind: Callable[[Meter], Asks]) -> None:
    """L5: each field with every sixth text, so that every text meets many fields."""
    await everywhere(meter, kind(meter), each=6)


@pytest.mark.slow
@pytest.mark.skipif(not is_full(), reason="every text in every field takes minutes: ROUNDS=full tries them")
@pytest.mark.parametrize("kind", [forms, queries, headers, bodies])
async def test_no_field_costs_much_with_any_text(meter: Meter, kind: Callable[[Meter], Asks]) -> None:
    """L5: each field with every text."""
    await everywhere(meter, kind(meter), each=1)


def test_every_field_is_tried(app: WebApplication) -> None:
    """L5: a form or a field that is added is named above."""
    read: set[str] = set()
    for path in (*(SOURCE / "web" / "pages").rglob("*.py"), SOURCE / "web" / "api" / "oidc.py"):
        read |= {name for pair in FIELD.findall(path.read_text()) for name in pair if name}
    tried = {name for fields in FORMS.values() for name in fields}
    assert read <= tried
    without_fields = {"/sign-out", "/verify/resend", "/verify/passkey/begin"}
    without_fields |= {"/account/methods/passkey/options", "/inbox", "/oauth/userinfo", "/oauth/revoke"}
    without_fields |= {"/recover/lost/withdraw"}
    sent = {path for path, kind in posted(app).items() if kind.endswith("urlencoded")}
    assert sent - without_fields <= set(FORMS)


@pytest.mark.parametrize("seed", ["10.1.1.1,", "::ffff:10.1.1.1,", "[::1]:80,", ",", "10.1.1.1:80 ,"])
def test_a_long_way_through_proxies_is_not_walked(seed: str) -> None:
    """L5: whoever comes through a trusted proxy may write as many trusted addresses in front as a header holds."""
    proxies = Proxies((ip_network("10.0.0.0/8"), ip_network("::1/128")))
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", (seed * 32_000)[:32_000].encode())]}
    best = 1e9
    for _ in range(3):
        began = time.thread_time()
        proxies.client(scope)
        best = min(best, time.thread_time() - began)
    assert best < MOST


async def everywhere(meter: Meter, asks: Asks, *, each: int) -> None:
    """Try every `each`th text with each of these; fail if one costs more than MOST."""
    gc.collect()
    gc.disable()
    try:
        for number, (where, ask) in enumerate(asks):
            for name, text in list(TEXTS.items())[number % each :: each]:
                await meter.measure(f"{where}: {name}", ask, text)
    finally:
        gc.enable()
    assert not meter.slow, sorted(meter.slow, reverse=True)
