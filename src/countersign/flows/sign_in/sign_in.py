"""Sign in: the password first, and only if it is right a code, unless the account trusts this browser."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts import risk
from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.authenticator import Factor
from countersign.domain.accounts.change import Holdings
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.login_flow import LASTS, Interrupted, Visit, VisitKind
from countersign.domain.accounts.password import normal
from countersign.domain.accounts.risk import Assessment, Decision
from countersign.domain.accounts.session import Method, Proven
from countersign.domain.shared.contact import network_of, parse
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import Limit
from countersign.errors import InputError
from countersign.flows.accounts.context import Browser, Denied, Entered, Gate, ToVerify, Unmet, Wrong
from countersign.flows.accounts.request_code import ask_by_first_way
from countersign.flows.sign_in.start_session import enter
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, authenticators, devices, events, rate_limits

BY_NAME: Final = Limit("sign_in_name", 10, 15 * 60_000)
"""Passwords that strangers may try on one name; a trusted browser has as many of its own, so that no stranger uses up its owner's (S7)."""
BY_NETWORK: Final = Limit("sign_in_network", 60, 10 * 60_000)
"""Passwords that one network may try; a trusted browser is not held to it."""


class Person(msgspec.Struct, frozen=True):
    """Who a name belongs to, and what the account knows of this browser."""

    account: Account | None
    contacts: list[OwnedContact]
    device: Device | None
    newest: Device | None
    authenticators: list[Factor]


async def sign_in(
    gate: Gate, browser: Browser, identifier: str, password: str, then: Interrupted
) -> ToVerify | Entered | Wrong | Denied | Refused | Unmet:
    """Let a person in, or ask for a code, or say that it did not work.

    Unknown, wrong, locked and disabled do the same work and are told alike (semantics S1). A wrong password never causes a code (M3).
    """
    blind = _blind(gate, identifier)
    person = await gate.database.read(_who, blind, gate.mark(browser.device))
    account, device, now = person.account, person.device, gate.now()
    trusted = gate.entrance.trusts and device is not None and device.trusted(now)

    lane = device.id if device is not None and trusted else ""
    budgets = [(BY_NAME, gate.keyring.blind("sign in", blind.hex(), lane))]
    if browser.ip and not trusted:
        budgets.append((BY_NETWORK, gate.keyring.blind("sign in from", network_of(browser.ip))))
    rooms = await gate.database.run(rate_limits.spend, budgets, now)
    if not rooms[-1].allowed and len(rooms) > 1:
        return Refused(Refusal.LIMITED, retry_after=rooms[-1].retry_after, limit=BY_NETWORK.name, at=now)

    password = normal(password)
    hashed = gate.keyring.unseal(account.password, account.id) if account is not None else None
    verified = await gate.passwords.verify(password, hashed)
    if not verified.right or not rooms[0].allowed or account is None or not account.open:
        return Wrong()
    await gate.database.run(rate_limits.clear, budgets[0][1])
    if verified.stale:
        await _strengthen(gate, account, password)

    assessment = await _assess(gate, browser, person, BY_NAME.burst - rooms[0].remaining - 1)
    reasons = tuple(str(finding) for finding in assessment.findings)
    if assessment.decision is Decision.DENY:
        return Denied(reasons)
    if assessment.decision is Decision.SKIP and trusted:
        proofs = (Proven(Method.PASSWORD, now), Proven(Method.TRUSTED_DEVICE, now))
        entered = await enter(gate, browser, account.id, proofs, browser.device, then=then)
        return entered if isinstance(entered, Entered) else Wrong()
    secret = browser.device or gate.secret()
    visit = Visit(
        kind=VisitKind.SIGN_IN,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(secret).hex(),
        account=account.id,
        then=then,
        requester=browser.requester(lane),
        place=gate.place(browser.ip),
        reasons=reasons,
    )
    holdings = Holdings(account, tuple(person.contacts), tuple(person.authenticators))
    return await ask_by_first_way(gate, browser, holdings, visit, secret)


async def _who(blind: bytes, mark: bytes) -> Person:
    """Return who is meant; as much is read where nobody is."""
    account, contacts = await accounts.identified(blind)
    account_id = account.id if account else ""
    device = await devices.find(account_id, mark)
    newest = await devices.newest(account_id)
    return Person(account, contacts, device, newest, (await authenticators.of_account(account_id)))


def _blind(gate: Gate, identifier: str) -> bytes:
    """Return what a typed name is found by; nonsense is a name like any other that nobody has."""
    try:
        return gate.blind(parse(identifier))
    except InputError:
        return gate.keyring.blind("no contact", identifier)


async def _strengthen(gate: Gate, account: Account, password: str) -> None:
    """Hash a right password anew, since today's parameters are stronger than those it was hashed with (semantics S9)."""
    hashed = await gate.passwords.hash(password)
    await gate.database.run(accounts.set_password, account.id, account.password, gate.keyring.seal(hashed, account.id))


async def _assess(gate: Gate, browser: Browser, person: Person, failures: int) -> Assessment:
    """Judge what is known of this sign-in, and keep it: a changed policy can be tried on it."""
    now = gate.now()
    device, newest = person.device, person.newest
    proved = [contact.proved_at for contact in person.contacts if contact.proved_at is not None]
    trusted_at = device.trusted_at if device is not None and device.trusted(now) else None
    facts = risk.Facts(
        device_known=device is not None,
        trusted_for=None if trusted_at is None else now - trusted_at,
        place=gate.places.find(browser.ip) if browser.ip else None,
        last_place=gate.places.find(newest.ip) if newest is not None and newest.ip else None,
        last_seen_at=None if newest is None else newest.last_seen_at,
        now=now,
        failures=failures,
        contact_age=now - min(proved, default=now),
        lists=gate.places.listed(browser.ip) if browser.ip else (),
    )
    assessment = risk.assess(facts, gate.risk)
    told: dict[str, str | int] = {**risk.as_facts(facts), "decision": assessment.decision.value}
    owner = person.account.id if person.account else ""
    await gate.log.run(
        gate.database, events.append_event, Event(now, EventKind.SIGN_IN_ASSESSED, gate.own.id, owner, told)
    )
    return assessment
