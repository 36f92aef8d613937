"""Apply an approved and proved change in one transaction, with everything that ends by it and every notice of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts import recovery
from countersign.domain.accounts.account import AccountSnapshot
from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import (
    RULES,
    UNDO_PERIOD,
    AccountChange,
    ChangeEffect,
    ChangeKind,
    ChangeRefusal,
    ChangeState,
    check_change,
    may_recover,
)
from countersign.domain.accounts.recovery import LockState
from countersign.domain.delivery.notice import PROVED_BY_FACT, NoticeKind
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.snapshot import lock_snapshot
from countersign.flows.changes.apply_kinds import write_kind
from countersign.flows.changes.epoch import end_sessions, raise_epoch
from countersign.flows.changes.request import change_event, facts_of, new_change
from countersign.store.engine.database import ConflictError, Write
from countersign.store.tables import authenticators, changes, login_flows, sessions

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
    request = await _with_rank(request, now)
    refusal = check_change(request.kind, request.target, blind_index, snapshot, now)
    if refusal := refusal or _check_proof(request, snapshot, now):
        return refusal
    written = await write_kind(context, request, snapshot, now)
    if isinstance(written, ChangeRefusal):
        return written
    is_reopening = recovery.lock_state(snapshot.account, now) is LockState.LOCKED
    change = pending or _new_change(context, browser, request, snapshot, is_reopening=is_reopening)
    effect = replace(written.effect, approved_by=request.approved_by)
    change = _applied(change, effect, now, is_reopening=is_reopening)
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
            facts={**facts_of(change), **_proved_by(request)},
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


async def _with_rank(request: ChangeRequest, now: int) -> ChangeRequest:
    """Return the request with the rank of its recovery code: one that a thief may have made a few days ago outranks nobody."""
    proof = request.proof
    if proof is None or not proof.recovery_code:
        return request
    used = [
        one
        for one in await authenticators.list_all(request.account)
        if one.kind is AuthenticatorKind.RECOVERY_CODE and (one.last_used_at or 0) >= proof.begun_at
    ]
    outranks = bool(used) and all(now >= one.added_at + UNDO_PERIOD for one in used)
    return replace(request, proof=replace(proof, outranks=outranks))


def _check_proof(request: ChangeRequest, snapshot: AccountSnapshot, now: int) -> ChangeRefusal | None:
    """Return why a proof does not recover the account as it is now, or None (semantics R7, A8). Other changes have no such proof."""
    proof = request.proof
    if proof is None:
        return None
    if request.kind is not ChangeKind.PASSWORD_RECOVERED:
        return None
    contact = next((one for one in snapshot.contacts if one.id == proof.contact), None)
    if not proof.recovery_code and (contact is None or not may_recover(contact, now)):
        return ChangeRefusal.NOT_PENDING
    return None if recovery.may_recover_now(snapshot, proof, now) else ChangeRefusal.CONTESTED


def _proved_by(request: ChangeRequest) -> dict[str, str]:
    proof = request.proof
    return {} if proof is None or proof.recovery_code or not proof.contact else {PROVED_BY_FACT: proof.contact}


def _new_change(
    context: AccountContext,
    browser: BrowserContext,
    request: ChangeRequest,
    snapshot: AccountSnapshot,
    *,
    is_reopening: bool,
) -> AccountChange:
    """Return the change of a request that was never pending; it keeps the previous password where a lock restores that.

    A password that is replaced while the account is locked never comes back (semantics R7).
    """
    account, keeps = snapshot.account, RULES[request.kind].undone_by_lock and not is_reopening
    before = context.keyring.unseal(account.password, account.id) if keeps else ""
    return new_change(context, browser, request, sealed=before, until=context.now())


def _applied(change: AccountChange, effect: ChangeEffect, now: int, *, is_reopening: bool) -> AccountChange:
    lasts = is_reopening and RULES[change.kind].undone_by_lock
    return replace(
        change,
        state=ChangeState.APPLIED,
        until=now if lasts else now + RULES[change.kind].undo,
        applied_at=now,
        remind_at=None,
        effect=effect,
    )
