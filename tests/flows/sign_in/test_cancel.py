"""A flow that is canceled, and its code, are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor

from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.verifications.challenge import ChallengeState
from countersign.flows.accounts.context import FlowNotFound
from countersign.flows.sign_in.cancel import cancel_flow
from countersign.flows.verifications.get import get_challenge

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_a_canceled_flow_and_its_code_are_over(home: Place) -> None:
    """J1: the caller hears where the person came from, once."""
    visitor = Visitor(home)
    await visitor.signs_up()
    code = await visitor.code()
    canceled = await cancel_flow(home.accounts, visitor.browser)
    assert canceled is not None
    assert (canceled.kind, canceled.interrupted.path) == (LoginFlowKind.SIGN_UP, "/account")
    found = await get_challenge(home.accounts.core, home.accounts.own, canceled.challenge)
    assert found is not None
    assert found.challenge.state is ChallengeState.CANCELED
    assert await visitor.types(code) == FlowNotFound()
    assert await cancel_flow(home.accounts, visitor.browser) is None


async def test_another_browser_cancels_nothing(home: Place) -> None:
    """C4."""
    visitor = Visitor(home)
    await visitor.signs_up()
    assert await cancel_flow(home.accounts, Visitor(home).browser) is None
    assert await visitor.sees() is not None
