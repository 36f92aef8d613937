"""Notices beyond a contact's budget: kept with the act, told together by mail, once, and never lost."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from tests.flows.people import ADA, CARRIER, ada
from tests.flows.place import Place, place_at, query

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.notice_budget import GATHER_AFTER, HOUR
from countersign.domain.accounts.recovery import ReportVerdict
from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.delivery.notice import CONTACT_FACT, LIFETIME, TOLD_AT_FACT, NoticeKind
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import BrowserContext
from countersign.flows.accounts.gathered_notices import send_gathered
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.snapshot import lock_snapshot
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.undo import lock_account
from countersign.flows.maintenance.sweep import sweep
from countersign.store.engine.database import Write
from countersign.store.tables.notices import list_held
from countersign.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clock import FixedClock

    from countersign.domain.accounts.account import AccountSnapshot
    from countersign.domain.delivery.delivery import Message

PHONE = "+14155550123"
OTHER = "+14155550199"
BY_MAIL, BY_PHONE = 10, 5


async def tell(place: Place, to: AccountSnapshot, kind: NoticeKind, times: int = 1, **facts: str) -> None:
    """Owe notices to every contact of an account, each in a transaction of its own."""

    async def owe() -> None:
        now = place.accounts.now()
        browser = BrowserContext(user_agent="Firefox")
        owed = await owe_notices(
            place.accounts, to.account, to.contacts, kind, browser=browser, place="", now=now, facts=facts
        )
        await Write(owed, last=True)

    for _ in range(times):
        await place.database.run(owe)


async def sent(place: Place, to: str = ADA) -> list[Message]:
    """Let the worker work; return the messages that came to an address since the last call."""
    while await place.deliver():
        pass
    carrier = place.carriers[CARRIER]
    found = [one for one in carrier.sent if one.to == to]
    carrier.sent = [one for one in carrier.sent if one.to != to]
    return found


async def both(place: Place) -> AccountSnapshot:
    """Return an account with a mailbox and a telephone, to which nothing was told for a long time."""
    visitor = await ada(place)
    await visitor.adds(PHONE)
    found = await visitor.holdings()
    await sent(place)
    await sent(place, PHONE)
    place.clock.forward(48 * HOUR)
    return found


async def gathers(place: Place) -> int:
    """Let the time pass after which notices are gathered, and gather them."""
    place.clock.forward(GATHER_AFTER)
    return await send_gathered(place.accounts)


async def test_ordinary_people_hear_of_everything_at_once_by_each_contact(home: Place) -> None:
    """L4: what is usual is told as before."""
    account = await both(home)
    for kind in (NoticeKind.NEW_DEVICE, NoticeKind.CONTACT_ADDED, NoticeKind.PASSWORD_CHANGED):
        await tell(home, account, kind)
    assert len(await sent(home)) == len(await sent(home, PHONE)) == 3
    assert await gathers(home) == 0


async def test_what_is_beyond_the_budget_is_one_mail_and_no_sms(home: Place) -> None:
    """L4: "and 11 more things happened"."""
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 8)
    await tell(home, account, NoticeKind.METHOD_ADDED, 3)
    assert len(await sent(home)) == BY_MAIL
    assert len(await sent(home, PHONE)) == BY_PHONE
    assert await send_gathered(home.accounts) == 0, "it waits for others"
    assert await gathers(home) == 1
    (mail,) = await sent(home)
    assert mail.subject == "There was more activity in your account at Verify"
    assert "11 more things happened in your account" in mail.text
    assert "Your main contact details were changed (8)" in mail.text
    assert "A sign-in method was added to your account (3)" in mail.text
    assert "Activity" in mail.text
    assert await sent(home, PHONE) == []
    home.clock.forward(24 * HOUR)
    assert await send_gathered(home.accounts) == 0, "and once"


async def test_a_single_one_is_told_as_it_is(home: Place) -> None:
    """L4."""
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL, about="a***@example.org")
    await tell(home, account, NoticeKind.METHOD_ADDED, about="My telephone")
    await sent(home)
    assert await gathers(home) == 1
    (mail,) = await sent(home)
    assert "A sign-in method was added to your account" in mail.text
    assert "My telephone" in mail.text
    assert "ref=" in mail.text


async def test_small_changes_keep_back_nothing_that_can_cost_the_account(home: Place) -> None:
    """L1, L4: who makes many small changes first does not silence the change of the password, nor the telephone."""
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, 100)
    await sent(home)
    await sent(home, PHONE)
    await tell(home, account, NoticeKind.PASSWORD_CHANGED)
    assert ["password" in one.text for one in await sent(home)] == [True]
    assert ["password" in one.text for one in await sent(home, PHONE)] == [True]


@pytest.mark.parametrize("kind", [NoticeKind.PASSWORD_RECOVERED, NoticeKind.ACCOUNT_LOCKED, NoticeKind.CONTACT_REMOVED])
async def test_nothing_critical_is_lost_however_often_it_happens(place: Place, kind: NoticeKind) -> None:
    """L4: each is sent, or counted in a mail."""
    account = replace_live(place)
    snapshot = await both(account)
    await tell(account, snapshot, kind, 30)
    at_once = len(await sent(account))
    assert at_once == BY_MAIL
    assert await gathers(account) == 1
    (mail,) = await sent(account)
    assert f"{30 - at_once} more things happened" in mail.text


def replace_live(place: Place) -> Place:
    """Return the place with a carrier for every channel."""
    from tests.flows.place import Carrier

    from countersign.domain.delivery.route import unweighted
    from countersign.domain.shared.contact import Channel

    routes = dict.fromkeys(Channel, unweighted(CARRIER))
    core = replace(place.core, policy=replace(place.core.policy, routes=routes))
    place.core, place.accounts = core, replace(place.accounts, core=core)
    place.carriers[CARRIER] = Carrier()
    place.delivery = replace(place.delivery, core=core, providers=dict(place.carriers))
    return place


async def test_a_removed_mailbox_still_hears_what_was_held_for_it(home: Place) -> None:
    """L4, A2: the address was kept with the notice, so removing the contact silences nothing."""
    visitor = await ada(home)
    other = "grace@example.org"
    await visitor.adds(other)
    contact = await visitor.contact(other)
    snapshot = await visitor.holdings()
    await sent(home, other)
    await tell(home, snapshot, NoticeKind.METHOD_ADDED, BY_MAIL + 2)
    while await home.deliver():
        pass
    await visitor.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, contact.id, contact.masked, "Remove it"), ADA)
    await sent(home, other)
    assert await gathers(home) >= 1
    assert any("A sign-in method was added" in one.text for one in await sent(home, other))


async def test_the_mail_about_many_undoes_what_was_done(home: Place) -> None:
    """L4, S6: its "this was not me" reaches back to the first thing that it tells of."""
    account = await both(home)
    first = home.clock()
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 2)
    home.clock.forward(1_000)
    last = home.clock()
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, 3)
    await sent(home)
    assert await gathers(home) == 1
    (mail,) = await sent(home)
    reference = mail.text.split("ref=")[1].split()[0]
    notice = await home.database.read(query, "SELECT facts FROM notices WHERE kind = 'gathered'")
    facts = json.loads(notice[0][0])
    mailbox = next(one for one in account.contacts if one.masked.startswith("a"))
    assert (facts["since"], facts[TOLD_AT_FACT], facts[CONTACT_FACT]) == (str(first), str(last), mailbox.id)
    assert await home.database.read(list_held, account.account.id, 100) == []
    done = await report_change(home.accounts, BrowserContext(), reference)
    assert done is not None
    assert not done.stopped
    assert any("is locked" in one.text for one in await sent(home))


async def test_what_is_gathered_again_and_again_is_told_ever_more_rarely(home: Place) -> None:
    """L4: whoever makes changes all day long sends four such mails or five, and nothing is lost on the way."""
    account = await both(home)
    mails: list[Message] = []
    for _ in range(24):
        await tell(home, account, NoticeKind.CONTACT_PRIMARY, 20)
        for _ in range(4):
            await gathers(home)
        mails += await sent(home)
    together = [one for one in mails if "more things happened" in one.text]
    assert 4 <= len(together) <= 8
    home.clock.forward(24 * HOUR)
    await send_gathered(home.accounts)
    mails += await sent(home)
    together = [one for one in mails if "more things happened" in one.text]
    told = sum(int(one.text.split(" more things happened")[0].split()[-1]) for one in together)
    assert told + len(mails) - len(together) == 24 * 20


async def test_the_page_shows_what_waits_and_what_was_not_sent(home: Place) -> None:
    """D12, L4: an entry for each, also while it waits."""
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL)
    home.clock.forward(1)
    await tell(home, account, NoticeKind.METHOD_ADDED, 2)
    _, messages = await recent(home.accounts, account.account.id, 50)
    held = [(one.to, one.state) for one in messages if one.held and one.what == "method_added"]
    assert (
        sorted(held) == [("+1415***0123", DeliveryState.DROPPED)] * 2 + [("a***@example.org", DeliveryState.QUEUED)] * 2
    )
    await gathers(home)
    await sent(home)
    _, messages = await recent(home.accounts, account.account.id, 50)
    assert {one.state for one in messages if one.held and one.to.startswith("a")} == {DeliveryState.ACCEPTED}
    assert any(one.what == "gathered" for one in messages)


async def test_an_act_that_is_told_to_many_contacts_pushes_no_other_act_off_the_page(home: Place) -> None:
    """L4: messages and acts are listed each by itself."""
    account = await both(home)
    before, _ = await recent(home.accounts, account.account.id, 10)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, 20)
    after, _ = await recent(home.accounts, account.account.id, 10)
    assert after == before
    assert after


async def test_what_was_gathered_is_counted(home: Place) -> None:
    """D12."""
    counted: dict[str, int] = {}
    home.accounts = replace(home.accounts, on_gathered=lambda kind, count: counted.update({kind: count}))
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 2)
    await gathers(home)
    assert counted == {"mail": 2, "phone": BY_MAIL + 2 - BY_PHONE}


async def test_a_key_that_is_missing_stops_nobody_elses_notices(home: Place) -> None:
    account = await both(home)
    stranger = await ada(home, "grace@example.org")
    other = await stranger.holdings()
    await sent(home, "grace@example.org")
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 2)
    await tell(home, other, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 2)
    await home.change("UPDATE notices SET recipient = $1 WHERE account = $2", bytes(40), account.account.id)
    assert await gathers(home) == 1
    assert any("2 more things" in one.text for one in await sent(home, "grace@example.org"))


async def test_an_account_that_is_gone_is_told_nothing(home: Place) -> None:
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 2)
    await home.change("DELETE FROM accounts WHERE id = $1", account.account.id)
    assert await gathers(home) == 0
    assert await home.database.read(query, "SELECT 1 FROM notices WHERE held_until IS NOT NULL") in ([], ())


@pytest.fixture
async def two(database_url: str, tmp_path: Path, clock: FixedClock) -> tuple[str, Path, FixedClock]:
    """What two processes on one database share."""
    return database_url, tmp_path, clock


async def test_two_workers_at_once_send_one_mail(two: tuple[str, Path, FixedClock]) -> None:
    """L4: on both databases, again and again."""
    url, folder, clock = two
    async with (
        place_at(url, folder, clock=clock, live=(CARRIER,)) as one,
        place_at(url, folder, clock=clock, live=(CARRIER,)) as other,
    ):
        account = await both(one)
        for round_ in range(10):
            clock.forward(48 * HOUR)
            await tell(one, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 3)
            clock.forward(GATHER_AFTER)
            counts = await asyncio.gather(*(send_gathered(place.accounts) for place in (one, other, one, other)))
            assert sum(counts) == 1, round_
        gathered = await one.database.read(query, "SELECT count(*) FROM notices WHERE kind = 'gathered'")
        assert gathered[0][0] == 10


async def test_acts_at_once_do_not_share_a_budget_twice(two: tuple[str, Path, FixedClock]) -> None:
    """L4: the budget is judged in the transaction that owes the notice."""
    url, folder, clock = two
    async with (
        place_at(url, folder, clock=clock, live=(CARRIER,)) as one,
        place_at(url, folder, clock=clock, live=(CARRIER,)) as other,
    ):
        account = await both(one)
        await asyncio.gather(
            *(tell(place, account, NoticeKind.CONTACT_PRIMARY) for _ in range(8) for place in (one, other))
        )
        assert len(await sent(one)) == BY_MAIL
        assert len(await sent(one, PHONE)) == BY_PHONE


async def test_what_is_held_survives_with_its_act_and_not_without(home: Place) -> None:
    """L4, D1: the notice that waits is a row of the act's own transaction."""
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL)

    async def fails() -> None:
        owed = await owe_notices(
            home.accounts,
            account.account,
            account.contacts,
            NoticeKind.METHOD_ADDED,
            browser=BrowserContext(),
            place="",
            now=home.clock(),
        )
        await Write(owed)
        raise LookupError

    with pytest.raises(LookupError):
        await home.database.run(fails)
    held = "SELECT count(*) FROM notices WHERE held_until IS NOT NULL AND kind = 'method_added'"
    assert (await home.database.read(query, held))[0][0] == 0
    await tell(home, account, NoticeKind.METHOD_ADDED)
    assert (await home.database.read(query, held))[0][0] == 2


async def test_a_lock_is_told_although_much_was_told_before(home: Place) -> None:
    """L4: also by telephone."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    snapshot = await visitor.holdings()
    await tell(home, snapshot, NoticeKind.NEW_DEVICE, 50)
    await sent(home, PHONE)
    await sent(home)
    home.clock.forward(1)

    async def lock() -> None:
        locked = await lock_snapshot(snapshot.account.id)
        assert locked is not None
        await lock_account(
            home.accounts,
            BrowserContext(),
            locked,
            None,
            verdict=ReportVerdict.LOCKS,
            since=home.clock(),
            involved=frozenset(),
        )

    await home.accounts.log.run(home.database, lock)
    assert len(await sent(home)) == len(await sent(home, PHONE)) == 1


async def test_the_worker_gathers_in_its_sweep(home: Place) -> None:
    """L4."""
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 2)
    await sent(home)
    home.clock.forward(GATHER_AFTER)
    worker = Worker(home.delivery, 30, accounts=home.accounts)
    home.database.listen(worker.wake)
    running = asyncio.create_task(worker.run())
    try:
        worker.clock_moved()
        async with asyncio.timeout(10):
            while not any("2 more things" in one.text for one in home.carriers[CARRIER].sent):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        worker.stop()
        await running


async def test_the_sweep_forgets_nothing_that_waits_and_what_expired_is_not_told(home: Place) -> None:
    """L4: a short retention loses no notice, and one that nobody can use any more is left out."""
    account = await both(home)
    await tell(home, account, NoticeKind.CONTACT_PRIMARY, BY_MAIL + 2)
    await sent(home)
    home.clock.forward(2 * 24 * HOUR)
    await sweep(home.core, 1)
    held = "SELECT count(*) FROM notices WHERE held_until IS NOT NULL"
    assert (await home.database.read(query, held))[0][0] > 0
    home.clock.forward(LIFETIME)
    assert await send_gathered(home.accounts) == 0
    assert (await home.database.read(query, held))[0][0] == 0
    await sweep(home.core, 1)
    assert await home.count("notices") == 0
