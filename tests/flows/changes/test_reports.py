"""Which messages bear a report, and from when on it takes back what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import Visitor, ada
from tests.flows.place import query

from countersign.domain.delivery.notice import NoticeKind
from countersign.flows.accounts.context import BrowserContext, CodeRequested, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.report_change import find_notice, report_change
from countersign.flows.verifications.cancel import not_me_reference

if TYPE_CHECKING:
    from tests.flows.place import Place

SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")
UNREPORTABLE = (
    NoticeKind.SIGN_UP_KNOWN,
    NoticeKind.RECOVER_UNKNOWN,
    NoticeKind.RECOVER_TOO_NEW,
    NoticeKind.ACCOUNT_LOCKED,
)


async def newest_notice(place: Place) -> str:
    """Return the id of the newest notice."""
    rows = await place.database.read(query, "SELECT id FROM notices ORDER BY id DESC LIMIT 1")
    found: str = rows[0][0]
    return found


@pytest.mark.parametrize("kind", UNREPORTABLE)
async def test_a_message_that_reports_nothing_closes_nothing(home: Place, kind: NoticeKind) -> None:
    """S6: even if somebody makes the right reference of its id."""
    visitor = await ada(home)
    await Visitor(home, SAFARI).is_let_in()
    id_ = await newest_notice(home)
    reference = not_me_reference(home.keyring, id_)
    assert await find_notice(home.accounts, reference) is not None
    await home.change("UPDATE notices SET kind = $1 WHERE id = $2", kind.value, id_)
    assert await find_notice(home.accounts, reference) is None
    assert await report_change(home.accounts, BrowserContext(), reference) is None
    assert await visitor.session() is not None


async def test_the_message_that_an_account_was_locked_locks_it_no_second_time(home: Place) -> None:
    """S6: after the owner came back, an old mail does not shut them out again."""
    await ada(home)
    await Visitor(home, SAFARI).is_let_in()
    reference = not_me_reference(home.keyring, await newest_notice(home))
    home.clock.forward(1_000)
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    locked = not_me_reference(home.keyring, await newest_notice(home))
    assert await find_notice(home.accounts, locked) is None
    owner = Visitor(home)
    assert isinstance(await owner.recovers(), CodeRequested)
    await owner.types(await owner.code())
    await owner.chooses("a better battery staple")
    home.clock.forward(61_000)
    assert isinstance(await owner.signs_in(password="a better battery staple"), CodeRequested)
    assert isinstance(await owner.types(await owner.code()), SignedIn)
    assert await report_change(home.accounts, BrowserContext(), locked) is None
    assert await owner.session() is not None


async def test_a_report_takes_back_what_was_done_since_and_nothing_before(home: Place) -> None:
    """S6: what the owner did last week stays."""
    owner = await ada(home)
    assert isinstance(await owner.adds("+14155550123"), Applied)
    home.clock.forward(86_400_000)
    thief = Visitor(home, SAFARI)
    await thief.is_let_in()
    reference = not_me_reference(home.keyring, await newest_notice(home))
    home.clock.forward(61_000)
    assert isinstance(await thief.adds("thief@evil.example"), Applied)
    outcome = await report_change(home.accounts, BrowserContext(), reference)
    assert outcome is not None
    assert outcome.undone == 1
    rows = await home.database.read(query, "SELECT masked FROM contacts WHERE ended_at IS NULL ORDER BY added_at")
    assert [row[0] for row in rows] == ["a***@example.org", "+1415***0123"]
