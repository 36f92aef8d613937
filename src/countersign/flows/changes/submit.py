"""Change: what a signed-in person wants changed is judged, approved by a proof for this very act, proved where it is new, and applied."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.change import (
    PENDING_LASTS,
    RULES,
    AccountChange,
    ChangeRefusal,
    ChangeState,
    check_change,
)
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import ProofRequirement, Session, satisfies
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity_log import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested
from countersign.flows.accounts.notify import insert_notices
from countersign.flows.accounts.request_code import begun_or_refused, send_code
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.accounts.snapshot import find_snapshot, lock_snapshot
from countersign.flows.changes.apply import Applied, Applying, apply_change
from countersign.flows.changes.request import ChangeRequest, PendingContact, requirement_of
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import changes, rate_limits

BY_ACCOUNT: Final = RateLimit("changes", 30, 3_600_000)
"""Changes that one account may ask for: each new contact costs a message."""


SubmitResult: TypeAlias = Applied | CodeRequested | ProofRequirement | ChangeRefusal | Refused
"""It is done; the new contact is asked for a code; a proof is needed first; the rules forbid it; or too much was asked for."""

_encode: Final = msgspec.json.Encoder().encode


async def submit_change(
    context: AccountContext, browser: BrowserContext, session: Session, wanted: ChangeRequest
) -> SubmitResult:
    """Make a change, or say what it needs first. Each approval makes one change, once."""
    holdings = await context.database.read(find_snapshot, session.account)
    if holdings is None:
        return ChangeRefusal.UNKNOWN
    blind_index = context.blind_index(wanted.contact) if wanted.contact is not None else b""
    if refusal := check_change(wanted.kind, wanted.which, blind_index, holdings, context.now()):
        return refusal
    need = requirement_of(context, wanted, holdings)
    if not satisfies(session, need, context.now()):
        return need
    (room,) = await context.database.run(
        rate_limits.consume, [(BY_ACCOUNT, context.keyring.blind_index("changes", session.account))], context.now()
    )
    if not room.allowed:
        return too_many(context, room.retry_after)
    if not await use_approval(context, session, need):
        return need
    if RULES[wanted.kind].proves:
        return await _prove(context, browser, session, wanted)
    return await apply_change(context, Applying(session.account, wanted, browser, session.id))


def too_many(context: AccountContext, retry_after: int) -> Refused:
    """Return the refusal of an account that changes too often."""
    return Refused(Refusal.LIMITED, retry_after=retry_after, limit=BY_ACCOUNT.name, at=context.now())


async def _prove(
    context: AccountContext, browser: BrowserContext, session: Session, wanted: ChangeRequest
) -> CodeRequested | Refused:
    """Ask the new contact for a code; until it is given, the old one works and nothing is changed (semantics A1)."""
    assert wanted.contact is not None  # noqa: S101 - the rules of these kinds ask for one
    device = browser.device or context.secret()
    outcome = begun_or_refused(
        await send_code(
            context, browser, wanted.contact, purpose="bind_contact", device=device, subject=session.account
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    now = context.now()
    id_ = context.id("chg")
    pending = AccountChange(
        account=session.account,
        id=id_,
        kind=wanted.kind,
        asked_at=now,
        session=session.id,
        blind_index=context.blind_index(wanted.contact),
        about=wanted.about,
        data=context.keyring.seal(_encode(PendingContact(wanted.which, wanted.contact.address)).decode(), id_),
        user_agent=browser.user_agent,
        place=context.place(browser.ip),
        state=ChangeState.PENDING,
        until=now + PENDING_LASTS,
    )
    await context.log.run(context.database, _asked, context, browser, pending)
    flow = LoginFlow(
        kind=LoginFlowKind.BIND,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.mark(device).hex(),
        challenge=outcome.challenge.id,
        account=session.account,
        address=wanted.contact.address,
        session=session.id,
        interrupted=InterruptedRequest(path=context.links.contacts),
        requester=browser.requester(),
        place=context.place(browser.ip),
        change=id_,
    )
    return CodeRequested(await login_flow.save_flow(context, flow, wanted.contact.masked), device)


async def _asked(context: AccountContext, browser: BrowserContext, pending: AccountChange) -> None:
    """Write a pending change down, and tell the contacts that there are (semantics A2)."""
    holdings = await lock_snapshot(pending.account)
    told = Event(
        pending.asked_at,
        EventKind.CHANGE_ASKED,
        context.own.id,
        pending.account,
        {"change": pending.id, "kind": pending.kind.value, "about": pending.about},
    )
    recorded = await record_events(context, [told], browser, pending.place)
    notices = (
        insert_notices(
            context,
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
    await Write((changes.insert(pending), *notices, *recorded), last=True)
