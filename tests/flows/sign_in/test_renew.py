"""A new code in place of one that ran out or was used up, in the same flow and within the same limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clock import MINUTE
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.lockout import PAUSE_AFTER
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, SignedIn
from countersign.flows.sign_in.renew import renew_code
from countersign.flows.sign_in.sign_up import SIGN_UPS_PER_NETWORK
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.results import Done, Refused

if TYPE_CHECKING:
    from tests.flows.place import Place


async def uses_up(visitor: Visitor, right: str) -> int:
    """Type wrong codes until no guess is left; return how many were counted."""
    view = await visitor.sees()
    assert view is not None
    assert view.challenge is not None
    for number in range(view.challenge.guesses_left):
        await visitor.types(f"{(int(right) + 1 + number) % 1_000_000:06}")
    return view.challenge.guesses_left


async def test_a_code_that_ran_out_is_replaced_in_the_same_flow(home: Place) -> None:
    """J1, C2: the old one is worth nothing, and the flow goes on where it was."""
    visitor = Visitor(home)
    await visitor.signs_up()
    old = await visitor.code()
    home.clock.forward(11 * MINUTE)
    assert isinstance(await renew_code(home.accounts, visitor.browser), Done)
    new = await visitor.code()
    assert new != old
    done = await visitor.types(new)
    assert isinstance(done, SignedIn)
    assert done.interrupted.path == "/account"


async def test_a_code_that_was_used_up_is_replaced_and_its_failures_still_count(home: Place) -> None:
    """J1, C6: after twenty wrong ones in a day this contact pauses, however often a new code was asked for."""
    await ada(home)
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_in(), CodeRequested)
    counted, outcome = 0, await renew_code(home.accounts, visitor.browser)
    while counted < PAUSE_AFTER:
        counted += await uses_up(visitor, await visitor.code())
        home.clock.forward(MINUTE)
        outcome = await renew_code(home.accounts, visitor.browser)
        if counted < PAUSE_AFTER:
            assert isinstance(outcome, Done), (counted, outcome)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.CONTACT_PAUSED


async def test_a_code_that_still_works_is_not_replaced(home: Place) -> None:
    """C5: no guess is given back while there are some, and no message is sent."""
    visitor = Visitor(home)
    await visitor.signs_up()
    code = await visitor.code()
    await visitor.types("000000" if code != "000000" else "000001")
    outcome = await renew_code(home.accounts, visitor.browser)
    assert isinstance(outcome, Done)
    assert outcome.challenge.guesses == 1
    assert outcome.challenge.sends == 1


async def test_a_code_that_its_owner_stopped_is_not_replaced(home: Place) -> None:
    """D6: whoever says "this was not me" is not written to again by the same flow."""
    visitor = Visitor(home)
    await visitor.signs_up()
    view = await visitor.sees()
    assert view is not None
    assert view.challenge is not None
    await cancel_challenge(home.accounts.core, home.accounts.own, view.challenge.id)
    outcome = await renew_code(home.accounts, visitor.browser)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.CANCELED


async def test_a_new_code_counts_as_a_new_beginning_of_its_network(home: Place) -> None:
    """L5: nobody gets round the limit of sign-ups by it."""
    visitor = Visitor(home)
    await visitor.signs_up()
    for number in range(SIGN_UPS_PER_NETWORK.burst - 1):
        await Visitor(home).signs_up(f"u{number}@example.org")
    await uses_up(visitor, await visitor.code())
    outcome = await renew_code(home.accounts, visitor.browser)
    assert isinstance(outcome, Refused)
    assert outcome.limit == SIGN_UPS_PER_NETWORK.name


async def test_a_known_address_is_replaced_by_the_same_notice(home: Place) -> None:
    """R1: its owner is told again that there is an account, and no code is right."""
    await ada(home)
    visitor = Visitor(home)
    await visitor.signs_up()
    home.clock.forward(11 * MINUTE)
    assert isinstance(await renew_code(home.accounts, visitor.browser), Done)
    assert "already have an account" in (await visitor.reads(ADA)).text


async def test_a_browser_without_a_flow_gets_no_code(home: Place) -> None:
    """C4."""
    assert await renew_code(home.accounts, Visitor(home).browser) == FlowNotFound()
