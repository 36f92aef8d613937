"""Apply: a change that is approved and proved takes effect in one transaction, with all that ends by it and everybody who is told."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.change import RULES, AccountChange, ChangeRefusal, ChangeState, check_change
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity_log import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext
from countersign.flows.accounts.notify import insert_notices
from countersign.flows.accounts.snapshot import lock_snapshot
from countersign.flows.changes.apply_kinds import Work, carry_out
from countersign.flows.changes.request import ChangeRequest
from countersign.store.engine.database import Change, ConflictError, Write
from countersign.store.tables import changes, devices, login_flows, sessions


class Applying(msgspec.Struct, frozen=True):
    """A change that is to take effect.

    `session` is the id of the session that asked (empty: from outside), `visit` the mark of the flow that ends with it, `change` the id
    of the pending change that it completes, `by` the contact that recovered the account.
    """

    account: str
    wanted: ChangeRequest
    browser: BrowserContext
    session: str = ""
    flow: bytes = b""
    change: str = ""
    by: str = ""


class Applied(msgspec.Struct, frozen=True):
    """It is done; the change that it was."""

    change: AccountChange


async def apply_change(context: AccountContext, applying: Applying) -> Applied | ChangeRefusal:
    """Carry out a change once, or say why not."""
    try:
        return await context.log.run(context.database, _apply, context, applying)
    except ConflictError:
        # Somebody else made this contact theirs in the same moment.
        return ChangeRefusal.ANOTHERS


async def _apply(context: AccountContext, asked: Applying) -> Applied | ChangeRefusal:
    now, wanted = context.now(), asked.wanted
    holdings = await lock_snapshot(asked.account)
    if holdings is None:
        return ChangeRefusal.UNKNOWN
    if asked.flow and not (await login_flows.delete(asked.flow)):
        return ChangeRefusal.NOT_PENDING
    pending = await changes.find(asked.account, asked.change)
    if asked.change and (pending is None or not (await _waits(pending, now))):
        return ChangeRefusal.NOT_PENDING
    blind_index = context.blind_index(wanted.contact) if wanted.contact is not None else b""
    if refusal := check_change(wanted.kind, wanted.which, blind_index, holdings, now):
        return refusal
    work = Work(wanted, holdings, now, asked.by)
    refused = await carry_out(context, work)
    if refused is not None:
        return refused
    rule = RULES[wanted.kind]
    if rule.untrusts:
        await devices.end_trust(asked.account)
    done = _done(context, asked, pending, work, now)
    told = [
        Event(
            now,
            EventKind.CHANGE_APPLIED,
            context.own.id,
            asked.account,
            {"change": done.id, "kind": done.kind.value, "about": done.about},
        )
    ]
    told += work.told
    if rule.revokes:
        told += await end_sessions(context, asked.account, now, but=asked.session)
        told += await cancel_pending(context, asked.account, now, work.rows, but=done.id)
    place = context.place(asked.browser.ip)
    if rule.told:
        # The contacts as they were: the one that goes hears of it, the one that comes knows.
        work.rows += insert_notices(
            context,
            holdings.account,
            holdings.contacts,
            NoticeKind(wanted.kind.value),
            browser=asked.browser,
            place=place,
            now=now,
            facts={"change": done.id, "about": done.about},
        )
    recorded = await record_events(context, told, asked.browser, place)
    entry = changes.insert(done) if pending is None else changes.update(done)
    await Write((*work.rows, entry, *recorded), last=True)
    return Applied(done)


async def _waits(pending: AccountChange, now: int) -> bool:
    """Say whether a pending change may be completed: it dies with the session that asked for it (semantics A3)."""
    if pending.state_at(now) is not ChangeState.PENDING or now < pending.due_at:
        return False
    return not pending.session or (await sessions.find_by_id(pending.account, pending.session, now)) is not None


def _done(
    context: AccountContext, asked: Applying, pending: AccountChange | None, work: Work, now: int
) -> AccountChange:
    wanted, rule = asked.wanted, RULES[asked.wanted.kind]
    if pending is None:
        id_ = context.id("chg")
        before = context.keyring.unseal(work.account.password, work.account.id) if rule.closes else ""
        pending = AccountChange(
            account=asked.account,
            id=id_,
            kind=wanted.kind,
            asked_at=now,
            session=asked.session,
            blind_index=b"",
            about=wanted.about,
            data=context.keyring.seal(before, id_) if before else b"",
            user_agent=asked.browser.user_agent,
            place=context.place(asked.browser.ip),
            state=ChangeState.PENDING,
            until=now,
        )
    return msgspec.structs.replace(
        pending,
        state=ChangeState.APPLIED,
        until=now + rule.undo,
        applied_at=now,
        remind_at=None,
        effect=work.effect,
    )


async def end_sessions(context: AccountContext, account: str, now: int, *, but: str = "") -> list[Event]:
    """End an account's sessions but one; return what the log is told."""
    ended = await sessions.end_all(account, but=but)
    return [Event(now, EventKind.SESSION_ENDED, context.own.id, account, {"session": id_}) for id_ in ended]


async def cancel_pending(
    context: AccountContext, account: str, now: int, rows: list[Change], *, but: str = ""
) -> list[Event]:
    """Cancel an account's changes that wait, but one; return what the log is told."""
    told: list[Event] = []
    for one in await changes.list_open(account, now):
        if one.state is not ChangeState.PENDING or one.id == but:
            continue
        rows.append(
            changes.update(msgspec.structs.replace(one, state=ChangeState.CANCELED, ended_at=now, remind_at=None))
        )
        told.append(Event(now, EventKind.CHANGE_CANCELED, context.own.id, account, {"change": one.id}))
    return told
