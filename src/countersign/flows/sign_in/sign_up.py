"""Sign up: take name, contact and password, and have the contact proved before an account exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.account import MAX_NAME, is_name
from countersign.domain.accounts.login_flow import FLOW_LIFETIME, InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.password import normalize_password, password_fault
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Contact, read_contact
from countersign.domain.shared.typed_name import read_name
from countersign.domain.verifications.challenge import Action
from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import InputError
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.asking_application import with_asker
from countersign.flows.accounts.context import AccountContext, BrowserContext, CodeRequested, InvalidInput
from countersign.flows.accounts.request_code import begun_or_refused, send_code
from countersign.flows.sign_in.network_limit import count_by_network
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from collections.abc import Sequence


SIGN_UPS_PER_NETWORK: Final = RateLimit("sign_up_network", 20, 10 * 60_000)
"""Sign-ups that one network may begin. Each costs a password hash before anything is proved."""


async def sign_up(
    context: AccountContext,
    browser: BrowserContext,
    name: str,
    identifier: str,
    password: str,
    interrupted: InterruptedRequest,
) -> CodeRequested | InvalidInput | Refused:
    """Send a code to the contact. The browser gets the same answer whether the contact has an account or not.

    `name`, `identifier` and `password` are as entered; `interrupted` is the request that continues afterwards. If the contact has an
    account, its owner gets a message that says so in place of a code. Only the flow is stored, so nobody can occupy a contact that is not
    theirs. InvalidInput names the field and the fault, for example `{"password": "too_short"}`.
    """
    password = normalize_password(password)
    contact = await _check_input(context, browser, name, identifier, password)
    if isinstance(contact, InvalidInput):
        return contact
    if refused := await count_by_network(context, browser, SIGN_UPS_PER_NETWORK):
        return refused
    # The password is hashed for a known contact too: the time that this takes must not reveal whether there is an account.
    password_hash = await context.passwords.hash(password)
    account, _ = await context.database.read(accounts.find_with_contacts_by_identifier, *context.blind_indexes(contact))
    device_secret = browser.device or context.secret()
    interrupted = await with_asker(context, interrupted)
    outcome = begun_or_refused(
        await send_code(
            context,
            browser,
            contact,
            purpose=LoginFlowKind.SIGN_UP.purpose,
            device=device_secret,
            lane=Lane.ANONYMOUS,
            action=Action(asker=interrupted.asker),
            locale=account.locale if account is not None else "",
            timezone=account.timezone if account is not None else "",
            decoy_notice=NoticeKind.SIGN_UP_KNOWN.value if account is not None else "",
        )
    )
    if isinstance(outcome, Refused):
        return outcome
    flow = msgspec.structs.replace(
        _new_flow(context, browser, contact, device_secret, outcome.challenge.id),
        account_exists=account is not None,
        name=read_name(name, MAX_NAME),
        password=password_hash,
        interrupted=interrupted,
    )
    return CodeRequested(await login_flow.save_flow(context, flow, contact), device_secret)


async def _check_input(
    context: AccountContext, browser: BrowserContext, name: str, identifier: str, password: str
) -> Contact | InvalidInput:
    """Return the contact if every field is acceptable, else the fault of each field that is not. The password is normalized."""
    faults: dict[str, str] = {}
    contact: Contact | None = None
    if not is_name(name):
        faults["name"] = "malformed"
    try:
        contact = read_contact(identifier, browser.regions)
    except InputError as error:
        faults["identifier"] = error.reason
    if fault := await find_password_fault(context, password, (name, contact.address if contact else "")):
        faults["password"] = fault
    return InvalidInput(faults) if faults or contact is None else contact


def _new_flow(
    context: AccountContext, browser: BrowserContext, contact: Contact, device_secret: str, challenge: str
) -> LoginFlow:
    now = context.now()
    return LoginFlow(
        kind=LoginFlowKind.SIGN_UP,
        begun_at=now,
        expires_at=now + FLOW_LIFETIME,
        device_token_hash=context.token_hash(device_secret).hex(),
        challenge=challenge,
        address=contact.address,
        locale=browser.locale,
        requester=browser.requester(),
        place=context.place(browser.ip),
    )


async def find_password_fault(context: AccountContext, password: str, personal_words: Sequence[str]) -> str:
    """Return why a password is refused: a value of PasswordFault; empty if it is acceptable (semantics S9).

    `password` is normalized. `personal_words` are the user's name and contact, of which no password may be made.
    """
    words = (*context.password_context_words, *personal_words)
    fault = password_fault(password, context_words=words, min_length=context.password_min_length)
    return fault.value if fault is not None else await context.passwords.known_fault(password)
