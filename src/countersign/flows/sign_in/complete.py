"""Complete a login flow: carry out, once, what its proof was requested for.

The proof may be a code, an authenticator app, a passkey or a recovery code; what follows is the same.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import Method, SessionProof, in_epoch, with_proof
from countersign.domain.shared.contact import stored_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.activity import record_events
from countersign.flows.accounts.context import AccountContext, AccountExists, BrowserContext, FlowNotFound, SignedIn
from countersign.flows.accounts.login_flow import StoredFlow, challenge_key
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.delayed_recovery import RecoveryPending, request_delayed_recovery
from countersign.flows.changes.request import pending_request
from countersign.flows.sign_in.check_up import lead_to_check_up
from countersign.flows.sign_in.start_session import NewAccount, start_session
from countersign.store.engine.database import Change, ConflictError, Write
from countersign.store.tables import accounts, changes, login_flows, sessions, single_use


class PasswordResetAllowed(msgspec.Struct, frozen=True):
    """The user has proved that the account is theirs, and may choose a new password."""


CompletedFlow: TypeAlias = (
    SignedIn | AccountExists | FlowNotFound | Applied | ChangeRefusal | PasswordResetAllowed | RecoveryPending
)
"""What a flow leads to once its proof was given."""


async def complete_flow(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, proof: SessionProof, *, remember: bool
) -> CompletedFlow:
    """Carry out what the proof was requested for.

    `stored` is the flow of this browser, `proof` the proof that was just given, and `remember` the user's wish to trust this browser.
    Returns FlowNotFound if another request has completed the flow already, or if the account was locked or changed after the flow began.
    The transaction that writes judges that (semantics A5, A8).
    """
    match stored.flow.kind:
        case LoginFlowKind.SIGN_UP:
            return await _create_account(context, browser, stored, proof, remember=remember)
        case LoginFlowKind.SIGN_IN:
            return await _sign_in(context, browser, stored, proof, remember=remember)
        case LoginFlowKind.STEP_UP:
            return await _raise_session(context, browser, stored, proof)
        case LoginFlowKind.BIND_CONTACT:
            return await _apply_pending_change(context, browser, stored)
        case LoginFlowKind.RECOVER:
            return await _allow_password_reset(context, stored, proof)
        case LoginFlowKind.DELAYED_RECOVERY:
            return await request_delayed_recovery(context, browser, stored)
        case LoginFlowKind.ENROL_APP | LoginFlowKind.ENROL_PASSKEY | LoginFlowKind.PASSKEY | LoginFlowKind.KEEP_CODES:
            return FlowNotFound()


async def _create_account(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, proof: SessionProof, *, remember: bool
) -> SignedIn | AccountExists | FlowNotFound:
    """Create the account, now that its contact is proved, and start a session."""
    account, rows = _new_account(context, stored.flow, browser.timezone)
    proofs = (SessionProof(Method.PASSWORD, account.created_at), proof)
    try:
        return await start_session(
            context,
            browser,
            account.id,
            proofs,
            interrupted=stored.flow.interrupted,
            flow=stored,
            remember=remember,
            new_account=NewAccount(rows, context.blind_index(stored_contact(stored.flow.address))),
        )
    except ConflictError:
        # Somebody else proved the same contact and created an account while this code was on its way. This user has just proved that the
        # contact is theirs, so it is safe to say that the account exists.
        await context.database.run(login_flows.delete, stored.token_hash)
        return AccountExists()


def _new_account(context: AccountContext, flow: LoginFlow, timezone: str) -> tuple[Account, tuple[Change, ...]]:
    """Return the account that a sign-up asked for, and the rows of it and of its first contact."""
    now, contact = context.now(), stored_contact(flow.address)
    account_id, contact_id = context.id("acc"), context.id("con")
    account = Account(
        id=account_id,
        created_at=now,
        name=context.keyring.seal(flow.name, account_id),
        locale=flow.locale,
        timezone=timezone,
        password=context.keyring.seal(flow.password, account_id),
        password_at=now,
    )
    owned = OwnedContact(
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
    return account, accounts.insert(account, owned)


async def _sign_in(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, proof: SessionProof, *, remember: bool
) -> SignedIn | FlowNotFound:
    """Start a session with the password that was checked when the flow began, and the proof that was just given."""
    flow = stored.flow
    proofs = (SessionProof(Method.PASSWORD, flow.begun_at), proof)
    started = await start_session(
        context,
        browser,
        flow.account,
        proofs,
        interrupted=flow.interrupted,
        flow=stored,
        remember=remember,
        # A code may have gone to a contact while something else has proved the flow: the contact has then said nothing.
        contact=flow.contact if proof.source == flow.contact else "",
        epoch=flow.epoch,
    )
    return await lead_to_check_up(context, started, proof.method) if isinstance(started, SignedIn) else started


async def _allow_password_reset(
    context: AccountContext, stored: StoredFlow, proof: SessionProof
) -> PasswordResetAllowed | FlowNotFound:
    """Keep the proof in the flow, which continues at the page for the new password."""
    proved = msgspec.structs.replace(stored.flow, recovery_proof=proof)
    return PasswordResetAllowed() if await login_flow.update_flow(context, stored, proved) else FlowNotFound()


async def _apply_pending_change(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow
) -> Applied | ChangeRefusal | FlowNotFound:
    """Apply the change that waited for the proof of its new contact."""
    flow = stored.flow
    change = await context.database.read(changes.find, flow.account, flow.change)
    if change is None:
        return FlowNotFound()
    request = msgspec.structs.replace(pending_request(context, change), flow=stored.token_hash)
    return await apply_change(context, browser, request)


class SessionUpgrade(msgspec.Struct, frozen=True):
    """What the transaction that raises a session writes: `token_hash` is the keyed hash of the old secret, and so on."""

    flow: LoginFlow
    flow_token_hash: bytes
    token_hash: bytes
    new_token_hash: bytes
    proof: SessionProof
    browser: BrowserContext


async def _raise_session(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, proof: SessionProof
) -> SignedIn | FlowNotFound:
    """Add the proof to the session that asked for it, under a new secret (semantics S8).

    A step-up gives no trust to a browser: only a sign-in offers it (semantics S4).
    """
    flow, secret = stored.flow, context.session_secret(browser.flow)
    upgrade = SessionUpgrade(
        flow=flow,
        flow_token_hash=stored.token_hash,
        token_hash=context.token_hash(browser.session),
        new_token_hash=context.token_hash(secret),
        proof=msgspec.structs.replace(proof, action_digest=flow.requirement.action_digest),
        browser=browser,
    )
    raised = await context.log.run(context.database, _write_upgrade, context, upgrade)
    return SignedIn(secret, browser.device, flow.account, flow.interrupted) if raised else FlowNotFound()


async def _write_upgrade(context: AccountContext, upgrade: SessionUpgrade) -> bool:
    """Write the raised session. Return False if the session has ended, is not the one that asked, or the account was changed since."""
    now, flow = context.now(), upgrade.flow
    account = await accounts.lock(flow.account)
    if account is None or not account.open or account.epoch != flow.epoch:
        return False
    session = await sessions.find(upgrade.token_hash, now)
    if session is None or session.id != flow.session or not await login_flows.delete(upgrade.flow_token_hash):
        return False
    # Two flows of one browser may share a challenge, because a repeated request continues it. Its code proves one of them, once.
    if flow.challenge and not await single_use.take(challenge_key(context, flow), now + FLOW_LIFETIME):
        return False
    if not await sessions.end(upgrade.token_hash):
        return False
    raised = with_proof(in_epoch(session, account.epoch), upgrade.new_token_hash, upgrade.proof)
    session_facts: dict[str, str | int] = {"session": session.id, "method": upgrade.proof.method.value}
    events = [Event(now, EventKind.SESSION_RAISED, context.own.id, flow.account, session_facts)]
    activity = await record_events(context, events, upgrade.browser, context.place(upgrade.browser.ip))
    await Write((sessions.insert(raised), *activity), last=True)
    return True
