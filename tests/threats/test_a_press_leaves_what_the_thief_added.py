"""A thief adds a way in before the act that the owner reports, or is led by a message to go first. Neither outlasts the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.clock import DAY, HOUR, MINUTE
from tests.flows.authenticators import recovery_codes
from tests.flows.owner_and_thief import EVIL, PHONE, Person, contacts_of, opens
from tests.flows.people import ADA, PASSWORD, Visitor
from tests.threats.test_an_account_is_taken_back import at, chooses, link_of, reports, thief_of

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.delivery.notice import CONTACT_FACT, PROVED_BY_FACT, NoticeKind
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.accounts.gathered_notices import send_gathered
from countersign.flows.accounts.sessions import end_others, end_session
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.delayed_recovery import RecoveryPending
from countersign.flows.changes.report_change import ReportOutcome
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.recover import begin_delayed_recovery

if TYPE_CHECKING:
    from tests.flows.place import Place


def in_session_of(owner: Person, *reads: str, password: bool = False) -> Person:
    """Return a thief who has stolen the owner's session cookie."""
    thief = thief_of(owner.place, *reads, password=password)
    thief.visitor.browser = msgspec.structs.replace(owner.visitor.browser, user_agent="Safari")
    return thief


async def signs_in_anew(thief: Person) -> None:
    """Sign in on a new browser, which is told to every contact."""
    thief.place.clock.forward(HOUR)
    thief.visitor = thief_of(thief.place).visitor
    assert await thief.signs_in()
    thief.place.clock.forward(HOUR)


async def test_an_app_that_was_added_before_the_reported_act_goes_with_it(home: Place) -> None:
    """S6, R7: the report ends the link about the app, so it ends the app; else nobody but the thief could sign in again."""
    owner, account = await opens(home)
    thief = in_session_of(owner, ADA, password=True)
    await thief.enrols_app()
    assert thief.apps
    await signs_in_anew(thief)
    phone = at(owner, PHONE)
    assert await reports(phone, NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    snapshot = await home.database.read(find_snapshot, account)
    assert snapshot is not None
    assert not [one for one in snapshot.authenticators if one.kind is AuthenticatorKind.APP]
    await chooses(phone, PHONE, PASSWORD)
    assert await phone.signs_in()
    await thief.recovers(ADA)
    assert not await thief.signs_in()


async def test_a_contact_that_was_added_before_the_reported_act_goes_with_it(home: Place) -> None:
    """S6, R7: it would be the second contact of a thief who recovers by the first one."""
    owner, account = await opens(home)
    thief = in_session_of(owner, ADA, password=True)
    await thief.adds(EVIL)
    await signs_in_anew(thief)
    phone = at(owner, PHONE)
    assert await reports(phone, NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    assert await contacts_of(home, account) == {ADA, PHONE}
    await chooses(phone, PHONE, PASSWORD)
    await thief.recovers(ADA)
    assert not await thief.signs_in()


async def test_a_contact_that_the_reporter_has_approved_stays(home: Place) -> None:
    """S6: what the owner added by this very contact, before the thief came, is not undone."""
    owner, account = await opens(home)
    mail = at(owner, ADA)
    mail.visitor.browser = owner.visitor.browser
    mail.reads.add(EVIL)
    await mail.adds(EVIL)
    thief = thief_of(home, PHONE, password=True)
    await signs_in_anew(thief)
    assert await reports(at(owner, ADA), NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    assert await contacts_of(home, account) == {ADA, PHONE, EVIL}
    # That lock has ended every link of before. The other contact was told of it too, and can undo it no more.
    mail = at(owner, ADA)
    await chooses(mail, ADA, PASSWORD)
    await signs_in_anew(mail)
    assert await reports(thief, NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    assert await contacts_of(home, account) == {ADA, PHONE, EVIL}


async def test_a_contact_that_got_a_code_which_nobody_entered_has_proved_nothing(home: Place) -> None:
    """P3, R7: a recovery code signs in, while a code went to the owner's phone. The phone has not done it, and goes first."""
    owner, _ = await opens(home)
    await owner._wait()
    codes = await recovery_codes(owner.visitor)
    home.clock.forward(8 * DAY)
    thief = thief_of(home, ADA, password=True)
    assert isinstance(await thief.visitor.signs_in(), CodeRequested)
    view = await thief.visitor.sees()
    assert view is not None
    await thief._wait()
    for way in view.contact_methods:
        if way.contact != view.flow.contact:
            await thief.visitor.asks_another_way(way)
    proved = await prove_with_recovery_code(home.accounts, thief.visitor.browser, codes[0], remember=False)
    assert isinstance(proved, SignedIn)
    phone = at(owner, PHONE)
    facts = [link.notice.facts for _, link in await phone.links() if link.notice.kind is NoticeKind.NEW_DEVICE]
    assert PROVED_BY_FACT not in facts[-1]
    result = await phone.presses(await link_of(phone, NoticeKind.NEW_DEVICE))
    assert result is not None
    assert result.goes_first


async def test_one_code_signs_in_one_flow(home: Place) -> None:
    """C3: a browser begins twice, which is one challenge and one message; its code opens one session."""
    await opens(home)
    home.clock.forward(2 * MINUTE)
    one, two = thief_of(home).visitor, thief_of(home).visitor
    assert isinstance(await one.signs_in(), CodeRequested)
    two.browser = msgspec.structs.replace(one.browser, flow="")
    assert isinstance(await two.signs_in(), CodeRequested)
    code = await one.code()
    assert isinstance(await one.types(code), SignedIn)
    for again in ("000000", code):
        assert not isinstance(await two.types(again), SignedIn)


async def test_who_reports_a_change_of_their_own_session_does_not_go_first(home: Place) -> None:
    """R7: the mailbox has approved the change that it reports."""
    owner, _ = await opens(home)
    thief = in_session_of(owner, ADA)
    await thief.adds(EVIL)
    result = await thief.presses(await link_of(thief, NoticeKind.CONTACT_ADDED))
    assert result is not None
    assert not result.goes_first


async def test_who_reports_their_own_acts_by_a_message_about_many_does_not_go_first(home: Place) -> None:
    """R7, L4: the thief signs in so often that notices are gathered, and presses the link about all of them."""
    await opens(home)
    thief = thief_of(home, ADA, password=True)
    for _ in range(25):
        thief.visitor = thief_of(home).visitor
        home.clock.forward(3 * MINUTE)
        assert await thief.signs_in()
    home.clock.forward(HOUR)
    assert await send_gathered(home.accounts)
    result = await thief.presses(await link_of(thief, NoticeKind.GATHERED))
    assert result is not None
    assert result.outcome is ReportOutcome.LOCKED
    assert not result.goes_first


async def test_who_reports_an_app_of_their_own_session_does_not_go_first(home: Place) -> None:
    """R7: an enrolment is approved before the app is set up; the mailbox that did so is remembered until then."""
    owner, _ = await opens(home)
    thief = in_session_of(owner, ADA)
    await thief.enrols_app()
    result = await thief.presses(await link_of(thief, NoticeKind.METHOD_ADDED))
    assert result is not None
    assert not result.goes_first


async def test_who_reports_what_they_ask_for_or_undo_does_not_go_first(home: Place) -> None:
    """R7: a contact that is asked for, and a change that is undone, are approved too."""
    owner, _ = await opens(home)
    mail = at(owner, ADA)
    mail.visitor.browser = owner.visitor.browser
    mail.reads.add(EVIL)
    await mail.adds(EVIL)
    thief = in_session_of(mail, ADA)
    await thief.undoes_foreign_changes()
    facts = {link.notice.kind: link.notice.facts for _, link in await thief.links()}
    for kind in (NoticeKind.CONTACT_ASKED, NoticeKind.CHANGE_UNDONE):
        assert facts[kind][PROVED_BY_FACT] == facts[kind][CONTACT_FACT]
    result = await thief.presses(await link_of(thief, NoticeKind.CHANGE_UNDONE))
    assert result is not None
    assert not result.goes_first


async def test_a_session_that_has_ended_ends_no_other(home: Place) -> None:
    """A4: owner and thief end one another at once; who was first is the one who did."""
    owner, _ = await opens(home)
    thief = thief_of(home, ADA, password=True)
    assert await thief.signs_in()
    mine, theirs = await owner.visitor.session(), await thief.visitor.session()
    assert mine is not None
    assert theirs is not None
    assert await end_others(home.accounts, mine)
    assert not await end_others(home.accounts, theirs)
    assert not await end_session(home.accounts, theirs, mine.id)
    assert await owner.is_in()


async def test_recovery_codes_that_were_made_before_the_reported_act_take_nothing_over(home: Place) -> None:
    """R7: they are no second proof beside the thief's mailbox until they are a week old, if the account was closed lately."""
    owner, _ = await opens(home)
    thief = in_session_of(owner, ADA, password=True)
    await thief._wait()
    codes = await recovery_codes(thief.visitor)
    await signs_in_anew(thief)
    phone = at(owner, PHONE)
    assert await reports(phone, NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    await chooses(phone, PHONE, PASSWORD)
    assert await phone.signs_in()
    await thief._wait()
    assert isinstance(await thief.visitor.recovers(ADA), CodeRequested)
    await prove_with_recovery_code(home.accounts, thief.visitor.browser, codes[0], remember=False)
    await thief.visitor.chooses("words of the thief")
    thief.passwords.append("words of the thief")
    assert not await thief.signs_in()
    await thief._wait()
    assert isinstance(await thief.visitor.signs_in(ADA, "words of the thief"), CodeRequested)
    proved = await prove_with_recovery_code(home.accounts, thief.visitor.browser, codes[1], remember=False)
    assert not isinstance(proved, SignedIn)


async def test_one_code_asks_for_one_account(home: Place) -> None:
    """C3, L4: a thief begins delayed recoveries of several accounts; one message to their own mailbox begins one of them."""
    await opens(home)
    other = Visitor(home)
    assert isinstance(await other.signs_up("eve@example.org"), CodeRequested)
    assert isinstance(await other.types(await other.code("eve@example.org")), SignedIn)
    home.clock.forward(2 * MINUTE)
    first, second = thief_of(home).visitor, thief_of(home).visitor
    first._kept(await begin_delayed_recovery(home.accounts, first.browser, ADA, EVIL))
    second.browser = msgspec.structs.replace(first.browser, flow="")
    second._kept(await begin_delayed_recovery(home.accounts, second.browser, "eve@example.org", EVIL))
    code = await first.code(EVIL)
    assert isinstance(await first.types(code), RecoveryPending)
    assert not isinstance(await second.types(code), RecoveryPending)
