"""The budgets of notices: every kind is in a lane, and no lane feeds on another's."""

from __future__ import annotations

from itertools import combinations

import pytest

from countersign.domain.accounts.change import RECOVERY_WAIT, RECOVERY_WINDOW
from countersign.domain.accounts.notice_budget import (
    CRITICAL,
    DAY,
    GATHERED,
    HOUR,
    BudgetScope,
    NoticeLane,
    gathering_lane,
    lane_of,
    notice_budgets,
)
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import ContactKind

KINDS = list(ContactKind)


def names(lane: NoticeLane) -> set[str]:
    """Return the names of all limits that a lane is counted against."""
    return {
        budget.limit.name
        for kind in KINDS
        for has_mailbox in (True, False)
        for budget in notice_budgets(lane, kind, has_mailbox=has_mailbox)
    }


def test_what_strangers_cause_and_what_is_critical_have_budgets_apart() -> None:
    """L1, L4."""
    apart = [NoticeLane.ORDINARY, NoticeLane.CRITICAL, NoticeLane.OUTSIDE]
    for one, other in combinations(apart, 2):
        assert not names(one) & names(other)
    assert not names(NoticeLane.REMINDER) & (names(NoticeLane.ORDINARY) | names(NoticeLane.CRITICAL))


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("contact", KINDS)
def test_every_notice_has_a_budget_of_its_contact(kind: NoticeKind, contact: ContactKind) -> None:
    """L4: for an hour or a day at most."""
    for has_mailbox in (True, False):
        budgets = notice_budgets(lane_of(kind), contact, has_mailbox=has_mailbox)
        of_contact = [one for one in budgets if one.scope is BudgetScope.CONTACT]
        assert of_contact
        assert all(one.limit.period <= DAY for one in of_contact)


def test_a_telephone_hears_of_a_recovery_once_in_its_life_and_alone_every_other_day() -> None:
    """L4, R5."""
    for lane in (NoticeLane.OUTSIDE, NoticeLane.REMINDER):
        (once,) = (
            one.limit
            for one in notice_budgets(lane, ContactKind.PHONE, has_mailbox=True)
            if one.scope is BudgetScope.RECOVERY
        )
        assert (once.burst, once.period) == (1, RECOVERY_WAIT + RECOVERY_WINDOW)
        (alone,) = (
            one.limit
            for one in notice_budgets(lane, ContactKind.PHONE, has_mailbox=False)
            if one.scope is BudgetScope.RECOVERY
        )
        assert (alone.burst, alone.period) == (1, 2 * DAY)


def test_what_can_cost_a_person_the_account_is_critical() -> None:
    """L4."""
    assert {
        NoticeKind.PASSWORD_CHANGED,
        NoticeKind.PASSWORD_RECOVERED,
        NoticeKind.CONTACT_REPLACED,
        NoticeKind.CONTACT_REMOVED,
        NoticeKind.ACCESS_RECOVERED,
        NoticeKind.ACCOUNT_LOCKED,
        NoticeKind.DELETION_ASKED,
        NoticeKind.DELETION_CANCELED,
        NoticeKind.ACCOUNT_ERASED,
    } == CRITICAL
    assert all(lane_of(kind) is NoticeLane.CRITICAL for kind in CRITICAL)


@pytest.mark.parametrize("kind", NoticeKind)
def test_everything_is_gathered_within_a_budget(kind: NoticeKind) -> None:
    """L4: what was gathered is no flood either."""
    assert sum(limit.burst * DAY / limit.period for limit in GATHERED[gathering_lane(kind)][-1:]) <= 4


def test_what_strangers_asked_for_is_gathered_apart_from_what_was_done() -> None:
    """L4, L1: a hundred recoveries that were asked for do not hide one change that was made."""
    outside = {kind for kind in NoticeKind if lane_of(kind) is NoticeLane.OUTSIDE}
    assert outside
    assert {kind for kind in NoticeKind if gathering_lane(kind) is NoticeLane.OUTSIDE} == outside
    assert {gathering_lane(kind) for kind in NoticeKind} == set(GATHERED)


def test_a_mailbox_is_reminded_once_a_day_whatever_else_strangers_asked_for() -> None:
    """L4, R5."""
    (reminder,) = notice_budgets(NoticeLane.REMINDER, ContactKind.MAIL, has_mailbox=True)
    (asked,) = notice_budgets(NoticeLane.OUTSIDE, ContactKind.MAIL, has_mailbox=True)
    assert reminder.limit.name != asked.limit.name
    assert (reminder.limit.burst, reminder.limit.period) == (1, 23 * HOUR)
