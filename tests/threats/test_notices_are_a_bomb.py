"""A stranger begins recoveries of somebody's account, to flood the owner's mailbox and telephone with what must be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ADA, CARRIER, Visitor, ada

from countersign.domain.accounts.change import DAY, ChangeKind, ChangeState
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.accounts.gathered_notices import send_gathered
from countersign.flows.changes.delayed_recovery import send_reminders
from countersign.flows.changes.report_change import report_change
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.store.tables import changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.flows.place import Place

    from countersign.domain.accounts.change import AccountChange

PHONE = "+14155550123"
CLAIMS = 12
FORTNIGHT = 14
HOUR = 3_600_000


async def claims(place: Place, n: int, identifier: str = ADA) -> None:
    """Say that everything is lost, and prove the nth throw-away mailbox."""
    thief = Visitor(place, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    contact = f"z{n}@throwaway.example"
    asked = thief._kept(await begin_delayed_recovery(place.accounts, thief.browser, identifier, contact))
    assert isinstance(asked, CodeRequested), asked
    await thief.types(await thief.code(contact))


async def works(place: Place) -> None:
    """Do what a worker and its sweep do, until nothing is left."""
    await send_reminders(place.accounts)
    await send_gathered(place.accounts)
    while await place.deliver():
        pass


async def hours(place: Place, count: int) -> None:
    """Let hours pass, with a worker at work."""
    for _ in range(count):
        place.clock.forward(HOUR)
        await works(place)


def counter(place: Place) -> Callable[[], tuple[int, int]]:
    """Return a function that returns how many mails and SMS the owner got since it was called last."""
    sent = place.carriers[CARRIER].sent
    seen = len(sent)

    def count() -> tuple[int, int]:
        nonlocal seen
        new, seen = sent[seen:], len(sent)
        return sum(one.to == ADA for one in new), sum(one.to == PHONE for one in new)

    return count


async def pending(place: Place, account: str) -> list[AccountChange]:
    """Return the recoveries that wait."""
    found = await place.database.read(changes.list_open, account, place.clock())
    return [one for one in found if one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING]


async def owner(place: Place, phone: str = PHONE) -> Visitor:
    """Return the browser of a person with a mailbox and a telephone, two weeks after they signed up."""
    visitor = await ada(place)
    await visitor.adds(phone)
    while await place.deliver():
        pass
    place.clock.forward(HOUR)
    return visitor


async def test_twelve_recoveries_are_three_mails_and_one_sms_and_then_a_mail_a_day(home: Place) -> None:
    """L4: the bomb was 12 mails and 12 SMS at once, and as many each day for a fortnight."""
    await owner(home)
    got = counter(home)
    for n in range(CLAIMS):
        await claims(home, n)
    await works(home)
    mails, sms = got()
    assert 1 <= mails <= 2
    assert sms == 1
    await hours(home, 6)
    mails, sms = got()
    assert mails <= 1, "the rest is gathered into one"
    assert sms == 0
    for _ in range(FORTNIGHT):
        await hours(home, 24)
        mails, sms = got()
        assert mails <= 2
        assert sms == 0


async def test_a_telephone_alone_hears_of_many_recoveries_every_other_day(home: Place) -> None:
    """L4: an account without a mailbox is reminded, and not bombed."""
    account = (await (await ada(home, PHONE)).holdings()).account.id
    home.clock.forward(HOUR)
    got = counter(home)
    for n in range(CLAIMS):
        await claims(home, n, PHONE)
    await works(home)
    assert got() == (0, 1)
    total = 0
    for day in range(6):
        await hours(home, 24)
        told = got()[1]
        assert told <= 1, day
        total += told
    assert 2 <= total <= 3, "before the wait is over it is reminded again"
    assert await pending(home, account)


async def test_what_was_gathered_is_told_with_a_way_to_stop_all_of_it(home: Place) -> None:
    """L4, R5: no recovery waits of which nobody was told, and the mail about many stops them all."""
    visitor = await owner(home)
    account = (await visitor.holdings()).account.id
    for n in range(CLAIMS):
        await claims(home, n)
    waiting = len(await pending(home, account))
    await hours(home, 1)
    if waiting < 3:
        pytest.skip("one recovery waits at a time, so there is nothing to gather")
    mail = next(one for one in reversed(home.carriers[CARRIER].sent) if one.to == ADA and "says again" in one.text)
    assert f"{waiting - 2} more things happened" in mail.text
    stopped = await report_change(
        home.accounts, BrowserContext(), await visitor.told("Someone says again that they lost access")
    )
    assert stopped is not None
    assert stopped.stopped
    assert await pending(home, account) == []
    assert await visitor.session() is not None, "it locks nothing"


async def test_a_recovery_that_was_stopped_does_not_silence_the_next_one(home: Place) -> None:
    """L4, R5: whoever reads the mailbox hopes that the telephone stays silent the second time."""
    visitor = await owner(home)
    got = counter(home)
    session = await visitor.session()
    assert session is not None
    for n in range(2):
        await claims(home, n)
        await works(home)
        assert got()[1] == 1
        if n == 0:
            reference = await visitor.told("lost access to your account", PHONE)
            stopped = await report_change(home.accounts, BrowserContext(), reference)
            assert stopped is not None
            assert stopped.stopped
            # However long a stop bars others (R6), the telephone hears of the next one that begins.
            home.clock.forward(31 * DAY)


async def test_a_flood_keeps_back_nothing_that_the_owner_does(home: Place) -> None:
    """L4, L1: the owner's own notices have budgets that no stranger can use up."""
    visitor = await owner(home)
    for n in range(CLAIMS):
        await claims(home, n)
    await works(home)
    got = counter(home)
    other = Visitor(home, BrowserContext(ip="198.51.100.8", user_agent="Safari", locale="en"))
    await other.is_let_in()
    await works(home)
    mails, sms = got()
    assert (mails, sms) == (2, 1), "a code, and what was done to both"
    happened, sent = await recent(home.accounts, (await visitor.holdings()).account.id, 50)
    assert any(one.facts.get("kind") == "access_recovered" for one in happened)
    assert any(one.what == "new_device" for one in sent)
