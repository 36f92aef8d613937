"""Recover: a forgotten password is replaced by who proves a contact or a recovery code, without being told whether there is an account."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import AccountChange, ChangeKind, ChangeRefusal, may_recover
from countersign.domain.accounts.login_flow import LASTS, LoginFlow, LoginFlowKind
from countersign.domain.accounts.password import normal
from countersign.domain.accounts.session import Method
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Contact, network_of, parse_contact
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import InputError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, FlowNotFound, InvalidInput
from countersign.flows.accounts.request_code import begun_or_refused, send_code
from countersign.flows.changes.apply import Applied, Applying, apply_change
from countersign.flows.changes.request import ChangeRequest, PendingContact
from countersign.flows.sign_in.sign_up import fault_of
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, changes, rate_limits

BY_NETWORK: Final = RateLimit("recover_network", 20, 10 * 60_000)
"""Recoveries that one network may ask for."""

BY_ACCOUNT: Final = RateLimit("recover_password", 5, 24 * 3_600_000)
"""Old passwords that may be tried on one account in a day, by who has proved one of its contacts."""

RecoveryResult: TypeAlias = Applied | InvalidInput | ChangeRefusal | FlowNotFound

_kept: Final = msgspec.json.Decoder(PendingContact).decode


class RecoveryTarget(msgspec.Struct, frozen=True):
    """Whose contact was typed: the account it signs in to, the contact as the account has it, and a claim that it may finish."""

    account: Account | None
    contact: OwnedContact | None
    claim: AccountChange | None


async def recover(
    context: AccountContext, browser: BrowserContext, identifier: str
) -> CodeRequested | InvalidInput | Refused:
    """Send a code to the contact that was typed; the browser is told the same whether it has an account or not (semantics R1).

    Where it has none, or is too new to recover alone, the message says that instead of holding a code. Nothing is changed.
    """
    try:
        contact = parse_contact(identifier)
    except InputError as error:
        return InvalidInput({"identifier": error.reason})
    if refused := await _limited(context, browser):
        return refused
    meant = await context.database.read(_meant, context.blind_index(contact), context.now())
    told = _told(meant, context.now())
    device = browser.device or context.secret()
    outcome = begun_or_refused(
        await send_code(
            context,
            browser,
            contact,
            purpose=LoginFlowKind.RECOVER.value,
            device=device,
            told=told.value if told else "",
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    flow = _visit(context, browser, LoginFlowKind.RECOVER, contact, device, outcome.challenge.id)
    account = meant.claim.account if meant.claim is not None else meant.account.id if meant.account else ""
    flow = msgspec.structs.replace(
        flow,
        account=account,
        contact=meant.contact.id if meant.contact is not None else "",
        change=meant.claim.id if meant.claim is not None else "",
    )
    return CodeRequested(await login_flow.save_flow(context, flow, contact.masked), device)


async def _meant(blind_index: bytes, now: int) -> RecoveryTarget:
    account, contacts = await accounts.identified(blind_index)
    waiting = await changes.claims(blind_index, now)
    claim = next((one for one in waiting if now >= one.due_at), None)
    contact = next((one for one in contacts if one.blind_index == blind_index), None)
    return RecoveryTarget(account, contact, claim)


def _told(meant: RecoveryTarget, now: int) -> NoticeKind | None:
    """Return what the holder of a contact is told instead of a code, or None if they get one."""
    if meant.claim is not None:
        return None
    if meant.account is None or meant.account.disabled_at is not None or meant.contact is None:
        return NoticeKind.RECOVER_UNKNOWN
    return None if may_recover(meant.contact, now) else NoticeKind.RECOVER_TOO_NEW


async def claim_access(
    context: AccountContext, browser: BrowserContext, identifier: str, contact: str
) -> CodeRequested | InvalidInput | Refused:
    """Ask whoever lost everything to prove a new contact, before the wait begins; told alike where there is no such account."""
    faults: dict[str, str] = {}
    lost: Contact | None = None
    fresh: Contact | None = None
    try:
        lost = parse_contact(identifier)
    except InputError as error:
        faults["identifier"] = error.reason
    try:
        fresh = parse_contact(contact)
    except InputError as error:
        faults["contact"] = error.reason
    if lost is None or fresh is None:
        return InvalidInput(faults)
    if refused := await _limited(context, browser):
        return refused
    account, _ = await context.database.read(accounts.identified, context.blind_index(lost))
    device = browser.device or context.secret()
    outcome = begun_or_refused(
        await send_code(context, browser, fresh, purpose=LoginFlowKind.CLAIM.purpose, device=device)
    )
    if isinstance(outcome, Refused):
        return outcome
    flow = _visit(context, browser, LoginFlowKind.CLAIM, fresh, device, outcome.challenge.id)
    return CodeRequested(
        await login_flow.save_flow(context, msgspec.structs.replace(flow, account=account.id if account else "")),
        device,
    )


async def is_recoverable(context: AccountContext, browser: BrowserContext) -> bool:
    """Say whether this browser has proved whose account it is, and may choose a new password."""
    stored = await login_flow.find_flow(context, browser)
    return stored is not None and stored.flow.kind is LoginFlowKind.RECOVER and stored.flow.proved is not None


async def choose_password(
    context: AccountContext, browser: BrowserContext, password: str, current: str = ""
) -> RecoveryResult:
    """Replace the password: every session, all trust and what is pending end, every contact hears of it, and nobody is signed in.

    A factor that is enrolled stays, and is asked for at the next sign-in (semantics R2, A5). The contact that recovered is no second
    proof where there is another, unless the person knows the password as well: then it is what signing in takes. So a stolen phone
    and a mailbox are not worth the same: the owner knows more.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind is not LoginFlowKind.RECOVER or stored.flow.proved is None:
        return FlowNotFound()
    flow = stored.flow
    account = await context.database.read(accounts.find, flow.account)
    if account is None or account.disabled_at is not None or account.password_at > flow.begun_at:
        return FlowNotFound()
    password = normal(password)
    names = (context.keyring.unseal(account.name, account.id), flow.to)
    if fault := await fault_of(context, password, names):
        return InvalidInput({"password": fault})
    if current and (refused := await _mistaken(context, account, current)):
        return refused
    hashed = await context.passwords.hash(password)
    proved = stored.flow.proved
    if flow.change:
        return await _finish_claim(context, browser, flow, stored.mark, hashed)
    wanted = ChangeRequest(ChangeKind.PASSWORD_RECOVERED, password=hashed)
    by = flow.contact if proved.method is not Method.RECOVERY_CODE and not current else ""
    return await apply_change(context, Applying(account.id, wanted, browser, flow=stored.mark, by=by))


async def _mistaken(context: AccountContext, account: Account, current: str) -> InvalidInput | None:
    """Say that a password is not the account's; of tries there are few."""
    counter = context.keyring.blind_index("current password", account.id)
    (room,) = await context.database.run(rate_limits.spend, [(BY_ACCOUNT, counter)], context.now())
    hashed = context.keyring.unseal(account.password, account.id)
    verified = await context.passwords.verify(normal(current), hashed)
    return None if verified.right and room.allowed else InvalidInput({"current": "wrong"})


async def _finish_claim(
    context: AccountContext, browser: BrowserContext, flow: LoginFlow, mark: bytes, hashed: str
) -> Applied | ChangeRefusal:
    pending = await context.database.read(changes.find, flow.account, flow.change)
    if pending is None:
        return ChangeRefusal.NOT_PENDING
    waiting = _kept(context.keyring.unseal(pending.data, pending.id))
    wanted = ChangeRequest(pending.kind, about=pending.about, contact=parse_contact(waiting.to), password=hashed)
    return await apply_change(context, Applying(flow.account, wanted, browser, flow=mark, change=pending.id))


async def _limited(context: AccountContext, browser: BrowserContext) -> Refused | None:
    if not browser.ip:
        return None
    budget = [(BY_NETWORK, context.keyring.blind_index("recover from", network_of(browser.ip)))]
    (room,) = await context.database.run(rate_limits.spend, budget, context.now())
    if room.allowed:
        return None
    return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_NETWORK.name, at=context.now())


def _visit(
    context: AccountContext, browser: BrowserContext, kind: LoginFlowKind, contact: Contact, device: str, challenge: str
) -> LoginFlow:
    now = context.now()
    return LoginFlow(
        kind=kind,
        begun_at=now,
        expires_at=now + LASTS,
        device=context.mark(device).hex(),
        challenge=challenge,
        to=contact.address,
        requester=browser.requester(),
        place=context.place(browser.ip),
    )
