"""Choose the methods by which a user can prove a flow, and send a code by the first that is not rate-limited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts import recovery
from countersign.domain.accounts.account import ContactMethod
from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import UNDO_PERIOD
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.domain.accounts.session import LEVEL_OF_METHOD, METHOD_OF_CHANNEL, Level
from countersign.domain.shared.contact import ContactKind
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.domain.verifications.lanes import Lane
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.contact_names import opened, own_masks
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
    from countersign.domain.accounts.account import AccountSnapshot
    from countersign.domain.accounts.authenticator import Authenticator
    from countersign.domain.accounts.login_flow import LoginFlow
    from countersign.domain.shared.contact import Channel, Contact

LEVEL_OF_AUTHENTICATOR: Final = {
    AuthenticatorKind.APP: Level.APP_CODE,
    AuthenticatorKind.PASSKEY: Level.PASSKEY,
    AuthenticatorKind.RECOVERY_CODE: Level.APP_CODE,
}
"""The level that a proof by each authenticator gives."""

_TEMPORARY: Final = frozenset({Refusal.CONTACT_PAUSED, Refusal.CONTACT_LOCKED, Refusal.LIMITED})


def contact_methods_of(context: AccountContext, snapshot: AccountSnapshot, flow: LoginFlow) -> list[ContactMethod]:
    """Return the proved contacts and channels that may get a flow's code and are strong enough, the primary contact first.

    A contact that is about to be removed, or that has just recovered the account, is left out if there is another contact or an
    authenticator (semantics A1, R2). To sign in, a code by mail or phone does not stand in for an enrolled authenticator. Only who is
    signed in sees masks by which the contacts can be told apart (semantics A10).
    """
    signs_in = flow.kind is LoginFlowKind.SIGN_IN
    if signs_in and snapshot.strong:
        return []
    least = max(flow.requirement.level, Level.MAIL_CODE)
    policy = context.policy.policies[flow.kind.purpose]
    apart = snapshot.account.recovered_by if signs_in else flow.requirement.excluded_contact
    others = [contact for contact in snapshot.contacts if contact.id != apart]
    masks = own_masks(context, snapshot.contacts) if flow.kind is LoginFlowKind.STEP_UP else {}
    return [
        ContactMethod(contact.id, channel, masks.get(contact.id, contact.masked))
        for contact in (others if others or snapshot.strong else snapshot.contacts)
        if contact.proved_at is not None
        for channel in context.policy.channels(
            contact.kind, policy, live=context.own.live, names_act=flow.requirement.is_for_one_action
        )
        if contact.kind is ContactKind.MAIL or channel in opened(context, contact).channels
        if LEVEL_OF_METHOD[METHOD_OF_CHANNEL[channel]] >= least
    ]


def channels_of(context: AccountContext, contact: Contact, purpose: str) -> tuple[Channel, ...]:
    """Return the channels by which a contact that belongs to no account yet can be reached."""
    channels = context.policy.channels(contact.kind, context.policy.policies[purpose], live=context.own.live)
    return tuple(channel for channel in channels if channel in contact.channels)


async def send_code(  # noqa: PLR0913 - each decides something about one message
    context: AccountContext,
    browser: BrowserContext,
    contact: Contact,
    *,
    purpose: str,
    device: str,
    lane: Lane,
    locale: str = "",
    timezone: str = "",
    subject: str = "",
    channel: Channel | None = None,
    action: Action | None = None,
    trusted: str = "",
    spent: int = 0,
    decoy_notice: str = "",
) -> Outcome:
    """Send a code to a contact. It works in this browser alone (semantics C4).

    `device` is the secret of the browser, `lane` the standing of whoever asks, `trusted` the id of the device if the account trusts it, and
    `spent` the guesses that were used up on an earlier code of the same flow. `decoy_notice` is the notice that is sent in place of a code,
    if any.

    `locale` is the language of the account. Only without one is the message in the language of the browser that asks: a thief must not
    choose a language that the owner cannot read (semantics P4). The same holds for `timezone`, that of the account.
    """
    asked = BeginRequest(
        to=contact,
        channel=channel,
        purpose=purpose,
        subject=subject,
        action=action or Action(),
        locale=locale or browser.locale,
        timezone=timezone or browser.timezone,
        requester=browser.requester(trusted),
        browser=context.token_hash(device).hex(),
        guesses_spent=spent,
        decoy_notice=decoy_notice,
        lane=lane,
    )
    return await begin_challenge(context.core, context.own, asked)


def begun_or_refused(outcome: Outcome) -> Done | Refused:
    """Return the outcome of a begin without an idempotency key, which is one of these two."""
    if not isinstance(outcome, Done | Refused):
        raise AssertionError("a begin without an idempotency key is done or refused")  # noqa: TRY004 - a bug, not a type
    return outcome


async def send_code_by_first_method(
    context: AccountContext, browser: BrowserContext, snapshot: AccountSnapshot, flow: LoginFlow, device: str
) -> CodeRequestResult:
    """Ask the user for the proof that a flow requires, and store the flow that waits for it.

    If an authenticator app or a passkey is enrolled and strong enough, it is asked for and no message is sent. Otherwise a code is
    sent by the first method that is strong enough and not rate-limited.
    """
    if AuthenticatorKind.APP in (methods := authenticators_for(snapshot, flow)) or AuthenticatorKind.PASSKEY in methods:
        return CodeRequested(await login_flow.save_flow(context, flow), device)
    owned = {contact.id: contact for contact in snapshot.contacts}
    refused: Refused | None = None
    for way in contact_methods_of(context, snapshot, flow):
        outcome = begun_or_refused(
            await send_code(
                context,
                browser,
                opened(context, owned[way.contact]),
                purpose=flow.kind.purpose,
                device=device,
                lane=flow.lane,
                subject=flow.account,
                channel=way.channel,
                action=flow.challenge_action,
                locale=snapshot.account.locale,
                timezone=snapshot.account.timezone,
                trusted=flow.requester.device,
            )
        )
        if isinstance(outcome, Done):
            begun = msgspec.structs.replace(flow, challenge=outcome.challenge.id, contact=way.contact)
            sent_to = opened(context, owned[way.contact])
            return CodeRequested(await login_flow.save_flow(context, begun, sent_to), device)
        refused = outcome
        if outcome.refusal not in _TEMPORARY:
            break
    if refused is not None and methods:
        # No message can be sent now, and a recovery code needs none: a limit on messages never shuts that way (semantics L2).
        return CodeRequested(await login_flow.save_flow(context, flow), device)
    return refused or NoEligibleMethod()


def authenticators_for(snapshot: AccountSnapshot | None, flow: LoginFlow) -> tuple[AuthenticatorKind, ...]:
    """Return the authenticators that may prove a flow. A recovery offers the same whether there is an account or not (semantics R1)."""
    if flow.kind is LoginFlowKind.RECOVER:
        return (AuthenticatorKind.RECOVERY_CODE,)
    if snapshot is None or flow.kind not in {LoginFlowKind.SIGN_IN, LoginFlowKind.STEP_UP}:
        return ()
    there = {
        factor.kind
        for factor in snapshot.authenticators
        if LEVEL_OF_AUTHENTICATOR[factor.kind] >= flow.requirement.level and not _is_too_new(snapshot, flow, factor)
    }
    return tuple(kind for kind in AuthenticatorKind if kind in there)


def _is_too_new(snapshot: AccountSnapshot, flow: LoginFlow, factor: Authenticator) -> bool:
    """Return True for a recovery code of less than a week, at a sign-in to an account that a report has closed lately (semantics R7)."""
    is_code = factor.kind is AuthenticatorKind.RECOVERY_CODE and flow.kind is LoginFlowKind.SIGN_IN
    is_new = flow.begun_at < factor.added_at + UNDO_PERIOD
    return is_code and is_new and recovery.is_contested(snapshot.account, flow.begun_at)
