"""Undo changes: cancel a pending one, take an applied one back, or lock the account at the word of one of its contacts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from countersign.domain.accounts.account import AccountSnapshot
from countersign.domain.accounts.change import RULES, AccountChange, ChangeRefusal, ChangeState, revert, with_primary
from countersign.domain.accounts.session import Level, ProofRequirement, Session, satisfies
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_history, find_snapshot, lock_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.epoch import cancel_pending, end_sessions, raise_epoch
from countersign.flows.changes.request import change_event, facts_of
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, authenticators, changes, devices, integration_codes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from countersign.flows.accounts.context import AccountContext, BrowserContext


_UNDO: Final = "undo"
"""The kind of act that an undo is."""


async def cancel_change(
    context: AccountContext, browser: BrowserContext, account: str, change_id: str
) -> Applied | ChangeRefusal:
    """Cancel a pending change, from any session of the account or at the word of a contact (semantics A3, R5)."""
    return await context.log.run(context.database, _cancel, context, browser, account, change_id)


async def _cancel(
    context: AccountContext, browser: BrowserContext, account: str, change_id: str
) -> Applied | ChangeRefusal:
    now = context.now()
    await accounts.lock(account)
    change = await changes.find(account, change_id)
    if change is None or change.state_at(now) is not ChangeState.PENDING:
        return ChangeRefusal.NOT_PENDING
    canceled = replace(change, state=ChangeState.CANCELED, ended_at=now, remind_at=None)
    event = change_event(context, EventKind.CHANGE_CANCELED, canceled, now)
    activity = await record_events(context, [event], browser, context.place(browser.ip))
    await Write((changes.update(canceled), *activity), last=True)
    return Applied(canceled)


async def undo_change(
    context: AccountContext, browser: BrowserContext, session: Session, change_id: str, summary: str
) -> Applied | ChangeRefusal | ProofRequirement:
    """Undo an applied change: what it added ends, and what it ended comes back.

    The session must give a proof for this very undo first; `summary` says in the user's language what they approve.
    """
    snapshot = await context.database.read(find_snapshot, session.account)
    change = await context.database.read(changes.find, session.account, change_id)
    if snapshot is None or change is None or not change.is_undoable(context.now()):
        return ChangeRefusal.NOT_PENDING
    digest = hashlib.sha256(f"undo\0{change_id}".encode()).hexdigest()
    level = Level.APP_CODE if snapshot.strong else Level.MAIL_CODE
    requirement = ProofRequirement(level, None, Action(summary, digest), kind=_UNDO)
    if not satisfies(session, requirement, context.now()) or not await use_approval(context, session, requirement):
        return requirement
    return await context.log.run(context.database, _undo, context, browser, session, change_id)


async def _undo(
    context: AccountContext, browser: BrowserContext, session: Session, change_id: str
) -> Applied | ChangeRefusal:
    now, account = context.now(), session.account
    snapshot = await lock_snapshot(account)
    if snapshot is None or snapshot.account.epoch != session.epoch or not snapshot.account.open:
        return ChangeRefusal.OUTDATED
    change = await changes.find(account, change_id)
    if change is None or not change.is_undoable(now):
        return ChangeRefusal.NOT_PENDING
    before = await find_history(snapshot.account)
    after = with_primary(revert(before, change.effect, now))
    if not after.active_contacts:
        return ChangeRefusal.LAST_CONTACT
    rows = await _restore(snapshot, before, after)
    ended = frozenset((*change.effect.contacts_added, *change.effect.factors_added))
    raised = await raise_epoch(context, snapshot.account, now, session=session.id, ended=ended)
    undone = replace(change, state=ChangeState.UNDONE, ended_at=now)
    await _finish_undo(
        context,
        browser,
        after,
        NoticeKind.CHANGE_UNDONE,
        now=now,
        rows=[*rows, changes.update(undone), *raised.rows],
        events=[change_event(context, EventKind.CHANGE_UNDONE, undone, now), *raised.events],
        facts=facts_of(undone),
    )
    return Applied(undone)


async def lock_account(context: AccountContext, browser: BrowserContext, account: str, since: int) -> int:
    """Lock an account at the word of the holder of one of its contacts (semantics S6); return how many changes were undone.

    Every session, all trust, every pending change and every integration code end. Changes that were requested at `since` (ms) or
    later are undone, newest first, if they still can be. No password signs in until the account is recovered.
    """
    undone = await context.log.run(context.database, _lock, context, browser, account, since)
    context.database.notify()
    return undone


async def _lock(context: AccountContext, browser: BrowserContext, account: str, since: int) -> int:
    now = context.now()
    snapshot = await lock_snapshot(account)
    if snapshot is None:
        return 0
    events = await end_sessions(context, account, now)
    facts: dict[str, str | int] = {"sessions": len(events), "browsers": await devices.end_trust(account)}
    facts["integration_codes"] = len(await integration_codes.end_all(account, now))
    rows, canceled = await cancel_pending(context, account, now)
    events += canceled
    before = await find_history(snapshot.account)
    applied = [one for one in await changes.list_open(account, now) if one.is_undone_by_lock(now)]
    after, undone = _revert_all(before, [one for one in applied if (one.applied_at or 0) >= since], now)
    rows += [changes.update(one) for one in undone]
    events += [change_event(context, EventKind.CHANGE_UNDONE, one, now) for one in undone]
    events.append(Event(now, EventKind.ACCOUNT_LOCKED, context.own.id, account, {**facts, "undone": len(undone)}))
    rows += await _restore(snapshot, before, after)
    locked = replace(snapshot.account, locked_at=now, epoch=snapshot.account.epoch + 1)
    if sealed := next((one for one in reversed(undone) if RULES[one.kind].undone_by_lock), None):
        # The previous password signs in nowhere now. But a user who knows it, and proves a contact, needs no further proof.
        password = context.keyring.seal(context.keyring.unseal(sealed.data, sealed.id), account)
        locked = replace(locked, password=password, recovered_by="")
    rows.append(accounts.update(locked))
    await _finish_undo(context, browser, after, NoticeKind.ACCOUNT_LOCKED, now=now, rows=rows, events=events)
    return len(undone)


def _revert_all(
    history: AccountSnapshot, applied: Sequence[AccountChange], now: int
) -> tuple[AccountSnapshot, list[AccountChange]]:
    """Undo changes one after the other, except those that would leave no contact; return the history, and what was undone."""
    undone = []
    for change in applied:
        reverted = revert(history, change.effect, now)
        if reverted.active_contacts:
            history = reverted
            undone.append(replace(change, state=ChangeState.UNDONE, ended_at=now))
    return with_primary(history), undone


async def _restore(snapshot: AccountSnapshot, before: AccountSnapshot, after: AccountSnapshot) -> list[Change]:
    """Return the rows in which two histories differ, and delete the identifiers of contacts that end.

    A contact becomes an identifier again unless another account has taken it meanwhile. `snapshot` is the account before the undo.
    """
    active_before = {contact.id for contact in snapshot.contacts}
    rows: list[Change] = []
    for old, contact in zip(before.contacts, after.contacts, strict=True):
        if contact == old:
            continue
        rows.append(accounts.update_contact(contact))
        if contact.ended_at is not None:
            await accounts.delete_identifier(contact)
        elif contact.id not in active_before and not await accounts.find_id_by_identifier(contact.blind_index):
            rows.append(accounts.insert_identifier(contact))
    moved = [one for old, one in zip(before.authenticators, after.authenticators, strict=True) if one != old]
    return [*rows, *authenticators.update(moved)]


async def _finish_undo(
    context: AccountContext,
    browser: BrowserContext,
    after: AccountSnapshot,
    notice: NoticeKind,
    *,
    now: int,
    rows: Sequence[Change],
    events: Sequence[Event],
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write the rows and events of an undo, and send the notice to every contact that the account has afterwards."""
    place = context.place(browser.ip)
    activity = await record_events(context, events, browser, place)
    notices = await owe_notices(
        context,
        after.account,
        after.active_contacts,
        notice,
        browser=browser,
        place=place,
        now=now,
        facts=facts,
    )
    await Write((*rows, *notices, *activity), last=True)
