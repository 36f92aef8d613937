"""Who gets an account back, when a thief and its owner report and recover it in turn. Each rule is switched off once, and is missed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.clock import DAY, HOUR
from tests.flows.authenticators import recovery_codes
from tests.flows.owner_and_thief import (
    EVIL,
    PHONE,
    THIEFS,
    Person,
    contacts_of,
    has_pending_claim,
    opens,
)
from tests.flows.people import ADA, CARRIER, PASSWORD, Visitor
from tests.flows.place import place_at

from countersign.domain.accounts import recovery
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.recovery import BAR, ReportVerdict
from countersign.domain.delivery.notice import NoticeKind
from countersign.flows.accounts.context import CodeRequested, FlowNotFound
from countersign.flows.changes.report_change import ReportOutcome
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from tests.flows.place import Place

    Scenario = Callable[[Place], Coroutine[Any, Any, None]]


def thief_of(place: Place, *reads: str, password: bool = False) -> Person:
    """Return a thief who reads in these contacts and in one of their own, and may know the password."""
    return Person(place, "thief", Visitor(place, THIEFS), {EVIL, *reads}, [PASSWORD] if password else [])


def at(owner: Person, address: str) -> Person:
    """Return the owner as they read in one contact alone, at another browser, with all that they know."""
    return Person(owner.place, "owner", Visitor(owner.place), {address}, owner.passwords, owner.apps, owner.made)


async def link_of(person: Person, kind: NoticeKind, outcome: ReportOutcome | None = None) -> str:
    """Return the newest link about something that this person can press."""
    found = [
        reference
        for reference, link in await person.links()
        if link.notice.kind is kind and outcome in {None, link.outcome}
    ]
    assert found, kind
    return found[-1]


async def reports(person: Person, kind: NoticeKind) -> ReportOutcome:
    """Press the newest link about something."""
    result = await person.presses(await link_of(person, kind))
    assert result is not None
    return result.outcome


async def chooses(person: Person, identifier: str, current: str = "") -> object:
    """Recover the account by a contact, with one password as the current one; return the outcome."""
    await person._wait()
    assert isinstance(await person.visitor.recovers(identifier), CodeRequested)
    assert isinstance(await person.proves(), PasswordResetAllowed)
    person.chosen += 1
    chosen = f"{person.name} chose these words {person.chosen}"
    outcome = await person.visitor.chooses(chosen, current)
    if not isinstance(outcome, ChangeRefusal):
        person.passwords.append(chosen)
    return outcome


async def one_press_stops_every_claim(place: Place) -> None:
    """H1, R6."""
    owner, account = await opens(place)
    thief, other = thief_of(place), thief_of(place)
    assert await thief.claims()
    assert await other.claims()
    assert await has_pending_claim(place, account) == 1
    assert await reports(owner, NoticeKind.ACCESS_ASKED) is ReportOutcome.STOPPED
    assert await reports(owner, NoticeKind.ACCESS_ASKED) is ReportOutcome.ALREADY_STOPPED
    assert await owner.is_in()
    for _ in range(3):
        place.clock.forward(7 * DAY)
        assert not await thief.recovers(EVIL)
        assert await thief.claims()
        assert await has_pending_claim(place, account) == 0
    place.clock.forward(BAR - 21 * DAY)
    assert await thief.claims()
    assert await has_pending_claim(place, account) == 1


async def the_stolen_password_never_comes_back(place: Place) -> None:
    """H4, R7: the finding, press for press, and what follows it."""
    owner, _ = await opens(place)
    thief = thief_of(place, ADA, password=True)
    assert await thief.signs_in()
    phone = at(owner, PHONE)
    stolen_link = await link_of(thief, NoticeKind.NEW_DEVICE)
    assert await reports(phone, NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    place.clock.forward(HOUR)
    assert not isinstance(await chooses(phone, PHONE), ChangeRefusal)
    assert await owner.signs_in()
    for _ in range(2):
        result = await thief.presses(stolen_link)
        assert result is not None
        assert result.outcome is ReportOutcome.ENDED
        place.clock.forward(5 * HOUR)
    assert await owner.is_in()
    # The thief reads the notice of the recovery too, and of the sign-in that followed it.
    for reference, _ in await thief.links():
        await thief.presses(reference)
    await thief.recovers(ADA)
    assert not await thief.signs_in()
    assert await owner.is_in()


async def a_password_that_one_contact_chose_is_no_proof_beside_it(place: Place) -> None:
    """R2: the mailbox alone recovers twice, the second time with the password that it chose the first time."""
    await opens(place)
    thief = thief_of(place, ADA)
    assert await thief.recovers(ADA)
    assert await thief.recovers(ADA)
    assert not await thief.signs_in()


async def the_contact_that_reported_goes_first(place: Place) -> None:
    """R7: mailbox and password against phone and password; the owner has reported."""
    owner, _ = await opens(place)
    thief = thief_of(place, ADA, password=True)
    assert await thief.signs_in()
    phone = at(owner, PHONE)
    await reports(phone, NoticeKind.NEW_DEVICE)
    assert await chooses(thief, ADA, PASSWORD) is ChangeRefusal.CONTESTED
    assert not await thief.signs_in()
    place.clock.forward(2 * DAY)
    assert not isinstance(await chooses(phone, PHONE, PASSWORD), ChangeRefusal)
    assert await phone.signs_in()


async def a_report_of_ones_own_act_gives_no_precedence(place: Place) -> None:
    """R7: the thief presses first, about their own sign-in."""
    owner, _ = await opens(place)
    thief = thief_of(place, ADA, password=True)
    assert await thief.signs_in()
    assert await reports(thief, NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    await thief.recovers(ADA)
    assert not await thief.signs_in()
    phone = at(owner, PHONE)
    assert await phone.recovers(PHONE)
    assert await owner.recovers(PHONE)
    assert await owner.signs_in()


async def a_changed_password_is_not_brought_back_by_the_mailbox(place: Place) -> None:
    """R7: the owner changes the stolen password; the thief reports that from the mailbox."""
    owner, _ = await opens(place)
    thief = thief_of(place, ADA, password=True)
    # Approved by the phone: a change that the mailbox has approved gives the mailbox no precedence.
    phone = at(owner, PHONE)
    phone.visitor.browser = owner.visitor.browser
    await phone._wait()
    await phone.changes_password()
    assert len(owner.passwords) == 2
    assert await reports(thief, NoticeKind.PASSWORD_CHANGED) is ReportOutcome.LOCKED
    await thief.recovers(ADA)
    assert not await thief.signs_in()


async def who_has_proved_more_is_not_closed_out(place: Place) -> None:
    """R7: after two contacts were proved, the thief's mailbox alone closes nothing, and its removal stands."""
    owner, account = await opens(place)
    thief = thief_of(place, ADA, password=True)
    assert await thief.signs_in()
    await reports(at(owner, PHONE), NoticeKind.NEW_DEVICE)
    assert await owner.recovers(PHONE)
    assert await owner.signs_in()
    await owner.removes(ADA)
    assert await contacts_of(place, account) == {PHONE}
    assert await reports(thief, NoticeKind.CONTACT_REMOVED) is ReportOutcome.OUTRANKED
    assert await contacts_of(place, account) == {PHONE}
    assert await owner.is_in()
    assert not await thief.recovers(ADA)


async def who_contradicts_a_reopening_closes_it_for_both(place: Place) -> None:
    """R7: before more than one contact was proved, another contact closes the account, and then goes no more first than any."""
    owner, _ = await opens(place)
    thief = thief_of(place, ADA, password=True)
    assert await thief.signs_in()
    phone = at(owner, PHONE)
    await reports(phone, NoticeKind.NEW_DEVICE)
    assert await phone.recovers(PHONE)
    assert await reports(thief, NoticeKind.PASSWORD_RECOVERED) is ReportOutcome.LOCKED
    assert await phone.recovers(PHONE)
    await thief.recovers(ADA)
    assert not await thief.signs_in()
    assert await owner.recovers(PHONE)
    assert await owner.signs_in()


async def a_recovery_that_was_proved_before_a_report_is_over(place: Place) -> None:
    """M3, S6: what was pending ends with "not me"."""
    owner, account = await opens(place)
    thief = thief_of(place, ADA, password=True)
    assert await thief.signs_in()
    before = thief_of(place, ADA)
    place.clock.forward(HOUR)
    assert isinstance(await before.visitor.recovers(ADA), CodeRequested)
    assert isinstance(await before.proves(), PasswordResetAllowed)
    place.clock.forward(1_000)
    await reports(at(owner, ADA), NoticeKind.NEW_DEVICE)
    assert isinstance(await before.visitor.chooses("words of the thief"), FlowNotFound | ChangeRefusal)
    found = await place.database.read(accounts.find, account)
    assert found is not None
    assert found.locked_at is not None


async def a_contact_that_was_removed_while_new_reports_nothing(place: Place) -> None:
    """A2: the thief's own contact does not bring itself back."""
    owner, account = await opens(place)
    thief = thief_of(place, ADA)
    thief.visitor.browser = msgspec.structs.replace(owner.visitor.browser, user_agent="Safari")
    await thief.adds(EVIL)
    assert await owner.signs_in()
    await owner.removes(EVIL)
    assert await contacts_of(place, account) == {ADA, PHONE}
    assert await reports(thief, NoticeKind.CONTACT_REMOVED) is ReportOutcome.ENDED
    assert await contacts_of(place, account) == {ADA, PHONE}


async def a_recovery_hides_nothing_from_the_other_contacts(place: Place) -> None:
    """R7, S6: the thief adds a contact, then recovers by the mailbox; the phone still undoes both."""
    owner, account = await opens(place)
    thief = thief_of(place, ADA)
    thief.visitor.browser = msgspec.structs.replace(owner.visitor.browser, user_agent="Safari")
    await thief.adds(EVIL)
    place.clock.forward(HOUR)
    assert await thief.recovers(ADA)
    phone = at(owner, PHONE)
    result = await phone.presses(await link_of(phone, NoticeKind.CONTACT_ADDED, ReportOutcome.LOCKED))
    assert result is not None
    assert result.undone == 2
    assert await contacts_of(place, account) == {ADA, PHONE}


async def new_recovery_codes_outrank_nobody(place: Place) -> None:
    """R7: the thief made recovery codes in the owner's session, with a code from the mailbox."""
    owner, _ = await opens(place)
    await owner._wait()
    codes = await recovery_codes(owner.visitor)
    thief = thief_of(place, ADA, password=True)
    assert await thief.signs_in()
    await reports(at(owner, PHONE), NoticeKind.NEW_DEVICE)
    await thief._wait()
    assert isinstance(await thief.visitor.recovers(ADA), CodeRequested)
    proved = await prove_with_recovery_code(place.accounts, thief.visitor.browser, codes[0], remember=False)
    assert isinstance(proved, PasswordResetAllowed)
    assert await thief.visitor.chooses("words of the thief") is ChangeRefusal.CONTESTED


async def old_recovery_codes_outrank_every_contact(place: Place) -> None:
    """R7: the owner has recovery codes of last month, and gets in though another contact goes first."""
    owner, _ = await opens(place)
    await owner._wait()
    codes = await recovery_codes(owner.visitor)
    place.clock.forward(8 * DAY)
    thief = thief_of(place, PHONE)
    assert await owner.signs_in()
    other = at(owner, ADA)
    assert await other.signs_in()
    assert await reports(thief, NoticeKind.NEW_DEVICE) is ReportOutcome.LOCKED
    mail = at(owner, ADA)
    assert await chooses(mail, ADA) is ChangeRefusal.CONTESTED
    await mail._wait()
    assert isinstance(await mail.visitor.recovers(ADA), CodeRequested)
    proved = await prove_with_recovery_code(place.accounts, mail.visitor.browser, codes[0], remember=False)
    assert isinstance(proved, PasswordResetAllowed)
    assert not isinstance(await mail.visitor.chooses("words of the owner"), ChangeRefusal)
    mail.passwords.append("words of the owner")
    assert await mail.signs_in()
    for reference, _ in await thief.links():
        await thief.presses(reference)
    assert await mail.is_in()


async def an_old_link_alone_does_nothing(place: Place) -> None:
    """R7: a link of last week that lay in a log, after the owner recovered the account with two contacts."""
    owner, _ = await opens(place)
    other = at(owner, ADA)
    assert await other.signs_in()
    links = await owner.links()
    place.clock.forward(HOUR)
    assert await owner.recovers(PHONE)
    assert await owner.signs_in()
    nobody = thief_of(place)
    for reference, _ in links:
        result = await nobody.presses(reference)
        assert result is not None
        assert result.outcome is ReportOutcome.ENDED
    assert await owner.is_in()


SCENARIOS: list[Scenario] = [
    one_press_stops_every_claim,
    the_stolen_password_never_comes_back,
    a_password_that_one_contact_chose_is_no_proof_beside_it,
    the_contact_that_reported_goes_first,
    a_report_of_ones_own_act_gives_no_precedence,
    a_changed_password_is_not_brought_back_by_the_mailbox,
    who_has_proved_more_is_not_closed_out,
    who_contradicts_a_reopening_closes_it_for_both,
    a_recovery_that_was_proved_before_a_report_is_over,
    a_contact_that_was_removed_while_new_reports_nothing,
    a_recovery_hides_nothing_from_the_other_contacts,
    new_recovery_codes_outrank_nobody,
    old_recovery_codes_outrank_every_contact,
    an_old_link_alone_does_nothing,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
async def test_between_two_the_tie_goes_to_who_proves_more(home: Place, scenario: Scenario) -> None:
    """R6, R7: on both databases."""
    await scenario(home)


_judge, _lock, _lone, _recover = recovery.judge_report, recovery.lock, recovery.lone_contact, recovery.recover


def _never_outranked(*args: Any) -> ReportVerdict:
    verdict = _judge(*args)
    return ReportVerdict.LOCKS if verdict is ReportVerdict.OUTRANKED else verdict


def _never_disputed(*args: Any) -> ReportVerdict:
    verdict = _judge(*args)
    return ReportVerdict.LOCKS if verdict is ReportVerdict.DISPUTES else verdict


def _reporter_first(_verdict: object, reporter: Any, _involved: object, _now: int) -> str:
    return reporter.id if reporter is not None else ""


def _password_counts(account: Any, first: str, *, password_counts: bool, now: int) -> Any:
    locked = _lock(account, first, password_counts=password_counts, now=now)
    return msgspec.structs.replace(
        locked, recovery=msgspec.structs.replace(locked.recovery, password_counts=bool(first))
    )


def _knows_is_enough(account: Any, proof: Any) -> str:
    return "" if proof.recovery_code or (proof.password and proof.password == account.password) else proof.contact


def _every_link_ends(account: Any, proof: Any, now: int) -> Any:
    recovered = _recover(account, proof, now)
    return msgspec.structs.replace(recovered, recovery=msgspec.structs.replace(recovered.recovery, links_ended_at=now))


def _codes_outrank(snapshot: Any, proof: Any, now: int) -> bool:
    return proof.recovery_code or _may(snapshot, proof, now)


_may = recovery.may_recover_now

SWITCHES: list[tuple[str, Any, Scenario]] = [
    ("may_wait", lambda *_, **__: True, one_press_stops_every_claim),
    ("bar", lambda account, _now: account, one_press_stops_every_claim),
    ("is_link_ended", lambda *_: False, the_stolen_password_never_comes_back),
    ("is_link_ended", lambda *_: False, an_old_link_alone_does_nothing),
    ("lone_contact", _knows_is_enough, a_password_that_one_contact_chose_is_no_proof_beside_it),
    ("may_recover_now", lambda *_: True, the_contact_that_reported_goes_first),
    ("may_recover_now", _codes_outrank, new_recovery_codes_outrank_nobody),
    ("first_to_reopen", _reporter_first, a_report_of_ones_own_act_gives_no_precedence),
    ("lock", _password_counts, a_changed_password_is_not_brought_back_by_the_mailbox),
    ("judge_report", _never_outranked, who_has_proved_more_is_not_closed_out),
    ("confirm", lambda account, *_, **__: account, who_has_proved_more_is_not_closed_out),
    ("judge_report", _never_disputed, who_contradicts_a_reopening_closes_it_for_both),
    ("is_reporter", lambda _contact: True, a_contact_that_was_removed_while_new_reports_nothing),
    ("recover", _every_link_ends, a_recovery_hides_nothing_from_the_other_contacts),
]
"""Each rule, what takes its place, and the scenario that misses it."""


@pytest.mark.parametrize(
    ("rule", "instead", "scenario"), SWITCHES, ids=[f"{name}-{one.__name__}" for name, _, one in SWITCHES]
)
async def test_a_rule_that_is_switched_off_is_missed(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, instead: Any, scenario: Scenario
) -> None:
    """R6, R7: what each rule of the domain is for."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(place_at(sqlite_url, tmp_path, live=(CARRIER,)))
        monkeypatch.setattr(recovery, rule, instead)
        with pytest.raises(AssertionError):
            await scenario(place)
