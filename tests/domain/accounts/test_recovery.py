"""Recovery as rules: the two state charts, and the table of what each kind of change ends."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from tests.clock import DAY, NOON

from countersign.domain.accounts import recovery
from countersign.domain.accounts.account import Account, OwnedContact
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
    from countersign.domain.accounts.account import AccountSnapshot

    snapshot = AccountSnapshot(account, (MAIL, PHONE), ())
    by_phone = RecoveryProof("con_phone", NOON)
    assert not recovery.may_recover_now(snapshot, by_phone, NOON + PRECEDENCE - 1)
    assert recovery.may_recover_now(snapshot, by_phone, NOON + PRECEDENCE)
    assert recovery.may_recover_now(snapshot, BY_MAIL, NOON)
    assert recovery.is_link_ended(account, "con_phone", NOON)
    assert not recovery.is_link_ended(account, "con_phone", NOON + 1)


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
