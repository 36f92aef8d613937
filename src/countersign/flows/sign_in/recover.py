"""Recover: a forgotten password is replaced by who proves a contact or a recovery code, without being told whether there is an account."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.change import AccountChange, ChangeKind, ChangeRefusal, recovers
from countersign.domain.accounts.login_flow import LASTS, Visit, VisitKind
from countersign.domain.accounts.password import normal
from countersign.domain.accounts.session import Method
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Contact, network_of, parse
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import Limit
from countersign.errors import InputError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import Browser, Faulty, Gate, Gone, ToVerify
from countersign.flows.accounts.request_code import ask, began
from countersign.flows.changes.apply import Applied, Applying, apply
from countersign.flows.changes.request import Kept, Wanted
from countersign.flows.sign_in.sign_up import fault_of
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, changes, rate_limits

BY_NETWORK: Final = Limit("recover_network", 20, 10 * 60_000)
"""Recoveries that one network may ask for."""

BY_ACCOUNT: Final = Limit("recover_password", 5, 24 * 3_600_000)
"""Old passwords that may be tried on one account in a day, by who has proved one of its contacts."""

Recovered: TypeAlias = Applied | Faulty | ChangeRefusal | Gone

_kept: Final = msgspec.json.Decoder(Kept).decode


class Meant(msgspec.Struct, frozen=True):
    """Whose contact was typed: the account it signs in to, the contact as the account has it, and a claim that it may finish."""

    account: Account | None
    contact: OwnedContact | None
    claim: AccountChange | None


async def recover(gate: Gate, browser: Browser, identifier: str) -> ToVerify | Faulty | Refused:
    """Send a code to the contact that was typed; the browser is told the same whether it has an account or not (semantics R1).

    Where it has none, or is too new to recover alone, the message says that instead of holding a code. Nothing is changed.
    """
    try:
        contact = parse(identifier)
    except InputError as error:
        return Faulty({"identifier": error.reason})
    if refused := await _limited(gate, browser):
        return refused
    meant = await gate.database.read(_meant, gate.blind(contact), gate.now())
    told = _told(meant, gate.now())
    device = browser.device or gate.secret()
    outcome = began(
        await ask(
            gate, browser, contact, purpose=VisitKind.RECOVER.value, device=device, told=told.value if told else ""
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    visit = _visit(gate, browser, VisitKind.RECOVER, contact, device, outcome.challenge.id)
    account = meant.claim.account if meant.claim is not None else meant.account.id if meant.account else ""
    visit = msgspec.structs.replace(
        visit,
        account=account,
        contact=meant.contact.id if meant.contact is not None else "",
        change=meant.claim.id if meant.claim is not None else "",
    )
    return ToVerify(await login_flow.keep(gate, visit, contact.masked), device)


async def _meant(blind: bytes, now: int) -> Meant:
    account, contacts = await accounts.identified(blind)
    waiting = await changes.claims(blind, now)
    claim = next((one for one in waiting if now >= one.due_at), None)
    contact = next((one for one in contacts if one.blind == blind), None)
    return Meant(account, contact, claim)


def _told(meant: Meant, now: int) -> NoticeKind | None:
    """Return what the holder of a contact is told instead of a code, or None if they get one."""
    if meant.claim is not None:
        return None
    if meant.account is None or meant.account.disabled_at is not None or meant.contact is None:
        return NoticeKind.RECOVER_UNKNOWN
    return None if recovers(meant.contact, now) else NoticeKind.RECOVER_TOO_NEW


async def claim_access(gate: Gate, browser: Browser, identifier: str, contact: str) -> ToVerify | Faulty | Refused:
    """Ask whoever lost everything to prove a new contact, before the wait begins; told alike where there is no such account."""
    faults: dict[str, str] = {}
    lost: Contact | None = None
    fresh: Contact | None = None
    try:
        lost = parse(identifier)
    except InputError as error:
        faults["identifier"] = error.reason
    try:
        fresh = parse(contact)
    except InputError as error:
        faults["contact"] = error.reason
    if lost is None or fresh is None:
        return Faulty(faults)
    if refused := await _limited(gate, browser):
        return refused
    account, _ = await gate.database.read(accounts.identified, gate.blind(lost))
    device = browser.device or gate.secret()
    outcome = began(await ask(gate, browser, fresh, purpose=VisitKind.CLAIM.purpose, device=device))
    if isinstance(outcome, Refused):
        return outcome
    visit = _visit(gate, browser, VisitKind.CLAIM, fresh, device, outcome.challenge.id)
    return ToVerify(
        await login_flow.keep(gate, msgspec.structs.replace(visit, account=account.id if account else "")), device
    )


async def is_recoverable(gate: Gate, browser: Browser) -> bool:
    """Say whether this browser has proved whose account it is, and may choose a new password."""
    kept = await login_flow.find(gate, browser)
    return kept is not None and kept.visit.kind is VisitKind.RECOVER and kept.visit.proved is not None


async def choose_password(gate: Gate, browser: Browser, password: str, current: str = "") -> Recovered:
    """Replace the password: every session, all trust and what is pending end, every contact hears of it, and nobody is signed in.

    A factor that is enrolled stays, and is asked for at the next sign-in (semantics R2, A5). The contact that recovered is no second
    proof where there is another, unless the person knows the password as well: then it is what signing in takes. So a stolen phone
    and a mailbox are not worth the same: the owner knows more.
    """
    kept = await login_flow.find(gate, browser)
    if kept is None or kept.visit.kind is not VisitKind.RECOVER or kept.visit.proved is None:
        return Gone()
    visit = kept.visit
    account = await gate.database.read(accounts.find, visit.account)
    if account is None or account.disabled_at is not None or account.password_at > visit.begun_at:
        return Gone()
    password = normal(password)
    names = (gate.keyring.unseal(account.name, account.id), visit.to)
    if fault := await fault_of(gate, password, names):
        return Faulty({"password": fault})
    if current and (refused := await _mistaken(gate, account, current)):
        return refused
    hashed = await gate.passwords.hash(password)
    proved = kept.visit.proved
    if visit.change:
        return await _finish_claim(gate, browser, visit, kept.mark, hashed)
    wanted = Wanted(ChangeKind.PASSWORD_RECOVERED, password=hashed)
    by = visit.contact if proved.method is not Method.RECOVERY_CODE and not current else ""
    return await apply(gate, Applying(account.id, wanted, browser, visit=kept.mark, by=by))


async def _mistaken(gate: Gate, account: Account, current: str) -> Faulty | None:
    """Say that a password is not the account's; of tries there are few."""
    counter = gate.keyring.blind("current password", account.id)
    (room,) = await gate.database.run(rate_limits.spend, [(BY_ACCOUNT, counter)], gate.now())
    hashed = gate.keyring.unseal(account.password, account.id)
    verified = await gate.passwords.verify(normal(current), hashed)
    return None if verified.right and room.allowed else Faulty({"current": "wrong"})


async def _finish_claim(
    gate: Gate, browser: Browser, visit: Visit, mark: bytes, hashed: str
) -> Applied | ChangeRefusal:
    pending = await gate.database.read(changes.find, visit.account, visit.change)
    if pending is None:
        return ChangeRefusal.NOT_PENDING
    waiting = _kept(gate.keyring.unseal(pending.data, pending.id))
    wanted = Wanted(pending.kind, about=pending.about, contact=parse(waiting.to), password=hashed)
    return await apply(gate, Applying(visit.account, wanted, browser, visit=mark, change=pending.id))


async def _limited(gate: Gate, browser: Browser) -> Refused | None:
    if not browser.ip:
        return None
    budget = [(BY_NETWORK, gate.keyring.blind("recover from", network_of(browser.ip)))]
    (room,) = await gate.database.run(rate_limits.spend, budget, gate.now())
    if room.allowed:
        return None
    return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_NETWORK.name, at=gate.now())


def _visit(gate: Gate, browser: Browser, kind: VisitKind, contact: Contact, device: str, challenge: str) -> Visit:
    now = gate.now()
    return Visit(
        kind=kind,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(device).hex(),
        challenge=challenge,
        to=contact.address,
        requester=browser.requester(),
        place=gate.place(browser.ip),
    )
