"""Finish: what a flow was for happens, once, when its proof was given: by a code, an app, a passkey or a recovery code."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import Method, SessionProof, with_proof
from countersign.domain.shared.contact import Contact, parse_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity_log import record_events
from countersign.flows.accounts.context import AccountContext, AccountExists, BrowserContext, FlowNotFound, SignedIn
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.changes.apply import Applied, Applying, apply_change
from countersign.flows.changes.delayed_recovery import RecoveryPending, request_delayed_recovery
from countersign.flows.changes.request import ChangeRequest, PendingContact
from countersign.flows.sign_in.start_session import start_session
from countersign.store.engine.database import ConflictError, Write
from countersign.store.tables import accounts, changes, devices, sessions
from countersign.store.tables import login_flows as rows_of

_kept: Final = msgspec.json.Decoder(PendingContact).decode


class PasswordResetAllowed(msgspec.Struct, frozen=True):
    """Whose account it is was proved: a new password may be chosen."""


CompletedFlow: TypeAlias = (
    SignedIn | AccountExists | FlowNotFound | Applied | ChangeRefusal | PasswordResetAllowed | RecoveryPending
)
"""What comes of a flow whose proof was given."""


async def complete_flow(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, proof: SessionProof, *, remember: bool
) -> CompletedFlow:
    """Go on with what the proof was asked for.

    A flow that began before the password was changed or the account was locked is over (semantics A5).
    """
    flow = stored.flow
    if flow.account and flow.kind is not LoginFlowKind.RECOVER and not await _still(context, flow):
        return FlowNotFound()
    match flow.kind:
        case LoginFlowKind.SIGN_UP:
            return await _sign_up(context, browser, stored, proof, remember=remember)
        case LoginFlowKind.SIGN_IN:
            proofs = (SessionProof(Method.PASSWORD, flow.begun_at), proof)
            return await start_session(
                context,
                browser,
                flow.account,
                proofs,
                browser.device,
                then=flow.then,
                flow=stored,
                remember=remember,
                contact=flow.contact,
            )
        case LoginFlowKind.STEP_UP:
            return await _step_up(context, browser, stored, proof, remember=remember)
        case LoginFlowKind.BIND:
            return await _bind(context, browser, stored)
        case LoginFlowKind.RECOVER:
            moved = await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, proved=proof))
            return PasswordResetAllowed() if moved else FlowNotFound()
        case LoginFlowKind.CLAIM:
            return await request_delayed_recovery(context, browser, stored)
        case LoginFlowKind.ENROL | LoginFlowKind.ENROL_PASSKEY | LoginFlowKind.PASSKEY:
            return FlowNotFound()


async def _still(context: AccountContext, flow: LoginFlow) -> bool:
    account = await context.database.read(accounts.find, flow.account)
    return account is not None and account.open and account.password_at <= flow.begun_at


async def _bind(context: AccountContext, browser: BrowserContext, stored: StoredFlow) -> CompletedFlow:
    """Carry out the change that waited for its new contact's code."""
    flow = stored.flow
    pending = await context.database.read(changes.find, flow.account, flow.change)
    if pending is None:
        return FlowNotFound()
    waiting = _kept(context.keyring.unseal(pending.data, pending.id))
    wanted = ChangeRequest(pending.kind, waiting.which, pending.about, contact=parse_contact(waiting.to))
    applying = Applying(flow.account, wanted, browser, pending.session, stored.mark, pending.id)
    return await apply_change(context, applying)


async def _sign_up(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, proof: SessionProof, *, remember: bool
) -> CompletedFlow:
    """Make the account, now that its contact is proved, and let the person in."""
    flow, now = stored.flow, context.now()
    contact = parse_contact(flow.to)
    account_id, contact_id = context.id("acc"), context.id("con")
    account = Account(
        id=account_id,
        created_at=now,
        name=context.keyring.seal(flow.name, account_id),
        locale=flow.locale,
        password=context.keyring.seal(flow.password, account_id),
        password_at=now,
    )
    owned = _owned(context, account_id, contact_id, contact, now)
    proofs = (SessionProof(Method.PASSWORD, now), proof)
    try:
        return await start_session(
            context,
            browser,
            account_id,
            proofs,
            browser.device,
            then=flow.then,
            flow=stored,
            remember=remember,
            new=accounts.added(account, owned),
        )
    except ConflictError:
        # Somebody who holds the same contact made an account while this code was on its way; they have just shown that they hold it.
        await context.database.run(rows_of.take, stored.mark)
        return AccountExists()


def _owned(context: AccountContext, account_id: str, contact_id: str, contact: Contact, now: int) -> OwnedContact:
    return OwnedContact(
        account=account_id,
        id=contact_id,
        added_at=now,
        kind=contact.kind,
        blind_index=context.blind_index(contact),
        address=context.keyring.seal(contact.address, contact_id),
        masked=contact.masked,
        proved_at=now,
        primary=True,
    )


async def _step_up(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, proof: SessionProof, *, remember: bool
) -> CompletedFlow:
    """Raise the session that asked, under a new secret; another one of this browser is not raised (semantics S8)."""
    flow = stored.flow
    proof = msgspec.structs.replace(proof, action=flow.need.digest)
    secret = context.secret()
    raise_ = StepUp(
        stored,
        context.mark(browser.session),
        context.mark(secret),
        proof,
        remember and context.sign_in_policy.trusts,
        browser,
    )
    done = await context.log.run(context.database, _raise, context, raise_)
    return SignedIn(secret, browser.device, flow.account, flow.then) if done else FlowNotFound()


class StepUp(msgspec.Struct, frozen=True):
    """All that raising a session writes."""

    stored: StoredFlow
    mark: bytes
    new_mark: bytes
    proof: SessionProof
    remember: bool
    browser: BrowserContext


async def _raise(context: AccountContext, asked: StepUp) -> bool:
    now, flow, mark = context.now(), asked.stored.flow, asked.mark
    session = await sessions.find(mark, now)
    if session is None or session.id != flow.session or not (await rows_of.take(asked.stored.mark)):
        return False
    if not (await sessions.end(mark)):
        return False
    told = [
        Event(
            now,
            EventKind.SESSION_RAISED,
            context.own.id,
            flow.account,
            {"session": session.id, "method": asked.proof.method.value},
        )
    ]
    device: Device | None = None
    if asked.remember:
        device = await devices.find(flow.account, session.device)
        if device is not None:
            device = msgspec.structs.replace(device, trusted_at=now)
            told.append(Event(now, EventKind.DEVICE_TRUSTED, context.own.id, flow.account, {"device": device.id}))
    recorded = await record_events(context, told, asked.browser, context.place(asked.browser.ip))
    trusted = (devices.changed(device),) if device is not None else ()
    await Write((sessions.added(with_proof(session, asked.new_mark, asked.proof)), *trusted, *recorded), last=True)
    return True
