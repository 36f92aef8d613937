"""Find the session of a browser, list those of an account, and end them."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.session import (
    LAST_SEEN_INTERVAL,
    ProofRequirement,
    Session,
    in_epoch,
    satisfies,
    with_approval_used,
)
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, devices, sessions


class Overview(msgspec.Struct, frozen=True):
    """An account as its user sees it. `checked_at` (ms) is when the user last confirmed the contacts."""

    name: str
    checked_at: int
    contacts: tuple[OwnedContact, ...]
    sessions: tuple[Session, ...]
    devices: tuple[Device, ...]


async def find_session(context: AccountContext, browser: BrowserContext) -> Session | None:
    """Return the active session of a browser as it counts in the present epoch of its account, or None (semantics A8).

    Its use is recorded at most once a minute.
    """
    if not browser.session:
        return None
    now = context.now()
    token_hash = context.token_hash(browser.session)
    session, account = await context.database.read(_found, token_hash, now)
    if session is None or account is None or not account.open:
        return None
    if now - session.last_seen_at >= LAST_SEEN_INTERVAL:
        await context.database.run(sessions.record_use, token_hash, browser.ip, context.place(browser.ip), now)
    return in_epoch(session, account.epoch)


async def _found(token_hash: bytes, now: int) -> tuple[Session | None, Account | None]:
    session = await sessions.find(token_hash, now)
    return session, None if session is None else (await accounts.find(session.account))


async def overview(context: AccountContext, session: Session) -> Overview | None:
    """Return the account of a session as its user sees it; None if it is gone."""
    return await overview_of(context, session.account)


async def overview_of(context: AccountContext, account: str) -> Overview | None:
    """Return an account as its user sees it; None if it is gone."""
    return await context.database.read(_overview, context, account)


async def _overview(context: AccountContext, account_id: str) -> Overview | None:
    account, contacts = await accounts.find_with_contacts(account_id)
    if account is None:
        return None
    alive = [in_epoch(one, account.epoch) for one in await sessions.list_active(account_id, context.now())]
    known = await devices.list_active(account_id)
    checked = account.checked_at or account.created_at
    return Overview(
        context.keyring.unseal(account.name, account_id), checked, tuple(contacts), tuple(alive), tuple(known)
    )


async def check_contacts(context: AccountContext, session: Session) -> None:
    """Record that the user confirms that all contacts are still theirs."""
    await context.database.run(_checked, session.account, context.now())


async def _checked(account_id: str, now: int) -> None:
    account = await accounts.lock(account_id)
    if account is not None:
        await Write((accounts.update(msgspec.structs.replace(account, checked_at=now)),), last=True)


async def sign_out(context: AccountContext, browser: BrowserContext) -> bool:
    """End the session of this browser; False if there was none."""
    if not browser.session:
        return False
    return await context.log.run(context.database, _sign_out, context, context.token_hash(browser.session))


async def _sign_out(context: AccountContext, token_hash: bytes) -> bool:
    session = await sessions.find(token_hash, context.now())
    if session is None or not (await sessions.end(token_hash)):
        return False
    await _ended(context, session.account, [session.id])
    return True


async def end_session(context: AccountContext, session: Session, session_id: str) -> bool:
    """End one session of the account by its id. Its next request is not signed in any more (semantics A4)."""
    return await context.log.run(context.database, _end_one, context, session, session_id)


async def _end_one(context: AccountContext, session: Session, session_id: str) -> bool:
    if not await _is_active(context, session) or not await sessions.end_by_id(session.account, session_id):
        return False
    await _ended(context, session.account, [session_id])
    return True


async def _is_active(context: AccountContext, session: Session) -> bool:
    """Return True if a session counts still: of two that end one another at once, one does so."""
    account = await accounts.lock(session.account)
    stored = await sessions.find_by_id(session.account, session.id, context.now())
    return account is not None and account.open and account.epoch == session.epoch and stored is not None


async def end_others(context: AccountContext, session: Session) -> int:
    """End every session of the account except this one; return how many ended."""
    return await context.log.run(context.database, _end_others, context, session)


async def _end_others(context: AccountContext, session: Session) -> int:
    if not await _is_active(context, session):
        return 0
    ended = await sessions.end_all(session.account, but=session.id)
    if not ended:
        return 0
    await _ended(context, session.account, ended)
    return len(ended)


async def use_approval(context: AccountContext, session: Session, need: ProofRequirement) -> bool:
    """Use up the approval of an action. Returns True to exactly one caller, which carries the action out (semantics U1, U2).

    The session is judged again as it is stored: an approval of an earlier epoch of the account is worth nothing (semantics A8).
    """
    return await context.database.run(_use_approval, session, need, context.now())


async def _use_approval(session: Session, need: ProofRequirement, now: int) -> bool:
    account, stored = await accounts.lock(session.account), await sessions.find(session.token_hash, now)
    if account is None or stored is None or not account.open or account.epoch != session.epoch:
        return False
    if stored.epoch != account.epoch or not satisfies(stored, need, now):
        return False
    return await sessions.replace_proofs(stored, with_approval_used(stored, need))


async def _ended(context: AccountContext, account: str, ids: list[str]) -> None:
    now = context.now()
    events = [Event(now, EventKind.SESSION_ENDED, context.own.id, account, {"session": id_}) for id_ in ids]
    recorded = await record_events(context, events, BrowserContext(), "")
    await Write(recorded, last=True)
