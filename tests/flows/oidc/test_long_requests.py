"""Long requests: `state` comes back to the letter, or the request is refused before anything is done."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

import pytest_asyncio
from tests.flows.oidc.test_token import BACK, asked, told
from tests.flows.people import Visitor, ada

from countersign.domain.oidc.authorization_request import (
    MAX_ENCODED,
    MAX_PARAMETER,
    AuthorizationErrorResponse,
)
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application
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
