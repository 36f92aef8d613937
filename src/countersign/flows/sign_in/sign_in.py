"""Sign in: the password first, and only if it is right a code, unless the account trusts this browser."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts import risk
from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.authenticator import Authenticator
from countersign.domain.accounts.change import AccountSnapshot
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import LASTS, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.password import normal
from countersign.domain.accounts.risk import RiskAssessment, RiskDecision
from countersign.domain.accounts.session import Method, SessionProof
from countersign.domain.shared.contact import network_of, parse_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import InputError
from countersign.flows.accounts.context import (
    AccountContext,
    BrowserContext,
    CodeRequested,
    InvalidCredentials,
    NoEligibleMethod,
    SignedIn,
    SignInDenied,
)
from countersign.flows.accounts.request_code import send_code_by_first_method
from countersign.flows.sign_in.start_session import start_session
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, authenticators, devices, events, rate_limits

BY_NAME: Final = RateLimit("sign_in_name", 10, 15 * 60_000)
"""Passwords that strangers may try on one name; a trusted browser has as many of its own, so that no stranger uses up its owner's (S7)."""
BY_NETWORK: Final = RateLimit("sign_in_network", 60, 10 * 60_000)
"""Passwords that one network may try; a trusted browser is not held to it."""


class SignInCandidate(msgspec.Struct, frozen=True):
    """Who a name belongs to, and what the account knows of this browser."""

    account: Account | None
    contacts: list[OwnedContact]
    device: Device | None
    newest: Device | None
    authenticators: list[Authenticator]


async def sign_in(
    context: AccountContext, browser: BrowserContext, identifier: str, password: str, then: InterruptedRequest
) -> CodeRequested | SignedIn | InvalidCredentials | SignInDenied | Refused | NoEligibleMethod:
    """Let a person in, or ask for a code, or say that it did not work.

    Unknown, wrong, locked and disabled do the same work and are told alike (semantics S1). A wrong password never causes a code (M3).
    """
    blind_index = _blind(context, identifier)
    person = await context.database.read(_who, blind_index, context.mark(browser.device))
    account, device, now = person.account, person.device, context.now()
    trusted = context.sign_in_policy.trusts and device is not None and device.trusted(now)

    lane = device.id if device is not None and trusted else ""
    budgets = [(BY_NAME, context.keyring.blind_index("sign in", blind_index.hex(), lane))]
    if browser.ip and not trusted:
        budgets.append((BY_NETWORK, context.keyring.blind_index("sign in from", network_of(browser.ip))))
    rooms = await context.database.run(rate_limits.spend, budgets, now)
    if not rooms[-1].allowed and len(rooms) > 1:
        return Refused(Refusal.LIMITED, retry_after=rooms[-1].retry_after, limit=BY_NETWORK.name, at=now)

    password = normal(password)
    hashed = context.keyring.unseal(account.password, account.id) if account is not None else None
    verified = await context.passwords.verify(password, hashed)
    if not verified.right or not rooms[0].allowed or account is None or not account.open:
        return InvalidCredentials()
    await context.database.run(rate_limits.clear, budgets[0][1])
    if verified.stale:
        await _strengthen(context, account, password)

    assessment = await _assess(context, browser, person, BY_NAME.burst - rooms[0].remaining - 1)
    reasons = tuple(str(finding) for finding in assessment.findings)
    if assessment.decision is RiskDecision.DENY:
        return SignInDenied(reasons)
    if assessment.decision is RiskDecision.SKIP and trusted:
        proofs = (SessionProof(Method.PASSWORD, now), SessionProof(Method.TRUSTED_DEVICE, now))
        entered = await start_session(context, browser, account.id, proofs, browser.device, then=then)
        return entered if isinstance(entered, SignedIn) else InvalidCredentials()
    secret = browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.SIGN_IN,
        begun_at=now,
        expires_at=now + LASTS,
        device=context.mark(secret).hex(),
        account=account.id,
        then=then,
        requester=browser.requester(lane),
        place=context.place(browser.ip),
        reasons=reasons,
    )
    holdings = AccountSnapshot(account, tuple(person.contacts), tuple(person.authenticators))
    return await send_code_by_first_method(context, browser, holdings, flow, secret)


async def _who(blind_index: bytes, mark: bytes) -> SignInCandidate:
    """Return who is meant; as much is read where nobody is."""
    account, contacts = await accounts.identified(blind_index)
    account_id = account.id if account else ""
    device = await devices.find(account_id, mark)
    newest = await devices.newest(account_id)
    return SignInCandidate(account, contacts, device, newest, (await authenticators.of_account(account_id)))


def _blind(context: AccountContext, identifier: str) -> bytes:
    """Return what a typed name is found by; nonsense is a name like any other that nobody has."""
    try:
        return context.blind_index(parse_contact(identifier))
    except InputError:
        return context.keyring.blind_index("no contact", identifier)


async def _strengthen(context: AccountContext, account: Account, password: str) -> None:
    """Hash a right password anew, since today's parameters are stronger than those it was hashed with (semantics S9)."""
    hashed = await context.passwords.hash(password)
    await context.database.run(
        accounts.set_password, account.id, account.password, context.keyring.seal(hashed, account.id)
    )


async def _assess(
    context: AccountContext, browser: BrowserContext, person: SignInCandidate, failures: int
) -> RiskAssessment:
    """Judge what is known of this sign-in, and keep it: a changed policy can be tried on it."""
    now = context.now()
    device, newest = person.device, person.newest
    proved = [contact.proved_at for contact in person.contacts if contact.proved_at is not None]
    trusted_at = device.trusted_at if device is not None and device.trusted(now) else None
    facts = risk.SignInFacts(
        device_known=device is not None,
        trusted_for=None if trusted_at is None else now - trusted_at,
        place=context.geolocation.find(browser.ip) if browser.ip else None,
        last_place=context.geolocation.find(newest.ip) if newest is not None and newest.ip else None,
        last_seen_at=None if newest is None else newest.last_seen_at,
        now=now,
        failures=failures,
        contact_age=now - min(proved, default=now),
        lists=context.geolocation.listed(browser.ip) if browser.ip else (),
    )
    assessment = risk.assess(facts, context.risk)
    told: dict[str, str | int] = {**risk.as_facts(facts), "decision": assessment.decision.value}
    owner = person.account.id if person.account else ""
    await context.log.run(
        context.database, events.append_event, Event(now, EventKind.SIGN_IN_ASSESSED, context.own.id, owner, told)
    )
    return assessment
