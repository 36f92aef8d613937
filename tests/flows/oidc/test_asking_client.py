"""The application that asks, as a page may show it: by what the operator registered, and a hint that only fills a field."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest_asyncio
from tests.flows.oidc.test_token import BACK, asked
from tests.flows.people import Visitor

from countersign.domain.oidc.authorization_request import MAX_LOGIN_HINT
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.asking_client import NOBODY, find_asking_client
from countersign.flows.oidc.authorize import SignInRequired, authorize
from countersign.flows.oidc.pushed_request import PushedRequest, push_request

if TYPE_CHECKING:
    from tests.flows.place import Place


@pytest_asyncio.fixture
async def shop(home: Place) -> Application:
    """A relying party."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, site="Leaf & Kettle", redirect_uris=(BACK,))
    added, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    return added


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
