"""The session in which a flow has just ended, for a browser whose button was pressed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from tests.flows.people import Visitor

from countersign.flows.accounts.context import SignedIn
from countersign.flows.accounts.sessions import find_session, sign_out
from countersign.flows.sign_in.finished import HAND_OVER, find_finished

if TYPE_CHECKING:
    from tests.flows.place import Place


async def finishes(place: Place) -> tuple[Visitor, SignedIn]:
    """Create an account; return the browser as it was before it got its session, and what it should have got."""
    ada = Visitor(place)
    await ada.signs_up()
    code = await ada.code()
    before = ada.browser
    done = await ada.types(code)
    assert isinstance(done, SignedIn)
    ada.browser = before
    return ada, done


async def test_a_browser_that_has_not_received_its_session_gets_it(home: Place) -> None:
    """J4: the very same one, and it is good."""
    ada, done = await finishes(home)
    found = await find_finished(home.accounts, ada.browser)
    assert found is not None
    assert found.session == done.session
    assert await find_session(home.accounts, replace(ada.browser, session=found.session)) is not None


async def test_nobody_else_gets_it(home: Place) -> None:
    """J4, S2: not without the flow, nor without the browser, nor who has it already."""
    ada, done = await finishes(home)
    for browser in (
        replace(ada.browser, flow=""),
        replace(ada.browser, flow="another"),
        replace(ada.browser, device=""),
        replace(ada.browser, device="another"),
        replace(ada.browser, session=done.session),
    ):
        assert await find_finished(home.accounts, browser) is None


async def test_it_is_not_handed_over_for_long(home: Place) -> None:
    """J4: nor does asking for it lengthen the time."""
    ada, _ = await finishes(home)
    home.clock.forward(HAND_OVER - 1)
    assert await find_finished(home.accounts, ada.browser) is not None
    home.clock.forward(2 * HAND_OVER)
    for _ in range(2):
        assert await find_finished(home.accounts, ada.browser) is None


async def test_a_session_that_has_ended_is_not_handed_over(home: Place) -> None:
    """J4: signing out is the end of it."""
    ada, done = await finishes(home)
    assert await sign_out(home.accounts, replace(ada.browser, session=done.session))
    assert await find_finished(home.accounts, ada.browser) is None
