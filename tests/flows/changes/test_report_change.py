"""The button "this was not me" about a sign-in: it ends every session and all trust."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.flows.people import Visitor, ada

from countersign.flows.accounts.context import BrowserContext, InvalidCredentials
from countersign.flows.changes.report_change import find_notice, report_change

if TYPE_CHECKING:
    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")
DAY = 86_400_000


async def test_saying_that_it_was_not_me_ends_every_session_and_all_trust(home: Place) -> None:
    """S6, R3: at a press, by a link that only a message of ours can hold, and while it is fresh."""
    visitor = await ada(home)
    thief = Visitor(home, SAFARI)
    await thief.is_let_in(remember=True)
    link = re.search(r"ref=(ntc_\S+)", (await thief.reads()).text)
    assert link is not None
    assert await find_notice(home.accounts, link[1]) is not None
    assert await thief.session() is not None
    for forged in (link[1][:-3] + "abc", link[1].partition(".")[0] + ".", "ntc_x.y", link[1].replace("ntc_", "ver_")):
        assert not await report_change(home.accounts, BrowserContext(), forged)
    assert await thief.session() is not None
    assert await report_change(home.accounts, BrowserContext(), link[1])
    assert await thief.session() is None
    assert await visitor.session() is None
    assert isinstance(await thief.signs_in(), InvalidCredentials)
    home.clock.forward(7 * DAY)
    assert not await report_change(home.accounts, BrowserContext(), link[1])
