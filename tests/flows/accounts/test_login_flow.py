"""Login flows as they are stored: for one browser, for a time, and moved on by one request alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import Visitor, ada

from countersign.domain.accounts.login_flow import FLOW_LIFETIME
from countersign.domain.shared.contact import parse_contact
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.accounts.login_flow import find_flow, record_sent, save_flow, update_flow

if TYPE_CHECKING:
    from tests.flows.place import Place


async def under_way(home: Place) -> Visitor:
    """Return a browser that was just sent a code."""
    await ada(home)
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_in(), CodeRequested)
    return visitor


async def test_a_flow_is_found_by_its_own_browser_alone(home: Place) -> None:
    """C4."""
    visitor = await under_way(home)
    found = await find_flow(home.accounts, visitor.browser)
    assert found is not None
    assert found.flow.account
    stolen = msgspec.structs.replace(visitor.browser, device=home.accounts.secret())
    assert await find_flow(home.accounts, stolen) is None
    unknown = msgspec.structs.replace(visitor.browser, flow=home.accounts.secret())
    assert await find_flow(home.accounts, unknown) is None


async def test_a_flow_ends_with_its_time(home: Place) -> None:
    visitor = await under_way(home)
    home.clock.forward(FLOW_LIFETIME)
    assert await find_flow(home.accounts, visitor.browser) is None


async def test_of_two_requests_one_moves_a_flow_on(home: Place) -> None:
    visitor = await under_way(home)
    stored = await find_flow(home.accounts, visitor.browser)
    assert stored is not None
    later = [msgspec.structs.replace(stored.flow, guesses=count) for count in (1, 2)]
    moved = await asyncio.gather(*(update_flow(home.accounts, stored, flow) for flow in later))
    assert sorted(one is None for one in moved) == [False, True]


async def test_a_flow_that_nothing_interrupted_leads_to_the_account(home: Place) -> None:
    visitor = await under_way(home)
    stored = await find_flow(home.accounts, visitor.browser)
    assert stored is not None
    plain = msgspec.structs.replace(stored.flow, interrupted=type(stored.flow.interrupted)())
    secret = await save_flow(home.accounts, plain)
    found = await find_flow(home.accounts, msgspec.structs.replace(visitor.browser, flow=secret))
    assert found is not None
    assert (found.flow.interrupted.method, found.flow.interrupted.path) == ("GET", "/account")


async def test_a_further_code_is_shown_to_the_user(home: Place) -> None:
    visitor = await under_way(home)
    stored = await find_flow(home.accounts, visitor.browser)
    assert stored is not None
    home.clock.forward(1)
    await record_sent(home.accounts, stored.flow, parse_contact("+14155550123"))
    _, messages = await recent(home.accounts, stored.flow.account, 10)
    assert messages[0].to == "+1415***0123"
