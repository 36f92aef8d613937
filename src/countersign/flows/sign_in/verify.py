"""Verify: the code of a flow that a browser has under way is looked at, answered, sent again, or asked for in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from countersign.domain.accounts.account import Way
from countersign.domain.accounts.authenticator import FactorKind
from countersign.domain.accounts.change import Holdings
from countersign.domain.accounts.login_flow import Visit, VisitKind
from countersign.domain.accounts.session import BY_CHANNEL, Proven
from countersign.domain.delivery.delivery import Delivery
from countersign.domain.shared.contact import parse
from countersign.domain.verifications.challenge import ENDED_BY, Challenge, Refusal, State
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import Browser, Gate, Gone
from countersign.flows.accounts.location_check import FarAway, far_away
from countersign.flows.accounts.login_flow import Kept
from countersign.flows.accounts.request_code import ask, channels_of, methods_of, opened, ways_of
from countersign.flows.accounts.snapshot import held
from countersign.flows.sign_in.complete import Finished, finish
from countersign.flows.verifications.cancel import cancel_challenge
from countersign.flows.verifications.check import answer_challenge
from countersign.flows.verifications.get import look_at_challenge
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import Done, Outcome, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

Answered: TypeAlias = Finished | Refused | FarAway
"""What comes of a code: it was right and the flow went on, it was refused, or it was not judged yet."""


class View(msgspec.Struct, frozen=True):
    """What the verification screen shows: the flow, its challenge with every message, and every other way to prove.

    There is no challenge where a factor is asked for and no code was sent.
    """

    visit: Visit
    challenge: Challenge | None
    deliveries: tuple[Delivery, ...]
    ways: tuple[Way, ...]
    methods: tuple[FactorKind, ...]


async def look(gate: Gate, browser: Browser) -> View | None:
    """Return what this browser has under way, or None."""
    kept = await login_flow.find(gate, browser)
    if kept is None:
        return None
    visit = kept.visit
    if visit.kind in {VisitKind.ENROL, VisitKind.ENROL_PASSKEY, VisitKind.PASSKEY}:
        return None
    seen = await look_at_challenge(gate.house, gate.own, visit.challenge) if visit.challenge else None
    if seen is None and visit.challenge:
        return None
    ways, holdings = await _ways(gate, visit)
    methods = methods_of(holdings, visit)
    if seen is None:
        return View(visit, None, (), tuple(ways), methods)
    return View(visit, seen.challenge, seen.deliveries, tuple(ways), methods)


async def answer(gate: Gate, browser: Browser, typed: str, *, remember: bool, sure: bool = False) -> Answered:
    """Judge what was typed; on the right code the person goes on, once.

    The right code is durable before what follows from it. If the program dies between the two, the same browser goes on with its next
    answer: a challenge of ours can be approved by that browser alone, and its visit ends with the entry (semantics C3, C4). Far from where
    it was asked for nothing is judged, and no guess spent, before the person is `sure`.
    """
    kept = await login_flow.find(gate, browser)
    if kept is None:
        return Gone()
    visit = kept.visit
    if not visit.challenge:
        return Gone()
    if not sure and (far := far_away(gate, browser, visit)):
        return far
    outcome = await answer_challenge(gate.house, gate.own, visit.challenge, typed)
    if isinstance(outcome, Refused) and outcome.refusal is not Refusal.ALREADY_APPROVED:
        return outcome
    if not isinstance(outcome, Done | Refused) or outcome.challenge is None:
        return Gone()
    approved = outcome.challenge
    proof = Proven(BY_CHANNEL[approved.channel], approved.ended_at or gate.now())
    return await finish(gate, browser, kept, proof, remember=remember)


async def resend(gate: Gate, browser: Browser) -> Outcome | Gone:
    """Send the code once more, the same way."""
    kept = await login_flow.find(gate, browser)
    return (
        Gone()
        if kept is None or not kept.visit.challenge
        else await resend_code(gate.house, gate.own, kept.visit.challenge)
    )


async def another_way(gate: Gate, browser: Browser, way: Way) -> Outcome | Gone:
    """Ask for the code in another way that this act allows; no guess is given back (semantics C5, U5).

    Another channel of the same contact is a resend. Another contact gets a challenge of its own, which ends the one before and goes on
    with the guesses that it has left.
    """
    kept = await login_flow.find(gate, browser)
    if kept is None:
        return Gone()
    visit = kept.visit
    ways, holdings = await _ways(gate, visit)
    if not any(one.contact == way.contact and one.channel is way.channel for one in ways):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED)
    spent = 0
    if visit.challenge:
        before = await _given_up(gate, kept, way)
        if not isinstance(before, Challenge):
            return before
        spent = before.guesses
    contact = next((one for one in holdings.contacts if one.id == way.contact), None) if holdings is not None else None
    asked = await ask(
        gate,
        browser,
        opened(gate, contact) if contact is not None else parse(visit.to),
        purpose=visit.kind.purpose,
        device=browser.device,
        subject=visit.account,
        channel=way.channel,
        action=visit.need.action,
        trusted=visit.requester.device,
        spent=spent,
    )
    if not isinstance(asked, Done):
        if visit.challenge:
            await login_flow.move(gate, kept, msgspec.structs.replace(visit, between=True))
        return asked
    moved = msgspec.structs.replace(visit, challenge=asked.challenge.id, contact=way.contact, between=False)
    if not await login_flow.move(gate, kept, moved):
        await cancel_challenge(gate.house, gate.own, asked.challenge.id)
        return Gone()
    if visit.account:
        await login_flow.say_sent(gate, moved, asked.challenge.terms.to_masked)
    return asked


async def _given_up(gate: Gate, kept: Kept, way: Way) -> Challenge | Outcome | Gone:
    """Give up the way that was asked by before, and return its challenge; or send by another channel of the same contact, or refuse."""
    visit = kept.visit
    seen = await look_at_challenge(gate.house, gate.own, visit.challenge)
    if seen is None:
        return Gone()
    before = seen.challenge
    state = before.state_at(gate.now())
    if way.contact == visit.contact and state is State.PENDING:
        return await resend_code(gate.house, gate.own, visit.challenge, way.channel)
    if state is not State.PENDING and not (state is State.CANCELED and visit.between):
        return Refused(ENDED_BY[state], before)
    ended = await cancel_challenge(gate.house, gate.own, before.id)
    if not isinstance(ended, Done):
        return ended
    if ended.challenge.guesses_left == 0:
        return Refused(Refusal.EXHAUSTED, ended.challenge)
    return ended.challenge


async def _ways(gate: Gate, visit: Visit) -> tuple[Sequence[Way], Holdings | None]:
    """Return how this flow's code may be asked for, and what the account has."""
    if visit.to:
        contact = parse(visit.to)
        return [Way("", channel, contact.masked) for channel in channels_of(gate, contact, visit.kind.purpose)], None
    holdings = await gate.database.read(held, visit.account)
    return (ways_of(gate, holdings, visit) if holdings is not None else []), holdings
