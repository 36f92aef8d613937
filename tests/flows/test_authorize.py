"""Authorize and redeem: a code for who has what is asked, once, and tokens that die with the session."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest_asyncio
from joserfc import jwk, jwt
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.accounts.context import BrowserContext, CodeRequested, SignedIn
from countersign.flows.accounts.sessions import sign_out
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.authorize import RedirectToClient, SignInRequired, authorize
from countersign.flows.oidc.token import TokenResponse, exchange_code, introspect, revoke, userinfo

if TYPE_CHECKING:
    from tests.flows.place import Place

BACK = "https://shop.example/signed-in"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
MAIL_CODE = "urn:countersign:acr:mail-code"


@pytest_asyncio.fixture
async def shop(home: Place) -> Application:
    """A relying party."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, redirects=(BACK,), sign_outs=("https://shop.example/",))
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


def claims_of(place: Place, tokens: TokenResponse) -> dict[str, Any]:
    keys = jwk.KeySet.import_key_set(json.loads(json.dumps(place.keyring.jwks())))
    return dict(jwt.decode(tokens.id_token, keys, algorithms=["ES256"]).claims)


async def test_a_signed_in_person_comes_back_with_a_code_that_tells_who_they_are(
    home: Place, shop: Application
) -> None:
    visitor = await ada(home)
    answer = told(await authorize(home.accounts, visitor.browser, asked(shop)))
    assert (answer["state"], answer["iss"]) == ("s", home.core.links.issuer)
    tokens = await exchange_code(home.accounts, shop, answer["code"], BACK, VERIFIER)
    assert tokens is not None
    claims = claims_of(home, tokens)
    session = await visitor.session()
    assert session is not None
    assert (claims["sub"], claims["aud"], claims["nonce"], claims["sid"]) == (session.account, shop.id, "n", session.id)
    assert claims["acr"] == MAIL_CODE
    assert claims["amr"] == ["pwd", "mail", "otp", "mfa"]
    half = hashlib.sha256(tokens.access_token.encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    known = await userinfo(home.accounts, tokens.access_token)
    assert known == {"sub": session.account, "name": "Ada", "locale": "en", "email": ADA, "email_verified": True}


async def test_who_is_not_signed_in_is_sent_to_sign_in_or_told_so(home: Place, shop: Application) -> None:
    """S2."""
    nobody = Visitor(home)
    outcome = await authorize(home.accounts, nobody.browser, asked(shop))
    assert isinstance(outcome, SignInRequired)
    assert told(await authorize(home.accounts, nobody.browser, asked(shop, prompt="none")))["error"] == "login_required"
    await ada(home)
    await nobody.signs_in(then=outcome.path)
    assert isinstance(await authorize(home.accounts, nobody.browser, asked(shop)), SignInRequired)
    assert await home.count("grants") == 0
    entered = await nobody.types(await nobody.code())
    assert isinstance(entered, SignedIn)
    again = dict(parse_qsl(urlsplit(entered.interrupted.path).query))
    assert "code" in told(await authorize(home.accounts, nobody.browser, again))


async def test_a_session_that_is_too_weak_or_too_old_is_raised_first(home: Place, shop: Application) -> None:
    """U1, U3."""
    await ada(home)
    visitor = Visitor(home, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    await visitor.is_let_in(remember=True)
    home.clock.forward(3_600_000)
    assert isinstance(await visitor.signs_in(), SignedIn)
    plain = claims_of(home, await tokens_of(home, visitor, shop))
    assert plain["acr"] == "urn:countersign:acr:trusted-device"
    assert "mfa" not in plain["amr"]
    need = {"acr_values": MAIL_CODE, "max_age": "900"}
    silent = told(await authorize(home.accounts, visitor.browser, asked(shop, prompt="none", **need)))
    assert silent["error"] in {"login_required", "interaction_required"}
    outcome = await authorize(home.accounts, visitor.browser, asked(shop, **need))
    assert isinstance(outcome, CodeRequested)
    visitor._kept(outcome)
    entered = await visitor.types(await visitor.code())
    assert isinstance(entered, SignedIn)
    again = dict(parse_qsl(urlsplit(entered.interrupted.path).query))
    answer = told(await authorize(home.accounts, visitor.browser, again))
    tokens = await exchange_code(home.accounts, shop, answer["code"], BACK, VERIFIER)
    assert tokens is not None
    raised = claims_of(home, tokens)
    assert raised["acr"] == MAIL_CODE
    assert raised["auth_time"] == home.clock() // 1_000


async def test_prompt_login_and_max_age_0_ask_anew_and_come_to_an_end(home: Place, shop: Application) -> None:
    """U1."""
    visitor = await ada(home)
    for more in ({"prompt": "login"}, {"max_age": "0"}):
        home.clock.forward(40_000)
        outcome = await authorize(home.accounts, visitor.browser, asked(shop, **more))
        assert isinstance(outcome, CodeRequested), more
        visitor._kept(outcome)
        entered = await visitor.types(await visitor.code())
        assert isinstance(entered, SignedIn)
        again = {name: values[0] for name, values in parse_qs(urlsplit(entered.interrupted.path).query).items()}
        assert "code" in told(await authorize(home.accounts, visitor.browser, again))


async def test_an_act_is_approved_by_a_code_of_its_own_and_once(home: Place, shop: Application) -> None:
    """U2."""
    visitor = await ada(home)
    act = [{"type": "urn:countersign:action", "summary": "Pay €148.00", "hash": "h"}]
    wanted = asked(shop, authorization_details=json.dumps(act))
    outcome = await authorize(home.accounts, visitor.browser, wanted)
    assert isinstance(outcome, CodeRequested)
    visitor._kept(outcome)
    await visitor.types(await visitor.code())
    changed = asked(shop, authorization_details=json.dumps([{**act[0], "hash": "other"}]))
    assert isinstance(await authorize(home.accounts, visitor.browser, changed), CodeRequested)
    answer = told(await authorize(home.accounts, visitor.browser, wanted))
    tokens = await exchange_code(home.accounts, shop, answer["code"], BACK, VERIFIER)
    assert tokens is not None
    assert claims_of(home, tokens)["authorization_details"] == act
    assert isinstance(await authorize(home.accounts, visitor.browser, wanted), CodeRequested)


async def test_a_level_that_no_method_of_the_account_reaches_is_told(home: Place, shop: Application) -> None:
    """U5."""
    visitor = await ada(home)
    answer = told(
        await authorize(home.accounts, visitor.browser, asked(shop, acr_values="urn:countersign:acr:passkey"))
    )
    assert answer["error"] == "unmet_authentication_requirements"


async def test_fifty_at_once_redeem_a_code_once_and_lose_it(home: Place, shop: Application) -> None:
    """S2: a code that comes twice was stolen, and what it gave ends."""
    visitor = await ada(home)
    code = await code_of(home, visitor, shop)
    found = await asyncio.gather(*(exchange_code(home.accounts, shop, code, BACK, VERIFIER) for _ in range(50)))
    tokens = [one for one in found if one is not None]
    assert len(tokens) == 1
    assert await userinfo(home.accounts, tokens[0].access_token) is None


async def test_a_code_is_worth_nothing_late_elsewhere_or_without_its_verifier(home: Place, shop: Application) -> None:
    """S2."""
    visitor = await ada(home)
    draft = ApplicationDraft("other", ApplicationMode.LIVE, redirects=(BACK,))
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


async def test_tokens_die_with_their_session_by_time_and_at_the_word_of_their_client(
    home: Place, shop: Application
) -> None:
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


async def test_a_token_is_its_own_clients_alone(home: Place, shop: Application) -> None:
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
