"""Send notices of what happened to an account to its proved contacts, through the same outbox as codes.

Each contact has budgets of its own. What is beyond them is kept as a notice that waits, and `gathered_notices.py` tells of it by mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from countersign.domain.accounts.change import ChangeKind, ChangeState
from countersign.domain.accounts.notice_budget import (
    GATHER_AFTER,
    BudgetScope,
    NoticeBudget,
    NoticeLane,
    lane_of,
    notice_budgets,
)
from countersign.domain.delivery.delivery import Delivery, new_delivery
from countersign.domain.delivery.notice import CONTACT_FACT, LIFETIME, ZONE_FACT, Notice, NoticeKind
from countersign.domain.shared.contact import CHANNELS_OF, Channel, ContactKind
from countersign.domain.shared.phone_region import region_of
from countersign.domain.verifications.rate_limit import RateLimit, check_limit
from countersign.flows.accounts.activity import Sending, insert_sent
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, changes, deliveries, notices, rate_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from countersign.domain.accounts.account import Account, OwnedContact
    from countersign.flows.accounts.context import AccountContext, BrowserContext

_Recipient: TypeAlias = "tuple[OwnedContact, Channel, str]"
"""A contact that can be reached, the channel, and the address."""
_Limits: TypeAlias = list[tuple[RateLimit, bytes, bool]]
"""Limits with their keys; a notice must be within all of them, and counts for those that are True."""

_OF_RECOVERY: Final = frozenset({NoticeLane.OUTSIDE, NoticeLane.REMINDER})


async def owe_notices(
    context: AccountContext,
    account: Account,
    contacts: Iterable[OwnedContact],
    kind: NoticeKind,
    *,
    browser: BrowserContext,
    place: str,
    now: int,
    facts: Mapping[str, str] | None = None,
    about: str = "",
    is_listed: bool = True,
) -> tuple[Change, ...]:
    """Count a notice to each proved contact that can be reached, and return the changes that owe it.

    Await this in the transaction of the act itself, before its last write. `browser` and `place` say where it was done, `now` (ms) when,
    and `facts` what else the message says. `about` is the contact that it tells of, stored sealed. `is_listed` is False for a notice that
    no account is left to list. A contact whose budget is used up hears later, with everything else that was held. A reminder beyond the
    budget is left out, because it says nothing new.
    """
    recipients = _recipients(context, contacts)
    lane, said = lane_of(kind), dict(facts or {})
    limits = await _limits(context, account.id, recipients, lane, said.get("change", ""), now)
    within = await _consume(limits, now)
    made: list[Notice] = []
    owed: list[Delivery] = []
    sent: list[Sending] = []
    for (contact, channel, address), allowed in zip(recipients, within, strict=True):
        if not allowed and lane is NoticeLane.REMINDER:
            continue
        id_ = context.id("ntc")
        made.append(
            Notice(
                id=id_,
                account=account.id,
                application=context.own.id,
                kind=kind,
                to=context.keyring.seal(address, id_),
                to_kind=contact.kind,
                masked=contact.masked,
                locale=account.locale,
                facts={
                    "user_agent": browser.user_agent,
                    "ip": browser.ip,
                    "place": place,
                    **said,
                    **({ZONE_FACT: account.timezone} if account.timezone else {}),
                    CONTACT_FACT: contact.id,
                },
                created_at=now,
                expires_at=now + LIFETIME,
                about=context.keyring.seal(about, id_) if about else None,
                held_until=None if allowed else now + GATHER_AFTER,
            )
        )
        sent.append(Sending(id_, kind.value, contact.masked, contact.blind_index))
        if allowed:
            owed.append(notice_delivery(context, id_, channel, address, now))
    if not made:
        return ()
    held = {notice.id for notice in made if notice.held_until is not None}
    return (
        *notices.insert(made),
        *deliveries.insert(owed),
        *(insert_sent(context, account.id, now, sent, held=held) if is_listed else ()),
    )


def notice_delivery(context: AccountContext, notice_id: str, channel: Channel, address: str, now: int) -> Delivery:
    """Return the message that a notice owes to an address, due at once."""
    route = context.policy.route(channel, address, notice_id, live=context.own.live)
    region, own = region_of(address), context.own.id
    return new_delivery(notice_id, 1, channel, route, now, region=region, has_code=False, application=own)


def channel_of(context: AccountContext, kind: ContactKind) -> Channel | None:
    """Return the channel by which a kind of contact gets notices, or None if no provider sends there."""
    return next((one for one in CHANNELS_OF[kind] if context.policy.is_available(one, live=context.own.live)), None)


def _recipients(context: AccountContext, contacts: Iterable[OwnedContact]) -> list[_Recipient]:
    """Return the proved contacts that can be reached, the oldest first: what many new ones use up is not taken from those before."""
    return [
        (contact, channel, context.keyring.unseal(contact.address, contact.id))
        for contact in sorted(contacts, key=lambda one: (one.added_at, one.id))
        if contact.proved_at is not None and (channel := channel_of(context, contact.kind)) is not None
    ]


async def _limits(
    context: AccountContext, account: str, recipients: Sequence[_Recipient], lane: NoticeLane, change: str, now: int
) -> list[_Limits]:
    """Return the limits that a notice to each recipient must be within.

    However many recoveries wait, a telephone hears of them once: the limits of all that wait are looked at, and that of `change` is
    counted. When the one that it heard of is stopped, it hears of the next.
    """
    if not recipients:
        return []
    waiting = await _waiting_recoveries(account, change, now) if lane in _OF_RECOVERY else [change]
    has_mailbox = any(contact.kind is ContactKind.MAIL for contact, _, _ in recipients)
    blind_index = context.keyring.blind_index

    def limits_of(budget: NoticeBudget, address: str) -> _Limits:
        limit = budget.limit
        if budget.scope is BudgetScope.RECOVERY:
            return [(limit, blind_index("limit", limit.name, address, one), one == change) for one in waiting]
        counted_for = account if budget.scope is BudgetScope.ACCOUNT else address
        return [(limit, blind_index("limit", limit.name, counted_for), True)]

    return [
        [
            each
            for budget in notice_budgets(lane, contact.kind, has_mailbox=has_mailbox)
            for each in limits_of(budget, address)
        ]
        for contact, _, address in recipients
    ]


async def _waiting_recoveries(account: str, change: str, now: int) -> list[str]:
    """Return the ids of the delayed recoveries that wait, with `change`, and lock the account."""
    await accounts.lock(account)
    waiting = {
        one.id
        for one in await changes.list_open(account, now)
        if one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING
    }
    return sorted({*waiting, change})


async def _consume(limits: Sequence[_Limits], now: int) -> list[bool]:
    """Count one notice against the limits of each recipient, one after the other; return which are within all of theirs.

    A notice that is beyond one limit is counted for none.
    """
    timestamps = await rate_limits.lock_timestamps([key for one in limits for _, key, _ in one])
    changed: dict[bytes, int] = {}
    within: list[bool] = []
    for one in limits:
        results = [(key, check_limit(limit, timestamps.get(key), now), counts) for limit, key, counts in one]
        within.append(all(result.allowed for _, result, _ in results))
        if within[-1]:
            spent = {key: result.tat for key, result, counts in results if counts}
            timestamps.update(spent)
            changed.update(spent)
    if changed:
        await Write(rate_limits.upsert_timestamps(changed))
    return within
