"""A sign-up whose address was wrong goes on with another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, PASSWORD, Visitor, ada

from countersign.domain.verifications.challenge import ChallengeState
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidInput, SignedIn
from countersign.flows.sign_in.change_address import change_address
from countersign.flows.sign_in.sign_up import SIGN_UPS_PER_NETWORK
from countersign.flows.verifications.get import get_challenge
from countersign.flows.verifications.results import Done, Refused

if TYPE_CHECKING:
    from tests.flows.place import Place

WRONG = "adda@example.org"


async def test_the_code_goes_to_the_address_that_was_meant(home: Place) -> None:
    """J1: name and password stay as they were typed; the first code is worth nothing."""
    visitor = Visitor(home)
    await visitor.signs_up(WRONG)
    old = await visitor.code(WRONG)
    view = await visitor.sees()
    assert view is not None
    assert isinstance(await change_address(home.accounts, visitor.browser, f" {ADA.upper()} "), Done)
    new = await visitor.code(ADA)
    if old != new:
        assert not isinstance(await visitor.types(old), SignedIn)
    before = await get_challenge(home.accounts.core, home.accounts.own, view.flow.challenge)
    assert before is not None
    assert before.challenge.state is ChallengeState.CANCELED
    assert isinstance(await visitor.types(new), SignedIn)
    assert isinstance(await Visitor(home).signs_in(ADA, PASSWORD), CodeRequested)
    assert (await visitor.holdings()).contacts[0].masked.endswith("@example.org")


async def test_a_known_address_is_answered_like_an_unknown_one(home: Place) -> None:
    """R1: the browser hears nothing of it; its owner is told."""
    await ada(home)
    answers = []
    for to in (ADA, "bob@example.org"):
        visitor = Visitor(home)
        await visitor.signs_up(WRONG)
        answers.append(type(await change_address(home.accounts, visitor.browser, to)))
    assert answers == [Done, Done]
    assert "already have an account" in (await Visitor(home).reads(ADA)).text


async def test_what_is_no_address_changes_nothing(home: Place) -> None:
    """J1: the first code still works."""
    visitor = Visitor(home)
    await visitor.signs_up()
    outcome = await change_address(home.accounts, visitor.browser, "nothing")
    assert isinstance(outcome, InvalidInput)
    assert outcome.faults.keys() == {"identifier"}
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)


async def test_the_same_address_sends_nothing_and_gives_no_guess_back(home: Place) -> None:
    """C5, J4: a second press, too."""
    visitor = Visitor(home)
    await visitor.signs_up()
    right = await visitor.code()
    await visitor.types("000000" if right != "000000" else "000001")
    for _ in range(2):
        outcome = await change_address(home.accounts, visitor.browser, ADA)
        assert isinstance(outcome, Done)
        assert (outcome.challenge.guesses, outcome.challenge.sends) == (1, 1)
    assert isinstance(await visitor.types(right), SignedIn)


async def test_a_network_cannot_write_to_everybody_by_it(home: Place) -> None:
    """L5: each change counts as a sign-up."""
    visitor = Visitor(home)
    await visitor.signs_up()
    outcomes = [
        await change_address(home.accounts, visitor.browser, f"u{number}@example.org")
        for number in range(SIGN_UPS_PER_NETWORK.burst)
    ]
    assert [type(one) for one in outcomes[:-1]] == [Done] * (SIGN_UPS_PER_NETWORK.burst - 1)
    assert isinstance(outcomes[-1], Refused)


async def test_no_other_flow_changes_its_address(home: Place) -> None:
    """A1: a code for an account goes to its own contacts."""
    await ada(home)
    visitor = Visitor(home)
    assert await change_address(home.accounts, visitor.browser, "eve@example.org") == FlowNotFound()
    assert isinstance(await visitor.signs_in(), CodeRequested)
    assert await change_address(home.accounts, visitor.browser, "eve@example.org") == FlowNotFound()
