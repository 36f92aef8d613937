"""The bounds of an authorization: how long a code lasts, what a strict installation asks for, which level is told, where it leads."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import pytest_asyncio
from tests.flows.authenticators import app_code, enrols_app
from tests.flows.oidc.test_token import BACK, VERIFIER, asked, code_of, told
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.session import Level, Method, SessionProof, SignInPolicy
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.authorize import RedirectToClient, authorize
from countersign.flows.oidc.token import exchange_code, userinfo
from countersign.store.tables import sessions
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place

HOUR = 3_600_000
WITH_QUERY = "https://shop.example/in?shop=1"


@pytest_asyncio.fixture
async def shop(home: Place) -> Application:
    """A relying party with two addresses, one of which has a query."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, redirect_uris=(BACK, WITH_QUERY))
    added, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    return added


async def raised(visitor: Visitor, outcome: object, to: str = ADA) -> None:
    """Give the code that an authorization asked for."""
    assert isinstance(visitor._kept(outcome), CodeRequested), outcome
    assert isinstance(await visitor.types(await visitor.code(to)), SignedIn)


@pytest.mark.parametrize(("waited", "good"), [(59_999, True), (60_000, False)])
async def test_a_code_is_good_for_a_minute(home: Place, shop: Application, waited: int, *, good: bool) -> None:
    """S8."""
    code = await code_of(home, await ada(home), shop)
    home.clock.forward(waited)
    found = await exchange_code(home.accounts, shop, code, BACK, VERIFIER)
    assert (found is not None) is good


async def test_an_id_token_is_good_for_five_minutes_and_for_its_client(home: Place, shop: Application) -> None:
    """S8: it says what was true at one moment."""
    visitor = await ada(home)
    found = await exchange_code(home.accounts, shop, await code_of(home, visitor, shop), BACK, VERIFIER)
    assert found is not None
    claims = home.keyring.verified_identity(found.id_token)
    assert claims is not None
    now = home.clock() // 1_000
    assert (claims["iat"], claims["exp"], claims["aud"], claims["iss"]) == (
        now,
        now + 300,
        shop.id,
        home.accounts.links.issuer,
    )
    assert (found.expires_in, found.scope) == (3_600, "openid profile email phone")


async def test_the_level_that_is_told_was_proved_within_the_age_that_was_asked_for(
    home: Place, shop: Application
) -> None:
    """U3: an app's code of hours ago does not come back with a mail code of now."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    home.clock.forward(3 * HOUR)
    now = home.clock()
    proved = (
        SessionProof(Method.PASSWORD, now - 3 * HOUR),
        SessionProof(Method.APP_CODE, now - 3 * HOUR),
        SessionProof(Method.MAIL_CODE, now - 1_000),
    )
    assert await home.database.run(sessions.replace_proofs, session, msgspec.structs.replace(session, proofs=proved))
    code = await code_of(home, visitor, shop, max_age="300")
    found = await exchange_code(home.accounts, shop, code, BACK, VERIFIER)
    assert found is not None
    claims = home.keyring.verified_identity(found.id_token)
    assert claims is not None
    assert claims["acr"] == Level.MAIL_CODE.acr
    plain = await exchange_code(home.accounts, shop, await code_of(home, visitor, shop), BACK, VERIFIER)
    assert plain is not None
    claims = home.keyring.verified_identity(plain.id_token)
    assert claims is not None
    assert claims["acr"] == Level.APP_CODE.acr


async def test_a_code_of_before_a_change_of_the_account_gives_no_tokens(home: Place, shop: Application) -> None:
    """A8: the session that made the change is still there, and what it had under way is not."""
    visitor = await ada(home)
    code = await code_of(home, visitor, shop)
    assert isinstance(await visitor.adds("+14155550123"), Applied)
    assert await exchange_code(home.accounts, shop, code, BACK, VERIFIER) is None
    assert await exchange_code(home.accounts, shop, await code_of(home, visitor, shop), BACK, VERIFIER) is not None


async def test_a_strict_installation_asks_for_no_less_than_the_application(home: Place, shop: Application) -> None:
    """S10, U5: an application that wants a passkey is not content with an app because the installation is."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    home.accounts = msgspec.structs.replace(
        home.accounts, sign_in_policy=SignInPolicy(trusts_browsers=False, sent_codes=False)
    )
    home.clock.forward(5 * STEP)
    outcome = await authorize(home.accounts, visitor.browser, asked(shop, acr_values=Level.PASSKEY.acr))
    if isinstance(visitor._kept(outcome), CodeRequested):
        assert isinstance(await app_code(visitor, secret), SignedIn)
        outcome = await authorize(home.accounts, visitor.browser, asked(shop, acr_values=Level.PASSKEY.acr))
    assert told(outcome)["error"] == "unmet_authentication_requirements"
    home.clock.forward(5 * STEP)
    outcome = await authorize(home.accounts, visitor.browser, asked(shop, acr_values=Level.MAIL_CODE.acr))
    if isinstance(visitor._kept(outcome), CodeRequested):
        assert isinstance(await app_code(visitor, secret), SignedIn)
        outcome = await authorize(home.accounts, visitor.browser, asked(shop, acr_values=Level.MAIL_CODE.acr))
    assert "code" in told(outcome)


async def test_an_age_of_zero_asks_once_and_goes_on_within_a_minute(home: Place, shop: Application) -> None:
    """U1: a proof that took ten seconds to give is still the fresh one that was asked for."""
    visitor = await ada(home)
    home.clock.forward(61_000)
    outcome = await authorize(home.accounts, visitor.browser, asked(shop, max_age="0"))
    kept = visitor._kept(outcome)
    assert isinstance(kept, CodeRequested)
    entered = await visitor.types(await visitor.code())
    assert isinstance(entered, SignedIn)
    home.clock.forward(10_000)
    path, _, query = entered.interrupted.path.partition("?")
    assert path == home.accounts.links.authorize
    again = await authorize(home.accounts, visitor.browser, dict(parse_qsl(query)))
    assert "code" in told(again)
    home.clock.forward(60_000)
    late = await authorize(home.accounts, visitor.browser, dict(parse_qsl(query)))
    assert isinstance(late, CodeRequested)


async def test_an_address_with_a_query_keeps_it(home: Place, shop: Application) -> None:
    visitor = await ada(home)
    for params in (asked(shop, redirect_uri=WITH_QUERY), asked(shop, redirect_uri=WITH_QUERY, scope="x")):
        outcome = await authorize(home.accounts, visitor.browser, params)
        assert isinstance(outcome, RedirectToClient)
        assert outcome.location.count("?") == 1
        found = dict(parse_qsl(urlsplit(outcome.location).query))
        assert found["shop"] == "1"
        assert found["iss"] == home.accounts.links.issuer
        assert ("code" in found) is ("error" not in found)


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid", {"sub"}),
        ("openid profile", {"sub", "name", "locale"}),
        ("openid email", {"sub", "email", "email_verified"}),
        ("openid phone", {"sub", "phone_number", "phone_number_verified"}),
        ("openid account", {"sub"}),
    ],
)
async def test_an_application_reads_what_it_asked_for(
    home: Place, shop: Application, scope: str, claims: set[str]
) -> None:
    """S8: of an account that has all of it."""
    visitor = await ada(home)
    assert isinstance(await visitor.adds("+14155550123"), Applied)
    code = await code_of(home, visitor, shop, scope=scope)
    found = await exchange_code(home.accounts, shop, code, BACK, VERIFIER)
    assert found is not None
    known = await userinfo(home.accounts, found.access_token)
    assert known is not None
    assert set(known) == claims
