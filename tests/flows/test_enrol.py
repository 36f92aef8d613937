"""An authenticator app: set up, asked for, used once a step, and not to be got round."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.session import Level, ProofRequirement, amr_values, current_level
from countersign.flows.accounts.context import BrowserContext, CodeRequested, FlowNotFound, InvalidCredentials, SignedIn
from countersign.flows.changes.apply import Applied, Applying, apply_change
from countersign.flows.changes.enrol import begin_app, draft_app, finish_app
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.request import ChangeRequest
from countersign.flows.sign_in.authenticator import GUESSES_PER_FLOW, InvalidCode, ProofResult, prove_with_app
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.verifications.results import Refused
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"


async def enrols(visitor: Visitor, to: str = ADA) -> bytes:
    """Set up an app as the page does; return its secret. The step of its first code is used up."""
    context = visitor.place.accounts
    session = await visitor.session()
    assert session is not None
    need = await begin_app(context, visitor.browser, session, "My phone", "Add the app")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(to)), SignedIn)
    session = await visitor.session()
    assert session is not None
    begun = visitor._kept(await begin_app(context, visitor.browser, session, "My phone", "Add the app"))
    assert isinstance(begun, CodeRequested), begun
    draft = await draft_app(context, visitor.browser, session)
    assert draft is not None
    wrong = await finish_app(context, visitor.browser, session, "000000")
    assert isinstance(wrong, InvalidCode)
    code = code_at(draft.secret, context.now() // STEP)
    assert isinstance(await finish_app(context, visitor.browser, session, code), Applied)
    assert isinstance(await finish_app(context, visitor.browser, session, code), FlowNotFound)
    return draft.secret


async def app_code(visitor: Visitor, secret: bytes, steps: int = 0) -> ProofResult:
    """Type the app's code of now, or of so many steps from now."""
    context = visitor.place.accounts
    proved = await prove_with_app(
        context, visitor.browser, code_at(secret, context.now() // STEP + steps), remember=False
    )
    return visitor._kept(proved)


async def test_the_app_is_asked_for_and_no_message_is_sent(home: Place) -> None:
    """R2, U5, S2: neither a way by mail nor a parameter gets round it, and nobody is in before it."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    await visitor.told("A way to confirm was added to your account")
    home.clock.forward(STEP)
    other = Visitor(home)
    before = await home.count("deliveries")
    assert isinstance(await other.signs_in(), CodeRequested)
    assert await home.count("deliveries") == before
    seen = await other.sees()
    assert seen is not None
    assert seen.challenge is None
    assert seen.contact_methods == ()
    assert seen.authenticators == (AuthenticatorKind.APP,)
    assert await other.session() is None
    assert isinstance(await other.types("000000"), FlowNotFound)
    entered = await app_code(other, secret)
    assert isinstance(entered, SignedIn)
    session = await other.session()
    assert session is not None
    assert current_level(session, home.clock()) is Level.APP_CODE
    assert amr_values(session, home.clock()) == ["pwd", "otp", "mfa"]


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_code_is_taken_a_step_early_or_late(home: Place, steps: int, *, right: bool) -> None:
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    assert isinstance(await app_code(other, secret, steps), SignedIn if right else InvalidCode)


async def test_each_step_is_accepted_once_over_the_whole_window(home: Place) -> None:
    """C3: also of two that come at the same time, and one that is older than the last."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    first, second = Visitor(home), Visitor(home)
    for one in (first, second):
        assert isinstance(await one.signs_in(), CodeRequested)
    outcomes = await asyncio.gather(app_code(first, secret), app_code(second, secret))
    assert sorted(type(one).__name__ for one in outcomes) == ["InvalidCode", "SignedIn"]
    third = Visitor(home)
    assert isinstance(await third.signs_in(), CodeRequested)
    assert isinstance(await app_code(third, secret, -1), InvalidCode)
    assert isinstance(await app_code(third, secret, 1), SignedIn)


async def test_guesses_are_counted_before_they_are_compared(home: Place) -> None:
    """C5: of many at once no more than five are compared, and the right code comes too late."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    thief = Visitor(home)
    assert isinstance(await thief.signs_in(), CodeRequested)
    answers = await asyncio.gather(
        *(prove_with_app(home.accounts, thief.browser, f"{number:06}", remember=False) for number in range(20))
    )
    assert sum(isinstance(one, InvalidCode) for one in answers) <= GUESSES_PER_FLOW
    for _ in range(GUESSES_PER_FLOW):
        await prove_with_app(home.accounts, thief.browser, "000000", remember=False)
    outcome = await app_code(thief, secret)
    assert isinstance(outcome, Refused)


async def test_a_reset_does_not_get_past_the_app(home: Place) -> None:
    """R2: who holds the mailbox gets a new password and no further."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    thief = Visitor(home)
    assert isinstance(await thief.recovers(), CodeRequested)
    home.clock.forward(61_000)
    assert isinstance(await thief.types(await thief.code()), PasswordResetAllowed)
    assert isinstance(await thief.chooses(BETTER), Applied)
    assert isinstance(await thief.signs_in(password=BETTER), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert (seen.contact_methods, seen.authenticators) == ((), (AuthenticatorKind.APP,))
    assert isinstance(await app_code(thief, secret), SignedIn)


async def test_removing_the_app_takes_the_app_and_is_undone_by_a_contact(home: Place) -> None:
    """A4, A2, U5: a live session and the mailbox are not enough to remove it."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    (app,) = (await visitor.holdings()).authenticators
    wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, app.id, "My phone", "Remove it")
    from countersign.flows.changes.submit import submit_change

    session = await visitor.session()
    assert session is not None
    need = await submit_change(home.accounts, visitor.browser, session, wanted)
    assert isinstance(need, ProofRequirement)
    assert need.level is Level.APP_CODE
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    seen = await visitor.sees()
    assert seen is not None
    assert seen.contact_methods == ()
    assert isinstance(await app_code(visitor, secret), SignedIn)
    session = await visitor.session()
    assert session is not None
    assert isinstance(await submit_change(home.accounts, visitor.browser, session, wanted), Applied)
    assert (await visitor.holdings()).authenticators == ()
    reference = await visitor.told("A way to confirm was removed from your account")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert isinstance(await Visitor(home).signs_in(), InvalidCredentials)


async def test_an_app_is_enrolled_by_its_own_session_alone(home: Place) -> None:
    """C4: another browser of the same account cannot finish what this one began."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    need = await begin_app(home.accounts, visitor.browser, session, "", "Add the app")
    assert isinstance(need, ProofRequirement)
    await visitor.steps_up(need)
    await visitor.types(await visitor.code())
    session = await visitor.session()
    assert session is not None
    visitor._kept(await begin_app(home.accounts, visitor.browser, session, "", "Add the app"))
    other = Visitor(home)
    await other.is_let_in()
    theirs = await other.session()
    assert theirs is not None
    assert await draft_app(home.accounts, visitor.browser, theirs) is None
    assert await draft_app(home.accounts, other.browser, theirs) is None
    assert isinstance(await finish_app(home.accounts, visitor.browser, theirs, "000000"), FlowNotFound)


async def test_removing_the_app_against_using_it(home: Place) -> None:
    """A4: whichever comes first, a code is taken before the removal or not at all."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    (app,) = (await visitor.holdings()).authenticators
    session = await visitor.session()
    assert session is not None
    wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, app.id, "My phone", "Remove it")
    removed, used = await asyncio.gather(
        apply_change(home.accounts, Applying(session.account, wanted, visitor.browser, session.id)),
        app_code(other, secret),
    )
    assert isinstance(removed, Applied)
    assert isinstance(used, SignedIn | FlowNotFound | InvalidCode)
    third = Visitor(home)
    assert isinstance(await third.signs_in(), CodeRequested)
    assert isinstance(await app_code(third, secret, 1), FlowNotFound)
