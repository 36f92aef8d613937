"""The verification screen of a login flow: show it, check a code, send the code again, or use another method."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from countersign.domain.accounts.account import AccountSnapshot, ContactMethod
from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import METHOD_OF_CHANNEL, SessionProof
from countersign.domain.delivery.delivery import Delivery
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Contact, stored_contact
from countersign.domain.verifications.challenge import REFUSAL_OF_STATE, Challenge, ChallengeState, Refusal
from countersign.domain.verifications.lanes import Lane
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.contact_names import opened
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound
from countersign.flows.accounts.location_check import UnlikelyLocation, check_location
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.accounts.request_code import (
    authenticators_for,
    channels_of,
    contact_methods_of,
    send_code,
)
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.sign_in.complete import CompletedFlow, complete_flow
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.check import check_challenge
from countersign.flows.verifications.counters import contact_lockout_key
from countersign.flows.verifications.get import get_challenge
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import Done, Outcome, Refused
from countersign.store.tables import guesses

if TYPE_CHECKING:
    from collections.abc import Sequence

CheckResult: TypeAlias = CompletedFlow | Refused | UnlikelyLocation
"""What an entered code leads to: the flow is completed, the code is refused, or the user must confirm the place first."""

_WITHOUT_SCREEN = frozenset(
    {LoginFlowKind.ENROL_APP, LoginFlowKind.ENROL_PASSKEY, LoginFlowKind.PASSKEY, LoginFlowKind.KEEP_CODES}
)


class VerificationView(msgspec.Struct, frozen=True):
    """What the verification screen shows.

    `challenge` is None if an authenticator is asked for and no code was sent. `deliveries` are the messages of the challenge.
    `contact_methods` and `authenticators` are the ways in which the user may prove this flow.
    """

    flow: LoginFlow
    challenge: Challenge | None
    deliveries: tuple[Delivery, ...]
    contact_methods: tuple[ContactMethod, ...]
    authenticators: tuple[AuthenticatorKind, ...]


async def view_flow(context: AccountContext, browser: BrowserContext) -> VerificationView | None:
    """Return what the verification screen of this browser shows; None if it has no flow that needs one."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None or stored.flow.kind in _WITHOUT_SCREEN:
        return None
    flow = stored.flow
    found = await get_challenge(context.core, context.own, flow.challenge) if flow.challenge else None
    if flow.challenge and found is None:
        return None
    contact_methods, snapshot = await find_methods(context, flow)
    return VerificationView(
        flow,
        found.challenge if found is not None else None,
        found.deliveries if found is not None else (),
        tuple(contact_methods),
        authenticators_for(snapshot, flow),
    )


async def check_code(
    context: AccountContext, browser: BrowserContext, code: str, *, remember: bool, confirmed: bool = False
) -> CheckResult:
    """Check the code that was entered. If it is right, complete the flow, once.

    `code` is as entered. `remember`: the user asked to trust this browser. `confirmed`: the user has confirmed that they requested the
    code in another place. Until then a code that was requested far away is not checked and costs no guess: UnlikelyLocation.

    The right code is committed before what follows from it. If the program dies in between, the same browser continues with its next
    code, right or wrong: no other browser can approve the challenge, and the flow ends when it is completed (semantics C3, C4).
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None or not stored.flow.challenge:
        return FlowNotFound()
    if not confirmed and (unlikely := check_location(context, browser, stored.flow)):
        return unlikely
    outcome = await check_challenge(context.core, context.own, stored.flow.challenge, code)
    if isinstance(outcome, Refused) and outcome.refusal is not Refusal.ALREADY_APPROVED:
        return outcome
    if not isinstance(outcome, Done | Refused) or outcome.challenge is None:
        return FlowNotFound()
    approved = outcome.challenge
    await _bind_anew(context, stored.flow)
    proved_at = approved.ended_at or context.now()
    proof = SessionProof(METHOD_OF_CHANNEL[approved.channel], proved_at, source=stored.flow.contact)
    return await complete_flow(context, browser, stored, proof, remember=remember)


async def _bind_anew(context: AccountContext, flow: LoginFlow) -> None:
    """End the lock of a contact that a recovery has just proved: too many wrong codes after a password may have set it (semantics C6)."""
    if flow.kind is LoginFlowKind.RECOVER and flow.account:
        key = contact_lockout_key(context.keyring, context.own.id, flow.account, flow.address)
        await context.database.run(guesses.reset, [], [key])


async def resend_flow_code(context: AccountContext, browser: BrowserContext) -> Outcome | FlowNotFound:
    """Send the code of this browser's flow again, by the same channel."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None or not stored.flow.challenge:
        return FlowNotFound()
    return await resend_code(context.core, context.own, stored.flow.challenge)


async def use_another_method(
    context: AccountContext, browser: BrowserContext, method: ContactMethod
) -> Outcome | FlowNotFound:
    """Send a code by another method that this flow allows; no guess is given back (semantics C5, U5).

    Another channel of the same contact is a resend. Another contact gets a challenge of its own: it ends the one before, and has as many
    guesses as that had left.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow = stored.flow
    allowed, _ = await find_methods(context, flow)
    if not any(one.contact == method.contact and one.channel is method.channel for one in allowed):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED)
    if not flow.challenge:
        return await send_by(context, browser, stored, method, decoy=decoy_of(flow))
    found = await get_challenge(context.core, context.own, flow.challenge)
    if found is None:
        return FlowNotFound()
    state = found.challenge.state_at(context.now())
    if method.contact == flow.owned_contact and state is ChallengeState.PENDING:
        return await resend_code(context.core, context.own, flow.challenge, method.channel)
    ended = await _end_challenge(context, flow, found.challenge, state)
    if not isinstance(ended, Challenge):
        return ended
    return await send_by(context, browser, stored, method, decoy=ended.terms.decoy_notice, spent=ended.guesses)


async def find_methods(
    context: AccountContext, flow: LoginFlow
) -> tuple[Sequence[ContactMethod], AccountSnapshot | None]:
    """Return the contacts and channels that a code of this flow may go to, and the account, None if there is none yet."""
    if flow.address:
        contact = stored_contact(flow.address)
        channels = channels_of(context, contact, flow.kind.purpose)
        return [ContactMethod("", channel, contact.masked) for channel in channels], None
    snapshot = await context.database.read(find_snapshot, flow.account)
    return (contact_methods_of(context, snapshot, flow) if snapshot is not None else []), snapshot


async def _end_challenge(
    context: AccountContext, flow: LoginFlow, challenge: Challenge, state: ChallengeState
) -> Challenge | Outcome:
    """Cancel the challenge of the method that is given up and return it. Return a refusal if no guess is left, or if it has ended.

    A challenge that was canceled for another method before, whose code could not be sent, is not in the way.
    """
    was_given_up = state is ChallengeState.CANCELED and flow.is_switching_method
    if state is not ChallengeState.PENDING and not was_given_up:
        return Refused(REFUSAL_OF_STATE[state], challenge)
    outcome = await cancel_challenge(context.core, context.own, challenge.id)
    if not isinstance(outcome, Done):
        return outcome
    if outcome.challenge.guesses_left == 0:
        return Refused(Refusal.EXHAUSTED, outcome.challenge)
    return outcome.challenge


async def send_by(
    context: AccountContext,
    browser: BrowserContext,
    stored: StoredFlow,
    method: ContactMethod,
    *,
    decoy: str,
    spent: int = 0,
) -> Outcome | FlowNotFound:
    """Send a code by this method, and let the flow wait for it. The caller has judged that the flow allows the method.

    `decoy` is the notice that stands in for a code: if the contact gets a notice instead of a code, it gets one by every method (semantics
    A2, R1). `spent` are the guesses that were used on the method that was given up, if any.
    """
    flow = stored.flow
    _, snapshot = await find_methods(context, flow)
    contact = _contact_of(context, flow, snapshot, method)
    outcome = await send_code(
        context,
        browser,
        contact,
        purpose=flow.kind.purpose,
        device=browser.device,
        lane=flow.lane,
        subject=flow.account if flow.lane is not Lane.ANONYMOUS else "",
        channel=method.channel,
        action=flow.challenge_action,
        locale=snapshot.account.locale if snapshot is not None else "",
        timezone=snapshot.account.timezone if snapshot is not None else "",
        trusted=flow.requester.device,
        spent=spent,
        decoy_notice=decoy,
    )
    if not isinstance(outcome, Done):
        if flow.challenge:
            await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, is_switching_method=True))
        return outcome
    challenge = outcome.challenge
    # Recorded whatever becomes of the flow: its owner is shown every message that was sent.
    moved = msgspec.structs.replace(
        flow, challenge=challenge.id, contact=method.contact or flow.contact, is_switching_method=False
    )
    await login_flow.record_sent(context, moved, contact)
    if not await login_flow.update_flow(context, stored, moved):
        return await _after_a_faster_request(context, browser, outcome)
    return outcome


async def _after_a_faster_request(
    context: AccountContext, browser: BrowserContext, outcome: Done
) -> Outcome | FlowNotFound:
    """Return the outcome if the same button was pressed twice (semantics J4); otherwise end a code for which the flow does not wait."""
    stored = await login_flow.find_flow(context, browser)
    if stored is not None and stored.flow.challenge == outcome.challenge.id:
        return outcome
    await cancel_challenge(context.core, context.own, outcome.challenge.id)
    return FlowNotFound()


def decoy_of(flow: LoginFlow) -> str:
    """Return the notice that stands in for a code by every method of the flow: a further message must not undo what the first one hid."""
    return NoticeKind.SIGN_UP_KNOWN.value if flow.account_exists else flow.decoy_notice


def _contact_of(
    context: AccountContext, flow: LoginFlow, snapshot: AccountSnapshot | None, method: ContactMethod
) -> Contact:
    """Return the contact in the clear: the account's own, or the one that was entered in this flow."""
    owned = snapshot.contacts if snapshot is not None else ()
    contact = next((one for one in owned if one.id == method.contact), None)
    return stored_contact(flow.address) if contact is None else opened(context, contact)
