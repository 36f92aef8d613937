"""Sessions of an account: ended by their owner, at once, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada, alive

from countersign.flows.accounts.context import BrowserContext
from countersign.flows.accounts.sessions import end_others, end_session, sign_out

if TYPE_CHECKING:
    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")


async def test_other_sessions_end_and_this_one_stays(home: Place) -> None:
    visitor = await ada(home)
    other = Visitor(home, SAFARI)
    await other.is_let_in()
    assert await end_others(home.accounts, await alive(visitor)) == 1
    assert await other.session() is None
    assert await visitor.session() is not None


async def test_a_session_is_ended_by_its_id_and_by_its_own_account_alone(home: Place) -> None:
    """A4."""
    visitor, other = await ada(home), Visitor(home, SAFARI)
    await other.is_let_in()
    ended, grace = await alive(other), await ada(home, "grace@example.org")
    assert not await end_session(home.accounts, await alive(grace), ended.id)
    assert await other.session() is not None
    assert await end_session(home.accounts, await alive(visitor), ended.id)
    assert await other.session() is None
    assert not await end_session(home.accounts, await alive(visitor), ended.id)


async def test_signing_out_ends_this_session_alone(home: Place) -> None:
    visitor, other = await ada(home), Visitor(home, SAFARI)
    await other.is_let_in()
    assert await sign_out(home.accounts, visitor.browser)
    assert not await sign_out(home.accounts, visitor.browser)
    assert not await sign_out(home.accounts, BrowserContext())
    assert await visitor.session() is None
    assert await other.session() is not None
