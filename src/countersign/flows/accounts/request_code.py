"""Asking: by which ways a person can be asked for a code, and asking by the first that is not resting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.account import ContactMethod, OwnedContact
from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.accounts.session import LEVEL_OF_METHOD, METHOD_OF_CHANNEL, Level
from countersign.domain.shared.contact import Contact, ContactKind
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import (
    AccountContext,
    BrowserContext,
    CodeRequested,
    CodeRequestResult,
    NoEligibleMethod,
)
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.results import Done, Outcome, Refused

if TYPE_CHECKING:
    from countersign.domain.accounts.change import AccountSnapshot
    from countersign.domain.accounts.login_flow import LoginFlow
    from countersign.domain.shared.contact import Channel

OF_FACTOR: Final = {
    AuthenticatorKind.APP: Level.APP_CODE,
    AuthenticatorKind.PASSKEY: Level.PASSKEY,
    AuthenticatorKind.RECOVERY_CODE: Level.APP_CODE,
}
"""How strong a proof by each factor is."""

_RESTING: Final = frozenset({Refusal.CONTACT_PAUSED, Refusal.CONTACT_LOCKED, Refusal.LIMITED})


def contact_methods_of(context: AccountContext, holdings: AccountSnapshot, flow: LoginFlow) -> list[ContactMethod]:
    """Return how a flow's code may be asked for: proved contacts and channels that are strong enough, the primary contact first.

    A contact that is about to go, or that has just recovered the account, does not count where there is another one or a factor
    (semantics A1, R2). To sign in, a code by mail or phone does not stand in for a factor that is enrolled.
    """
    signs_in = flow.kind is LoginFlowKind.SIGN_IN
    if signs_in and holdings.strong:
        return []
    least = max(flow.requirement.level, Level.MAIL_CODE)
    policy = context.policy.policies[flow.kind.purpose]
    apart = holdings.account.recovered_by if signs_in else flow.requirement.excluded_contact
    others = [contact for contact in holdings.contacts if contact.id != apart]
    return [
        ContactMethod(contact.id, channel, contact.masked)
        for contact in (others if others or holdings.strong else holdings.contacts)
        if contact.proved_at is not None
        for channel in context.policy.channels(contact.kind, policy, live=context.own.live)
        if LEVEL_OF_METHOD[METHOD_OF_CHANNEL[channel]] >= least
    ]


def channels_of(context: AccountContext, contact: Contact, purpose: str) -> tuple[Channel, ...]:
    """Return by which channels a contact that is not on record yet can be reached."""
    return context.policy.channels(contact.kind, context.policy.policies[purpose], live=context.own.live)


def opened(context: AccountContext, contact: OwnedContact) -> Contact:
    """Return a contact of an account in the clear, for the one message that goes to it."""
    return Contact(ContactKind(contact.kind), context.keyring.unseal(contact.address, contact.id))


async def send_code(
    context: AccountContext,
    browser: BrowserContext,
    contact: Contact,
    *,
    purpose: str,
    device: str,
    subject: str = "",
    channel: Channel | None = None,
    action: Action | None = None,
    trusted: str = "",
    spent: int = 0,
    told: str = "",
) -> Outcome:
    """Ask the holder of a contact for a code that works in this browser alone; `device` is the browser's secret (semantics C4)."""
    asked = BeginRequest(
        to=contact,
        channel=channel,
        purpose=purpose,
        subject=subject,
        action=action or Action(),
        locale=browser.locale,
        requester=browser.requester(trusted),
        browser=context.mark(device).hex(),
        guesses_spent=spent,
        decoy_notice=told,
    )
    return await begin_challenge(context.core, context.own, asked)


def begun_or_refused(outcome: Outcome) -> Done | Refused:
    """Return the outcome of a begin, which is one of these two."""
    if not isinstance(outcome, Done | Refused):
        raise AssertionError("a begin without an idempotency key is done or refused")  # noqa: TRY004 - a bug, not a type
    return outcome


async def send_code_by_first_method(
    context: AccountContext, browser: BrowserContext, holdings: AccountSnapshot, flow: LoginFlow, device: str
) -> CodeRequestResult:
    """Ask an account's holder for the proof that a flow needs, and keep the visit that waits for it.

    Where an authenticator app or a passkey is enrolled and strong enough it is asked for first, and no message is sent. Else a code, by
    the first way that is strong enough and not resting.
    """
    if AuthenticatorKind.APP in (methods := authenticators_for(holdings, flow)) or AuthenticatorKind.PASSKEY in methods:
        return CodeRequested(await login_flow.save_flow(context, flow), device)
    owned = {contact.id: contact for contact in holdings.contacts}
    refused: Refused | None = None
    for way in contact_methods_of(context, holdings, flow):
        outcome = begun_or_refused(
            await send_code(
                context,
                browser,
                opened(context, owned[way.contact]),
                purpose=flow.kind.purpose,
                device=device,
                subject=flow.account,
                channel=way.channel,
                action=flow.requirement.action,
                trusted=flow.requester.device,
            )
        )
        if isinstance(outcome, Done):
            begun = msgspec.structs.replace(flow, challenge=outcome.challenge.id, contact=way.contact)
            return CodeRequested(await login_flow.save_flow(context, begun, owned[way.contact].masked), device)
        refused = outcome
        if outcome.refusal not in _RESTING:
            break
    return refused or NoEligibleMethod()


def authenticators_for(holdings: AccountSnapshot | None, flow: LoginFlow) -> tuple[AuthenticatorKind, ...]:
    """Return the factors that a flow may be proved by; where an account is recovered, the same whether there is one (semantics R1)."""
    if flow.kind is LoginFlowKind.RECOVER:
        return (AuthenticatorKind.RECOVERY_CODE,)
    if holdings is None or flow.kind not in {LoginFlowKind.SIGN_IN, LoginFlowKind.STEP_UP}:
        return ()
    there = {factor.kind for factor in holdings.authenticators if OF_FACTOR[factor.kind] >= flow.requirement.level}
    return tuple(kind for kind in AuthenticatorKind if kind in there)
