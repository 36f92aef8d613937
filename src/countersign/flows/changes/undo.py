"""Undo: a change that waits is canceled, one that was made is taken back, and at the word of a contact the whole account is closed."""

from __future__ import annotations

import hashlib

import msgspec

from countersign.domain.accounts.account import OwnedContact
from countersign.domain.accounts.authenticator import Authenticator
from countersign.domain.accounts.change import RULES, AccountChange, AccountSnapshot, ChangeRefusal, ChangeState
from countersign.domain.accounts.session import Level, ProofRequirement, Session, satisfies
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.activity_log import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext
from countersign.flows.accounts.notify import insert_notices
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot, lock_snapshot
from countersign.flows.changes.apply import Applied, cancel_pending, end_sessions
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, authenticators, changes, devices, integration_codes


async def cancel_change(
    context: AccountContext, browser: BrowserContext, account: str, which: str
) -> Applied | ChangeRefusal:
    """Cancel a change that waits, from any session of the account or at the word of a contact (semantics A3, R5)."""
    return await context.log.run(context.database, _cancel, context, browser, account, which)


async def _cancel(
    context: AccountContext, browser: BrowserContext, account: str, which: str
) -> Applied | ChangeRefusal:
    now = context.now()
    await accounts.lock(account)
    found = await changes.find(account, which)
    if found is None or found.state_at(now) is not ChangeState.PENDING:
        return ChangeRefusal.NOT_PENDING
    after = msgspec.structs.replace(found, state=ChangeState.CANCELED, ended_at=now, remind_at=None)
    told = Event(
        now,
        EventKind.CHANGE_CANCELED,
        context.own.id,
        account,
        {"change": which, "kind": found.kind.value, "about": found.about},
    )
    recorded = await record_events(context, [told], browser, context.place(browser.ip))
    await Write((changes.update(after), *recorded), last=True)
    return Applied(after)


async def undo_change(
    context: AccountContext, browser: BrowserContext, session: Session, which: str, summary: str
) -> Applied | ChangeRefusal | ProofRequirement:
    """Take a change back from a session that proves itself for this very act; what it added ends, what it ended comes back."""
    holdings = await context.database.read(find_snapshot, session.account)
    found = await context.database.read(changes.find, session.account, which)
    if holdings is None or found is None or not found.undoable(context.now()):
        return ChangeRefusal.NOT_PENDING
    digest = hashlib.sha256(f"undo\0{which}".encode()).hexdigest()
    need = ProofRequirement(Level.APP_CODE if holdings.strong else Level.MAIL_CODE, None, Action(summary, digest))
    if not satisfies(session, need, context.now()) or not await use_approval(context, session, need):
        return need
    return await context.log.run(context.database, _undo_one, context, browser, session.account, which)


async def _undo_one(
    context: AccountContext, browser: BrowserContext, account: str, which: str
) -> Applied | ChangeRefusal:
    now, place = context.now(), context.place(browser.ip)
    holdings = await lock_snapshot(account)
    found = await changes.find(account, which)
    if holdings is None or found is None or not found.undoable(now):
        return ChangeRefusal.NOT_PENDING
    back = Back(now, {}, {})
    await _gather(account, back)
    _take_back(found, back)
    if not any(contact.ended_at is None for contact in back.contacts.values()):
        return ChangeRefusal.LAST_CONTACT
    written = await _written(holdings, back)
    await devices.end_trust(account)
    after = msgspec.structs.replace(found, state=ChangeState.UNDONE, ended_at=now)
    told = Event(
        now,
        EventKind.CHANGE_UNDONE,
        context.own.id,
        account,
        {"change": which, "kind": found.kind.value, "about": found.about},
    )
    recorded = await record_events(context, [told], browser, place)
    notices = insert_notices(
        context,
        holdings.account,
        [contact for contact in back.contacts.values() if contact.ended_at is None],
        NoticeKind.CHANGE_UNDONE,
        browser=browser,
        place=place,
        now=now,
        facts={"change": which, "about": found.about},
    )
    await Write((*written, changes.update(after), *notices, *recorded), last=True)
    return Applied(after)


class Back(msgspec.Struct):
    """An account's contacts and factors, ended ones too, as they are being brought back; `touched` are the ids that changed."""

    now: int
    contacts: dict[str, OwnedContact]
    authenticators: dict[str, Authenticator]
    touched: set[str] = set()


async def lock_account(context: AccountContext, browser: BrowserContext, account: str, since: int) -> int:
    """Close an account at the word of who holds one of its contacts (semantics S6); return how many changes were taken back.

    Every session, all trust, what waits and all integration codes end; whatever was changed since `since` (ms) and can be undone is
    undone, the newest first; and no password opens the account until a new one came through recovery.
    """
    undone = await context.log.run(context.database, _lock, context, browser, account, since)
    context.database.announce()
    return undone


async def _lock(context: AccountContext, browser: BrowserContext, account: str, since: int) -> int:
    now, place = context.now(), context.place(browser.ip)
    holdings = await lock_snapshot(account)
    if holdings is None:
        return 0
    back = Back(now, {}, {})
    await _gather(account, back)
    rows: list[Change] = []
    told = await end_sessions(context, account, now)
    sessions_ended = len(told)
    trusted = await devices.end_trust(account)
    codes = await integration_codes.end_all(account, now)
    told += await cancel_pending(context, account, now, rows)
    undone, password = 0, ""
    for one in await changes.list_open(account, now):
        if not one.revertible(now) or (one.applied_at or 0) < since:
            continue
        if RULES[one.kind].closes:
            password = context.keyring.unseal(one.data, one.id)
        before = dict(back.contacts), dict(back.authenticators), set(back.touched)
        _take_back(one, back)
        if not any(contact.ended_at is None for contact in back.contacts.values()):
            back.contacts, back.authenticators, back.touched = before
            continue
        undone += 1
        rows.append(changes.update(msgspec.structs.replace(one, state=ChangeState.UNDONE, ended_at=now)))
        told.append(
            Event(
                now,
                EventKind.CHANGE_UNDONE,
                context.own.id,
                account,
                {"change": one.id, "kind": one.kind.value, "about": one.about},
            )
        )
    told.append(
        Event(
            now,
            EventKind.ACCOUNT_LOCKED,
            context.own.id,
            account,
            {"sessions": sessions_ended, "browsers": trusted, "integration_codes": len(codes), "undone": undone},
        )
    )
    rows += await _written(holdings, back)
    closed = msgspec.structs.replace(holdings.account, locked_at=now)
    if password:
        # It opens nothing now; but whoever knows it and proves a contact needs no further proof (flows/sign_in/recover.py).
        closed = msgspec.structs.replace(closed, password=context.keyring.seal(password, account), recovered_by="")
    rows.append(accounts.update(closed))
    rows += insert_notices(
        context,
        holdings.account,
        [contact for contact in back.contacts.values() if contact.ended_at is None],
        NoticeKind.ACCOUNT_LOCKED,
        browser=browser,
        place=place,
        now=now,
    )
    recorded = await record_events(context, told, browser, place)
    await Write((*rows, *recorded), last=True)
    return undone


async def _gather(account: str, back: Back) -> None:
    for contact in await accounts.list_all_contacts(account):
        back.contacts[contact.id] = contact
    for factor in await authenticators.list_all(account):
        back.authenticators[factor.id] = factor


def _take_back(change: AccountChange, back: Back) -> None:
    """End what a change added, and bring back what it ended."""
    effect = change.effect
    for ids, ended_at in ((effect.contacts_added, back.now), (effect.contacts_ended, None)):
        for id_ in ids:
            contact = back.contacts.get(id_)
            if contact is not None:
                back.contacts[id_] = msgspec.structs.replace(contact, ended_at=ended_at, primary=False)
                back.touched.add(id_)
    for ids, ended_at in ((effect.factors_added, back.now), (effect.factors_ended, None)):
        for id_ in ids:
            factor = back.authenticators.get(id_)
            if factor is not None:
                back.authenticators[id_] = msgspec.structs.replace(factor, ended_at=ended_at)
                back.touched.add(id_)
    if effect.primary:
        _make_primary(back, effect.primary)


def _make_primary(back: Back, which: str) -> None:
    for id_, contact in back.contacts.items():
        primary = id_ == which and contact.ended_at is None
        if contact.primary != primary:
            back.contacts[id_] = msgspec.structs.replace(contact, primary=primary)
            back.touched.add(id_)


async def _written(holdings: AccountSnapshot, back: Back) -> list[Change]:
    """Return the rows that bring an account back; a contact signs in again unless another account has it meanwhile."""
    alive = [contact for contact in back.contacts.values() if contact.ended_at is None]
    if alive and not any(contact.primary for contact in alive):
        _make_primary(back, min(alive, key=lambda one: (one.added_at, one.id)).id)
    rows: list[Change] = []
    before = {contact.id: contact.ended_at is None for contact in holdings.contacts}
    for id_ in sorted(back.touched & back.contacts.keys()):
        contact = back.contacts[id_]
        rows.append(accounts.update_contact(contact))
        if contact.ended_at is not None:
            await accounts.delete_identifier(contact)
        elif not before.get(id_) and not (await accounts.find_id_by_identifier(contact.blind_index)):
            rows.append(accounts.insert_identifier(contact))
    rows += authenticators.update(
        [back.authenticators[id_] for id_ in sorted(back.touched & back.authenticators.keys())]
    )
    return rows
