"""The example shop with the real Countersign, over HTTP: what it carries out, for whom, how often, and what it refuses."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from examples.shop.app import make_app
from examples.shop.catalogue import digest
from examples.shop.customers import Need, Pending
from examples.shop.sign_in import Countersign, RefusedError, strong_enough
from falcon import testing
from joserfc import jwk, jwt
from tests.examples.walker import Walker
from tests.peers.pair import Pair, open_pair
from tests.peers.program import PATIENCE, ROOT, free_port, living

if TYPE_CHECKING:
    from collections.abc import Iterator

    from joserfc.jwk import KeySetSerialization

MAIL_CODE = "urn:countersign:acr:mail-code"
CHANGED = "has changed since you approved it"
ON_ITS_WAY = "is on its way to being packed"
MAX_PAGE = 60 * 1024


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both programs, started as `make run` starts them."""
    with open_pair(tmp_path_factory.mktemp("pair")) as started:
        yield started


@pytest.fixture
def ada(pair: Pair, request: pytest.FixtureRequest) -> Iterator[Walker]:
    """A customer who has just opened an account."""
    with Walker(pair, address_of(request)) as walker:
        page = walker.open_account()
        assert page.url == f"{pair.shop}/", page.text
        yield walker


@pytest.fixture
def returned(ada: Walker) -> Walker:
    """A customer who signed in again with the password alone, on a browser that Countersign trusts."""
    ada.sign_out()
    assert ada.sign_in(ada.get("/sign-in")).url == f"{ada.pair.shop}/"
    return ada


def address_of(request: pytest.FixtureRequest) -> str:
    """Return an address that no other test uses."""
    return f"{hashlib.sha256(request.node.name.encode()).hexdigest()[:20]}@example.org"


def orders(walker: Walker) -> int:
    """Return how many orders stand in the history."""
    page = walker.get("/orders")
    assert page.url.path == "/orders"
    return page.text.count("<article")


def refuses(page: httpx2.Response, why: str, status: int = 403) -> bool:
    """Say whether a page of the shop refuses, for this reason."""
    return page.status_code == status and why in page.text


# ------------------------------------------------------------------------------------------------------- without a server


def test_an_order_is_told_from_every_other_by_what_is_in_it_and_not_by_its_turn() -> None:
    order = digest({"assam": 1, "sencha": 2}, "1 Row")
    assert order == digest({"sencha": 2, "assam": 1}, "1 Row")
    others = [digest({"assam": 2, "sencha": 1}, "1 Row"), digest({"assam": 1, "sencha": 2}, "2 Row"), digest({}, "")]
    assert order not in others
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", order)


@pytest.mark.parametrize(
    ("acr", "age", "enough"),
    [
        (MAIL_CODE, 0, True),
        (MAIL_CODE, 899, True),
        (MAIL_CODE, 931, False),
        ("urn:countersign:acr:phone-code", 0, True),
        ("urn:countersign:acr:trusted-device", 0, False),
        ("urn:countersign:acr:password", 0, False),
        ("urn:example:acr:mail-code", 0, False),
        ("", 0, False),
    ],
)
def test_a_proof_is_enough_by_its_level_and_its_age(acr: str, age: int, *, enough: bool) -> None:
    """U3: an expired level is no level."""
    assert strong_enough(Need(acr=MAIL_CODE, max_age=900), acr, int(time.time()) - age) is enough


def test_the_code_of_the_document_is_the_shops() -> None:
    shown = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "relying-party.md").read_text(), re.DOTALL | re.MULTILINE
    )
    written = "\n".join(path.read_text() for path in (ROOT / "examples" / "shop").glob("*.py"))
    assert len(shown) > 3
    assert [code for code in shown if code not in written] == []


# ------------------------------------------------------------------------------------------------ sections that ask for more


@pytest.mark.parametrize("path", ["/orders", "/payment"])
def test_a_sensitive_page_asks_for_a_fresh_code_and_then_shows_itself(returned: Walker, path: str) -> None:
    """U1: a password on a trusted browser opens no order history and no payment methods."""
    left = returned.get(path, follow=False)
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    assert (asked["acr_values"], asked["max_age"]) == ([MAIL_CODE], ["900"])
    assert returned.get(path).url.path == "/verify"
    assert returned.type_code().url == f"{returned.pair.shop}{path}"
    assert returned.get(path, follow=False).status_code == 200


def test_a_changed_address_waits_for_the_code_and_is_carried_out_once(returned: Walker) -> None:
    """U1: a POST and its fields go on after the step-up; the way back taken twice does nothing."""
    assert returned.post("/address", {"address": "1 Analytical Row"}).url.path == "/verify"
    assert "1 Analytical Row" not in returned.get("/address").text
    done = returned.type_code()
    assert "Your delivery address is changed." in done.text
    assert "1 Analytical Row" in done.text
    assert returned.post("/address", {"address": "2 Engine Court"}).url.path == "/address"
    back = next(str(step.url) for step in done.history if step.url.path == "/signed-in")
    assert refuses(returned.get(back), "belongs to no question of yours")
    assert "2 Engine Court" in returned.get("/address").text


def test_what_one_person_sent_is_not_carried_out_for_another(returned: Walker, request: pytest.FixtureRequest) -> None:
    """U1: the request is the asker's; whoever else signs in meanwhile keeps their own address."""
    pair = returned.pair
    asked = returned.post("/address", {"address": "1 Analytical Row"}).history[0].headers["location"]
    returned.post(f"{pair.provider}/sign-out")
    returned.to, returned.last_code = f"grace-{address_of(request)}", ""
    page = returned.get(asked)
    filled = {"name": "Grace", "identifier": returned.to, "password": "another long password"}
    query = parse_qs(page.url.query.decode())
    returned.post(f"{pair.provider}/sign-up", {**filled, "return_to": query["return_to"][0]})
    assert refuses(returned.type_code(), "You came back as somebody else")
    returned.sign_out()
    assert "Grace" in returned.get("/sign-in").text
    seen = returned.get("/address")
    assert seen.url.path == "/address"
    assert "1 Analytical Row" not in seen.text


# -------------------------------------------------------------------------------------------------- orders that are approved


def test_a_small_order_asks_nothing_more(ada: Walker) -> None:
    ada.put("assam")
    assert ON_ITS_WAY in ada.post("/checkout").text
    assert "approved by a code" not in ada.get("/orders").text


def test_a_large_order_is_approved_by_a_code_that_names_it(ada: Walker) -> None:
    """U2: fresh though the sign-in was, a code of its own is asked for; the way back taken twice orders nothing."""
    ada.put("puerh", "assam")
    asked = ada.post("/checkout")
    assert asked.url.path == "/verify"
    assert "Pay €143.90 to Leaf &amp; Kettle" in asked.text
    done = ada.type_code()
    assert ON_ITS_WAY in done.text
    back = next(str(step.url) for step in done.history if step.url.path == "/signed-in")
    assert refuses(ada.get(back), "belongs to no question of yours")
    assert orders(ada) == 1
    assert "approved by a code" in ada.get("/orders").text


@pytest.mark.parametrize("change", [{"tea": "rooibos"}, {"tea": "puerh"}, {"tea": "assam", "out": "yes"}])
def test_a_cart_that_changed_meanwhile_is_not_ordered_until_it_is_approved_anew(
    ada: Walker, change: dict[str, str]
) -> None:
    """U2: the approval is worth that order only, a dearer and a cheaper one are neither."""
    ada.put("puerh", "assam")
    ada.post("/checkout")
    ada.post("/cart", change)
    assert CHANGED in ada.type_code().text
    assert orders(ada) == 0
    ada.post("/checkout")
    assert ON_ITS_WAY in ada.type_code().text
    assert orders(ada) == 1


def test_an_address_that_changed_meanwhile_is_not_what_was_approved(ada: Walker) -> None:
    """U2: nobody has an approved parcel sent elsewhere."""
    ada.put("puerh")
    ada.post("/checkout")
    assert ada.post("/address", {"address": "2 Engine Court"}).url.path == "/address"
    assert CHANGED in ada.type_code().text
    assert orders(ada) == 0


def test_a_stranger_signs_in_before_a_large_order_is_approved(ada: Walker) -> None:
    """U1, U2, P2: the order goes on through both, bound to the address of who signed in. Its approval opens no other page."""
    ada.post("/address", {"address": "1 Analytical Row"})
    ada.sign_out()
    ada.put("puerh")
    page = ada.post("/checkout")
    assert page.url.path == "/sign-in"
    asked = ada.sign_in(page)
    assert asked.url.path == "/verify"
    assert "Pay €129.00" in asked.text
    assert ON_ITS_WAY in ada.type_code().text
    assert ada.get("/orders").url.path == "/verify"
    assert "to 1 Analytical Row" in ada.type_code().text


# ------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
    ids=lambda headers: next(iter(headers.values())),
)
@pytest.mark.parametrize("path", ["/cart", "/checkout", "/address", "/payment", "/sign-out"])
def test_a_form_of_another_site_is_refused(pair: Pair, path: str, headers: dict[str, str]) -> None:
    """H5: and the browser keeps the visit it has."""
    with Walker(pair, "") as walker:
        refused = walker.post(path, {"tea": "assam", "address": "elsewhere", "last": "0000"}, **headers)
        assert refuses(refused, "This came from another site")
        assert "set-cookie" not in refused.headers


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("access_denied", "You decided not to go on"),
        ("login_required", "You need to sign in for this"),
        ("unmet_authentication_requirements", "no way to confirm you as strongly"),
        ("server_error", "You came back without being confirmed"),
    ],
)
def test_who_comes_back_without_being_confirmed_is_told_why(pair: Pair, error: str, word: str) -> None:
    with Walker(pair, "") as walker:
        asked = parse_qs(urlsplit(walker.get("/orders", follow=False).headers["location"]).query)
        back = f"/signed-in?error={error}&state={asked['state'][0]}&iss={pair.provider}"
        assert refuses(walker.get(back), word)


@pytest.mark.parametrize(("apart", "told"), [(960, "16 minutes"), (-960, "16 minutes"), (-45, "1 minute.")])
def test_a_clock_that_is_wrong_is_said_to_be_the_shops_own_fault(apart: int, told: str) -> None:
    """J1: whichever of the two clocks is ahead; nobody is told that the answer was forged."""
    key = jwk.ECKey.generate_key("P-256")
    provider = Countersign("https://verify.test", "app_1", "secret", "https://shop.test/signed-in")
    pending = Pending("GET", "/orders", {}, "v", "nonce", Need(), "")

    def answer(iat: int) -> str:
        claims = {"iss": "https://verify.test", "aud": "app_1", "sub": "s", "nonce": "nonce", "acr": MAIL_CODE}
        return jwt.encode({"alg": "ES256"}, {**claims, "iat": iat, "exp": iat + 300, "auth_time": iat}, key)

    keys: KeySetSerialization = {"keys": [key.as_dict(private=False)]}
    now = int(time.time())
    assert provider._claims(answer(now), keys, pending)["sub"] == "s"
    with pytest.raises(RefusedError, match=told) as refused:
        provider._claims(answer(now + apart), keys, pending)
    assert "not yours" in str(refused.value)


@pytest.mark.parametrize("iss", ["https://evil.test", ""])
def test_an_answer_that_another_provider_gave_is_refused(pair: Pair, iss: str) -> None:
    """C4: RFC 9207; the request that waited is gone with it."""
    with Walker(pair, "") as walker:
        asked = parse_qs(urlsplit(walker.get("/orders", follow=False).headers["location"]).query)
        back = f"/signed-in?code=stolen&state={asked['state'][0]}&iss="
        assert refuses(walker.get(back + iss), "came from somewhere else")
        assert refuses(walker.get(back + pair.provider), "belongs to no question of yours")


def test_a_code_that_is_worth_nothing_is_refused_in_words(pair: Pair) -> None:
    with Walker(pair, "") as walker:
        asked = parse_qs(urlsplit(walker.get("/orders", follow=False).headers["location"]).query)
        back = f"/signed-in?code=nonsense&state={asked['state'][0]}&iss={pair.provider}"
        assert refuses(walker.get(back), "Please start again")


def test_who_signed_out_at_the_shop_is_signed_out_at_countersign(ada: Walker) -> None:
    assert ada.sign_out().url == f"{ada.pair.shop}/"
    assert ada.get("/orders").url.path == "/sign-in"
    assert ada.get(f"{ada.pair.provider}/account").url.path == "/sign-in"


def test_a_visit_is_known_by_a_new_secret_once_somebody_signed_in(pair: Pair, request: pytest.FixtureRequest) -> None:
    """S8: the secret that was there before opens nothing."""
    with Walker(pair, address_of(request)) as walker, httpx2.Client(trust_env=False) as thief:
        before = walker.get("/").headers["set-cookie"].split(";")[0]
        walker.open_account()
        seen = thief.get(f"{pair.shop}/", headers={"Cookie": before})
        assert "Sign out" not in seen.text
        assert "Sign in" in seen.text


# ------------------------------------------------------------------------------------------------------------- its pages


def test_every_page_is_small_strict_and_never_kept(ada: Walker) -> None:
    """H4: no page may run or load what is not the shop's own, and none is over 60 KB with its style."""
    ada.put("puerh", "sencha", "assam", "oolong", "darjeeling", "rooibos")
    style = len(ada.get("/shop.css").content)
    for path in ("/", "/cart", "/orders", "/payment", "/address", "/signed-in", "/nowhere"):
        page = ada.get(path)
        assert page.url.path == path
        assert len(page.content) + style < MAX_PAGE
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<script|\sstyle=|\son\w+=", page.text)
        ids = re.findall(r"\sid=\"([^\"]+)\"", page.text)
        assert len(ids) == len(set(ids))


def test_its_cookie_is_its_own_hosts_alone(pair: Pair) -> None:
    """H5."""
    with Walker(pair, "") as walker:
        name, *attributes = walker.get("/").headers["set-cookie"].split("; ")
        assert name.startswith("__Host-shop=")
        assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}


def test_a_page_that_is_not_there_says_so_as_a_page(pair: Pair) -> None:
    with Walker(pair, "") as walker:
        assert refuses(walker.get("/nowhere"), "This page is not here", 404)
        assert refuses(walker.post("/orders"), "This page is not here", 405)


def test_what_a_customer_writes_is_shown_as_text(ada: Walker) -> None:
    page = ada.post("/address", {"address": "</textarea><script>alert(1)</script>"})
    assert "<script>" not in page.text
    assert "&lt;/textarea&gt;&lt;script&gt;" in page.text


# ----------------------------------------------------------------------------------------------------------- two processes


def test_the_shop_that_dies_takes_nothing_with_it(tmp_path: Path) -> None:
    """O1: Countersign goes on, and still ends in order."""
    with open_pair(tmp_path) as pair:
        shop = next(pid for pid, parent in living().items() if parent == pair.started.pid and is_shop(pid))
        killed(shop)
        assert httpx2.get(f"{pair.provider}/health/ready", trust_env=False).status_code == 200
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(pair.shop, trust_env=False)
        assert pair.started.poll() is None


def is_shop(pid: int) -> bool:
    """Say whether a process is the shop's."""
    return b"examples.shop" in Path(f"/proc/{pid}/cmdline").read_bytes()


def killed(pid: int) -> None:
    """End the shop, and wait until it is gone."""
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while pid in living():
        assert time.monotonic() < until
        time.sleep(0.05)


async def test_a_shop_without_countersign_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The catalogue needs nobody; signing in is refused in words, and asks to come again."""
    nobody = f"http://localhost:{free_port()}"
    settings = tmp_path / "shop.json"
    settings.write_text(
        f'{{"issuer": "{nobody}", "client_id": "app_1", "client_secret": "csk_1", "url": "http://localhost:1"}}'
    )
    monkeypatch.setenv("SHOP_SETTINGS", str(settings))
    async with testing.ASGIConductor(make_app()) as shop:
        assert (await shop.simulate_get("/")).status_code == 200
        away = await shop.simulate_get("/sign-in")
    assert away.status_code == 503
    assert away.headers["retry-after"] == "30"
    assert "does not answer just now" in away.text
