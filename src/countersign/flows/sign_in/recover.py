"""Recover an account: prove one of its contacts or enter a recovery code, then choose a new password.

A user without any working contact begins a delayed recovery instead: they prove a new contact, then wait. No answer reveals to the browser
whether there is an account (semantics R1).
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import AccountChange, ChangeKind, ChangeRefusal, ChangeRequest, may_recover
from countersign.domain.accounts.login_flow import (
    FLOW_LIFETIME,
    NOTHING_INTERRUPTED,
    InterruptedRequest,
    LoginFlow,
    LoginFlowKind,
)
from countersign.domain.accounts.password import normalize_password
from countersign.domain.accounts.recovery import RecoveryProof
from countersign.domain.accounts.session import Method
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Contact, read_contact
from countersign.domain.verifications.challenge import Action
from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import InputError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.asking_application import with_asker
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, FlowNotFound, InvalidInput
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.accounts.request_code import begun_or_refused, send_code
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.request import pending_request
from countersign.flows.sign_in.guess_counters import current_password_counter
from countersign.flows.sign_in.network_limit import count_by_network
from countersign.flows.sign_in.sign_up import find_password_fault
from countersign.flows.verifications.results import Done, Refused
from countersign.store.tables import accounts, changes, guesses

RECOVERIES_PER_NETWORK: Final = RateLimit("recover_network", 20, 10 * 60_000)
"""Recoveries, delayed ones included, that one network may begin."""
RecoveryResult: TypeAlias = Applied | InvalidInput | ChangeRefusal | FlowNotFound


async def recover(
    context: AccountContext,
    browser: BrowserContext,
    identifier: str,
    interrupted: InterruptedRequest = NOTHING_INTERRUPTED,
) -> CodeRequested | InvalidInput | Refused:
    """Send a code to the contact that was entered. The browser gets the same answer whether the contact has an account or not.

    If it has none, or is too new to recover the account alone (semantics A2), the message says so in place of a code. Nothing is changed
    yet. InvalidInput means that `identifier` is no contact, Refused that this network is over a limit. If no message can be sent to the
    contact, the flow begins without one, and a recovery code proves it. `interrupted` is what the person wanted to sign in for.
    """
    try:
        contact = read_contact(identifier, browser.regions)
    except InputError as error:
        return InvalidInput({"identifier": error.reason})
    if refused := await count_by_network(context, browser, RECOVERIES_PER_NETWORK):
        return refused
    target = await context.database.read(_find_target, context.blind_indexes(contact), context.now())
    if not context.recovery_policy.delayed:
        target = msgspec.structs.replace(target, delayed_recovery=None)
    decoy = _decoy_notice(target, context.now())
    interrupted = await with_asker(context, interrupted)
    device_secret = browser.device or context.secret()
    outcome = begun_or_refused(
        await send_code(
            context,
            browser,
            contact,
            purpose=LoginFlowKind.RECOVER.purpose,
            device=device_secret,
            lane=Lane.ANONYMOUS,
            action=Action(asker=interrupted.asker),
            locale=target.account.locale if target.account is not None else "",
            timezone=target.account.timezone if target.account is not None else "",
            decoy_notice=decoy.value if decoy else "",
        )
    )
    # A recovery code needs no message: whatever forbids one, with an account or without, never shuts that way (semantics L2, R1).
    challenge_id = outcome.challenge.id if isinstance(outcome, Done) else ""
    flow = msgspec.structs.replace(
        _new_flow(context, browser, LoginFlowKind.RECOVER, contact, device_secret, challenge_id),
        account=target.account_id,
        interrupted=interrupted,
        epoch=target.epoch,
        contact=target.contact.id if target.contact is not None else "",
        change=target.delayed_recovery.id if target.delayed_recovery is not None else "",
        decoy_notice=decoy.value if decoy else "",
    )
    sent_to = contact if challenge_id else None
    return CodeRequested(await login_flow.save_flow(context, flow, sent_to), device_secret)


class RecoveryTarget(msgspec.Struct, frozen=True):
    """What the contact that was entered can recover; each part is None if there is none.

    `account` is the account that the contact signs in to, and `contact` is the contact as a part of it. `delayed_recovery` is one that
    waited for this contact and can be finished now. `epoch` is that of the account that can be recovered.
    """

    account: Account | None
    contact: OwnedContact | None
    delayed_recovery: AccountChange | None
    epoch: int = 0

    @property
    def account_id(self) -> str:
        """Return the id of the account that can be recovered; empty if there is none."""
        if self.delayed_recovery is not None:
            return self.delayed_recovery.account
        return self.account.id if self.account is not None else ""


async def _find_target(blind_indexes: tuple[bytes, ...], now: int) -> RecoveryTarget:
    account, contacts = await accounts.find_with_contacts_by_identifier(*blind_indexes)
    waiting = [change for one in blind_indexes for change in await changes.list_pending_recoveries(one, now)]
    due = next((change for change in waiting if now >= change.due_at), None)
    return RecoveryTarget(
        account,
        contact=next((contact for contact in contacts if contact.blind_index in blind_indexes), None),
        delayed_recovery=due,
        epoch=due.epoch if due is not None else account.epoch if account is not None else 0,
    )


def _decoy_notice(target: RecoveryTarget, now: int) -> NoticeKind | None:
    """Return the notice that is sent in place of a code; None if a code is sent."""
    if target.delayed_recovery is not None:
        return None
    if target.account is None or target.account.disabled_at is not None or target.contact is None:
        return NoticeKind.RECOVER_UNKNOWN
    return None if may_recover(target.contact, now) else NoticeKind.RECOVER_TOO_NEW


class RecoveryNotOffered(msgspec.Struct, frozen=True):
    """The installation offers no delayed recovery (semantics R8)."""


async def begin_delayed_recovery(
    context: AccountContext,
    browser: BrowserContext,
    identifier: str,
    new_contact: str,
    interrupted: InterruptedRequest = NOTHING_INTERRUPTED,
) -> CodeRequested | InvalidInput | Refused | RecoveryNotOffered:
    """Send a code to a new contact of a user who has lost every other one. The wait begins once the contact is proved (semantics R5).

    `identifier` is a contact of the lost account and `new_contact` the one to prove, both as entered. The browser gets the same answer if
    there is no such account. InvalidInput names each field that is no contact. RecoveryNotOffered: the installation has no such recovery.
    """
    if not context.recovery_policy.delayed:
        return RecoveryNotOffered()
    faults: dict[str, str] = {}
    lost = _read_field(browser, identifier, "identifier", faults)
    contact = _read_field(browser, new_contact, "contact", faults)
    if lost is None or contact is None:
        return InvalidInput(faults)
    if refused := await count_by_network(context, browser, RECOVERIES_PER_NETWORK):
        return refused
    account, _ = await context.database.read(accounts.find_with_contacts_by_identifier, *context.blind_indexes(lost))
    interrupted = await with_asker(context, interrupted)
    device_secret = browser.device or context.secret()
    outcome = begun_or_refused(
        await send_code(
            context,
            browser,
            contact,
            purpose=LoginFlowKind.DELAYED_RECOVERY.purpose,
            device=device_secret,
            lane=Lane.ANONYMOUS,
            action=Action(asker=interrupted.asker),
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    flow = msgspec.structs.replace(
        _new_flow(context, browser, LoginFlowKind.DELAYED_RECOVERY, contact, device_secret, outcome.challenge.id),
        account=account.id if account else "",
        interrupted=interrupted,
        epoch=account.epoch if account else 0,
    )
    return CodeRequested(await login_flow.save_flow(context, flow, contact), device_secret)


def _read_field(browser: BrowserContext, entered: str, field: str, faults: dict[str, str]) -> Contact | None:
    try:
        return read_contact(entered, browser.regions)
    except InputError as error:
        faults[field] = error.reason
        return None


def _new_flow(
    context: AccountContext,
    browser: BrowserContext,
    kind: LoginFlowKind,
    contact: Contact,
    device_secret: str,
    challenge: str,
) -> LoginFlow:
    now = context.now()
    return LoginFlow(
        kind=kind,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device_secret).hex(),
        challenge=challenge,
        address=contact.address,
        requester=browser.requester(),
        place=context.place(browser.ip),
    )


async def find_recovered_address(context: AccountContext, browser: BrowserContext) -> str:
    """Return the contact, as it was entered, by which this browser has proved an account; empty if it has proved none."""
    stored = await _find_proved_flow(context, browser)
    return stored.flow.address if stored is not None else ""


async def reset_password(
    context: AccountContext, browser: BrowserContext, password: str, current: str = ""
) -> RecoveryResult:
    """Replace the password of the account that this browser has proved.

    Every session, all trust in browsers and every pending change end, every contact is notified, and nobody is signed in (semantics A5).
    An enrolled authenticator stays, and is asked for at the next sign-in (R2).

    `password` is the new one. `current` is the current one, if the user knows it. With it the contact that recovered the account counts as
    a second factor again, because the user has now proved both. Without it that contact does not sign in where there is another:
    otherwise a stolen phone alone, or a mailbox alone, would be enough for the whole account.

    InvalidInput names the field and its fault; FlowNotFound means that nothing was proved, or that it was used already.
    """
    stored = await _find_proved_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow = stored.flow
    account = await context.database.read(accounts.find, flow.account)
    if account is None or account.disabled_at is not None or account.epoch != flow.epoch:
        return FlowNotFound()
    password = normalize_password(password)
    personal_words = (context.keyring.unseal(account.name, account.id), flow.address)
    if fault := await find_password_fault(context, password, personal_words):
        return InvalidInput({"password": fault})
    if current and not await _is_current_password(context, account, flow, current):
        return InvalidInput({"current": "wrong"})
    password_hash = await context.passwords.hash(password)
    proof = RecoveryProof(
        flow.contact, flow.begun_at, _used_recovery_code(flow), password=account.password if current else b""
    )
    if flow.change:
        return await _finish_delayed_recovery(context, browser, stored, password_hash, proof)
    request = ChangeRequest(
        ChangeKind.PASSWORD_RECOVERED,
        password=password_hash,
        account=account.id,
        flow=stored.token_hash,
        proof=proof,
        epoch=flow.epoch,
    )
    applied = await apply_change(context, browser, request)
    return FlowNotFound() if applied is ChangeRefusal.OUTDATED else applied


async def _find_proved_flow(context: AccountContext, browser: BrowserContext) -> StoredFlow | None:
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.RECOVER or stored.flow.recovery_proof is None:
        return None
    return stored


async def _is_current_password(context: AccountContext, account: Account, flow: LoginFlow, current: str) -> bool:
    """Check the current password; the attempt is counted before it is checked."""
    counter = current_password_counter(context, account, flow)
    counted = await context.database.run(guesses.consume, counter, context.now())
    password_hash = context.keyring.unseal(account.password, account.id)
    verified = await context.passwords.verify(normalize_password(current), password_hash)
    return verified.right and counted.is_allowed


def _used_recovery_code(flow: LoginFlow) -> bool:
    return flow.recovery_proof is not None and flow.recovery_proof.method is Method.RECOVERY_CODE


async def _finish_delayed_recovery(
    context: AccountContext, browser: BrowserContext, stored: StoredFlow, password_hash: str, proof: RecoveryProof
) -> Applied | ChangeRefusal:
    """Give the account its new contact and password, now that the wait is over."""
    flow = stored.flow
    change = await context.database.read(changes.find, flow.account, flow.change)
    if change is None or not context.recovery_policy.delayed:
        return ChangeRefusal.NOT_PENDING
    request = msgspec.structs.replace(
        pending_request(context, change), password=password_hash, flow=stored.token_hash, proof=proof
    )
    return await apply_change(context, browser, request)
