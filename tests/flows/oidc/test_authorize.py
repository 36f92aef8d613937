"""The authorization endpoint: a code for a session that satisfies the request, or the proof that is missing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest_asyncio
from joserfc import jwk, jwt
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.session import Method, SessionProof
from countersign.domain.oidc.authorization_request import AuthorizationErrorResponse
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.accounts.context import BrowserContext, CodeRequested, SignedIn
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.authorize import RedirectToClient, SignInRequired, authorize
from countersign.flows.oidc.pushed_request import PushedRequest, push_request
from countersign.flows.oidc.token import TokenResponse, exchange_code, userinfo
from countersign.store.tables import sessions

if TYPE_CHECKING:
    from tests.flows.place import Place

BACK = "https://shop.example/signed-in"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
MAIL_CODE = "urn:countersign:acr:mail-code"


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


def told_alone(outcome: object) -> str:
    """Return the error that is shown to the person, or sent to the client."""
    if isinstance(outcome, RedirectToClient):
        return dict(parse_qsl(urlsplit(outcome.location).query))["error"]
    assert isinstance(outcome, AuthorizationErrorResponse), outcome
    return outcome.error


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


async def test_a_user_who_is_not_signed_in_signs_in_first_or_the_client_gets_an_error(
    home: Place, shop: Application
) -> None:
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


ACT = {"type": "urn:countersign:action", "summary": "Pay €148.00", "hash": "h"}


async def pushed(place: Place, client: Application, act: dict[str, str], **more: str) -> dict[str, str]:
    """Push a request for the approval of an act; return what the browser then brings."""
    found = await push_request(place.accounts, client, asked(client, authorization_details=json.dumps([act]), **more))
    assert isinstance(found, PushedRequest), found
    return {"client_id": client.id, "request_uri": found.request_uri}


async def approves(place: Place, visitor: Visitor, params: dict[str, str]) -> dict[str, str]:
    """Bring a request, type the code of its message, and return the request as it continues."""
    outcome = visitor._kept(await authorize(place.accounts, visitor.browser, params))
    assert isinstance(outcome, CodeRequested), outcome
    entered = await visitor.types(await visitor.code())
    assert isinstance(entered, SignedIn), entered
    return dict(parse_qsl(urlsplit(entered.interrupted.path).query))


async def test_an_act_is_approved_by_a_code_of_its_own_and_once(home: Place, shop: Application) -> None:
    """U2, P4: the message names the act and the application that asks."""
    visitor = await ada(home)
    again = await approves(home, visitor, await pushed(home, shop, ACT))
    assert "It approves for shop: Pay €148.00" in (await visitor.reads()).text or (
        "What this approves for" in (await visitor.reads()).text
    )
    changed = await pushed(home, shop, {**ACT, "hash": "other"})
    assert isinstance(await authorize(home.accounts, visitor.browser, changed), CodeRequested)
    answer = told(await authorize(home.accounts, visitor.browser, again))
    tokens = await exchange_code(home.accounts, shop, answer["code"], BACK, VERIFIER)
    assert tokens is not None
    assert claims_of(home, tokens)["authorization_details"] == [ACT]
    assert told_alone(await authorize(home.accounts, visitor.browser, again)) == "invalid_request_uri"
    assert isinstance(await authorize(home.accounts, visitor.browser, await pushed(home, shop, ACT)), CodeRequested)


async def test_the_approval_of_an_act_is_reported_in_its_own_answer_alone(home: Place, shop: Application) -> None:
    """P2, U3: `acr`, `amr` and `auth_time` of what comes afterwards are those of before."""
    await ada(home)
    visitor = Visitor(home, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    await visitor.is_let_in(remember=True)
    home.clock.forward(3_600_000)
    assert isinstance(await visitor.signs_in(), SignedIn)
    signed_in_at = home.clock() // 1_000
    home.clock.forward(3_600_000)
    again = await approves(home, visitor, await pushed(home, shop, ACT))
    before = claims_of(home, await tokens_of(home, visitor, shop))
    answer = told(await authorize(home.accounts, visitor.browser, again))
    tokens = await exchange_code(home.accounts, shop, answer["code"], BACK, VERIFIER)
    assert tokens is not None
    act = claims_of(home, tokens)
    assert (act["acr"], act["auth_time"], "mfa" in act["amr"]) == (MAIL_CODE, home.clock() // 1_000, True)
    after = claims_of(home, await tokens_of(home, visitor, shop))
    for plain in (before, after):
        assert (plain["acr"], plain["amr"]) == ("urn:countersign:acr:trusted-device", ["pwd", "user"])
        assert plain["auth_time"] == signed_in_at
        assert "authorization_details" not in plain
    fresh = asked(shop, acr_values=MAIL_CODE, max_age="900")
    assert isinstance(await authorize(home.accounts, visitor.browser, fresh), CodeRequested)


async def test_a_level_older_than_the_age_that_was_asked_for_is_not_reported(home: Place, shop: Application) -> None:
    """U3: an app code of hours ago, a code by mail of now."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    old, new = home.clock() - 3 * 3_600_000, home.clock()
    proofs = (SessionProof(Method.APP_CODE, old), SessionProof(Method.MAIL_CODE, new))
    aged = msgspec.structs.replace(session, proofs=proofs)
    assert await home.database.run(sessions.replace_proofs, session, aged)
    assert claims_of(home, await tokens_of(home, visitor, shop, max_age="300"))["acr"] == MAIL_CODE
    assert claims_of(home, await tokens_of(home, visitor, shop))["acr"] == "urn:countersign:acr:app-code"


async def test_fifty_answers_to_one_approval_make_one_code(home: Place, shop: Application) -> None:
    """U1, P1: judged, used up and answered in one transaction."""
    visitor = await ada(home)
    again = await approves(home, visitor, await pushed(home, shop, ACT))
    answers = await asyncio.gather(*(authorize(home.accounts, visitor.browser, again) for _ in range(50)))
    codes = [one for one in answers if isinstance(one, RedirectToClient) and "code=" in one.location]
    assert len(codes) == 1
    assert await home.count("grants") == 1
    assert await home.count("pushed_requests") == 0


async def test_a_session_that_may_only_enrol_is_not_raised_by_an_act(home: Place, shop: Application) -> None:
    """S10, P2."""
    visitor = await ada(home)
    again = await approves(home, visitor, await pushed(home, shop, ACT))
    policy = msgspec.structs.replace(home.accounts.sign_in_policy, sent_codes=False)
    home.accounts = msgspec.structs.replace(home.accounts, sign_in_policy=policy)
    for params in (again, asked(shop)):
        answer = told(await authorize(home.accounts, visitor.browser, params))
        assert answer["error"] == "unmet_authentication_requirements"
    assert await home.count("grants") == 0


async def test_a_level_that_no_method_of_the_account_reaches_is_an_error(home: Place, shop: Application) -> None:
    """U5."""
    visitor = await ada(home)
    answer = told(
        await authorize(home.accounts, visitor.browser, asked(shop, acr_values="urn:countersign:acr:passkey"))
    )
    assert answer["error"] == "unmet_authentication_requirements"


async def test_an_error_is_redirected_only_to_a_registered_address(home: Place, shop: Application) -> None:
    """S2: RFC 9700, 4.11."""
    visitor = await ada(home)
    answer = told(await authorize(home.accounts, visitor.browser, asked(shop, scope="profile")))
    assert (answer["error"], answer["state"], answer["iss"]) == ("invalid_scope", "s", home.accounts.links.issuer)
    for params in (asked(shop, redirect_uri="https://evil.example/"), asked(shop, client_id="app_unknown")):
        outcome = await authorize(home.accounts, visitor.browser, params)
        assert isinstance(outcome, AuthorizationErrorResponse)
        assert outcome.redirect_uri == ""


async def test_where_sent_codes_are_not_enough_such_a_session_gets_no_code(home: Place, shop: Application) -> None:
    """S10: it could enrol an authenticator, and nothing else."""
    visitor = await ada(home)
    policy = msgspec.structs.replace(home.accounts.sign_in_policy, sent_codes=False)
    home.accounts = msgspec.structs.replace(home.accounts, sign_in_policy=policy)
    answer = told(await authorize(home.accounts, visitor.browser, asked(shop)))
    assert answer["error"] == "unmet_authentication_requirements"


async def test_a_request_without_interaction_gets_a_code_or_an_error_and_sends_nothing(
    home: Place, shop: Application
) -> None:
    """U1."""
    visitor = await ada(home)
    assert "code" in told(await authorize(home.accounts, visitor.browser, asked(shop, prompt="none")))
    home.clock.forward(61_000)
    sent = await home.count("challenges")
    outcome = await authorize(home.accounts, visitor.browser, asked(shop, prompt="none", max_age="60"))
    assert told(outcome)["error"] == "login_required"
    assert await home.count("challenges") == sent
