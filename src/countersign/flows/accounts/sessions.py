"""Sessions: find the one that a browser bears, show all of an account's, and end one, the others, or this one."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.session import SEEN_EVERY, Need, Session, spent
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity_log import record
from countersign.flows.accounts.context import Browser, Gate
from countersign.flows.changes.apply import Applied, Applying, apply
from countersign.flows.changes.request import Wanted
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, devices, sessions


class Overview(msgspec.Struct, frozen=True):
    """An account as its person sees it: name, contacts, sessions and browsers; `checked_at` (ms) is when the contacts were looked over."""

    name: str
    checked_at: int
    contacts: tuple[OwnedContact, ...]
    sessions: tuple[Session, ...]
    devices: tuple[Device, ...]


async def find_session(gate: Gate, browser: Browser) -> Session | None:
    """Return the session that a browser bears, if it is alive; that it is in use is written down once a minute at most."""
    if not browser.session:
        return None
    now = gate.now()
    mark = gate.mark(browser.session)
    session, account = await gate.database.read(_found, mark, now)
    if session is None or account is None or not account.open:
        return None
    if now - session.last_seen_at >= SEEN_EVERY:
        await gate.database.run(sessions.seen, mark, browser.ip, gate.place(browser.ip), now)
    return session


async def _found(mark: bytes, now: int) -> tuple[Session | None, Account | None]:
    session = await sessions.find(mark, now)
    return session, None if session is None else (await accounts.find(session.account))


async def overview(gate: Gate, session: Session) -> Overview | None:
    """Return the account of a session as its person sees it; None if it is gone."""
    return await overview_of(gate, session.account)


async def overview_of(gate: Gate, account: str) -> Overview | None:
    """Return an account as its person sees it; None if it is gone."""
    return await gate.database.read(_overview, gate, account)


async def _overview(gate: Gate, account_id: str) -> Overview | None:
    account, contacts = await accounts.person(account_id)
    if account is None:
        return None
    alive = await sessions.of_account(account_id, gate.now())
    known = await devices.of_account(account_id)
    checked = account.checked_at or account.created_at
    return Overview(gate.keyring.unseal(account.name, account_id), checked, tuple(contacts), tuple(alive), tuple(known))


async def check_contacts(gate: Gate, session: Session) -> None:
    """Write down that the person says that all contacts are still theirs."""
    await gate.database.run(_checked, session.account, gate.now())


async def _checked(account_id: str, now: int) -> None:
    account = await accounts.taken(account_id)
    if account is not None:
        await Write((accounts.changed(msgspec.structs.replace(account, checked_at=now)),), last=True)


async def sign_out(gate: Gate, browser: Browser) -> bool:
    """End the session of this browser, here and now; False if there was none."""
    if not browser.session:
        return False
    return await gate.log.run(gate.database, _sign_out, gate, gate.mark(browser.session))


async def _sign_out(gate: Gate, mark: bytes) -> bool:
    session = await sessions.find(mark, gate.now())
    if session is None or not (await sessions.end(mark)):
        return False
    await _ended(gate, session.account, [session.id])
    return True


async def end_session(gate: Gate, session: Session, which: str) -> bool:
    """End one of the account's sessions by its id; its next request is not signed in any more (semantics A4)."""
    return await gate.log.run(gate.database, _end_one, gate, session.account, which)


async def _end_one(gate: Gate, account: str, which: str) -> bool:
    if not (await sessions.end_by_id(account, which)):
        return False
    await _ended(gate, account, [which])
    return True


async def end_others(gate: Gate, session: Session) -> int:
    """End all of the account's sessions but this one; return how many ended."""
    return await gate.log.run(gate.database, _end_others, gate, session)


async def _end_others(gate: Gate, session: Session) -> int:
    ended = await sessions.end_all(session.account, but=session.id)
    if not ended:
        return 0
    await _ended(gate, session.account, ended)
    return len(ended)


async def end_device(gate: Gate, session: Session, which: str) -> bool:
    """Forget one of the account's browsers by its id: a change like any other, which a fresh proof approves (semantics A4)."""
    wanted = Wanted(ChangeKind.BROWSER_REMOVED, which)
    return isinstance(await apply(gate, Applying(session.account, wanted, Browser(), session.id)), Applied)


async def use_up(gate: Gate, session: Session, need: Need) -> bool:
    """Use up the approval of an act; True for one caller alone, who carries it out (semantics U1, U2)."""
    return await gate.database.run(sessions.spend, session, spent(session, need))


async def _ended(gate: Gate, account: str, ids: list[str]) -> None:
    now = gate.now()
    told = [Event(now, EventKind.SESSION_ENDED, gate.own.id, account, {"session": id_}) for id_ in ids]
    recorded = await record(gate, told, Browser(), "")
    await Write(recorded, last=True)
