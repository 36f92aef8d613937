"""Apply an approved and proved change in one transaction, with everything that ends by it and every notice of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.account import AccountSnapshot
from countersign.domain.accounts.change import (
    RULES,
    AccountChange,
    ChangeEffect,
    ChangeRefusal,
    ChangeState,
    check_change,
)
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.snapshot import lock_snapshot
from countersign.flows.changes.apply_kinds import write_kind
from countersign.flows.changes.epoch import end_sessions, raise_epoch
from countersign.flows.changes.request import change_event, facts_of, new_change
from countersign.store.engine.database import ConflictError, Write
from countersign.store.tables import changes, login_flows, sessions

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.domain.accounts.change import ChangeRequest
    from countersign.flows.accounts.context import AccountContext, BrowserContext


class Applied(msgspec.Struct, frozen=True):
    """The change was applied, canceled or undone; `change` is as it is now."""

    change: AccountChange


async def apply_change(
    context: AccountContext, browser: BrowserContext, request: ChangeRequest
) -> Applied | ChangeRefusal:
    """Apply a change once, or return why not. The request must name its `account`."""
    try:
        return await context.log.run(context.database, _apply, context, browser, request)
    except ConflictError:
        # Another account added this contact at the same moment.
        return ChangeRefusal.ANOTHERS


async def _apply(context: AccountContext, browser: BrowserContext, request: ChangeRequest) -> Applied | ChangeRefusal:
    now, rule, account = context.now(), RULES[request.kind], request.account
    snapshot = await lock_snapshot(account)
    if snapshot is None:
        return ChangeRefusal.UNKNOWN
    if not await _is_current(snapshot.account, request, now):
        return ChangeRefusal.OUTDATED
    if request.flow and not await login_flows.delete(request.flow):
        return ChangeRefusal.NOT_PENDING
    pending = await changes.find(account, request.pending)
    if request.pending and (pending is None or not await _may_complete(pending, now)):
        return ChangeRefusal.NOT_PENDING
    blind_index = context.blind_index(request.contact) if request.contact is not None else b""
    if refusal := check_change(request.kind, request.target, blind_index, snapshot, now):
        return refusal
    written = await write_kind(context, request, snapshot, now)
    if isinstance(written, ChangeRefusal):
        return written
    change = _applied(pending or _new_change(context, browser, request, snapshot), written.effect, now)
    rows, events = [*written.rows], [change_event(context, EventKind.CHANGE_APPLIED, change, now), *written.events]
    if rule.ends_sessions:
        events += await end_sessions(context, account, now, but=request.session)
    if rule.raises_epoch:
        ended = frozenset((*written.effect.contacts_ended, *written.effect.factors_ended))
        after = written.account or snapshot.account
        raised = await raise_epoch(context, after, now, session=request.session, ended=ended, but=change.id)
        rows += raised.rows
        events += raised.events
    place = context.place(browser.ip)
    if rule.notifies:
        # The contacts as they were before: a removed one is notified, and the user of a new one has just proved it.
        rows += await owe_notices(
            context,
            snapshot.account,
            snapshot.contacts,
            NoticeKind(request.kind.value),
            browser=browser,
            place=place,
            now=now,
            facts=facts_of(change),
        )
    rows.append(changes.insert(change) if pending is None else changes.update(change))
    activity = await record_events(context, events, browser, place)
    await Write((*rows, *activity), last=True)
    return Applied(change)


async def _is_current(account: Account, request: ChangeRequest, now: int) -> bool:
    """Return True if the account has not been changed since the request was made, and if the session that asked is still there."""
    if account.epoch != request.epoch or account.disabled_at is not None:
        return False
    if request.pending or not request.session:
        return True
    return await sessions.find_by_id(account.id, request.session, now) is not None


async def _may_complete(pending: AccountChange, now: int) -> bool:
    """Return True if a pending change may be applied now. It ends with the session that asked for it (semantics A3)."""
    if pending.state_at(now) is not ChangeState.PENDING or now < pending.due_at:
        return False
    return not pending.session or (await sessions.find_by_id(pending.account, pending.session, now)) is not None


def _new_change(
    context: AccountContext, browser: BrowserContext, request: ChangeRequest, snapshot: AccountSnapshot
) -> AccountChange:
    """Return the change of a request that was never pending; it keeps the previous password where a lock restores that."""
    account = snapshot.account
    before = context.keyring.unseal(account.password, account.id) if RULES[request.kind].undone_by_lock else ""
    return new_change(context, browser, request, sealed=before, until=context.now())


def _applied(change: AccountChange, effect: ChangeEffect, now: int) -> AccountChange:
    return replace(
        change,
        state=ChangeState.APPLIED,
        until=now + RULES[change.kind].undo,
        applied_at=now,
        remind_at=None,
        effect=effect,
    )
