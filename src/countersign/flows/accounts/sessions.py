"""Sessions: find the one that a browser bears, show all of an account's, and end one, the others, or this one."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.session import LAST_SEEN_INTERVAL, ProofRequirement, Session, with_approval_used
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, devices, sessions


class Overview(msgspec.Struct, frozen=True):
    """An account as its person sees it: name, contacts, sessions and browsers; `checked_at` (ms) is when the contacts were looked over."""

    name: str
    checked_at: int
    contacts: tuple[OwnedContact, ...]
    sessions: tuple[Session, ...]
    devices: tuple[Device, ...]


async def find_session(context: AccountContext, browser: BrowserContext) -> Session | None:
    """Return the session that a browser bears, if it is alive; that it is in use is written down once a minute at most."""
    if not browser.session:
        return None
    now = context.now()
    mark = context.mark(browser.session)
    session, account = await context.database.read(_found, mark, now)
    if session is None or account is None or not account.open:
        return None
    if now - session.last_seen_at >= LAST_SEEN_INTERVAL:
        await context.database.run(sessions.record_use, mark, browser.ip, context.place(browser.ip), now)
    return session


async def _found(mark: bytes, now: int) -> tuple[Session | None, Account | None]:
    session = await sessions.find(mark, now)
    return session, None if session is None else (await accounts.find(session.account))


async def overview(context: AccountContext, session: Session) -> Overview | None:
    """Return the account of a session as its person sees it; None if it is gone."""
    return await overview_of(context, session.account)


async def overview_of(context: AccountContext, account: str) -> Overview | None:
    """Return an account as its person sees it; None if it is gone."""
    return await context.database.read(_overview, context, account)


async def _overview(context: AccountContext, account_id: str) -> Overview | None:
    account, contacts = await accounts.find_with_contacts(account_id)
    if account is None:
        return None
    alive = await sessions.list_active(account_id, context.now())
    known = await devices.list_active(account_id)
    checked = account.checked_at or account.created_at
    return Overview(
        context.keyring.unseal(account.name, account_id), checked, tuple(contacts), tuple(alive), tuple(known)
    )


async def check_contacts(context: AccountContext, session: Session) -> None:
    """Write down that the person says that all contacts are still theirs."""
    await context.database.run(_checked, session.account, context.now())


async def _checked(account_id: str, now: int) -> None:
    account = await accounts.lock(account_id)
    if account is not None:
        await Write((accounts.update(msgspec.structs.replace(account, checked_at=now)),), last=True)


async def sign_out(context: AccountContext, browser: BrowserContext) -> bool:
    """End the session of this browser, here and now; False if there was none."""
    if not browser.session:
        return False
    return await context.log.run(context.database, _sign_out, context, context.mark(browser.session))


async def _sign_out(context: AccountContext, mark: bytes) -> bool:
    session = await sessions.find(mark, context.now())
    if session is None or not (await sessions.end(mark)):
        return False
    await _ended(context, session.account, [session.id])
    return True


async def end_session(context: AccountContext, session: Session, which: str) -> bool:
    """End one of the account's sessions by its id; its next request is not signed in any more (semantics A4)."""
    return await context.log.run(context.database, _end_one, context, session.account, which)


async def _end_one(context: AccountContext, account: str, which: str) -> bool:
    if not (await sessions.end_by_id(account, which)):
        return False
    await _ended(context, account, [which])
    return True


async def end_others(context: AccountContext, session: Session) -> int:
    """End all of the account's sessions but this one; return how many ended."""
    return await context.log.run(context.database, _end_others, context, session)


async def _end_others(context: AccountContext, session: Session) -> int:
    ended = await sessions.end_all(session.account, but=session.id)
    if not ended:
        return 0
    await _ended(context, session.account, ended)
    return len(ended)


async def use_approval(context: AccountContext, session: Session, need: ProofRequirement) -> bool:
    """Use up the approval of an act; True for one caller alone, who carries it out (semantics U1, U2)."""
    return await context.database.run(sessions.replace_proofs, session, with_approval_used(session, need))


async def _ended(context: AccountContext, account: str, ids: list[str]) -> None:
    now = context.now()
    told = [Event(now, EventKind.SESSION_ENDED, context.own.id, account, {"session": id_}) for id_ in ids]
    recorded = await record_events(context, told, BrowserContext(), "")
    await Write(recorded, last=True)
