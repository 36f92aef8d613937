"""Delete an account at the wish of its owner: proved, told to every contact, and carried out after a delay in which it can be canceled."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts import recovery
from countersign.domain.accounts.change import UNDO_PERIOD, ChangeKind, ChangeRefusal, ChangeState
from countersign.domain.accounts.deletion import (
    DAY,
    is_deletion_due,
    is_deletion_pending,
    with_deletion,
    without_deletion,
)
from countersign.domain.accounts.session import Level, ProofRequirement, Session, approval_source, satisfies
from countersign.domain.delivery.notice import DUE_FACT, PROVED_BY_FACT, NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot, lock_snapshot
from countersign.flows.changes.epoch import deletion_canceled
from countersign.store.engine.database import Append, Write
from countersign.store.tables import accounts, changes, erasure, sessions

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account, OwnedContact

_KIND: Final = "account_deleted"
"""The kind of act that a deletion is."""
_MAX_ERASED: Final = 100
"""Accounts that one call erases."""


class DeletionPending(msgspec.Struct, frozen=True):
    """The account will be erased at `due_at` (ms), unless somebody cancels that."""

    due_at: int


DeletionResult: TypeAlias = DeletionPending | ProofRequirement | ChangeRefusal


async def request_deletion(
    context: AccountContext, browser: BrowserContext, session: Session, summary: str
) -> DeletionResult:
    """Ask for the deletion of the account of a session.

    The session must give a proof for this very act first; `summary` says in the user's language what they approve. Every contact is told,
    also one that was removed lately, and can stop it. REDUCED and CONTESTED: somebody may be taking the account back.
    """
    snapshot = await context.database.read(find_snapshot, session.account)
    if snapshot is None:
        return ChangeRefusal.UNKNOWN
    if refusal := _refusal(snapshot.account, context.now()):
        return refusal
    digest = hashlib.sha256(f"{_KIND}\0{session.account}".encode()).hexdigest()
    level = Level.APP_CODE if snapshot.strong else Level.MAIL_CODE
    requirement = ProofRequirement(level, None, Action(summary, digest), kind=_KIND)
    if not satisfies(session, requirement, context.now()) or not await use_approval(context, session, requirement):
        return requirement
    approved_by = approval_source(session, requirement, context.now())
    return await context.log.run(context.database, _request, context, browser, session, approved_by)


def _refusal(account: Account, now: int) -> ChangeRefusal | None:
    """Return why an account cannot be deleted now, or None."""
    if is_deletion_pending(account):
        return ChangeRefusal.ALREADY_YOURS
    if now < account.reduced_until:
        return ChangeRefusal.REDUCED
    return ChangeRefusal.CONTESTED if recovery.is_contested(account, now) else None


async def _request(
    context: AccountContext, browser: BrowserContext, session: Session, approved_by: str
) -> DeletionPending | ChangeRefusal:
    snapshot, now = await lock_snapshot(session.account), context.now()
    if snapshot is None or not snapshot.account.open or snapshot.account.epoch != session.epoch:
        return ChangeRefusal.OUTDATED
    if await sessions.find_by_id(session.account, session.id, now) is None:
        return ChangeRefusal.OUTDATED
    if refusal := _refusal(snapshot.account, now):
        return refusal
    applied = [one for one in await changes.list_open(session.account, now) if one.state is ChangeState.APPLIED]
    after = with_deletion(
        snapshot.account,
        now,
        delay=context.deletion_policy.delay,
        undoable_until=max((one.until for one in applied), default=now),
    )
    due_at = after.deletion_at or now
    event = Event(now, EventKind.DELETION_ASKED, context.own.id, after.id, {"due": due_at})
    place = context.place(browser.ip)
    notices = await owe_notices(
        context,
        snapshot.account,
        await _to_tell(after, now),
        NoticeKind.DELETION_ASKED,
        browser=browser,
        place=place,
        now=now,
        facts={DUE_FACT: str(due_at), **({PROVED_BY_FACT: approved_by} if approved_by else {})},
    )
    activity = await record_events(context, [event], browser, place)
    await Write((accounts.update(after), *notices, *activity), last=True)
    return DeletionPending(due_at)


async def _to_tell(account: Account, now: int) -> list[OwnedContact]:
    """Return the contacts of an account, and those that were removed so lately that the removal can be undone.

    Otherwise a thief would replace the contact first, and the owner would not hear of the deletion.
    """
    return [
        one
        for one in await accounts.list_all_contacts(account.id)
        if one.ended_at is None or (now < one.ended_at + UNDO_PERIOD and recovery.is_reporter(one))
    ]


async def cancel_deletion(context: AccountContext, browser: BrowserContext, session: Session) -> bool:
    """Cancel the deletion, from any session of the account. Return False if none is pending."""
    return await context.log.run(context.database, _cancel, context, browser, session)


async def _cancel(context: AccountContext, browser: BrowserContext, session: Session) -> bool:
    account, now = await accounts.lock(session.account), context.now()
    if account is None or not account.open or account.epoch != session.epoch or not is_deletion_pending(account):
        return False
    if await sessions.find_by_id(account.id, session.id, now) is None:
        return False
    rows, events = await deletion_canceled(context, account, now, browser)
    activity = await record_events(context, events, browser, context.place(browser.ip))
    await Write((accounts.update(without_deletion(account)), *rows, *activity), last=True)
    return True


async def erase_due(context: AccountContext) -> int:
    """Erase the accounts whose delay is over; return how many."""
    now, erased = context.now(), 0
    for account_id in await context.database.read(accounts.list_deletions_due, now, _MAX_ERASED):
        erased += await context.log.run(context.database, _erase_due, context, account_id)
    if erased:
        context.database.notify()
    return erased


async def _erase_due(context: AccountContext, account_id: str) -> int:
    """Erase an account if its deletion is due as it is now: whatever has changed it meanwhile has ended the deletion (semantics A8).

    While a delayed recovery waits, the account waits too. It ends with a new owner or with "stop it", which bars the next one for long.
    """
    account, now = await accounts.lock(account_id), context.now()
    if account is None or account.deletion_at is None or now < account.deletion_at:
        return 0
    if account.deletion.epoch != account.epoch:
        # An older release has changed the account, and did not know of the deletion.
        await Write((accounts.update(without_deletion(account)),), last=True)
        return 0
    open_changes = await changes.list_open(account_id, now)
    is_claimed = any(
        one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING for one in open_changes
    )
    if is_claimed or not is_deletion_due(account, now):
        await Write((accounts.update(replace(account, deletion_at=now + DAY)),), last=True)
        return 0
    farewell = await owe_notices(
        context,
        account,
        await accounts.list_contacts(account_id),
        NoticeKind.ACCOUNT_ERASED,
        browser=BrowserContext(),
        place="",
        now=now,
        is_listed=False,
    )
    counts = await erasure.delete_account(account_id)
    await Append([Event(now, EventKind.ACCOUNT_ERASED, context.own.id, account_id, {"by": "owner", **counts})])
    await Write(farewell, last=True)
    return 1
