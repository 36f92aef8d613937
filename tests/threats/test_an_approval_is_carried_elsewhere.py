"""An approval that was given to one, for one act, is presented elsewhere: to another client, to our own pages, or for something else."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import pytest_asyncio
from tests.flows.authenticators import app_code, enrols_app
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, current_level, satisfies
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.accounts.context import BrowserContext, CodeRequested, FlowNotFound, SignedIn
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import begin_app
from countersign.flows.changes.submit import submit_change
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.authorize import RedirectToClient, authorize
from countersign.flows.oidc.pushed_request import PushedRequest, push_request
from countersign.flows.sign_in.passkeys import begin_passkey_enrolment
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.sign_in.verify import check_code
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place


BACK = "https://shop.example/signed-in"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PHONE = "+14155550123"
PAY = {"type": "urn:countersign:action", "summary": "Pay EUR 148.00", "hash": "h"}
FRESH = ProofRequirement(Level.MAIL_CODE, 15 * 60)


@pytest_asyncio.fixture
async def shop(home: Place) -> Application:
    """A client."""
    return await client(home, "shop")


@pytest_asyncio.fixture
async def two(home: Place) -> Application:
    """Another client."""
    return await client(home, "two")


async def client(home: Place, name: str) -> Application:
    draft = ApplicationDraft(name, ApplicationMode.LIVE, redirect_uris=(BACK,))
    added, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    return added


async def asks(home: Place, visitor: Visitor, by: Application, act: dict[str, str], **more: str) -> object:
    """Let a client ask for the approval of an act."""
    params = {
        "client_id": by.id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps([act]),
        **more,
    }
    pushed = await push_request(home.accounts, by, params)
    assert isinstance(pushed, PushedRequest), pushed
    return await authorize(home.accounts, visitor.browser, {"client_id": by.id, "request_uri": pushed.request_uri})


async def approves(home: Place, visitor: Visitor, by: Application, act: dict[str, str]) -> dict[str, str]:
    """Approve an act for a client; return the request as it would continue."""
    asked = visitor._kept(await asks(home, visitor, by, act))
    assert isinstance(asked, CodeRequested), asked
    entered = await visitor.types(await visitor.code())
    assert isinstance(entered, SignedIn), entered
    return dict(parse_qsl(urlsplit(entered.interrupted.path).query))


async def test_the_contact_that_goes_does_not_approve_its_going_by_way_of_a_client(
    home: Place, shop: Application
) -> None:
    """P1, A1: everything in the digest of before stands on the page, so a thief could let a client ask for it."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    home.clock.forward(61_000)
    goes = await visitor.contact(ADA)
    wanted = ChangeRequest(ChangeKind.CONTACT_REMOVED, goes.id, goes.masked, f"Remove {goes.masked} from your account")
    identity = f"contact_removed\0{goes.id}\0{goes.masked}\0"
    act = {**PAY, "summary": wanted.summary, "hash": hashlib.sha256(identity.encode()).hexdigest()}
    await approves(home, visitor, shop, act)
    outcome = await submit_change(home.accounts, visitor.browser, await alive(visitor), wanted)
    assert isinstance(outcome, ProofRequirement)
    assert outcome.excluded_contact == goes.id
    assert len((await visitor.holdings()).active_contacts) == 2


async def test_what_our_own_pages_were_given_is_worth_nothing_to_a_client(home: Place, shop: Application) -> None:
    """P1: the other way round, with the very words and hash."""
    visitor = await ada(home)
    wanted = ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change password", password="x")
    need = await submit_change(home.accounts, visitor.browser, await alive(visitor), wanted)
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)
    act = {**PAY, "summary": need.action.summary, "hash": need.action.hash}
    assert isinstance(await asks(home, visitor, shop, act), CodeRequested)


async def test_what_was_approved_for_one_client_is_worth_nothing_to_another(
    home: Place, shop: Application, two: Application
) -> None:
    """P1: nor does its code answer the other's question, though words and hash are the same."""
    visitor = await ada(home)
    again = await approves(home, visitor, shop, PAY)
    outcome = await asks(home, visitor, two, PAY)
    assert isinstance(outcome, CodeRequested)
    stolen = {**again, "client_id": two.id}
    refused = await authorize(home.accounts, visitor.browser, stolen)
    assert isinstance(refused, RedirectToClient)
    assert "error=invalid_request_uri" in refused.location
    answer = await authorize(home.accounts, visitor.browser, again)
    assert isinstance(answer, RedirectToClient)
    assert "code=" in answer.location


async def test_the_question_of_one_client_joins_no_message_of_another(
    home: Place, shop: Application, two: Application
) -> None:
    """P1, P4: two clients ask for the same act at the same time. Each has a code of its own, and its name stands in the message."""
    visitor = await ada(home)
    first = visitor._kept(await asks(home, visitor, shop, PAY))
    assert isinstance(first, CodeRequested)
    code = await visitor.code()
    second = await asks(home, visitor, two, PAY)
    assert isinstance(second, CodeRequested)
    other = Visitor(home, msgspec.structs.replace(visitor.browser, flow=second.flow))
    assert "two" in (await other.reads()).text
    entered = await other.types(code)
    assert not isinstance(entered, SignedIn)


async def test_a_small_approval_lifts_no_session(home: Place, shop: Application) -> None:
    """P2: "Pay EUR 1.00" is no fresh code for ending all sessions, no level, and nothing for the next client."""
    await ada(home)
    visitor = Visitor(home, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    await visitor.is_let_in(remember=True)
    home.clock.forward(3_600_000)
    assert isinstance(await visitor.signs_in(), SignedIn)
    before = await alive(visitor)
    assert current_level(before, home.clock()) is Level.TRUSTED_DEVICE
    again = await approves(home, visitor, shop, {**PAY, "summary": "Pay EUR 1.00"})
    for _ in range(2):
        after = await alive(visitor)
        assert current_level(after, home.clock()) is Level.TRUSTED_DEVICE
        assert not satisfies(after, FRESH, home.clock())
        assert not satisfies(after, ProofRequirement(Level.MAIL_CODE), home.clock())
        assert isinstance(await authorize(home.accounts, visitor.browser, again), RedirectToClient)


@pytest.mark.parametrize("kind", [ChangeKind.CONTACT_PRIMARY, ChangeKind.METHOD_REMOVED])
async def test_an_approval_for_one_kind_of_change_makes_no_other(home: Place, kind: ChangeKind) -> None:
    """P1: also with the same words."""
    visitor = await ada(home)
    session = await alive(visitor)
    one = await submit_change(
        home.accounts, visitor.browser, session, ChangeRequest(ChangeKind.RECOVERY_CODES_MADE, summary="Do it")
    )
    assert isinstance(one, ProofRequirement)
    assert isinstance(await visitor.steps_up(one), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)
    other = msgspec.structs.replace(one, kind=kind.value)
    assert not satisfies(await alive(visitor), other, home.clock())
    await use_approval(home.accounts, await alive(visitor), other)
    assert satisfies(await alive(visitor), one, home.clock())


async def test_one_approval_begins_one_enrolment(home: Place) -> None:
    """U1: a second app of the same name asks again, and so does a passkey of that name."""
    visitor = await ada(home)
    need = await begin_app(home.accounts, visitor.browser, await alive(visitor), "Phone", "Add it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)
    session = await alive(visitor)
    assert isinstance(await begin_app(home.accounts, visitor.browser, session, "Phone", "Add it"), CodeRequested)
    for stale in (session, await alive(visitor)):
        second = await begin_app(home.accounts, visitor.browser, stale, "Phone", "Add it")
        assert isinstance(second, ProofRequirement)
        passkey = await begin_passkey_enrolment(home.accounts, visitor.browser, stale, "Phone", "Add it")
        assert isinstance(passkey, ProofRequirement)


async def test_one_code_approves_once_though_two_flows_wait_for_it(home: Place) -> None:
    """U1, C3: a repeated request continues the challenge, so two flows of one browser wait for one code."""
    visitor = await ada(home)
    wanted = ChangeRequest(ChangeKind.RECOVERY_CODES_MADE, summary="Create new recovery codes")
    session = await alive(visitor)
    need = await submit_change(home.accounts, visitor.browser, session, wanted)
    assert isinstance(need, ProofRequirement)
    first = await step_up(home.accounts, visitor.browser, session, need, InterruptedRequest())
    second = await step_up(home.accounts, visitor.browser, session, need, InterruptedRequest())
    assert isinstance(first, CodeRequested)
    assert isinstance(second, CodeRequested)
    code = await visitor.code()
    one = msgspec.structs.replace(visitor.browser, flow=first.flow)
    entered = visitor._kept(await check_code(home.accounts, one, code, remember=False))
    assert isinstance(entered, SignedIn)
    assert isinstance(await submit_change(home.accounts, visitor.browser, await alive(visitor), wanted), Applied)
    two = msgspec.structs.replace(visitor.browser, flow=second.flow)
    assert isinstance(await check_code(home.accounts, two, code, remember=False), FlowNotFound)
    outcome = await submit_change(home.accounts, visitor.browser, await alive(visitor), wanted)
    assert isinstance(outcome, ProofRequirement)


async def test_an_approval_by_an_app_is_no_sign_in_by_it(home: Place, shop: Application) -> None:
    """P2: a session by mail that approved one act with the app stays a session by mail."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    home.clock.forward(2 * STEP)
    level = current_level(await alive(visitor), home.clock())
    asked = visitor._kept(await asks(home, visitor, shop, PAY, acr_values=Level.APP_CODE.acr))
    assert isinstance(asked, CodeRequested)
    entered = await app_code(visitor, secret)
    assert isinstance(entered, SignedIn)
    assert current_level(await alive(visitor), home.clock()) is level
    again = dict(parse_qsl(urlsplit(entered.interrupted.path).query))
    answer = await authorize(home.accounts, visitor.browser, again)
    assert isinstance(answer, RedirectToClient)
    assert "code=" in answer.location
