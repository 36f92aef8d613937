"""Tokens: exchanged for a code once, valid as long as the session, and the client's own."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest_asyncio
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.accounts.sessions import sign_out
from countersign.flows.changes.apply import Applied
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.authorize import Grant, RedirectToClient, authorize
from countersign.flows.oidc.token import TokenResponse, exchange_code, find_access_token, introspect, revoke, userinfo

if TYPE_CHECKING:
    from tests.flows.place import Place

BACK = "https://shop.example/signed-in"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest_asyncio.fixture
async def shop(home: Place) -> Application:
    """A relying party."""
    draft = ApplicationDraft(
        "shop", ApplicationMode.LIVE, redirect_uris=(BACK,), post_logout_redirect_uris=("https://shop.example/",)
    )
    added, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    return added


def asked(shop: Application, **more: str) -> dict[str, str]:
    return {
        "client_id": shop.id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid profile email phone",
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }


def told(outcome: object) -> dict[str, str]:
    """Return what the person is sent back with."""
    assert isinstance(outcome, RedirectToClient), outcome
    assert outcome.location.startswith(BACK + "?")
    return dict(parse_qsl(urlsplit(outcome.location).query))


async def code_of(place: Place, visitor: Visitor, shop: Application, **more: str) -> str:
    return told(await authorize(place.accounts, visitor.browser, asked(shop, **more)))["code"]


async def tokens_of(place: Place, visitor: Visitor, shop: Application, **more: str) -> TokenResponse:
    code = await code_of(place, visitor, shop, **more)
    found = await exchange_code(place.accounts, shop, code, BACK, VERIFIER)
    assert found is not None
    return found


async def test_of_fifty_exchanges_at_once_one_succeeds_and_its_token_is_revoked(home: Place, shop: Application) -> None:
    """S2: a code that comes twice was stolen, and what it gave ends."""
    visitor = await ada(home)
    code = await code_of(home, visitor, shop)
    found = await asyncio.gather(*(exchange_code(home.accounts, shop, code, BACK, VERIFIER) for _ in range(50)))
    tokens = [one for one in found if one is not None]
    assert len(tokens) == 1
    assert await userinfo(home.accounts, tokens[0].access_token) is None


async def test_a_code_is_refused_late_elsewhere_and_without_its_verifier(home: Place, shop: Application) -> None:
    """S2."""
    visitor = await ada(home)
    draft = ApplicationDraft("other", ApplicationMode.LIVE, redirect_uris=(BACK,))
    other, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    for client, back, verifier, wait in (
        (other, BACK, VERIFIER, 0),
        (shop, BACK + "/", VERIFIER, 0),
        (shop, BACK, VERIFIER + "x", 0),
        (shop, BACK, VERIFIER, 60_000),
    ):
        code = await code_of(home, visitor, shop)
        home.clock.forward(wait)
        assert await exchange_code(home.accounts, client, code, back, verifier) is None
        assert await exchange_code(home.accounts, shop, code, BACK, VERIFIER) is None
    assert await exchange_code(home.accounts, shop, "never given", BACK, VERIFIER) is None


async def test_tokens_end_with_their_session_by_time_and_by_revocation(home: Place, shop: Application) -> None:
    """S8."""
    visitor = await ada(home)
    tokens = await tokens_of(home, visitor, shop)
    assert (await introspect(home.accounts, shop, tokens.access_token))["active"] is True
    home.clock.forward(3_600_000)
    assert await userinfo(home.accounts, tokens.access_token) is None
    revoked = await tokens_of(home, visitor, shop)
    await revoke(home.accounts, shop, revoked.access_token)
    assert await introspect(home.accounts, shop, revoked.access_token) == {"active": False}
    last = await tokens_of(home, visitor, shop)
    pending = await code_of(home, visitor, shop)
    await sign_out(home.accounts, visitor.browser)
    assert await userinfo(home.accounts, last.access_token) is None
    assert await exchange_code(home.accounts, shop, pending, BACK, VERIFIER) is None


async def test_a_token_belongs_to_its_own_client_alone(home: Place, shop: Application) -> None:
    """I2: nor is anything else taken for one."""
    visitor = await ada(home)
    draft = ApplicationDraft("other", ApplicationMode.LIVE)
    other, key = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    tokens = await tokens_of(home, visitor, shop)
    assert await introspect(home.accounts, other, tokens.access_token) == {"active": False}
    await revoke(home.accounts, other, tokens.access_token)
    assert await userinfo(home.accounts, tokens.access_token) is not None
    for wrong in (key, tokens.id_token, visitor.browser.session, "", "cst_"):
        assert await userinfo(home.accounts, wrong) is None


async def test_userinfo_holds_the_claims_of_its_scope_and_no_others(home: Place, shop: Application) -> None:
    """C8."""
    visitor = await ada(home)
    tokens = await tokens_of(home, visitor, shop, scope="openid email")
    session = await visitor.session()
    assert session is not None
    assert tokens.scope == "openid email"
    assert await userinfo(home.accounts, tokens.access_token) == {
        "sub": session.account,
        "email": ADA,
        "email_verified": True,
    }


async def test_a_token_of_a_disabled_account_or_a_removed_client_is_not_valid(home: Place, shop: Application) -> None:
    """S8."""
    tokens = await tokens_of(home, await ada(home), shop)
    await home.change("UPDATE accounts SET disabled_at = 1")
    assert await find_access_token(home.accounts, tokens.access_token) is None
    await home.change("UPDATE accounts SET disabled_at = NULL")
    assert await find_access_token(home.accounts, tokens.access_token) is not None
    await home.change("UPDATE applications SET removed_at = 1")
    assert await find_access_token(home.accounts, tokens.access_token) is None


def test_a_token_response_shows_no_token_in_a_log() -> None:
    """C8."""
    assert repr(TokenResponse("cst_secret", "eyJ.secret", "openid", 3_600)) == "TokenResponse(hidden)"


def test_a_grant_is_stored_under_names_that_do_not_change() -> None:
    """A code that was sent before an upgrade is exchanged after it."""
    stored = (
        b'{"client":"app_1","redirect_uri":"https://shop.example/","challenge":"c","scope":["openid"],"nonce":"n","account":"acc_1",'
        b'"session":"ses_1","auth_time":5,"acr":"urn:countersign:acr:password","amr":["pwd"],"summary":"Pay","hash":"h"}'
    )
    grant = Grant(
        client_id="app_1",
        redirect_uri="https://shop.example/",
        code_challenge="c",
        scope=("openid",),
        nonce="n",
        account="acc_1",
        session="ses_1",
        auth_time=5,
        acr="urn:countersign:acr:password",
        amr=("pwd",),
        summary="Pay",
        hash="h",
    )
    assert msgspec.json.encode(grant) == stored
    assert msgspec.json.decode(stored, type=Grant) == grant


async def test_a_code_of_before_a_change_of_the_account_gives_no_tokens(home: Place, shop: Application) -> None:
    """A8, P3: the level that it tells may have ended meanwhile."""
    owner = await ada(home)
    code = await code_of(home, owner, shop)
    assert isinstance(await owner.adds("+14155550123"), Applied)
    assert await exchange_code(home.accounts, shop, code, BACK, VERIFIER) is None
    assert isinstance(await tokens_of(home, owner, shop), TokenResponse)
