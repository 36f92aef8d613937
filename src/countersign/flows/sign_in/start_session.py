"""Enter: a person who has proved enough gets a session, the browser is known from then on, and every contact is told of a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import Interrupted
from countersign.domain.accounts.session import OF_METHOD, REMEMBERED_LASTS, Level, Proven, Session
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity_log import record
from countersign.flows.accounts.context import Browser, Entered, Gate, Gone
from countersign.flows.accounts.notify import notices_to
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, devices, login_flows, sessions

if TYPE_CHECKING:
    from countersign.flows.accounts.login_flow import Kept


class Entry(msgspec.Struct, frozen=True):
    """All that one entry writes. `new` are the changes that make the account itself, at sign-up."""

    account: str
    proofs: tuple[Proven, ...]
    browser: Browser
    mark: bytes
    device: bytes
    place: str
    now: int
    visit: bytes = b""
    remember: bool = False
    new: tuple[Change, ...] = ()
    contact: str = ""


async def enter(
    gate: Gate,
    browser: Browser,
    account: str,
    proofs: tuple[Proven, ...],
    device: str,
    *,
    then: Interrupted,
    visit: Kept | None = None,
    remember: bool = False,
    new: tuple[Change, ...] = (),
    contact: str = "",
) -> Entered | Gone:
    """Begin a session in one transaction with all that belongs to it; a visit ends with it, so that it is entered by once.

    `device` is the secret of the browser. Trust is given only where asked for, and only after a real second proof (semantics S4).
    `contact` is the one whose code let in: one that has just recovered the account is no news, any other says that the owner is back.
    Raises ConflictError if what `new` adds is there already.
    """
    secret = gate.secret()
    real = any(OF_METHOD[proof.method] >= Level.MAIL_CODE for proof in proofs)
    entry = Entry(
        account=account,
        proofs=proofs,
        browser=browser,
        mark=gate.mark(secret),
        device=gate.mark(device),
        place=gate.place(browser.ip),
        now=gate.now(),
        visit=visit.mark if visit is not None else b"",
        remember=remember and real and gate.entrance.trusts,
        new=new,
        contact=contact,
    )
    done = await gate.log.run(gate.database, _enter, gate, entry)
    return Entered(secret, device, account, then) if done else Gone()


async def _enter(gate: Gate, entry: Entry) -> bool:
    if entry.visit and not (await login_flows.take(entry.visit)):
        return False
    now, account = entry.now, entry.account
    if entry.browser.session:
        # Whoever was signed in here before is not any more: a secret of before opens nothing (semantics S8).
        await sessions.end(gate.mark(entry.browser.session))
    if not entry.new:
        await accounts.is_back(account, entry.contact)
    before = await devices.find(account, entry.device)
    device = _seen(gate, entry, before)
    entrance = gate.entrance
    lasts = REMEMBERED_LASTS if entrance.trusts and device.trusted(now) else entrance.lasts
    session = Session(
        mark=entry.mark,
        id=gate.id("ses"),
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
    how = max(OF_METHOD[proof.method] for proof in entry.proofs).name.lower()
    kind = EventKind.ACCOUNT_CREATED if entry.new else EventKind.SIGN_IN_COMPLETED
    told = [Event(now, kind, gate.own.id, account, {"session": session.id, "level": how})]
    owed: tuple[Change, ...] = ()
    if before is None:
        told.append(Event(now, EventKind.DEVICE_ADDED, gate.own.id, account, {"device": device.id}))
        if not entry.new:
            known, contacts = await accounts.person(account)
            if known is not None:
                owed = notices_to(
                    gate, known, contacts, NoticeKind.NEW_DEVICE, browser=entry.browser, place=entry.place, now=now
                )
    if entry.remember:
        told.append(Event(now, EventKind.DEVICE_TRUSTED, gate.own.id, account, {"device": device.id}))
    recorded = await record(gate, told, entry.browser, entry.place)
    await Write((*entry.new, devices.saved(device), sessions.added(session), *owed, *recorded), last=True)
    return True


def _seen(gate: Gate, entry: Entry, before: Device | None) -> Device:
    browser, now = entry.browser, entry.now
    if before is None:
        before = Device(
            entry.account, entry.device, gate.id("dev"), now, browser.user_agent, now, browser.ip, entry.place
        )
    return msgspec.structs.replace(
        before,
        user_agent=browser.user_agent,
        last_seen_at=now,
        ip=browser.ip,
        place=entry.place,
        trusted_at=now if entry.remember else before.trusted_at,
    )
