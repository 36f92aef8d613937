"""An authenticator app or a recovery code proves a flow: asked for, used once, counted, and not to be bypassed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.people import Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.session import Level, ProofRequirement, amr_values, current_level
from countersign.flows.accounts.authenticator import GUESSES_PER_FLOW, InvalidCode
from countersign.flows.accounts.context import (
    CodeRequested,
    FlowNotFound,
    SignedIn,
)
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.sign_in.authenticator import (
    prove_with_app,
    prove_with_recovery_code,
    use_app_code,
)
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.guess_counters import GUESSES_PER_ACCOUNT
from countersign.flows.verifications.results import Refused
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"


async def test_the_app_is_asked_for_and_no_message_is_sent(home: Place) -> None:
    """R2, U5, S2: neither a way by mail nor a parameter gets round it, and nobody is in before it."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    await visitor.told("A sign-in method was added to your account")
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
    secret = await enrols_app(visitor)
    home.clock.forward(5 * STEP)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    assert isinstance(await app_code(other, secret, steps), SignedIn if right else InvalidCode)


async def test_each_step_is_accepted_once_over_the_whole_window(home: Place) -> None:
    """C3: also of two that come at the same time, and one that is older than the last."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
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
    secret = await enrols_app(visitor)
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
    secret = await enrols_app(visitor)
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


async def test_removing_the_app_against_using_it(home: Place) -> None:
    """A4: whichever comes first, a code is taken before the removal or not at all."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    home.clock.forward(5 * STEP)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    (app,) = (await visitor.holdings()).authenticators
    session = await visitor.session()
    assert session is not None
    wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, app.id, "My phone", "Remove it")
    removed, used = await asyncio.gather(
        apply_change(home.accounts, visitor.browser, wanted.for_session(session)),
        app_code(other, secret),
    )
    assert isinstance(removed, Applied)
    assert isinstance(used, SignedIn | FlowNotFound | InvalidCode)
    third = Visitor(home)
    assert isinstance(await third.signs_in(), CodeRequested)
    assert isinstance(await app_code(third, secret, 1), FlowNotFound)


async def test_guesses_at_recovery_codes_are_few(home: Place) -> None:
    """C5: within a flow, and over all flows of an account."""
    visitor = await ada(home)
    await recovery_codes(visitor)
    thief = Visitor(home)
    for flow in range(2):
        assert isinstance(await thief.recovers(), CodeRequested)
        for left in reversed(range(GUESSES_PER_FLOW)):
            outcome = await prove_with_recovery_code(
                home.accounts, thief.browser, f"abcd-efgh-jkmn-pq{flow}{left}", remember=False
            )
            assert isinstance(outcome, InvalidCode)
            assert outcome.left == left
        outcome = await prove_with_recovery_code(home.accounts, thief.browser, "0000-0000-0000-0000", remember=False)
        assert isinstance(outcome, Refused)
        assert outcome.refusal.value == "exhausted"
        home.clock.forward(61_000)
    assert isinstance(await thief.recovers(), CodeRequested)
    outcome = await prove_with_recovery_code(home.accounts, thief.browser, "0000-0000-0000-0000", remember=False)
    assert isinstance(outcome, Refused)
    assert outcome.limit == GUESSES_PER_ACCOUNT.name


async def test_a_code_is_read_from_any_script_and_spacing(home: Place) -> None:
    """C9."""
    secret = await enrols_app(await ada(home))
    home.clock.forward(5 * STEP)
    code = code_at(secret, home.clock() // STEP)
    typed = f" {code[:3]} - {code[3:].translate(str.maketrans('0123456789', '٠١٢٣٤٥٦٧٨٩'))} "
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    assert isinstance(await prove_with_app(home.accounts, other.browser, typed, remember=False), SignedIn)


async def test_a_code_is_used_up_by_whoever_asks_first(home: Place) -> None:
    """C3."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    home.clock.forward(5 * STEP)
    enrolled = (await visitor.holdings()).authenticators
    code = code_at(secret, home.clock() // STEP)
    assert await use_app_code(home.accounts, enrolled, "000000" if code != "000000" else "111111") is None
    assert await use_app_code(home.accounts, enrolled, code) == enrolled[0]
    assert await use_app_code(home.accounts, (await visitor.holdings()).authenticators, code) is None
    assert await use_app_code(home.accounts, (), code) is None


async def test_without_a_flow_that_allows_it_nothing_is_checked(home: Place) -> None:
    """C4: neither without a flow, nor by an authenticator that the account does not have."""
    visitor = await ada(home)
    nobody = Visitor(home)
    for prove in (prove_with_app, prove_with_recovery_code):
        assert isinstance(await prove(home.accounts, nobody.browser, "000000", remember=False), FlowNotFound)
    await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
    for prove in (prove_with_app, prove_with_recovery_code):
        assert isinstance(await prove(home.accounts, visitor.browser, "000000", remember=False), FlowNotFound)


async def test_a_right_code_resets_the_count_of_its_account(home: Place) -> None:
    """C6."""
    secret = await enrols_app(await ada(home))
    for _ in range(GUESSES_PER_ACCOUNT.burst // (GUESSES_PER_FLOW - 1) + 1):
        home.clock.forward(5 * STEP)
        other = Visitor(home)
        assert isinstance(await other.signs_in(), CodeRequested)
        for _ in range(GUESSES_PER_FLOW - 1):
            wrong = await prove_with_app(home.accounts, other.browser, "x", remember=False)
            assert isinstance(wrong, InvalidCode)
        assert isinstance(await app_code(other, secret), SignedIn)
