"""The budgets of notices: how many a contact is sent at once, before the rest is gathered into one mail.

A budget belongs to a lane, by who can cause the notice. So what strangers do never keeps back what the account's own people must hear,
and many small changes never keep back that the password was changed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import ContactKind
from countersign.domain.verifications.rate_limit import RateLimit

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

GATHER_AFTER: Final = 15 * MINUTE
"""Milliseconds that a notice beyond its budget waits for others to be gathered with."""


class NoticeLane(StrEnum):
    """Who can cause a notice, and how much depends on it."""

    ORDINARY = "ordinary"
    CRITICAL = "critical"
    OUTSIDE = "outside"
    REMINDER = "reminder"


class BudgetScope(StrEnum):
    """What a budget is counted for: a contact's address, all telephones of an account, or a contact while one recovery waits."""

    CONTACT = "contact"
    ACCOUNT = "account"
    RECOVERY = "recovery"


class NoticeBudget(msgspec.Struct, frozen=True):
    """A rate limit of notices, and what it is counted for."""

    scope: BudgetScope
    limit: RateLimit


CRITICAL: Final = frozenset(
    {
        NoticeKind.PASSWORD_CHANGED,
        NoticeKind.PASSWORD_RECOVERED,
        NoticeKind.CONTACT_REPLACED,
        NoticeKind.CONTACT_REMOVED,
        NoticeKind.ACCESS_RECOVERED,
        NoticeKind.ACCOUNT_LOCKED,
        NoticeKind.DELETION_ASKED,
        NoticeKind.DELETION_CANCELED,
        NoticeKind.ACCOUNT_ERASED,
    }
)
"""Notices of what can cost a person the account."""

_LANES: Final = {
    **dict.fromkeys(CRITICAL, NoticeLane.CRITICAL),
    NoticeKind.ACCESS_ASKED: NoticeLane.OUTSIDE,
    NoticeKind.ACCESS_WAITS: NoticeLane.REMINDER,
}


def _within(lane: NoticeLane) -> dict[ContactKind, tuple[NoticeBudget, ...]]:
    name = f"notice_{lane.value}"
    return {
        ContactKind.MAIL: (
            NoticeBudget(BudgetScope.CONTACT, RateLimit(name, 10, HOUR)),
            NoticeBudget(BudgetScope.CONTACT, RateLimit(f"{name}_day", 20, DAY)),
        ),
        ContactKind.PHONE: (
            NoticeBudget(BudgetScope.CONTACT, RateLimit(name, 5, HOUR)),
            NoticeBudget(BudgetScope.CONTACT, RateLimit(f"{name}_day", 10, DAY)),
            NoticeBudget(BudgetScope.ACCOUNT, RateLimit(f"{name}_phones", 15, HOUR)),
            NoticeBudget(BudgetScope.ACCOUNT, RateLimit(f"{name}_phones_day", 30, DAY)),
        ),
    }


_OF_ACTS: Final = {lane: _within(lane) for lane in (NoticeLane.ORDINARY, NoticeLane.CRITICAL)}
_OUTSIDE_BY_MAIL: Final = (NoticeBudget(BudgetScope.CONTACT, RateLimit("notice_outside", 2, DAY)),)
_REMINDER_BY_MAIL: Final = (NoticeBudget(BudgetScope.CONTACT, RateLimit("notice_reminder", 1, 23 * HOUR)),)
"""An hour less than a day, because the clocks of two machines may differ."""
_OUTSIDE_BY_PHONE: Final = (
    NoticeBudget(BudgetScope.RECOVERY, RateLimit("notice_recovery", 1, 14 * DAY)),
    NoticeBudget(BudgetScope.CONTACT, RateLimit("notice_outside", 3, DAY)),
)
"""Once while a recovery waits. Whoever stops it hears of the next one, and strangers cannot make that more than three a day."""
_OUTSIDE_BY_PHONE_ALONE: Final = (
    NoticeBudget(BudgetScope.RECOVERY, RateLimit("notice_recovery_alone", 1, 2 * DAY)),
    NoticeBudget(BudgetScope.CONTACT, RateLimit("notice_outside", 3, DAY)),
)
"""An account without a mailbox is reminded by phone, every other day."""

GATHERED: Final = {
    NoticeLane.ORDINARY: (RateLimit("notice_gathered", 1, HOUR), RateLimit("notice_gathered_day", 4, DAY)),
    NoticeLane.OUTSIDE: (RateLimit("notice_gathered_outside", 1, DAY),),
}
"""How often a mailbox gets one mail about what was gathered."""


def lane_of(kind: NoticeKind) -> NoticeLane:
    """Return the lane of a kind of notice."""
    return _LANES.get(kind, NoticeLane.ORDINARY)


def gathering_lane(kind: NoticeKind) -> NoticeLane:
    """Return the lane in which a kind of notice is gathered: what strangers asked for is told apart from what was done."""
    return NoticeLane.OUTSIDE if lane_of(kind) is NoticeLane.OUTSIDE else NoticeLane.ORDINARY


def notice_budgets(lane: NoticeLane, contact: ContactKind, *, has_mailbox: bool) -> tuple[NoticeBudget, ...]:
    """Return the budgets that a notice to a contact must all be within. `has_mailbox` says whether the account also has a mailbox."""
    if lane in _OF_ACTS:
        return _OF_ACTS[lane][contact]
    if contact is ContactKind.PHONE:
        return _OUTSIDE_BY_PHONE if has_mailbox else _OUTSIDE_BY_PHONE_ALONE
    return _OUTSIDE_BY_MAIL if lane is NoticeLane.OUTSIDE else _REMINDER_BY_MAIL
