"""Asking: by which ways a person can be asked for a code, and asking by the first that is not resting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.account import OwnedContact, Way
from countersign.domain.challenge import Action, Refusal
from countersign.domain.contact import Contact, Kind
from countersign.domain.session import BY_CHANNEL, OF_METHOD, Level
from countersign.flows import visits
from countersign.flows.begin import Asked, begin_challenge
from countersign.flows.gate import Asking, Browser, Gate, ToVerify, Unmet
from countersign.flows.outcome import Done, Outcome, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.contact import Channel
    from countersign.domain.visit import Visit

_RESTING: Final = frozenset({Refusal.CONTACT_PAUSED, Refusal.CONTACT_LOCKED, Refusal.LIMITED})


def ways_of(gate: Gate, contacts: Sequence[OwnedContact], purpose: str, level: Level) -> list[Way]:
    """Return how a code may be asked for: proved contacts and channels that are strong enough, the primary contact first."""
    policy = gate.house.rules.policies[purpose]
    return [
        Way(contact.id, channel, contact.masked)
        for contact in contacts
        if contact.proved_at is not None
        for channel in gate.house.rules.channels(contact.kind, policy, live=gate.own.live)
        if OF_METHOD[BY_CHANNEL[channel]] >= level
    ]


def channels_of(gate: Gate, contact: Contact, purpose: str) -> tuple[Channel, ...]:
    """Return by which channels a contact that is not on record yet can be reached."""
    return gate.house.rules.channels(contact.kind, gate.house.rules.policies[purpose], live=gate.own.live)


def opened(gate: Gate, contact: OwnedContact) -> Contact:
    """Return a contact of an account in the clear, for the one message that goes to it."""
    return Contact(Kind(contact.kind), gate.keyring.unseal(contact.address, contact.id))


async def ask(
    gate: Gate,
    browser: Browser,
    contact: Contact,
    *,
    purpose: str,
    device: str,
    subject: str = "",
    channel: Channel | None = None,
    action: Action | None = None,
    trusted: str = "",
    spent: int = 0,
    known: bool = False,
) -> Outcome:
    """Ask the holder of a contact for a code that works in this browser alone; `device` is the browser's secret (semantics C4)."""
    asked = Asked(
        to=contact,
        channel=channel,
        purpose=purpose,
        subject=subject,
        action=action or Action(),
        locale=browser.locale,
        requester=browser.requester(trusted),
        browser=gate.mark(device).hex(),
        spent=spent,
        known=known,
    )
    return await begin_challenge(gate.house, gate.own, asked)


def began(outcome: Outcome) -> Done | Refused:
    """Return the outcome of a begin, which is one of these two."""
    if not isinstance(outcome, Done | Refused):
        raise AssertionError("a begin without an idempotency key is done or refused")  # noqa: TRY004 - a bug, not a type
    return outcome


async def ask_by_first_way(
    gate: Gate, browser: Browser, contacts: Sequence[OwnedContact], least: Level, visit: Visit, device: str
) -> Asking:
    """Ask an account's holder for a code by the first way that is strong enough and not resting, and keep the visit that waits for it."""
    owned = {contact.id: contact for contact in contacts}
    refused: Refused | None = None
    for way in ways_of(gate, contacts, visit.kind.value, least):
        outcome = began(
            await ask(
                gate,
                browser,
                opened(gate, owned[way.contact]),
                purpose=visit.kind.value,
                device=device,
                subject=visit.account,
                channel=way.channel,
                action=visit.need.action,
                trusted=visit.requester.device,
            )
        )
        if isinstance(outcome, Done):
            begun = msgspec.structs.replace(visit, challenge=outcome.challenge.id, contact=way.contact)
            return ToVerify(await visits.keep(gate, begun), device)
        refused = outcome
        if outcome.refusal not in _RESTING:
            break
    return refused or Unmet()
