"""Start a session for a user who has proved enough, remember the browser, and notify the contacts of a new browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts import recovery
from countersign.domain.accounts.authenticator import STRONG_KINDS
from countersign.domain.accounts.change import UNDO_PERIOD
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, InterruptedRequest
from countersign.domain.accounts.session import (
    LEVEL_OF_METHOD,
    REMEMBERED_SESSION_LIFETIME,
    STRONG_METHODS,
    Level,
    Method,
    Session,
    SessionProof,
)
from countersign.domain.delivery.notice import PROVED_BY_FACT, NoticeKind
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound, SignedIn
from countersign.flows.accounts.login_flow import challenge_key
from countersign.flows.accounts.notify import owe_notices
from countersign.store.engine.database import Change, Write
from countersign.store.tables import accounts, activity, authenticators, devices, login_flows, sessions, single_use

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account
    from countersign.flows.accounts.login_flow import StoredFlow


class NewAccount(msgspec.Struct, frozen=True):
    """The rows of an account that is created with its first session, and the blind index of its contact."""

    rows: tuple[Change, ...]
    contact: bytes


class SessionStart(msgspec.Struct, frozen=True):
    """What the transaction that starts a session writes; see `start_session`. Secrets are present as keyed hashes only."""

    account: str
    proofs: tuple[SessionProof, ...]
    browser: BrowserContext
    token_hash: bytes
    device_token_hash: bytes
    place: str
    now: int
    flow_token_hash: bytes
    challenge_key: bytes
    is_trusted: bool
    new_account: NewAccount | None
    contact: str
    epoch: int


async def start_session(
    context: AccountContext,
    browser: BrowserContext,
    account: str,
    proofs: tuple[SessionProof, ...],
    *,
    interrupted: InterruptedRequest,
    flow: StoredFlow | None = None,
    remember: bool = False,
    new_account: NewAccount | None = None,
    contact: str = "",
    epoch: int = 0,
) -> SignedIn | FlowNotFound:
    """Start a session of an account, in one transaction with everything that belongs to it.

    - `account`: the id of the account. `proofs`: what the user has just proved.
    - `interrupted`: the request that continues afterwards.
    - `flow`: the login flow that ends with the session. Of several concurrent callers one ends it; the others get FlowNotFound.
    - `remember`: the user asked to trust this browser. Ignored without a second factor (semantics S4).
    - `new_account`: at sign-up, the account itself. It takes over what was sent to its contact before.
    - `contact`: the id of the contact whose code was entered, empty if none was. Any contact but the one that has just recovered the
      account shows that its owner is back.
    - `epoch`: that of the account when the proofs began. If it was locked or changed since then, the answer is FlowNotFound (semantics A8).

    Raises ConflictError if a row of `new_account` exists already.
    """
    secret = context.session_secret(browser.flow if flow is not None else "")
    has_second_factor = any(LEVEL_OF_METHOD[proof.method] >= Level.MAIL_CODE for proof in proofs)
    start = SessionStart(
        account=account,
        proofs=proofs,
        browser=browser,
        token_hash=context.token_hash(secret),
        device_token_hash=context.token_hash(browser.device),
        place=context.place(browser.ip),
        now=context.now(),
        flow_token_hash=flow.token_hash if flow is not None else b"",
        challenge_key=challenge_key(context, flow.flow) if flow is not None and flow.flow.challenge else b"",
        is_trusted=remember and has_second_factor and context.sign_in_policy.trusts_browsers,
        new_account=new_account,
        contact=contact,
        epoch=epoch,
    )
    started = await context.log.run(context.database, _start, context, start)
    return SignedIn(secret, browser.device, account, interrupted) if started else FlowNotFound()


async def _start(context: AccountContext, start: SessionStart) -> bool:
    """Write the session. Return False if another caller has ended the flow already, or if the proofs count for nothing any more."""
    if not start.new_account and not await _is_unchanged(start):
        return False
    if start.flow_token_hash and not await login_flows.delete(start.flow_token_hash):
        return False
    if start.challenge_key and not await single_use.take(start.challenge_key, start.now + FLOW_LIFETIME):
        return False
    if start.browser.session:
        # Whoever was signed in on this browser is signed out: an old session secret opens nothing (semantics S8).
        await sessions.end(context.token_hash(start.browser.session))
    recovered: tuple[Change, ...] = ()
    if not start.new_account:
        await accounts.clear_recovered_by(start.account, start.contact)
        recovered = await _update_account(start)
    known_device = await devices.find(start.account, start.device_token_hash)
    if _skips_code(start) and (known_device is None or not known_device.trusted(start.now)):
        return False
    device = _used_device(context, start, known_device)
    session = _new_session(context, start, device)
    notices = await _new_device_notices(context, start) if known_device is None else ()
    events = _events(context, start, session, device, is_new_device=known_device is None)
    shown = await record_events(context, events, start.browser, start.place)
    if start.new_account is not None:
        await activity.take_over(start.new_account.contact, start.account)
    created = start.new_account.rows if start.new_account is not None else ()
    rows = (*created, *recovered, devices.upsert(device), sessions.insert(session), *notices, *shown)
    await Write(rows, last=True)
    return True


async def _update_account(start: SessionStart) -> tuple[Change, ...]:
    """Return the row of the account if this sign-in changes it: its time zone is learned, or a recovery is confirmed."""
    account = await accounts.lock(start.account)
    if account is None:
        return ()
    after = account
    if not account.timezone and start.browser.timezone:
        after = msgspec.structs.replace(after, timezone=start.browser.timezone)
    if account.recovery.recovered_at:
        after = await _confirm_recovery(start, after)
    return () if after == account else (accounts.update(after),)


async def _confirm_recovery(start: SessionStart, account: Account) -> Account:
    """Return an account that was recovered lately as it is if this sign-in proves more than that recovery did (semantics R7)."""
    now = start.now
    contact = next((one for one in await accounts.list_contacts(account.id) if one.id == start.contact), None)
    strong = [one for one in await authenticators.list_active(account.id) if one.kind in STRONG_KINDS]
    is_settled = all(now >= one.added_at + UNDO_PERIOD for one in strong)
    used = bool(strong) and any(proof.method in STRONG_METHODS for proof in start.proofs)
    return recovery.confirm(account, contact, authenticator=used and is_settled, now=now)


async def _is_unchanged(start: SessionStart) -> bool:
    """Lock the account; return True if it is open and in the epoch in which the proofs began (semantics A5, A8)."""
    account = await accounts.lock(start.account)
    return account is not None and account.open and account.epoch == start.epoch


def _skips_code(start: SessionStart) -> bool:
    """Return True if trust in the browser is the second proof."""
    return any(proof.method is Method.TRUSTED_DEVICE for proof in start.proofs)


def _used_device(context: AccountContext, start: SessionStart, known: Device | None) -> Device:
    """Return the browser as it is now: a new device, or the known one as it was seen now."""
    browser, now = start.browser, start.now
    if known is None:
        device_id = context.id("dev")
        known = Device(
            start.account, start.device_token_hash, device_id, now, browser.user_agent, now, browser.ip, start.place
        )
    return msgspec.structs.replace(
        known,
        user_agent=browser.user_agent,
        last_seen_at=now,
        ip=browser.ip,
        place=start.place,
        trusted_at=now if start.is_trusted else known.trusted_at,
    )


def _new_session(context: AccountContext, start: SessionStart, device: Device) -> Session:
    policy, now = context.sign_in_policy, start.now
    is_remembered = policy.trusts_browsers and device.trusted(now)
    return Session(
        token_hash=start.token_hash,
        id=context.id("ses"),
        account=start.account,
        device_token_hash=start.device_token_hash,
        created_at=now,
        user_agent=start.browser.user_agent,
        ip=start.browser.ip,
        place=start.place,
        proofs=start.proofs,
        last_seen_at=now,
        epoch=start.epoch,
        expires_at=now + (REMEMBERED_SESSION_LIFETIME if is_remembered else policy.session_lifetime),
    )


async def _new_device_notices(context: AccountContext, start: SessionStart) -> tuple[Change, ...]:
    """Notify every contact that a new browser signed in (semantics S6). A new account has nobody to notify yet."""
    if start.new_account:
        return ()
    account, contacts = await accounts.find_with_contacts(start.account)
    if account is None:
        return ()
    return await owe_notices(
        context,
        account,
        contacts,
        NoticeKind.NEW_DEVICE,
        browser=start.browser,
        place=start.place,
        now=start.now,
        facts={PROVED_BY_FACT: start.contact} if start.contact else None,
    )


def _events(
    context: AccountContext, start: SessionStart, session: Session, device: Device, *, is_new_device: bool
) -> list[Event]:
    level = max(LEVEL_OF_METHOD[proof.method] for proof in start.proofs).name.lower()
    kind = EventKind.ACCOUNT_CREATED if start.new_account else EventKind.SIGN_IN_COMPLETED
    events = [Event(start.now, kind, context.own.id, start.account, {"session": session.id, "level": level})]
    device_facts: dict[str, str | int] = {"device": device.id}
    if is_new_device:
        events.append(Event(start.now, EventKind.DEVICE_ADDED, context.own.id, start.account, device_facts))
    if start.is_trusted:
        events.append(Event(start.now, EventKind.DEVICE_TRUSTED, context.own.id, start.account, device_facts))
    return events
