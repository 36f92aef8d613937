"""A change request on its way: the proof that it requires, its record while it is pending, and the request read back from that."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.account import AccountSnapshot
from countersign.domain.accounts.change import AccountChange, ChangeEffect, ChangeKind, ChangeRequest, ChangeState
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.delivery.notice import PROVED_BY_FACT, NoticeKind
from countersign.domain.shared.contact import stored_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Action
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.notify import owe_notices
from countersign.store.engine.database import Write
from countersign.store.tables import changes

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext, BrowserContext

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, str]).decode


def requirement_of(context: AccountContext, request: ChangeRequest, snapshot: AccountSnapshot) -> ProofRequirement:
    """Return the proof that a change requires: a fresh one, for this very change, and not by the contact that goes (semantics A1, U2).

    If an authenticator is enrolled that codes by mail and phone do not stand in for, they do not here either.
    """
    blind_index = context.blind_index(request.contact).hex() if request.contact is not None else ""
    identity = f"{request.kind.value}\0{request.target}\0{request.about}\0{blind_index}"
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    action = Action(request.summary, digest, masked=request.masked_summary)
    goes = request.kind in {ChangeKind.CONTACT_REPLACED, ChangeKind.CONTACT_REMOVED}
    level = Level.APP_CODE if snapshot.strong else Level.MAIL_CODE
    return ProofRequirement(level, None, action, request.target if goes else "", kind=request.kind.value)


def new_change(
    context: AccountContext,
    browser: BrowserContext,
    request: ChangeRequest,
    *,
    sealed: str = "",
    until: int,
    remind_at: int | None = None,
) -> AccountChange:
    """Return the pending change that a request becomes, not stored yet.

    `sealed` is what is kept sealed to apply or to undo it. `until` and `remind_at` are times in ms.
    """
    id_ = context.id("chg")
    return AccountChange(
        account=request.account,
        id=id_,
        kind=request.kind,
        asked_at=context.now(),
        session=request.session,
        blind_index=context.blind_index(request.contact) if request.contact is not None else b"",
        about=request.about,
        data=context.keyring.seal(sealed, id_) if sealed else b"",
        user_agent=browser.user_agent,
        place=context.place(browser.ip),
        state=ChangeState.PENDING,
        until=until,
        remind_at=remind_at,
        effect=ChangeEffect(approved_by=request.approved_by),
        epoch=request.epoch,
    )


def pending_data(request: ChangeRequest) -> str:
    """Return what a pending change must keep of its request, as JSON; `pending_request` reads it back."""
    return _encode({"which": request.target, "to": request.contact.address if request.contact else ""}).decode()


def pending_request(context: AccountContext, change: AccountChange) -> ChangeRequest:
    """Return the request of a pending change, which is applied once its new contact is proved."""
    kept = _decode(context.keyring.unseal(change.data, change.id))
    return ChangeRequest(
        change.kind,
        kept["which"],
        change.about,
        contact=stored_contact(kept["to"]),
        account=change.account,
        session=change.session,
        pending=change.id,
        epoch=change.epoch,
        approved_by=change.effect.approved_by,
    )


def about_contact(context: AccountContext, change: AccountChange) -> str:
    """Return the new contact of a change whole, as it is named in notices; empty if it has none."""
    kept = _decode(context.keyring.unseal(change.data, change.id)) if change.data else {}
    return kept.get("to", "")


async def record_pending_change(
    context: AccountContext,
    browser: BrowserContext,
    change: AccountChange,
    snapshot: AccountSnapshot | None,
    notice: NoticeKind,
    *,
    about: str,
) -> None:
    """Store a pending change, and send the notice to the contacts that the account has (semantics A2).

    `about` is its new contact, which the notice names whole (semantics A10).
    """
    activity = await record_events(
        context, [change_event(context, EventKind.CHANGE_ASKED, change, change.asked_at)], browser, change.place
    )
    notices = (
        await owe_notices(
            context,
            snapshot.account,
            snapshot.contacts,
            notice,
            browser=browser,
            place=change.place,
            now=change.asked_at,
            facts=facts_of(change),
            about=about,
        )
        if snapshot is not None
        else ()
    )
    await Write((changes.insert(change), *notices, *activity), last=True)


def change_event(context: AccountContext, kind: EventKind, change: AccountChange, now: int) -> Event:
    """Return the audit event of a change at `now` (ms)."""
    facts: dict[str, str | int] = {"change": change.id, "kind": change.kind.value, "about": change.about}
    return Event(now, kind, context.own.id, change.account, facts)


def facts_of(change: AccountChange) -> dict[str, str]:
    """Return what a notice says of a change."""
    facts = {"change": change.id, "about": change.about}
    return facts | {PROVED_BY_FACT: change.effect.approved_by} if change.effect.approved_by else facts
