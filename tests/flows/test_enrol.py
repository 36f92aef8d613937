"""An authenticator app: set up, asked for, used once a step, and not to be got round."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.authenticator import FactorKind
from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.session import Level, Need, amr_of, level_of
from countersign.flows.accounts.context import Browser, Entered, Gone, ToVerify, Wrong
from countersign.flows.changes.apply import Applied, Applying, apply
from countersign.flows.changes.enrol import begin_app, draft_app, finish_app
from countersign.flows.changes.report_change import disown
from countersign.flows.changes.request import Wanted
from countersign.flows.sign_in.authenticator import GUESSES, Mistaken, Proved, prove_by_app
from countersign.flows.sign_in.complete import Recoverable
from countersign.flows.verifications.results import Refused
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"


async def enrols(visitor: Visitor, to: str = ADA) -> bytes:
    """Set up an app as the page does; return its secret. The step of its first code is used up."""
    gate = visitor.place.gate
    session = await visitor.session()
    assert session is not None
    need = await begin_app(gate, visitor.browser, session, "My phone", "Add the app")
    assert isinstance(need, Need)
    assert isinstance(await visitor.steps_up(need), ToVerify)
    assert isinstance(await visitor.types(await visitor.code(to)), Entered)
    session = await visitor.session()
    assert session is not None
    begun = visitor._kept(await begin_app(gate, visitor.browser, session, "My phone", "Add the app"))
    assert isinstance(begun, ToVerify), begun
    draft = await draft_app(gate, visitor.browser, session)
    assert draft is not None
    wrong = await finish_app(gate, visitor.browser, session, "000000")
    assert isinstance(wrong, Mistaken)
    code = code_at(draft.secret, gate.now() // STEP)
    assert isinstance(await finish_app(gate, visitor.browser, session, code), Applied)
    assert isinstance(await finish_app(gate, visitor.browser, session, code), Gone)
    return draft.secret


async def app_code(visitor: Visitor, secret: bytes, steps: int = 0) -> Proved:
    """Type the app's code of now, or of so many steps from now."""
    gate = visitor.place.gate
    proved = await prove_by_app(gate, visitor.browser, code_at(secret, gate.now() // STEP + steps), remember=False)
    return visitor._kept(proved)


async def test_the_app_is_asked_for_and_no_message_is_sent(home: Place) -> None:
    """R2, U5, S2: neither a way by mail nor a parameter gets round it, and nobody is in before it."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    await visitor.told("A way to confirm was added to your account")
    home.clock.forward(STEP)
    other = Visitor(home)
    before = await home.count("deliveries")
    assert isinstance(await other.signs_in(), ToVerify)
    assert await home.count("deliveries") == before
    seen = await other.sees()
    assert seen is not None
    assert seen.challenge is None
    assert seen.ways == ()
    assert seen.methods == (FactorKind.APP,)
    assert await other.session() is None
    assert isinstance(await other.types("000000"), Gone)
    entered = await app_code(other, secret)
    assert isinstance(entered, Entered)
    session = await other.session()
    assert session is not None
    assert level_of(session, home.clock()) is Level.APP_CODE
    assert amr_of(session, home.clock()) == ["pwd", "otp", "mfa"]


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_code_is_taken_a_step_early_or_late(home: Place, steps: int, *, right: bool) -> None:
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), ToVerify)
    assert isinstance(await app_code(other, secret, steps), Entered if right else Mistaken)


async def test_each_step_is_accepted_once_over_the_whole_window(home: Place) -> None:
    """C3: also of two that come at the same time, and one that is older than the last."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    first, second = Visitor(home), Visitor(home)
    for one in (first, second):
        assert isinstance(await one.signs_in(), ToVerify)
    outcomes = await asyncio.gather(app_code(first, secret), app_code(second, secret))
    assert sorted(type(one).__name__ for one in outcomes) == ["Entered", "Mistaken"]
    third = Visitor(home)
    assert isinstance(await third.signs_in(), ToVerify)
    assert isinstance(await app_code(third, secret, -1), Mistaken)
    assert isinstance(await app_code(third, secret, 1), Entered)


async def test_guesses_are_counted_before_they_are_compared(home: Place) -> None:
    """C5: of many at once no more than five are compared, and the right code comes too late."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    thief = Visitor(home)
    assert isinstance(await thief.signs_in(), ToVerify)
    answers = await asyncio.gather(
        *(prove_by_app(home.gate, thief.browser, f"{number:06}", remember=False) for number in range(20))
    )
    assert sum(isinstance(one, Mistaken) for one in answers) <= GUESSES
    for _ in range(GUESSES):
        await prove_by_app(home.gate, thief.browser, "000000", remember=False)
    outcome = await app_code(thief, secret)
    assert isinstance(outcome, Refused)


async def test_a_reset_does_not_get_past_the_app(home: Place) -> None:
    """R2: who holds the mailbox gets a new password and no further."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    thief = Visitor(home)
    assert isinstance(await thief.recovers(), ToVerify)
    home.clock.forward(61_000)
    assert isinstance(await thief.types(await thief.code()), Recoverable)
    assert isinstance(await thief.chooses(BETTER), Applied)
    assert isinstance(await thief.signs_in(password=BETTER), ToVerify)
    seen = await thief.sees()
    assert seen is not None
    assert (seen.ways, seen.methods) == ((), (FactorKind.APP,))
    assert isinstance(await app_code(thief, secret), Entered)


async def test_removing_the_app_takes_the_app_and_is_undone_by_a_contact(home: Place) -> None:
    """A4, A2, U5: a live session and the mailbox are not enough to remove it."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    (app,) = (await visitor.holdings()).authenticators
    wanted = Wanted(ChangeKind.METHOD_REMOVED, app.id, "My phone", "Remove it")
    from countersign.flows.changes.submit import change

    session = await visitor.session()
    assert session is not None
    need = await change(home.gate, visitor.browser, session, wanted)
    assert isinstance(need, Need)
    assert need.level is Level.APP_CODE
    assert isinstance(await visitor.steps_up(need), ToVerify)
    seen = await visitor.sees()
    assert seen is not None
    assert seen.ways == ()
    assert isinstance(await app_code(visitor, secret), Entered)
    session = await visitor.session()
    assert session is not None
    assert isinstance(await change(home.gate, visitor.browser, session, wanted), Applied)
    assert (await visitor.holdings()).authenticators == ()
    reference = await visitor.told("A way to confirm was removed from your account")
    assert await disown(home.gate, Browser(), reference) is not None
    assert isinstance(await Visitor(home).signs_in(), Wrong)


async def test_an_app_is_enrolled_by_its_own_session_alone(home: Place) -> None:
    """C4: another browser of the same account cannot finish what this one began."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    need = await begin_app(home.gate, visitor.browser, session, "", "Add the app")
    assert isinstance(need, Need)
    await visitor.steps_up(need)
    await visitor.types(await visitor.code())
    session = await visitor.session()
    assert session is not None
    visitor._kept(await begin_app(home.gate, visitor.browser, session, "", "Add the app"))
    other = Visitor(home)
    await other.is_let_in()
    theirs = await other.session()
    assert theirs is not None
    assert await draft_app(home.gate, visitor.browser, theirs) is None
    assert await draft_app(home.gate, other.browser, theirs) is None
    assert isinstance(await finish_app(home.gate, visitor.browser, theirs, "000000"), Gone)


async def test_removing_the_app_against_using_it(home: Place) -> None:
    """A4: whichever comes first, a code is taken before the removal or not at all."""
    visitor = await ada(home)
    secret = await enrols(visitor)
    home.clock.forward(5 * STEP)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), ToVerify)
    (app,) = (await visitor.holdings()).authenticators
    session = await visitor.session()
    assert session is not None
    wanted = Wanted(ChangeKind.METHOD_REMOVED, app.id, "My phone", "Remove it")
    removed, used = await asyncio.gather(
        apply(home.gate, Applying(session.account, wanted, visitor.browser, session.id)), app_code(other, secret)
    )
    assert isinstance(removed, Applied)
    assert isinstance(used, Entered | Gone | Mistaken)
    third = Visitor(home)
    assert isinstance(await third.signs_in(), ToVerify)
    assert isinstance(await app_code(third, secret, 1), Gone)
