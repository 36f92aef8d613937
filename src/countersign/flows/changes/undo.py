"""Undo changes: cancel a pending one, take an applied one back, or lock the account at the word of one of its contacts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts import recovery
from countersign.domain.accounts.account import Account, AccountSnapshot, OwnedContact
from countersign.domain.accounts.change import (
    RULES,
    AccountChange,
    ChangeKind,
    ChangeRefusal,
    ChangeState,
    canceled,
    revert,
    with_primary,
)
from countersign.domain.accounts.deletion import is_deletion_pending, without_deletion
from countersign.domain.accounts.recovery import ReportVerdict
from countersign.domain.accounts.session import Level, ProofRequirement, Session, approval_source, satisfies
from countersign.domain.delivery.notice import PROVED_BY_FACT, NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_history, find_snapshot, lock_snapshot
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import stop_waiting
from countersign.flows.changes.epoch import cancel_pending, end_sessions, raise_epoch
from countersign.flows.changes.request import change_event, facts_of
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, authenticators, changes, devices, integration_codes, sessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from countersign.flows.accounts.context import AccountContext, BrowserContext


_UNDO: Final = "undo"
"""The kind of act that an undo is."""


async def cancel_change(
    context: AccountContext, browser: BrowserContext, account: str, change_id: str
) -> Applied | ChangeRefusal:
    """Cancel a pending change, from any session of the account (semantics A3). A delayed recovery is stopped as a contact stops it."""
    return await context.log.run(context.database, _cancel, context, browser, account, change_id)


async def _cancel(
    context: AccountContext, browser: BrowserContext, account: str, change_id: str
) -> Applied | ChangeRefusal:
    now = context.now()
    await accounts.lock(account)
    change = await changes.find(account, change_id)
    if change is None or change.state_at(now) is not ChangeState.PENDING:
        return ChangeRefusal.NOT_PENDING
    if change.kind is ChangeKind.ACCESS_RECOVERED:
        await stop_waiting(context, browser, account)
        return Applied(canceled(change, now))
    event = change_event(context, EventKind.CHANGE_CANCELED, change, now)
    activity = await record_events(context, [event], browser, context.place(browser.ip))
    await Write((changes.update(canceled(change, now)), *activity), last=True)
    return Applied(canceled(change, now))


async def undo_change(
    context: AccountContext, browser: BrowserContext, session: Session, change_id: str, summary: str, masked: str = ""
) -> Applied | ChangeRefusal | ProofRequirement:
    """Undo an applied change: what it added ends, and what it ended comes back.

    The session must give a proof for this very undo first; `summary` says in the user's language what they approve, and
    `masked` the same with every contact masked.
    """
    snapshot = await context.database.read(find_snapshot, session.account)
    change = await context.database.read(changes.find, session.account, change_id)
    if snapshot is None or change is None or not change.is_undoable(context.now()):
        return ChangeRefusal.NOT_PENDING
    digest = hashlib.sha256(f"undo\0{change_id}".encode()).hexdigest()
    level = Level.APP_CODE if snapshot.strong else Level.MAIL_CODE
    requirement = ProofRequirement(level, None, Action(summary, digest, masked=masked), kind=_UNDO)
    if not satisfies(session, requirement, context.now()) or not await use_approval(context, session, requirement):
        return requirement
    approved_by = approval_source(session, requirement, context.now())
    return await context.log.run(context.database, _undo, context, browser, session, change_id, approved_by)


async def _undo(
    context: AccountContext, browser: BrowserContext, session: Session, change_id: str, approved_by: str
) -> Applied | ChangeRefusal:
    now, account = context.now(), session.account
    snapshot = await lock_snapshot(account)
    if snapshot is None or snapshot.account.epoch != session.epoch or not snapshot.account.open:
        return ChangeRefusal.OUTDATED
    if await sessions.find_by_id(account, session.id, now) is None:
        return ChangeRefusal.OUTDATED
    change = await changes.find(account, change_id)
    if change is None or not change.is_undoable(now):
        return ChangeRefusal.NOT_PENDING
    before = await find_history(snapshot.account)
    after = with_primary(revert(before, change.effect, now))
    if not after.active_contacts:
        return ChangeRefusal.LAST_CONTACT
    rows = await restored_rows(snapshot, before, after)
    ended = frozenset((*change.effect.contacts_added, *change.effect.factors_added))
    raised = await raise_epoch(context, snapshot.account, now, session=session.id, ended=ended)
    undone = replace(change, state=ChangeState.UNDONE, ended_at=now)
    await finish_undo(
        context,
        browser,
        after,
        NoticeKind.CHANGE_UNDONE,
        now=now,
        rows=[*rows, changes.update(undone), *raised.rows],
        events=[change_event(context, EventKind.CHANGE_UNDONE, undone, now), *raised.events],
        facts=facts_of(undone) | {PROVED_BY_FACT: approved_by},
    )
    return Applied(undone)


async def lock_account(
    context: AccountContext,
    browser: BrowserContext,
    snapshot: AccountSnapshot,
    reporter: OwnedContact | None,
    *,
    verdict: ReportVerdict,
    since: int,
    involved: frozenset[str],
) -> LockedAccount:
    """Lock an account at the word of the holder of one of its contacts (semantics S6). Await it in a transaction that has locked the row.

    Every session, all trust, every pending change and every integration code end. Changes that were requested at `since` (ms) or
    later are undone, newest first, if they still can be. So are authenticators that were added before, and contacts that another contact
    has approved, if a link to this contact could have undone that: the lock ends that link. No password signs in until the account is
    recovered. `involved` are the contacts by which the reported act was done, or that it removed.
    """
    now, account = context.now(), snapshot.account.id
    events = await end_sessions(context, account, now)
    facts: dict[str, str | int] = {"sessions": len(events), "browsers": await devices.end_trust(account)}
    facts["integration_codes"] = len(await integration_codes.end_all(account, now))
    stopped = await _is_recovery_waiting(account, now)
    rows, canceled_events = await cancel_pending(context, account, now)
    events += canceled_events
    before = await find_history(snapshot.account)
    applied = [one for one in await changes.list_open(account, now) if one.is_undone_by_lock(now)]
    meant = [
        one
        for one in applied
        if (one.applied_at or 0) >= since
        or (
            reporter is not None and one.is_foreign_way_in(reporter.id, recovery.told_since(snapshot.account, reporter))
        )
    ]
    after, undone = revert_all(before, meant, now)
    rows += [changes.update(one) for one in undone]
    events += [change_event(context, EventKind.CHANGE_UNDONE, one, now) for one in undone]
    events.append(Event(now, EventKind.ACCOUNT_LOCKED, context.own.id, account, {**facts, "undone": len(undone)}))
    rows += await restored_rows(snapshot, before, after)
    reporter = next((one for one in after.contacts if reporter is not None and one.id == reporter.id), None)
    first = recovery.first_to_reopen(verdict, reporter, involved, now)
    locked = recovery.lock(
        _before_undone(context, snapshot.account, undone),
        first,
        password_counts=all(_is_weak(one) for one in undone),
        now=now,
    )
    if is_deletion_pending(snapshot.account):
        events.append(Event(now, EventKind.DELETION_CANCELED, context.own.id, account))
    locked = without_deletion(replace(locked, epoch=snapshot.account.epoch + 1))
    if stopped:
        locked = recovery.bar(locked, now)
    rows.append(accounts.update(locked))
    await finish_undo(context, browser, after, NoticeKind.ACCOUNT_LOCKED, now=now, rows=rows, events=events)
    return LockedAccount(len(undone), len(meant) - len(undone), bool(first))


class LockedAccount(msgspec.Struct, frozen=True):
    """How many changes a lock has undone, and how many it could not undo, because no contact would be left.

    `goes_first`: the contact that reported goes before the others in choosing the new password.
    """

    undone: int
    left: int
    goes_first: bool


async def _is_recovery_waiting(account: str, now: int) -> bool:
    return any(
        one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING
        for one in await changes.list_open(account, now)
    )


def _is_weak(change: AccountChange) -> bool:
    """Return True unless a change replaced the password by more than one proof. Its previous password is then no proof again.

    A thief who knows that password could otherwise bring it back by reporting the owner's own change.
    """
    if change.kind is ChangeKind.PASSWORD_RECOVERED:
        return not change.effect.with_password
    return change.kind not in {ChangeKind.PASSWORD_CHANGED, ChangeKind.ACCESS_RECOVERED}


def _before_undone(context: AccountContext, account: Account, undone: Sequence[AccountChange]) -> Account:
    """Return the account with the password that it had before the changes that were undone, newest first."""
    oldest = next((one for one in reversed(undone) if RULES[one.kind].undone_by_lock), None)
    if oldest is not None:
        # The previous password signs in nowhere now. But a user who knows it, and proves a contact, may need no further proof.
        password = context.keyring.seal(context.keyring.unseal(oldest.data, oldest.id), account.id)
        account = replace(account, password=password, recovered_by=oldest.effect.recovered_by)
    if any(one.kind is ChangeKind.ACCESS_RECOVERED for one in undone):
        account = replace(account, reduced_until=0)
    return account


def revert_all(
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


async def restored_rows(snapshot: AccountSnapshot, before: AccountSnapshot, after: AccountSnapshot) -> list[Change]:
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


async def finish_undo(
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
