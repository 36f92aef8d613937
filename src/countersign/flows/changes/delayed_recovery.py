"""Claim: who lost everything proves a new contact and waits, while every contact is told and can stop it (semantics R5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.change import CLAIM_LASTS, DAY, WAIT, AccountChange, ChangeKind, ChangeState
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import parse_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity_log import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound
from countersign.flows.accounts.notify import insert_notices
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.changes.request import PendingContact
from countersign.store.engine.database import Write
from countersign.store.tables import changes, login_flows

if TYPE_CHECKING:
    from countersign.flows.accounts.login_flow import StoredFlow

REMIND_EVERY: Final = DAY

_encode: Final = msgspec.json.Encoder().encode


class RecoveryPending(msgspec.Struct, frozen=True):
    """If there is such an account, its wait has begun; from `due_at` (ms) on it can be finished with the new contact."""

    due_at: int


async def request_delayed_recovery(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow
) -> RecoveryPending | FlowNotFound:
    """Begin the wait, now that the new contact is proved; the browser is told the same where there is no such account (semantics R1)."""
    flow, now = stored.flow, context.now()
    contact = parse_contact(flow.address)
    id_ = context.id("chg")
    pending = AccountChange(
        account=flow.account,
        id=id_,
        kind=ChangeKind.ACCESS_RECOVERED,
        asked_at=now,
        session="",
        blind_index=context.blind_index(contact),
        about=contact.masked,
        data=context.keyring.seal(_encode(PendingContact("", contact.address)).decode(), id_),
        user_agent=browser.user_agent,
        place=context.place(browser.ip),
        state=ChangeState.PENDING,
        until=now + WAIT + CLAIM_LASTS,
        remind_at=now + REMIND_EVERY,
    )
    begun = await context.log.run(context.database, _begin, context, browser, stored.mark, pending)
    return RecoveryPending(pending.due_at) if begun else FlowNotFound()


async def _begin(context: AccountContext, browser: BrowserContext, flow: bytes, pending: AccountChange) -> bool:
    if not (await login_flows.delete(flow)):
        return False
    holdings = await find_snapshot(pending.account)
    if holdings is None:
        return True
    told = Event(
        pending.asked_at,
        EventKind.CHANGE_ASKED,
        context.own.id,
        pending.account,
        {"change": pending.id, "kind": pending.kind.value, "about": pending.about},
    )
    recorded = await record_events(context, [told], browser, pending.place)
    notices = insert_notices(
        context,
        holdings.account,
        holdings.contacts,
        NoticeKind.ACCESS_ASKED,
        browser=browser,
        place=pending.place,
        now=pending.asked_at,
        facts={"change": pending.id, "about": pending.about},
    )
    await Write((changes.insert(pending), *notices, *recorded), last=True)
    return True


async def send_reminders(context: AccountContext) -> int:
    """Tell every contact of the accounts that are waited for, once a day; return how many were told of."""
    now, told = context.now(), 0
    for pending in await context.database.read(changes.list_due_reminders, now, 100):
        told += await context.database.run(_remind, context, pending, now)
    if told:
        context.database.notify()
    return told


async def _remind(context: AccountContext, pending: AccountChange, now: int) -> int:
    before = await changes.find(pending.account, pending.id)
    if before is None or before.remind_at != pending.remind_at or before.state_at(now) is not ChangeState.PENDING:
        if before is not None and before.remind_at is not None and now >= before.until:
            await Write((changes.update(msgspec.structs.replace(before, remind_at=None)),), last=True)
        return 0
    holdings = await find_snapshot(pending.account)
    if holdings is None:
        return 0
    notices = insert_notices(
        context,
        holdings.account,
        holdings.contacts,
        NoticeKind.ACCESS_WAITS,
        browser=BrowserContext(user_agent=before.user_agent),
        place=before.place,
        now=now,
        facts={"change": before.id, "about": before.about},
    )
    after = msgspec.structs.replace(before, remind_at=now + REMIND_EVERY)
    await Write((changes.update(after), *notices), last=True)
    return 1
