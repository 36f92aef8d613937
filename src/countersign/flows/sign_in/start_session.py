"""Enter: a person who has proved enough gets a session, the browser is known from then on, and every contact is told of a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import LEVEL_OF_METHOD, REMEMBERED_LASTS, Level, Session, SessionProof
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity_log import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound, SignedIn
from countersign.flows.accounts.notify import insert_notices
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, devices, login_flows, sessions

if TYPE_CHECKING:
    from countersign.flows.accounts.login_flow import StoredFlow


class SessionStart(msgspec.Struct, frozen=True):
    """All that one entry writes. `new` are the changes that make the account itself, at sign-up."""

    account: str
    proofs: tuple[SessionProof, ...]
    browser: BrowserContext
    mark: bytes
    device: bytes
    place: str
    now: int
    flow: bytes = b""
    remember: bool = False
    new: tuple[Change, ...] = ()
    contact: str = ""


async def start_session(
    context: AccountContext,
    browser: BrowserContext,
    account: str,
    proofs: tuple[SessionProof, ...],
    device: str,
    *,
    then: InterruptedRequest,
    flow: StoredFlow | None = None,
    remember: bool = False,
    new: tuple[Change, ...] = (),
    contact: str = "",
) -> SignedIn | FlowNotFound:
    """Begin a session in one transaction with all that belongs to it; a visit ends with it, so that it is entered by once.

    `device` is the secret of the browser. Trust is given only where asked for, and only after a real second proof (semantics S4).
    `contact` is the one whose code let in: one that has just recovered the account is no news, any other says that the owner is back.
    Raises ConflictError if what `new` adds is there already.
    """
    secret = context.secret()
    real = any(LEVEL_OF_METHOD[proof.method] >= Level.MAIL_CODE for proof in proofs)
    entry = SessionStart(
        account=account,
        proofs=proofs,
        browser=browser,
        mark=context.mark(secret),
        device=context.mark(device),
        place=context.place(browser.ip),
        now=context.now(),
        flow=flow.mark if flow is not None else b"",
        remember=remember and real and context.sign_in_policy.trusts,
        new=new,
        contact=contact,
    )
    done = await context.log.run(context.database, _enter, context, entry)
    return SignedIn(secret, device, account, then) if done else FlowNotFound()


async def _enter(context: AccountContext, entry: SessionStart) -> bool:
    if entry.flow and not (await login_flows.take(entry.flow)):
        return False
    now, account = entry.now, entry.account
    if entry.browser.session:
        # Whoever was signed in here before is not any more: a secret of before opens nothing (semantics S8).
        await sessions.end(context.mark(entry.browser.session))
    if not entry.new:
        await accounts.is_back(account, entry.contact)
    before = await devices.find(account, entry.device)
    device = _seen(context, entry, before)
    entrance = context.sign_in_policy
    lasts = REMEMBERED_LASTS if entrance.trusts and device.trusted(now) else entrance.lasts
    session = Session(
        mark=entry.mark,
        id=context.id("ses"),
        account=account,
        device=entry.device,
        created_at=now,
        user_agent=entry.browser.user_agent,
        ip=entry.browser.ip,
        place=entry.place,
        proofs=entry.proofs,
        last_seen_at=now,
        expires_at=now + lasts,
    )
    how = max(LEVEL_OF_METHOD[proof.method] for proof in entry.proofs).name.lower()
    kind = EventKind.ACCOUNT_CREATED if entry.new else EventKind.SIGN_IN_COMPLETED
    told = [Event(now, kind, context.own.id, account, {"session": session.id, "level": how})]
    owed: tuple[Change, ...] = ()
    if before is None:
        told.append(Event(now, EventKind.DEVICE_ADDED, context.own.id, account, {"device": device.id}))
        if not entry.new:
            known, contacts = await accounts.person(account)
            if known is not None:
                owed = insert_notices(
                    context, known, contacts, NoticeKind.NEW_DEVICE, browser=entry.browser, place=entry.place, now=now
                )
    if entry.remember:
        told.append(Event(now, EventKind.DEVICE_TRUSTED, context.own.id, account, {"device": device.id}))
    recorded = await record_events(context, told, entry.browser, entry.place)
    await Write((*entry.new, devices.saved(device), sessions.added(session), *owed, *recorded), last=True)
    return True


def _seen(context: AccountContext, entry: SessionStart, before: Device | None) -> Device:
    browser, now = entry.browser, entry.now
    if before is None:
        before = Device(
            entry.account, entry.device, context.id("dev"), now, browser.user_agent, now, browser.ip, entry.place
        )
    return msgspec.structs.replace(
        before,
        user_agent=browser.user_agent,
        last_seen_at=now,
        ip=browser.ip,
        place=entry.place,
        trusted_at=now if entry.remember else before.trusted_at,
    )
