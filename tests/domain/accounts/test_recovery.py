"""Recovery as rules: the two state charts, and the table of what each kind of change ends."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from tests.clock import DAY, NOON

from countersign.domain.accounts import recovery
from countersign.domain.accounts.account import Account, AccountSnapshot, OwnedContact
from countersign.domain.accounts.change import RULES, UNDO_PERIOD, ChangeKind, ChangeRule
from countersign.domain.accounts.recovery import (
    BAR,
    DELAYED_TRANSITIONS,
    LOCK_TRANSITIONS,
    PRECEDENCE,
    REOPENED_PERIOD,
    DelayedRecoveryState,
    LockState,
    RecoveryProof,
    RecoveryRecord,
    ReportVerdict,
    delayed_state,
    lock_state,
)
from countersign.domain.shared.contact import ContactKind

ACCOUNT = Account("acc_1", 0, b"", "en", b"sealed", 0)
MAIL = OwnedContact("acc_1", "con_mail", 0, ContactKind.MAIL, b"m", b"", "a***", proved_at=0)
PHONE = OwnedContact("acc_1", "con_phone", 0, ContactKind.PHONE, b"p", b"", "+1", proved_at=0)
BY_MAIL = RecoveryProof("con_mail", NOON)
BY_CODE = RecoveryProof("con_mail", NOON, recovery_code=True, outranks=True)
CHART = Path(__file__).parents[3] / "docs" / "architecture.md"


def locked(account: Account, now: int) -> Account:
    """Return the account as the mailbox's report locks it, if that report is worth anything."""
    verdict = recovery.judge_report(account, MAIL, now, now)
    if verdict not in {ReportVerdict.LOCKS, ReportVerdict.DISPUTES}:
        return account
    return recovery.lock(account, recovery.first_to_reopen(verdict, MAIL, (), now), password_counts=True, now=now)


def test_the_lock_walks_its_state_chart_and_no_other_way() -> None:
    """R7."""
    reached: dict[LockState, set[LockState]] = {state: set() for state in LockState}
    starts = [ACCOUNT, locked(ACCOUNT, NOON)]
    starts += [recovery.recover(starts[1], proof, NOON) for proof in (BY_MAIL, BY_CODE)]
    assert [lock_state(one, NOON) for one in starts] == list(LockState)
    for start in starts:
        for now in (NOON + 1, NOON + REOPENED_PERIOD):
            acts = [
                start,
                locked(start, now),
                recovery.recover(start, BY_MAIL, now),
                recovery.recover(start, BY_CODE, now),
                recovery.confirm(start, PHONE, authenticator=False, now=now),
                recovery.confirm(start, None, authenticator=True, now=now),
            ]
            for after in acts:
                before, state = lock_state(start, NOON), lock_state(after, now)
                if state is not before:
                    reached[before].add(state)
    assert reached == {state: set(targets) for state, targets in LOCK_TRANSITIONS.items()}


def test_a_delayed_recovery_walks_its_state_chart_and_no_other_way() -> None:
    """R6."""
    done = msgspec.structs.replace(recovery.take_over(ACCOUNT, NOON), reduced_until=NOON + 7 * DAY)
    barred = recovery.bar(ACCOUNT, NOON)
    begins = {
        state: recovery.may_wait(account, is_waiting=is_waiting, now=NOON)
        for state, account, is_waiting in (
            (DelayedRecoveryState.NONE, ACCOUNT, False),
            (DelayedRecoveryState.WAITING, ACCOUNT, True),
            (DelayedRecoveryState.BARRED, barred, False),
        )
    }
    assert begins == {state: DelayedRecoveryState.WAITING in DELAYED_TRANSITIONS[state] for state in begins}
    assert delayed_state(ACCOUNT, is_waiting=True, now=NOON) is DelayedRecoveryState.WAITING
    assert delayed_state(barred, is_waiting=False, now=NOON + BAR - 1) is DelayedRecoveryState.BARRED
    assert delayed_state(barred, is_waiting=False, now=NOON + BAR) is DelayedRecoveryState.NONE
    assert delayed_state(recovery.allow(barred), is_waiting=False, now=NOON) is DelayedRecoveryState.NONE
    assert delayed_state(done, is_waiting=False, now=NOON) is DelayedRecoveryState.DONE
    assert delayed_state(done, is_waiting=False, now=NOON + 7 * DAY) is DelayedRecoveryState.NONE


@pytest.mark.parametrize(
    ("title", "transitions"), [("delayed recovery", DELAYED_TRANSITIONS), ("lock", LOCK_TRANSITIONS)]
)
def test_the_charts_in_the_documents_are_those_of_the_code(title: str, transitions: dict[str, frozenset[str]]) -> None:
    """R6, R7: the pictures in docs/architecture.md, and the text beside the code."""
    text = CHART.read_text(encoding="utf-8")
    (chart,) = re.findall(rf"<!-- chart: {title} -->\n```text\n(.*?)```", text, re.DOTALL)
    drawn = set(re.findall(r"^ *(\w+) --> (\w+)", chart, re.MULTILINE))
    assert drawn == {(str(one), str(other)) for one, others in transitions.items() for other in others}
    beside = set(re.findall(r"^    (\w+) --[^>]*> (\w+)$", recovery.__doc__ or "", re.MULTILINE))
    assert drawn <= beside


def test_times_are_met_to_the_millisecond() -> None:
    """R6, R7."""
    account = locked(ACCOUNT, NOON)
    assert account.recovery.locked_by == "con_mail"
    snapshot = AccountSnapshot(account, (MAIL, PHONE), ())
    by_phone = RecoveryProof("con_phone", NOON)
    assert not recovery.may_recover_now(snapshot, by_phone, NOON + PRECEDENCE - 1)
    assert recovery.may_recover_now(snapshot, by_phone, NOON + PRECEDENCE)
    assert recovery.may_recover_now(snapshot, BY_MAIL, NOON)
    assert recovery.is_link_ended(account, "con_phone", NOON)
    assert not recovery.is_link_ended(account, "con_phone", NOON + 1)


def test_a_withdrawal_bars_for_a_day_and_never_shortens_a_longer_bar() -> None:
    """R5, R6: to the millisecond."""
    paused = recovery.pause(ACCOUNT, NOON)
    assert not recovery.may_wait(paused, is_waiting=False, now=NOON + DAY - 1)
    assert recovery.may_wait(paused, is_waiting=False, now=NOON + DAY)
    stopped = recovery.bar(ACCOUNT, NOON)
    assert recovery.pause(stopped, NOON).recovery.barred_until == NOON + BAR


def test_a_contact_that_recovers_alone_is_no_second_proof() -> None:
    """R2, R4: beside a recovery code, or the password that another has chosen, it is one."""
    knows = msgspec.structs.replace(BY_MAIL, password=b"sealed")
    chosen = msgspec.structs.replace(ACCOUNT, recovered_by="con_mail")
    assert recovery.lone_contact(ACCOUNT, BY_CODE) == ""
    assert recovery.lone_contact(ACCOUNT, BY_MAIL) == "con_mail"
    assert recovery.lone_contact(ACCOUNT, knows) == ""
    assert recovery.lone_contact(ACCOUNT, msgspec.structs.replace(knows, password=b"changed meanwhile")) == "con_mail"
    assert recovery.lone_contact(chosen, knows) == "con_mail", "this very mailbox has chosen that password"
    assert recovery.lone_contact(msgspec.structs.replace(chosen, recovered_by="con_phone"), knows) == ""


def test_while_an_account_is_locked_the_password_counts_beside_its_first_contact_alone() -> None:
    """R7: whoever made the owner report may know the password."""
    knows = msgspec.structs.replace(BY_MAIL, password=b"sealed")
    by_phone = msgspec.structs.replace(knows, contact="con_phone")
    shut = locked(ACCOUNT, NOON)
    assert recovery.lone_contact(shut, knows) == ""
    assert recovery.lone_contact(shut, by_phone) == "con_phone"
    for first, counts in (("con_mail", False), ("", True)):
        other = recovery.lock(ACCOUNT, first, password_counts=counts, now=NOON)
        assert recovery.lone_contact(other, knows) == "con_mail"
    own = recovery.lock(
        msgspec.structs.replace(ACCOUNT, recovered_by="con_mail"), "con_mail", password_counts=True, now=NOON
    )
    assert not own.recovery.password_counts
    recovered = msgspec.structs.replace(ACCOUNT, recovered_by="con_phone")
    assert not recovery.lock(recovered, "", password_counts=True, now=NOON).recovery.password_counts
    assert recovery.lock(recovered, "con_mail", password_counts=True, now=NOON).recovery.password_counts


def with_record(**changed: int | str | bool) -> Account:
    """Return an account that remembers this of its recoveries."""
    return msgspec.structs.replace(ACCOUNT, recovery=RecoveryRecord(**changed))  # type: ignore[arg-type]


REMOVED_AT_ONCE = msgspec.structs.replace(PHONE, settled_at=NOON, ended_at=NOON - 1)
REOPENED = with_record(recovered_by="con_mail", recovered_at=NOON, reopened_at=NOON)
SECURED = with_record(recovered_by="con_mail", recovered_at=NOON, reopened_at=NOON, secured=True)


@pytest.mark.parametrize(
    ("account", "reporter", "sent_at", "verdict"),
    [
        (ACCOUNT, MAIL, NOON, ReportVerdict.LOCKS),
        (ACCOUNT, None, NOON, ReportVerdict.LOCKS),
        (ACCOUNT, REMOVED_AT_ONCE, NOON, ReportVerdict.ENDED),
        (ACCOUNT, msgspec.structs.replace(REMOVED_AT_ONCE, ended_at=NOON), NOON, ReportVerdict.LOCKS),
        (locked(ACCOUNT, NOON), PHONE, NOON + 1, ReportVerdict.ALREADY_LOCKED),
        (with_record(links_ended_at=NOON), PHONE, NOON, ReportVerdict.ENDED),
        (with_record(links_ended_at=NOON), PHONE, NOON + 1, ReportVerdict.LOCKS),
        (REOPENED, MAIL, NOON - 1, ReportVerdict.ENDED),
        (REOPENED, MAIL, NOON, ReportVerdict.LOCKS),
        (REOPENED, PHONE, NOON - 1, ReportVerdict.DISPUTES),
        (REOPENED, PHONE, NOON, ReportVerdict.DISPUTES),
        (SECURED, PHONE, NOON, ReportVerdict.OUTRANKED),
        (SECURED, MAIL, NOON, ReportVerdict.LOCKS),
    ],
)
def test_a_report_is_worth_what_stands_in_this_table(
    account: Account, reporter: OwnedContact | None, sent_at: int, verdict: ReportVerdict
) -> None:
    """R7, S6: the tie goes to who proves more, never to who pressed last."""
    assert recovery.judge_report(account, reporter, sent_at, NOON + 1) is verdict


def test_a_reopened_account_is_open_again_after_its_time() -> None:
    """R7."""
    assert recovery.judge_report(SECURED, PHONE, NOON, NOON + REOPENED_PERIOD - 1) is ReportVerdict.OUTRANKED
    assert recovery.judge_report(SECURED, PHONE, NOON, NOON + REOPENED_PERIOD) is ReportVerdict.LOCKS


def test_who_reported_goes_first_unless_something_speaks_against_it() -> None:
    """R7: the act was done by it, removed it, it is new or gone, or it contradicts who has just reopened the account."""
    first = recovery.first_to_reopen
    young = msgspec.structs.replace(MAIL, settled_at=NOON + 1)
    gone = msgspec.structs.replace(MAIL, ended_at=NOON)
    assert first(ReportVerdict.LOCKS, MAIL, {"con_phone"}, NOON) == "con_mail"
    assert first(ReportVerdict.LOCKS, MAIL, {"con_mail"}, NOON) == ""
    assert first(ReportVerdict.DISPUTES, MAIL, (), NOON) == ""
    assert first(ReportVerdict.LOCKS, None, (), NOON) == ""
    assert first(ReportVerdict.LOCKS, gone, (), NOON) == ""
    assert first(ReportVerdict.LOCKS, young, (), NOON) == ""
    assert first(ReportVerdict.LOCKS, young, (), NOON + 1) == "con_mail"


def test_who_may_recover_is_who_goes_first_while_that_contact_is_there() -> None:
    """R7."""
    both, by_phone = (MAIL, PHONE), RecoveryProof("con_phone", NOON)
    young_code = RecoveryProof("con_mail", NOON, recovery_code=True)
    for account in (locked(ACCOUNT, NOON), SECURED):
        snapshot = AccountSnapshot(account, both, ())
        may = [recovery.may_recover_now(snapshot, one, NOON) for one in (BY_MAIL, by_phone, young_code, BY_CODE)]
        assert may == [True, False, False, True]
        assert recovery.may_recover_now(AccountSnapshot(account, (PHONE,), ()), by_phone, NOON), "the other is gone"
    for account in (ACCOUNT, REOPENED):
        snapshot = AccountSnapshot(account, both, ())
        assert recovery.may_recover_now(snapshot, by_phone, NOON)
    after = AccountSnapshot(SECURED, both, ())
    assert not recovery.may_recover_now(after, by_phone, NOON + REOPENED_PERIOD - 1)
    assert recovery.may_recover_now(after, by_phone, NOON + REOPENED_PERIOD)


def test_what_a_lock_and_a_recovery_remember() -> None:
    """R6, R7: a bar outlasts both, links end, and a second recovery neither begins anew nor lasts longer."""
    barred = with_record(barred_until=NOON + BAR)
    now = NOON + DAY
    shut = recovery.lock(barred, "con_mail", password_counts=True, now=now)
    assert shut.recovery == RecoveryRecord(now, NOON + BAR, "con_mail", password_counts=True)
    assert recovery.take_over(barred, now).recovery == RecoveryRecord(now - 1, NOON + BAR)
    by_phone = RecoveryProof("con_phone", now)
    mine = {"recovered_by": "con_phone", "recovered_at": now}
    assert recovery.recover(barred, by_phone, now).recovery == RecoveryRecord(
        barred_until=NOON + BAR,
        **mine,  # type: ignore[arg-type]
    )
    reopened = recovery.recover(shut, by_phone, now + 5)
    assert reopened.recovery == RecoveryRecord(
        now + 4, NOON + BAR, recovered_by="con_phone", recovered_at=now + 5, reopened_at=now + 5
    )
    again = recovery.recover(SECURED, by_phone, now)
    assert again.recovery == RecoveryRecord(reopened_at=NOON, secured=True, **mine)  # type: ignore[arg-type]
    strong = recovery.recover(REOPENED, BY_CODE, now)
    assert strong.recovery.secured


def test_a_sign_in_confirms_a_recovery_by_what_it_proves_beside_it() -> None:
    """R7."""
    young = msgspec.structs.replace(PHONE, settled_at=NOON + 2)
    later = NOON + 1
    for account in (ACCOUNT, msgspec.structs.replace(REOPENED, locked_at=NOON)):
        assert recovery.confirm(account, PHONE, authenticator=True, now=later) == account
    for contact in (None, MAIL, young):
        assert recovery.confirm(REOPENED, contact, authenticator=False, now=later) == REOPENED
    for contact, authenticator in ((PHONE, False), (MAIL, True), (None, True)):
        after = recovery.confirm(REOPENED, contact, authenticator=authenticator, now=later).recovery
        assert (after.secured, after.links_ended_at) == (True, NOON)
    old = with_record(recovered_by="con_mail", recovered_at=NOON, links_ended_at=NOON + 5)
    after = recovery.confirm(old, PHONE, authenticator=False, now=later).recovery
    assert (after.secured, after.links_ended_at) == (False, NOON + 5)


def test_a_record_of_before_is_read_and_an_empty_one_is_short() -> None:
    """A row of an older release has `{}`."""
    assert msgspec.json.decode(b"{}", type=RecoveryRecord) == RecoveryRecord()
    assert msgspec.json.encode(RecoveryRecord()) == b"{}"
    full = RecoveryRecord(
        1, 2, "a", password_counts=True, recovered_by="b", recovered_at=3, reopened_at=4, secured=True
    )
    assert msgspec.json.decode(msgspec.json.encode(full), type=RecoveryRecord) == full


CONTACT = {"undo": UNDO_PERIOD, "raises_epoch": True}
KEPT = {**CONTACT, "blocked_after_recovery": True}
PASSWORD = {**CONTACT, "undone_by_lock": True, "ends_sessions": True}


def test_the_table_of_changes_is_this_one() -> None:
    """A1, A2, A5, R5, S4: written out once more, so that no cell changes unseen."""
    assert {
        ChangeKind.CONTACT_ADDED: ChangeRule(proves_contact=True, **CONTACT),  # type: ignore[arg-type]
        ChangeKind.CONTACT_REPLACED: ChangeRule(proves_contact=True, **KEPT),  # type: ignore[arg-type]
        ChangeKind.CONTACT_PRIMARY: ChangeRule(**CONTACT),  # type: ignore[arg-type]
        ChangeKind.CONTACT_REMOVED: ChangeRule(**KEPT),  # type: ignore[arg-type]
        ChangeKind.PASSWORD_CHANGED: ChangeRule(**PASSWORD),  # type: ignore[arg-type]
        ChangeKind.PASSWORD_RECOVERED: ChangeRule(**PASSWORD),  # type: ignore[arg-type]
        ChangeKind.METHOD_ADDED: ChangeRule(**CONTACT),  # type: ignore[arg-type]
        ChangeKind.METHOD_REMOVED: ChangeRule(**KEPT),  # type: ignore[arg-type]
        ChangeKind.RECOVERY_CODES_MADE: ChangeRule(**KEPT),  # type: ignore[arg-type]
        ChangeKind.BROWSER_REMOVED: ChangeRule(notifies=False),
        ChangeKind.INTEGRATION_CODE_MADE: ChangeRule(blocked_after_recovery=True),
        ChangeKind.INTEGRATION_CODE_ROTATED: ChangeRule(blocked_after_recovery=True),
        ChangeKind.INTEGRATION_CODE_REVOKED: ChangeRule(notifies=False),
        ChangeKind.ACCESS_RECOVERED: ChangeRule(wait=7 * DAY, ends_sessions=True, **CONTACT),  # type: ignore[arg-type]
    } == RULES
