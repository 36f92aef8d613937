"""Delayed recovery: a user without any working contact proves a new one, then waits 7 days in which every old contact can veto.

Semantics R5.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts import recovery
from countersign.domain.accounts.change import (
    DAY,
    RECOVERY_WAIT,
    RECOVERY_WINDOW,
    AccountChange,
    ChangeKind,
    ChangeRefusal,
    ChangeRequest,
    ChangeState,
    canceled,
)
from countersign.domain.accounts.login_flow import FLOW_LIFETIME
from countersign.domain.accounts.recovery import DelayedRecoveryState
from countersign.domain.accounts.session import Level, ProofRequirement, satisfies
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import parse_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.activity import insert_sent, record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound
from countersign.flows.accounts.login_flow import challenge_key
from countersign.flows.accounts.notify import owe_notices
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot, lock_snapshot
from countersign.flows.changes.request import (
    change_event,
    facts_of,
    new_change,
    pending_data,
    record_pending_change,
)
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, changes, login_flows, single_use

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.login_flow import StoredFlow

REMINDER_INTERVAL: Final = DAY
"""Milliseconds between two reminders of a pending recovery."""
_MAX_REMINDED: Final = 100
"""Recoveries that one call reminds of."""


class RecoveryPending(msgspec.Struct, frozen=True):
    """If there is such an account, its wait has begun. The new contact can complete the recovery from `due_at` (ms) on."""

    due_at: int


async def request_delayed_recovery(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow
) -> RecoveryPending | FlowNotFound:
    """Begin the wait, now that the new contact is proved.

    The browser gets the same answer if there is no such account, or if it has changed since the flow began (semantics R1).
    FlowNotFound: another request was faster.
    """
    flow, now = stored.flow, context.now()
    contact = parse_contact(flow.address)
    request = ChangeRequest(
        ChangeKind.ACCESS_RECOVERED,
        about=contact.masked,
        contact=contact,
        account=flow.account,
        flow=stored.token_hash,
        epoch=flow.epoch,
    )
    change = new_change(
        context,
        browser,
        request,
        sealed=pending_data(request),
        until=now + RECOVERY_WAIT + RECOVERY_WINDOW,
        remind_at=now + REMINDER_INTERVAL,
    )
    begun = await context.log.run(context.database, _begin, context, browser, stored, change)
    return RecoveryPending(change.due_at) if begun else FlowNotFound()


class StopResult(StrEnum):
    """What became of "stop it"."""

    STOPPED = "stopped"
    ALREADY_STOPPED = "already_stopped"
    ALREADY_DONE = "already_done"
    NOTHING_WAITS = "nothing_waits"


async def stop_waiting(context: AccountContext, browser: BrowserContext, account_id: str) -> StopResult:
    """End every delayed recovery of an account that waits, and bar new ones for 30 days (semantics R6). Await it in a transaction.

    Whichever contact or session says so, and of whichever recovery it was told: there is nothing to choose between them.
    """
    now = context.now()
    account = await accounts.lock(account_id)
    if account is None:
        return StopResult.NOTHING_WAITS
    waiting = await _list_waiting(account_id, now)
    if not waiting:
        state = recovery.delayed_state(account, is_waiting=False, now=now)
        return _ENDED_AS.get(state, StopResult.NOTHING_WAITS)
    events = [change_event(context, EventKind.CHANGE_CANCELED, one, now) for one in waiting]
    activity = await record_events(context, events, browser, context.place(browser.ip))
    rows = [changes.update(canceled(one, now)) for one in waiting]
    await Write((accounts.update(recovery.bar(account, now)), *rows, *activity), last=True)
    return StopResult.STOPPED


_ENDED_AS: Final = {
    DelayedRecoveryState.BARRED: StopResult.ALREADY_STOPPED,
    DelayedRecoveryState.DONE: StopResult.ALREADY_DONE,
}


async def allow_delayed_recovery(
    context: AccountContext, browser: BrowserContext, session: Session, summary: str
) -> Allowed | ChangeRefusal | ProofRequirement:
    """Lift the bar that "stop it" has put on delayed recoveries, at the wish of the signed-in owner (semantics R6).

    The session must give a proof for this very act first; `summary` says in the user's language what they approve.
    """
    snapshot = await context.database.read(find_snapshot, session.account)
    if snapshot is None or context.now() >= snapshot.account.recovery.barred_until:
        return ChangeRefusal.NOT_PENDING
    digest = hashlib.sha256(b"allow delayed recovery").hexdigest()
    level = Level.APP_CODE if snapshot.strong else Level.MAIL_CODE
    requirement = ProofRequirement(level, None, Action(summary, digest))
    if not satisfies(session, requirement, context.now()) or not await use_approval(context, session, requirement):
        return requirement
    is_allowed = await context.log.run(context.database, _allow, context, browser, snapshot.account)
    return Allowed() if is_allowed else ChangeRefusal.NOT_PENDING


class Allowed(msgspec.Struct, frozen=True):
    """Delayed recoveries can be asked for again."""


async def _allow(context: AccountContext, browser: BrowserContext, approved: Account) -> bool:
    """Lift the bar; return False if the account has changed since the approval was used up."""
    now = context.now()
    account = await accounts.lock(approved.id)
    if account is None or account.epoch != approved.epoch or now >= account.recovery.barred_until:
        return False
    event = Event(now, EventKind.RECOVERY_ALLOWED, context.own.id, account.id)
    activity = await record_events(context, [event], browser, context.place(browser.ip))
    await Write((accounts.update(recovery.allow(account)), *activity), last=True)
    return True


async def _list_waiting(account: str, now: int) -> list[AccountChange]:
    return [
        one
        for one in await changes.list_open(account, now)
        if one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING
    ]


async def _begin(context: AccountContext, browser: BrowserContext, stored: StoredFlow, change: AccountChange) -> bool:
    """Let the recovery wait, unless one waits already or was stopped lately. Return False if another request has ended the flow."""
    if not await login_flows.delete(stored.token_hash):
        return False
    # One code asks for one account: otherwise one message would be worth as many recoveries as flows share it.
    if not await single_use.take(challenge_key(context, stored.flow), change.asked_at + FLOW_LIFETIME):
        return False
    snapshot = await lock_snapshot(change.account)
    waiting = await _list_waiting(change.account, change.asked_at)
    may_begin = (
        snapshot is not None
        and context.recovery_policy.delayed
        and snapshot.account.epoch == change.epoch
        and recovery.may_wait(snapshot.account, is_waiting=bool(waiting), now=change.asked_at)
    )
    if may_begin:
        await record_pending_change(context, browser, change, snapshot, NoticeKind.ACCESS_ASKED)
    else:
        await _record_nothing(context, browser, replace(change, account=""))
    return True


async def _record_nothing(context: AccountContext, browser: BrowserContext, change: AccountChange) -> None:
    """Log that an account was asked for that is not there, and write as an account with one contact would cost (semantics R1)."""
    now = change.asked_at
    event = change_event(context, EventKind.CHANGE_ASKED, change, now)
    activity = await record_events(context, [event], browser, change.place)
    sent = [(change.id, change.about, NoticeKind.ACCESS_ASKED.value)] * 4
    await Write((*insert_sent(context, "", now, sent), *activity), last=True)


async def send_reminders(context: AccountContext) -> int:
    """Remind every contact, once a day, that a recovery of its account is pending; return of how many."""
    now, reminded = context.now(), 0
    for change in await context.database.read(changes.list_due_reminders, now, _MAX_REMINDED):
        reminded += await context.database.run(_remind, context, change, now)
    if reminded:
        context.database.notify()
    return reminded


async def _remind(context: AccountContext, due: AccountChange, now: int) -> int:
    # Locked before the change is read: of several workers one reminds.
    await accounts.lock(due.account)
    change = await changes.find(due.account, due.id)
    if change is None or change.remind_at != due.remind_at or change.state_at(now) is not ChangeState.PENDING:
        if change is not None and change.remind_at is not None and now >= change.until:
            await Write((changes.update(replace(change, remind_at=None)),), last=True)
        return 0
    snapshot = await find_snapshot(change.account)
    if snapshot is None:
        return 0
    notices = await owe_notices(
        context,
        snapshot.account,
        snapshot.contacts,
        NoticeKind.ACCESS_WAITS,
        browser=BrowserContext(user_agent=change.user_agent),
        place=change.place,
        now=now,
        facts=facts_of(change),
    )
    await Write((changes.update(replace(change, remind_at=now + REMINDER_INTERVAL)), *notices), last=True)
    return 1
