"""Verify: the code of a flow that a browser has under way is looked at, answered, sent again, or asked for in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from countersign.domain.accounts.account import ContactMethod
from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import AccountSnapshot
from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import METHOD_OF_CHANNEL, SessionProof
from countersign.domain.delivery.delivery import Delivery
from countersign.domain.shared.contact import parse_contact
from countersign.domain.verifications.challenge import REFUSAL_OF_STATE, Challenge, ChallengeState, Refusal
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import AccountContext, BrowserContext, FlowNotFound
from countersign.flows.accounts.location_check import UnlikelyLocation, check_location
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.accounts.request_code import (
    authenticators_for,
    channels_of,
    contact_methods_of,
    opened,
    send_code,
)
from countersign.flows.accounts.snapshot import find_snapshot
from countersign.flows.sign_in.complete import CompletedFlow, complete_flow
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.check import check_challenge
from countersign.flows.verifications.get import get_challenge
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import Done, Outcome, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

CheckResult: TypeAlias = CompletedFlow | Refused | UnlikelyLocation
"""What comes of a code: it was right and the flow went on, it was refused, or it was not judged yet."""


class VerificationView(msgspec.Struct, frozen=True):
    """What the verification screen shows: the flow, its challenge with every message, and every other way to prove.

    There is no challenge where a factor is asked for and no code was sent.
    """

    flow: LoginFlow
    challenge: Challenge | None
    deliveries: tuple[Delivery, ...]
    ways: tuple[ContactMethod, ...]
    methods: tuple[AuthenticatorKind, ...]


async def view_flow(context: AccountContext, browser: BrowserContext) -> VerificationView | None:
    """Return what this browser has under way, or None."""
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return None
    flow = stored.flow
    if flow.kind in {LoginFlowKind.ENROL, LoginFlowKind.ENROL_PASSKEY, LoginFlowKind.PASSKEY}:
        return None
    seen = await get_challenge(context.core, context.own, flow.challenge) if flow.challenge else None
    if seen is None and flow.challenge:
        return None
    ways, holdings = await _ways(context, flow)
    methods = authenticators_for(holdings, flow)
    if seen is None:
        return VerificationView(flow, None, (), tuple(ways), methods)
    return VerificationView(flow, seen.challenge, seen.deliveries, tuple(ways), methods)


async def check_code(
    context: AccountContext, browser: BrowserContext, typed: str, *, remember: bool, sure: bool = False
) -> CheckResult:
    """Judge what was typed; on the right code the person goes on, once.

    The right code is durable before what follows from it. If the program dies between the two, the same browser goes on with its next
    answer: a challenge of ours can be approved by that browser alone, and its visit ends with the entry (semantics C3, C4). Far from where
    it was asked for nothing is judged, and no guess spent, before the person is `sure`.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow = stored.flow
    if not flow.challenge:
        return FlowNotFound()
    if not sure and (far := check_location(context, browser, flow)):
        return far
    outcome = await check_challenge(context.core, context.own, flow.challenge, typed)
    if isinstance(outcome, Refused) and outcome.refusal is not Refusal.ALREADY_APPROVED:
        return outcome
    if not isinstance(outcome, Done | Refused) or outcome.challenge is None:
        return FlowNotFound()
    approved = outcome.challenge
    proof = SessionProof(METHOD_OF_CHANNEL[approved.channel], approved.ended_at or context.now())
    return await complete_flow(context, browser, stored, proof, remember=remember)


async def resend_flow_code(context: AccountContext, browser: BrowserContext) -> Outcome | FlowNotFound:
    """Send the code once more, the same way."""
    stored = await login_flow.find_flow(context, browser)
    return (
        FlowNotFound()
        if stored is None or not stored.flow.challenge
        else await resend_code(context.core, context.own, stored.flow.challenge)
    )


async def use_another_method(
    context: AccountContext, browser: BrowserContext, way: ContactMethod
) -> Outcome | FlowNotFound:
    """Ask for the code in another way that this act allows; no guess is given back (semantics C5, U5).

    Another channel of the same contact is a resend. Another contact gets a challenge of its own, which ends the one before and goes on
    with the guesses that it has left.
    """
    stored = await login_flow.find_flow(context, browser)
    if stored is None:
        return FlowNotFound()
    flow = stored.flow
    ways, holdings = await _ways(context, flow)
    if not any(one.contact == way.contact and one.channel is way.channel for one in ways):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED)
    spent = 0
    if flow.challenge:
        before = await _given_up(context, stored, way)
        if not isinstance(before, Challenge):
            return before
        spent = before.guesses
    contact = next((one for one in holdings.contacts if one.id == way.contact), None) if holdings is not None else None
    asked = await send_code(
        context,
        browser,
        opened(context, contact) if contact is not None else parse_contact(flow.to),
        purpose=flow.kind.purpose,
        device=browser.device,
        subject=flow.account,
        channel=way.channel,
        action=flow.need.action,
        trusted=flow.requester.device,
        spent=spent,
    )
    if not isinstance(asked, Done):
        if flow.challenge:
            await login_flow.update_flow(context, stored, msgspec.structs.replace(flow, between=True))
        return asked
    moved = msgspec.structs.replace(flow, challenge=asked.challenge.id, contact=way.contact, between=False)
    if not await login_flow.update_flow(context, stored, moved):
        await cancel_challenge(context.core, context.own, asked.challenge.id)
        return FlowNotFound()
    if flow.account:
        await login_flow.record_sent(context, moved, asked.challenge.terms.to_masked)
    return asked


async def _given_up(
    context: AccountContext, stored: StoredFlow, way: ContactMethod
) -> Challenge | Outcome | FlowNotFound:
    """Give up the way that was asked by before, and return its challenge; or send by another channel of the same contact, or refuse."""
    flow = stored.flow
    seen = await get_challenge(context.core, context.own, flow.challenge)
    if seen is None:
        return FlowNotFound()
    before = seen.challenge
    state = before.state_at(context.now())
    if way.contact == flow.contact and state is ChallengeState.PENDING:
        return await resend_code(context.core, context.own, flow.challenge, way.channel)
    if state is not ChallengeState.PENDING and not (state is ChallengeState.CANCELED and flow.between):
        return Refused(REFUSAL_OF_STATE[state], before)
    ended = await cancel_challenge(context.core, context.own, before.id)
    if not isinstance(ended, Done):
        return ended
    if ended.challenge.guesses_left == 0:
        return Refused(Refusal.EXHAUSTED, ended.challenge)
    return ended.challenge


async def _ways(context: AccountContext, flow: LoginFlow) -> tuple[Sequence[ContactMethod], AccountSnapshot | None]:
    """Return how this flow's code may be asked for, and what the account has."""
    if flow.to:
        contact = parse_contact(flow.to)
        return [
            ContactMethod("", channel, contact.masked) for channel in channels_of(context, contact, flow.kind.purpose)
        ], None
    holdings = await context.database.read(find_snapshot, flow.account)
    return (contact_methods_of(context, holdings, flow) if holdings is not None else []), holdings
