"""Sign up: take name, contact and password, and have the contact proved before there is an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.account import is_name
from countersign.domain.accounts.login_flow import LASTS, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.password import faults, normal
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Contact, network_of, parse_contact
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import InputError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, InvalidInput
from countersign.flows.accounts.request_code import begun_or_refused, send_code
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, rate_limits

if TYPE_CHECKING:
    from collections.abc import Sequence


BY_NETWORK: Final = RateLimit("sign_up_network", 20, 10 * 60_000)
"""Accounts that one network may ask to open: each costs a hash of a password before anything is proved."""


async def sign_up(
    context: AccountContext,
    browser: BrowserContext,
    name: str,
    identifier: str,
    password: str,
    then: InterruptedRequest,
) -> CodeRequested | InvalidInput | Refused:
    """Ask the contact's holder for a code; what the browser learns is the same whether the contact has an account or not.

    Where it has one, its owner is told by the message that would have held the code. Nothing is kept but the visit, so nobody can occupy
    an address that is not theirs.
    """
    found: dict[str, str] = {}
    if not is_name(name):
        found["name"] = "malformed"
    contact: Contact | None = None
    try:
        contact = parse_contact(identifier)
    except InputError as error:
        found["identifier"] = error.reason
    password = normal(password)
    if fault := await fault_of(context, password, (name, contact.address if contact else "")):
        found["password"] = fault
    if found or contact is None:
        return InvalidInput(found)

    if browser.ip:
        budget = [(BY_NETWORK, context.keyring.blind_index("sign up from", network_of(browser.ip)))]
        (room,) = await context.database.run(rate_limits.spend, budget, context.now())
        if not room.allowed:
            return Refused(Refusal.LIMITED, retry_after=room.retry_after, limit=BY_NETWORK.name, at=context.now())
    hashed = await context.passwords.hash(password)
    account, _ = await context.database.read(accounts.identified, context.blind_index(contact))
    device = browser.device or context.secret()
    outcome = begun_or_refused(
        await send_code(
            context,
            browser,
            contact,
            purpose=LoginFlowKind.SIGN_UP.value,
            device=device,
            told=NoticeKind.SIGN_UP_KNOWN.value if account is not None else "",
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    now = context.now()
    flow = LoginFlow(
        kind=LoginFlowKind.SIGN_UP,
        begun_at=now,
        expires_at=now + LASTS,
        device=context.mark(device).hex(),
        challenge=outcome.challenge.id,
        known=account is not None,
        name=name.strip(),
        password=hashed,
        to=contact.address,
        locale=browser.locale,
        then=then,
        requester=browser.requester(),
        place=context.place(browser.ip),
    )
    return CodeRequested(await login_flow.save_flow(context, flow), device)


async def fault_of(context: AccountContext, password: str, names: Sequence[str]) -> str:
    """Say why a password (in its normal form) is not taken, or nothing (semantics S9)."""
    fault = faults(password, names=(*context.password_context_words, *names), least=context.password_min_length)
    if fault is not None:
        return fault.value
    return await context.passwords.known_fault(password)
