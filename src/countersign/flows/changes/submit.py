"""Change: what a signed-in person wants changed is judged, approved by a proof for this very act, proved where it is new, and applied."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.change import PENDING_LASTS, RULES, AccountChange, ChangeRefusal, ChangeState, judge
from countersign.domain.accounts.login_flow import LASTS, Interrupted, Visit, VisitKind
from countersign.domain.accounts.session import Need, Session, meets
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import Limit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity_log import record
from countersign.flows.accounts.context import Browser, Gate, ToVerify
from countersign.flows.accounts.notify import notices_to
from countersign.flows.accounts.request_code import ask, began
from countersign.flows.accounts.sessions import use_up
from countersign.flows.accounts.snapshot import held, taken
from countersign.flows.changes.apply import Applied, Applying, apply
from countersign.flows.changes.request import Kept, Wanted, need_of
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import changes, rate_limits

BY_ACCOUNT: Final = Limit("changes", 30, 3_600_000)
"""Changes that one account may ask for: each new contact costs a message."""


Changed: TypeAlias = Applied | ToVerify | Need | ChangeRefusal | Refused
"""It is done; the new contact is asked for a code; a proof is needed first; the rules forbid it; or too much was asked for."""

_encode: Final = msgspec.json.Encoder().encode


async def change(gate: Gate, browser: Browser, session: Session, wanted: Wanted) -> Changed:
    """Make a change, or say what it needs first. Each approval makes one change, once."""
    holdings = await gate.database.read(held, session.account)
    if holdings is None:
        return ChangeRefusal.UNKNOWN
    blind = gate.blind(wanted.contact) if wanted.contact is not None else b""
    if refusal := judge(wanted.kind, wanted.which, blind, holdings, gate.now()):
        return refusal
    need = need_of(gate, wanted, holdings)
    if not meets(session, need, gate.now()):
        return need
    (room,) = await gate.database.run(
        rate_limits.spend, [(BY_ACCOUNT, gate.keyring.blind("changes", session.account))], gate.now()
    )
    if not room.allowed:
        return too_many(gate, room.retry_after)
    if not await use_up(gate, session, need):
        return need
    if RULES[wanted.kind].proves:
        return await _prove(gate, browser, session, wanted)
    return await apply(gate, Applying(session.account, wanted, browser, session.id))


def too_many(gate: Gate, retry_after: int) -> Refused:
    """Return the refusal of an account that changes too often."""
    return Refused(Refusal.LIMITED, retry_after=retry_after, limit=BY_ACCOUNT.name, at=gate.now())


async def _prove(gate: Gate, browser: Browser, session: Session, wanted: Wanted) -> ToVerify | Refused:
    """Ask the new contact for a code; until it is given, the old one works and nothing is changed (semantics A1)."""
    assert wanted.contact is not None  # noqa: S101 - the rules of these kinds ask for one
    device = browser.device or gate.secret()
    outcome = began(
        await ask(gate, browser, wanted.contact, purpose="bind_contact", device=device, subject=session.account)
    )
    if isinstance(outcome, Refused):
        return outcome
    now = gate.now()
    id_ = gate.id("chg")
    pending = AccountChange(
        account=session.account,
        id=id_,
        kind=wanted.kind,
        asked_at=now,
        session=session.id,
        blind=gate.blind(wanted.contact),
        about=wanted.about,
        data=gate.keyring.seal(_encode(Kept(wanted.which, wanted.contact.address)).decode(), id_),
        user_agent=browser.user_agent,
        place=gate.place(browser.ip),
        state=ChangeState.PENDING,
        until=now + PENDING_LASTS,
    )
    await gate.log.run(gate.database, _asked, gate, browser, pending)
    visit = Visit(
        kind=VisitKind.BIND,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(device).hex(),
        challenge=outcome.challenge.id,
        account=session.account,
        to=wanted.contact.address,
        session=session.id,
        then=Interrupted(path="/account/contacts"),
        requester=browser.requester(),
        place=gate.place(browser.ip),
        change=id_,
    )
    return ToVerify(await login_flow.keep(gate, visit, wanted.contact.masked), device)


async def _asked(gate: Gate, browser: Browser, pending: AccountChange) -> None:
    """Write a pending change down, and tell the contacts that there are (semantics A2)."""
    holdings = await taken(pending.account)
    told = Event(
        pending.asked_at,
        EventKind.CHANGE_ASKED,
        gate.own.id,
        pending.account,
        {"change": pending.id, "kind": pending.kind.value, "about": pending.about},
    )
    recorded = await record(gate, [told], browser, pending.place)
    notices = (
        notices_to(
            gate,
            holdings.account,
            holdings.contacts,
            NoticeKind.CONTACT_ASKED,
            browser=browser,
            place=pending.place,
            now=pending.asked_at,
            facts={"change": pending.id, "about": pending.about},
        )
        if holdings is not None
        else ()
    )
    await Write((changes.added(pending), *notices, *recorded), last=True)
