"""Verify: the code of a flow that a browser has under way is looked at, answered, sent again, or asked for in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from countersign.domain.account import Account, OwnedContact, Way
from countersign.domain.challenge import ENDED_BY, Challenge, Refusal, State
from countersign.domain.contact import Contact, parse
from countersign.domain.delivery import Delivery
from countersign.domain.device import Device
from countersign.domain.event import Event, EventKind
from countersign.domain.session import BY_CHANNEL, Level, Method, Proven, raised
from countersign.domain.visit import Visit, VisitKind
from countersign.flows import visits
from countersign.flows.answer import answer_challenge
from countersign.flows.asking import ask, channels_of, opened, ways_of
from countersign.flows.cancel import cancel_challenge
from countersign.flows.enter import enter
from countersign.flows.gate import Browser, Entered, Gate, Gone, Known
from countersign.flows.look import look_at_challenge
from countersign.flows.outcome import Done, Outcome, Refused
from countersign.flows.resend import resend_code
from countersign.flows.visits import Kept
from countersign.store import accounts, devices, sessions
from countersign.store import visits as rows_of
from countersign.store.database import ConflictError, Steps, Write
from countersign.store.events import Chain, Head

if TYPE_CHECKING:
    from collections.abc import Sequence

Answered: TypeAlias = Entered | Refused | Known | Gone


class View(msgspec.Struct, frozen=True):
    """What the verification screen shows: the flow, its challenge with every message, and the ways to get a code."""

    visit: Visit
    challenge: Challenge
    deliveries: tuple[Delivery, ...]
    ways: tuple[Way, ...]


async def look(gate: Gate, browser: Browser) -> View | None:
    """Return what this browser has under way, or None."""
    kept = await visits.find(gate, browser)
    if kept is None:
        return None
    seen = await look_at_challenge(gate.house, gate.own, kept.visit.challenge)
    if seen is None:
        return None
    ways, _ = await _ways(gate, kept.visit)
    return View(kept.visit, seen.challenge, seen.deliveries, tuple(ways))


async def answer(gate: Gate, browser: Browser, typed: str, *, remember: bool) -> Answered:
    """Judge what was typed; on the right code the person goes on, once.

    The right code is durable before what follows from it. If the program dies between the two, the same browser goes on with its next
    answer: a challenge of ours can be approved by that browser alone, and its visit ends with the entry (semantics C3, C4).
    """
    kept = await visits.find(gate, browser)
    if kept is None:
        return Gone()
    visit = kept.visit
    outcome = await answer_challenge(gate.house, gate.own, visit.challenge, typed)
    if isinstance(outcome, Refused) and outcome.refusal is not Refusal.ALREADY_APPROVED:
        return outcome
    if not isinstance(outcome, Done | Refused) or outcome.challenge is None:
        return Gone()
    approved = outcome.challenge
    proof = Proven(BY_CHANNEL[approved.channel], approved.ended_at or gate.now())
    match visit.kind:
        case VisitKind.SIGN_UP:
            return await _finish_sign_up(gate, browser, kept, proof, remember=remember)
        case VisitKind.SIGN_IN:
            proofs = (Proven(Method.PASSWORD, visit.begun_at), proof)
            return await enter(
                gate,
                browser,
                visit.account,
                proofs,
                browser.device,
                then=visit.then,
                visit=kept,
                remember=remember,
            )
        case VisitKind.STEP_UP:
            return await _finish_step_up(gate, browser, kept, proof, remember=remember)


async def resend(gate: Gate, browser: Browser) -> Outcome | Gone:
    """Send the code once more, the same way."""
    kept = await visits.find(gate, browser)
    return Gone() if kept is None else await resend_code(gate.house, gate.own, kept.visit.challenge)


async def another_way(gate: Gate, browser: Browser, way: Way) -> Outcome | Gone:
    """Ask for the code in another way that this act allows; no guess is given back (semantics C5, U5).

    Another channel of the same contact is a resend. Another contact gets a challenge of its own, which ends the one before and goes on
    with the guesses that it has left.
    """
    kept = await visits.find(gate, browser)
    if kept is None:
        return Gone()
    visit = kept.visit
    ways, contacts = await _ways(gate, visit)
    if not any(one.contact == way.contact and one.channel is way.channel for one in ways):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED)
    seen = await look_at_challenge(gate.house, gate.own, visit.challenge)
    if seen is None:
        return Gone()
    before = seen.challenge
    if way.contact == visit.contact and before.state_at(gate.now()) is State.PENDING:
        return await resend_code(gate.house, gate.own, visit.challenge, way.channel)
    state = before.state_at(gate.now())
    if state is not State.PENDING and not (state is State.CANCELED and visit.between):
        return Refused(ENDED_BY[state], before)
    ended = await cancel_challenge(gate.house, gate.own, before.id)
    if not isinstance(ended, Done):
        return ended
    before = ended.challenge
    if before.guesses_left == 0:
        return Refused(Refusal.EXHAUSTED, before)
    trusted = visit.requester.device
    asked = await ask(
        gate,
        browser,
        opened(gate, contacts[way.contact]),
        purpose=before.terms.purpose,
        device=browser.device,
        subject=visit.account,
        channel=way.channel,
        action=visit.need.action,
        trusted=trusted,
        spent=before.guesses,
    )
    if not isinstance(asked, Done):
        await visits.move(gate, kept, msgspec.structs.replace(visit, between=True))
        return asked
    moved = msgspec.structs.replace(visit, challenge=asked.challenge.id, contact=way.contact, between=False)
    if not await visits.move(gate, kept, moved):
        await cancel_challenge(gate.house, gate.own, asked.challenge.id)
        return Gone()
    return asked


async def _ways(gate: Gate, visit: Visit) -> tuple[Sequence[Way], dict[str, OwnedContact]]:
    """Return how this flow's code may be asked for, and the contacts by their ids."""
    if visit.kind is VisitKind.SIGN_UP:
        contact = parse(visit.to)
        return [Way("", channel, contact.masked) for channel in channels_of(gate, contact, visit.kind.value)], {}
    contacts = await gate.database.read(accounts.contacts_of, visit.account)
    least = max(visit.need.level, Level.MAIL_CODE)
    return ways_of(gate, contacts, visit.kind.value, least), {contact.id: contact for contact in contacts}


async def _finish_sign_up(gate: Gate, browser: Browser, kept: Kept, proof: Proven, *, remember: bool) -> Answered:
    """Make the account, now that its contact is proved, and let the person in."""
    visit, now = kept.visit, gate.now()
    contact = parse(visit.to)
    account_id, contact_id = gate.id("acc"), gate.id("con")
    account = Account(
        id=account_id,
        created_at=now,
        name=gate.keyring.seal(visit.name, account_id),
        locale=visit.locale,
        password=gate.keyring.seal(visit.password, account_id),
        password_at=now,
    )
    owned = _owned(gate, account_id, contact_id, contact, now)
    proofs = (Proven(Method.PASSWORD, now), proof)
    try:
        return await enter(
            gate,
            browser,
            account_id,
            proofs,
            browser.device,
            then=visit.then,
            visit=kept,
            remember=remember,
            new=accounts.added(account, owned),
        )
    except ConflictError:
        # Somebody who holds the same contact made an account while this code was on its way; they have just shown that they hold it.
        await gate.database.run(rows_of.take, kept.mark)
        return Known()


def _owned(gate: Gate, account_id: str, contact_id: str, contact: Contact, now: int) -> OwnedContact:
    return OwnedContact(
        account=account_id,
        id=contact_id,
        added_at=now,
        kind=contact.kind,
        blind=gate.blind(contact),
        address=gate.keyring.seal(contact.address, contact_id),
        masked=contact.masked,
        proved_at=now,
        primary=True,
    )


async def _finish_step_up(gate: Gate, browser: Browser, kept: Kept, proof: Proven, *, remember: bool) -> Answered:
    """Raise the session that asked, under a new secret; another one of this browser is not raised (semantics S8)."""
    visit = kept.visit
    proof = msgspec.structs.replace(proof, action=visit.need.digest)
    secret = gate.secret()
    raise_ = Raise(kept, gate.mark(browser.session), gate.mark(secret), proof, remember)
    done = await gate.log.run(gate.database, _raise, gate, raise_)
    return Entered(secret, browser.device, visit.account, visit.then) if done else Gone()


class Raise(msgspec.Struct, frozen=True):
    """All that raising a session writes."""

    kept: Kept
    mark: bytes
    new_mark: bytes
    proof: Proven
    remember: bool


def _raise(chain: Chain, gate: Gate, asked: Raise) -> Steps[tuple[bool, Head]]:
    now, visit, mark = gate.now(), asked.kept.visit, asked.mark
    session = yield from sessions.find(mark, now)
    if session is None or session.id != visit.session or not (yield from rows_of.take(asked.kept.mark)):
        return False, chain.head
    if not (yield from sessions.end(mark)):
        return False, chain.head
    told = [
        Event(
            now,
            EventKind.SESSION_RAISED,
            gate.own.id,
            visit.account,
            {"session": session.id, "method": asked.proof.method.value},
        )
    ]
    device: Device | None = None
    if asked.remember:
        device = yield from devices.find(visit.account, session.device)
        if device is not None:
            device = msgspec.structs.replace(device, trusted_at=now)
            told.append(Event(now, EventKind.DEVICE_TRUSTED, gate.own.id, visit.account, {"device": device.id}))
    linked, head = chain.link(told)
    trusted = (devices.changed(device),) if device is not None else ()
    yield Write((sessions.added(raised(session, asked.new_mark, asked.proof)), *trusted, *linked), last=True)
    return True, head
