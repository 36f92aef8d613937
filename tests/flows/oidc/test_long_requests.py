"""Long requests: `state` comes back to the letter, or the request is refused before anything is done. And what is known of who asks."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

import pytest_asyncio
from tests.flows.oidc.test_token import BACK, asked, told
from tests.flows.people import Visitor, ada

from countersign.domain.oidc.authorization_request import (
    MAX_ENCODED,
    MAX_LOGIN_HINT,
    MAX_PARAMETER,
    AuthorizationErrorResponse,
)
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.asking_client import NOBODY, find_asking_client
from countersign.flows.oidc.authorize import RedirectToClient, SignInRequired, authorize
from countersign.flows.oidc.pushed_request import PushedRequest, push_request
from countersign.web.pages.shared.destinations import MAX_RETURN

if TYPE_CHECKING:
    from tests.flows.place import Place
LONG_STATES = (
    "x" * 1_000,
    "x" * MAX_PARAMETER,
    "x" * (MAX_PARAMETER + 1),
    "x" * 3_600,
    "x" * 20_000,
    "é" * 150,
    "é" * 700,
    "é" * MAX_PARAMETER,
    "=&" * 500,
    "=&" * 1_000,
    "%25" * 400,
    "ab+cd/ef==",
    "s1=s2&s2 =?#\t\u00e4",
    "\U0001f375" * 500,
)


@pytest_asyncio.fixture
async def shop(home: Place) -> Application:
    """A relying party."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, site="Leaf & Kettle", redirect_uris=(BACK,))
    added, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    return added


async def test_a_state_comes_back_to_the_letter_or_nothing_is_done(home: Place, shop: Application) -> None:
    """J1: for whoever has to sign in first, too. What is refused does not depend on that."""
    signed_in, nobody = await ada(home), Visitor(home)
    for state in LONG_STATES:
        params, issued = asked(shop, state=state), await home.count("grants")
        at_once = await authorize(home.accounts, signed_in.browser, params)
        first = await authorize(home.accounts, nobody.browser, params)
        if isinstance(first, SignInRequired):
            assert len(quote(first.path, safe="/")) <= MAX_ENCODED < MAX_RETURN
            later = dict(parse_qsl(urlsplit(first.path).query))
            answers = [told(at_once), told(await authorize(home.accounts, signed_in.browser, later))]
            assert [answer["state"] for answer in answers] == [state, state]
            assert all("code" in answer for answer in answers)
            continue
        assert await home.count("grants") == issued
        assert first == at_once
        if isinstance(first, RedirectToClient):
            assert (told(first)["error"], told(first)["state"]) == ("invalid_request", state)
            assert len(first.location) < MAX_ENCODED + 500
        else:
            assert isinstance(first, AuthorizationErrorResponse)
            assert (first.error, first.redirect_uri) == ("invalid_request", "")


async def test_other_parameters_count_for_the_length_of_a_link_and_not_of_a_pushed_request(
    home: Place, shop: Application
) -> None:
    """The docs name the limit, and the way past it."""
    padding = {"nonce": "é" * 400, "login_hint": "é" * 300}
    refused = await authorize(home.accounts, Visitor(home).browser, asked(shop, **padding))
    assert told(refused)["error"] == "invalid_request"
    assert "/oauth/par" in told(refused)["error_description"]
    pushed = await push_request(home.accounts, shop, asked(shop, **padding))
    assert isinstance(pushed, PushedRequest)
    reference = {"client_id": shop.id, "request_uri": pushed.request_uri}
    assert isinstance(await authorize(home.accounts, Visitor(home).browser, reference), SignInRequired)
    too_long = await push_request(home.accounts, shop, asked(shop, state="é" * MAX_PARAMETER))
    assert isinstance(too_long, AuthorizationErrorResponse)


async def test_what_does_not_count_makes_no_request_long(home: Place, shop: Application) -> None:
    """RFC 6749, 3.1: unknown parameters are ignored, and not carried along."""
    padding = {f"x{number}": "y" * 1_000 for number in range(10)}
    outcome = await authorize(home.accounts, Visitor(home).browser, asked(shop, **padding))
    assert isinstance(outcome, SignInRequired)
    assert "yyy" not in outcome.path


async def test_the_application_that_asks_is_known_on_the_way(home: Place, shop: Application) -> None:
    """J6: by a link, by a pushed request, and by nothing that somebody made up."""
    hint = "ada@example.org"
    outcome = await authorize(home.accounts, Visitor(home).browser, asked(shop, login_hint=hint))
    assert isinstance(outcome, SignInRequired)
    found = await find_asking_client(home.accounts, outcome.path)
    assert (found.site, found.login_hint, found.origin) == (shop.site, hint, "https://shop.example")
    pushed = await push_request(home.accounts, shop, asked(shop, login_hint=hint, ui_locales="de fr"))
    assert isinstance(pushed, PushedRequest)
    reference = {"client_id": shop.id, "request_uri": pushed.request_uri}
    waiting = await authorize(home.accounts, Visitor(home).browser, reference)
    assert isinstance(waiting, SignInRequired)
    assert waiting.ui_locales == ("de", "fr")
    assert hint not in waiting.path
    for _ in range(2):  # looking uses nothing up
        found = await find_asking_client(home.accounts, waiting.path)
        assert (found.site, found.login_hint) == (shop.site, hint)
    for path in (
        "/account",
        "/oauth/authorize",
        f"/oauth/authorize?client_id={shop.id}&redirect_uri=https://evil.example/",
        f"/oauth/authorize?client_id=app_none&redirect_uri={asked(shop)['redirect_uri']}",
        f"/oauth/authorize/x?client_id={shop.id}&redirect_uri={asked(shop)['redirect_uri']}",
        f"//evil.example/oauth/authorize?client_id={shop.id}&redirect_uri={asked(shop)['redirect_uri']}",
        "/oauth/authorize?" + "&".join(f"a{number}=b" for number in range(100)),
    ):
        assert await find_asking_client(home.accounts, path) == NOBODY, path


async def test_a_hint_that_is_none_fills_nothing(home: Place, shop: Application) -> None:
    """J6."""
    too_long = "a" * (MAX_LOGIN_HINT + 1)
    for hint in (too_long, "ada\r\n@example.org", "ada@example.org\u202e", "\u200b", "  x", "https://evil.example"):
        outcome = await authorize(home.accounts, Visitor(home).browser, asked(shop, login_hint=hint))
        assert isinstance(outcome, SignInRequired)
        assert (await find_asking_client(home.accounts, outcome.path)).login_hint == ""
