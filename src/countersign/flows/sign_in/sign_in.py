"""Sign in: check the password, then request a code, unless the account trusts this browser."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from countersign.domain.accounts import risk
from countersign.domain.accounts.account import Account, AccountSnapshot, OwnedContact
from countersign.domain.accounts.authenticator import Authenticator
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.password import normalize_password
from countersign.domain.accounts.risk import RiskAssessment, RiskDecision
from countersign.domain.accounts.session import Method, SessionProof
from countersign.domain.shared.contact import read_contact
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.errors import InputError
from countersign.flows.accounts.asking_application import with_asker
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
from countersign.flows.sign_in.guess_counters import (
    ATTEMPTS_PER_IDENTIFIER,
    ATTEMPTS_PER_NETWORK,
    forget_passwords,
    password_counter,
)
from countersign.flows.sign_in.start_session import start_session
from countersign.flows.verifications.results import Refused
from countersign.store.ledger import event_log
from countersign.store.tables import accounts, authenticators, devices, guesses
from countersign.store.tables.guesses import GuessCounter

SignInResult: TypeAlias = CodeRequested | SignedIn | InvalidCredentials | SignInDenied | Refused | NoEligibleMethod


async def sign_in(
    context: AccountContext, browser: BrowserContext, identifier: str, password: str, interrupted: InterruptedRequest
) -> SignInResult:
    """Check identifier and password, then request a code or start a session.

    `identifier` and `password` are as entered; `interrupted` is the request that continues after the sign-in. An unknown identifier, a
    wrong password, a rate limit on the identifier and a locked account cost the same work and give the same answer, InvalidCredentials
    (semantics S1). No code is sent before the password is right (M3). Refused means that this network made too many attempts.
    """
    blind_indexes = _blind_indexes(context, browser, identifier)
    candidate = await context.database.read(_find_candidate, blind_indexes, context.token_hash(browser.device))
    trusted_device = _trusted_device(context, candidate)
    attempt = await _count_attempt(context, browser, candidate.account, blind_indexes[0], _id_of(trusted_device))
    if isinstance(attempt, Refused):
        return attempt
    account = await _check_password(context, candidate.account, password, attempt)
    if account is None:
        return InvalidCredentials()
    assessment = await _assess_risk(context, browser, account, candidate, attempt.failures_before)
    if assessment.decision is RiskDecision.DENY:
        return SignInDenied(_values(assessment))
    if assessment.decision is RiskDecision.SKIP and trusted_device is not None:
        return await _start_trusted_session(context, browser, account, interrupted)
    device_secret = browser.device or context.secret()
    flow = LoginFlow(
        kind=LoginFlowKind.SIGN_IN,
        begun_at=context.now(),
        expires_at=context.now() + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device_secret).hex(),
        account=account.id,
        interrupted=await with_asker(context, interrupted),
        requester=browser.requester(_id_of(trusted_device)),
        place=context.place(browser.ip),
        risk_findings=_values(assessment),
        epoch=account.epoch,
    )
    snapshot = AccountSnapshot(account, tuple(candidate.contacts), tuple(candidate.authenticators))
    return await send_code_by_first_method(context, browser, snapshot, flow, device_secret)


def _blind_indexes(context: AccountContext, browser: BrowserContext, identifier: str) -> tuple[bytes, ...]:
    """Return the blind indexes of an identifier. One that is no contact gets an index too, which belongs to nobody."""
    try:
        return context.blind_indexes(read_contact(identifier, browser.regions))
    except InputError:
        return (context.keyring.blind_index("no contact", identifier),)


class SignInCandidate(msgspec.Struct, frozen=True):
    """The account of an identifier, None if there is none, and what is known of the browser.

    `device` is this browser, if the account was used on it before. `last_device` is the browser on which it was used last.
    """

    account: Account | None
    contacts: list[OwnedContact]
    device: Device | None
    last_device: Device | None
    authenticators: list[Authenticator]


async def _find_candidate(blind_indexes: tuple[bytes, ...], device_token_hash: bytes) -> SignInCandidate:
    """Read the candidate. An unknown identifier causes the same reads, so timing does not reveal whether an account exists."""
    account, contacts = await accounts.find_with_contacts_by_identifier(*blind_indexes)
    account_id = account.id if account else ""
    device = await devices.find(account_id, device_token_hash)
    last_device = await devices.find_newest(account_id)
    return SignInCandidate(account, contacts, device, last_device, await authenticators.list_active(account_id))


def _trusted_device(context: AccountContext, candidate: SignInCandidate) -> Device | None:
    """Return this browser if the account trusts it and the installation allows that."""
    device = candidate.device
    is_trusted = context.sign_in_policy.trusts_browsers and device is not None and device.trusted(context.now())
    return device if is_trusted else None


def _id_of(device: Device | None) -> str:
    return device.id if device is not None else ""


class CountedAttempt(msgspec.Struct, frozen=True):
    """An attempt that was counted before its password is checked.

    `counter` is what it counted for. `is_allowed`: the account is below its limits. `failures_before`: attempts that were counted before
    this one and not reset since.
    """

    counter: GuessCounter
    is_allowed: bool
    failures_before: int


async def _count_attempt(
    context: AccountContext, browser: BrowserContext, account: Account | None, blind_index: bytes, trusted_device: str
) -> CountedAttempt | Refused:
    """Count an attempt against the account and the network. Return Refused if the network is over its limit."""
    now = context.now()
    counter = password_counter(context, account, blind_index, trusted_device, browser.ip)
    counted = await context.database.run(guesses.consume, counter, now)
    if counted.wait:
        return Refused(Refusal.LIMITED, retry_after=counted.wait, limit=ATTEMPTS_PER_NETWORK.name, at=now)
    failures_before = ATTEMPTS_PER_IDENTIFIER.burst - counted.results[0].remaining - 1
    return CountedAttempt(counter, counted.is_allowed, failures_before)


async def _check_password(
    context: AccountContext, account: Account | None, password: str, attempt: CountedAttempt
) -> Account | None:
    """Return the account if the password is right, the attempt is allowed and the account is open; then reset the count.

    A hash is computed in every case: the work must not show which of these failed.
    """
    password = normalize_password(password)
    password_hash = context.keyring.unseal(account.password, account.id) if account is not None else None
    verified = await context.passwords.verify(password, password_hash)
    if account is None or not account.open or not verified.right or not attempt.is_allowed:
        return None
    await forget_passwords(context, account, attempt.counter)
    if verified.stale:
        await _rehash_password(context, account, password)
    return account


async def _rehash_password(context: AccountContext, account: Account, password: str) -> None:
    """Replace a password hash that was made with weaker parameters than today's (semantics S9)."""
    password_hash = await context.passwords.hash(password)
    sealed = context.keyring.seal(password_hash, account.id)
    await context.database.run(accounts.replace_password, account.id, account.password, sealed)


async def _assess_risk(
    context: AccountContext,
    browser: BrowserContext,
    account: Account,
    candidate: SignInCandidate,
    failures_before: int,
) -> RiskAssessment:
    """Assess the sign-in and record the facts, so that an operator can try another risk policy on them."""
    now, places = context.now(), context.geolocation
    device, last_device = candidate.device, candidate.last_device
    proved = [contact.proved_at for contact in candidate.contacts if contact.proved_at is not None]
    trusted_at = device.trusted_at if device is not None and device.trusted(now) else None
    facts = risk.SignInFacts(
        device_known=device is not None,
        trust_age=None if trusted_at is None else now - trusted_at,
        location=places.find(browser.ip) if browser.ip else None,
        last_location=places.find(last_device.ip) if last_device is not None and last_device.ip else None,
        last_seen_at=None if last_device is None else last_device.last_seen_at,
        now=now,
        failed_attempts=failures_before,
        contact_age=now - min(proved, default=now),
        ip_lists=places.listed(browser.ip) if browser.ip else (),
    )
    assessment = risk.assess(facts, context.risk)
    event_facts: dict[str, str | int] = {**risk.to_event_facts(facts), "decision": assessment.decision.value}
    event = Event(now, EventKind.SIGN_IN_ASSESSED, context.own.id, account.id, event_facts)
    await context.log.run(context.database, event_log.append_event, event)
    return assessment


def _values(assessment: RiskAssessment) -> tuple[str, ...]:
    return tuple(finding.value for finding in assessment.findings)


async def _start_trusted_session(
    context: AccountContext, browser: BrowserContext, account: Account, interrupted: InterruptedRequest
) -> SignedIn | InvalidCredentials:
    now = context.now()
    proofs = (SessionProof(Method.PASSWORD, now), SessionProof(Method.TRUSTED_DEVICE, now))
    started = await start_session(context, browser, account.id, proofs, interrupted=interrupted, epoch=account.epoch)
    return started if isinstance(started, SignedIn) else InvalidCredentials()
