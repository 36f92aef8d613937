"""Sign up: take name, contact and password, and have the contact proved before there is an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.account import is_name
from countersign.domain.accounts.login_flow import LASTS, Interrupted, Visit, VisitKind
from countersign.domain.accounts.password import faults, normal
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Contact, network_of, parse
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import Limit
from countersign.errors import InputError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import Browser, Faulty, Gate, ToVerify
from countersign.flows.accounts.request_code import ask, began
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, rate_limits

if TYPE_CHECKING:
    from collections.abc import Sequence


BY_NETWORK: Final = Limit("sign_up_network", 20, 10 * 60_000)
"""Accounts that one network may ask to open: each costs a hash of a password before anything is proved."""


async def sign_up(
    gate: Gate, browser: Browser, name: str, identifier: str, password: str, then: Interrupted
) -> ToVerify | Faulty | Refused:
    """Ask the contact's holder for a code; what the browser learns is the same whether the contact has an account or not.

    Where it has one, its owner is told by the message that would have held the code. Nothing is kept but the visit, so nobody can occupy
    an address that is not theirs.
    """
    found: dict[str, str] = {}
    if not is_name(name):
        found["name"] = "malformed"
    contact: Contact | None = None
    try:
        contact = parse(identifier)
    except InputError as error:
        found["identifier"] = error.reason
    password = normal(password)
    if fault := await fault_of(gate, password, (name, contact.address if contact else "")):
        found["password"] = fault
    if found or contact is None:
        return Faulty(found)

    if browser.ip:
        budget = [(BY_NETWORK, gate.keyring.blind("sign up from", network_of(browser.ip)))]
        (room,) = await gate.database.run(rate_limits.spend, budget, gate.now())
        if not room.allowed:
            return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_NETWORK.name, at=gate.now())
    hashed = await gate.passwords.hash(password)
    account, _ = await gate.database.read(accounts.identified, gate.blind(contact))
    device = browser.device or gate.secret()
    outcome = began(
        await ask(
            gate,
            browser,
            contact,
            purpose=VisitKind.SIGN_UP.value,
            device=device,
            told=NoticeKind.SIGN_UP_KNOWN.value if account is not None else "",
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    now = gate.now()
    visit = Visit(
        kind=VisitKind.SIGN_UP,
        begun_at=now,
        expires_at=now + LASTS,
        device=gate.mark(device).hex(),
        challenge=outcome.challenge.id,
        known=account is not None,
        name=name.strip(),
        password=hashed,
        to=contact.address,
        locale=browser.locale,
        then=then,
        requester=browser.requester(),
        place=gate.place(browser.ip),
    )
    return ToVerify(await login_flow.keep(gate, visit), device)


async def fault_of(gate: Gate, password: str, names: Sequence[str]) -> str:
    """Say why a password (in its normal form) is not taken, or nothing (semantics S9)."""
    fault = faults(password, names=(*gate.names, *names), least=gate.least)
    if fault is not None:
        return fault.value
    return await gate.passwords.known_fault(password)
