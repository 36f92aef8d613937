"""Asking: by which ways a person can be asked for a code, and asking by the first that is not resting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.account import OwnedContact, Way
from countersign.domain.accounts.authenticator import FactorKind
from countersign.domain.accounts.login_flow import VisitKind
from countersign.domain.accounts.session import BY_CHANNEL, OF_METHOD, Level
from countersign.domain.shared.contact import Contact, Kind
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.flows.accounts import login_flow
from countersign.flows.accounts.context import Asking, Browser, Gate, ToVerify, Unmet
from countersign.flows.verifications.begin import Asked, begin_challenge
from countersign.flows.verifications.results import Done, Outcome, Refused

if TYPE_CHECKING:
    from countersign.domain.accounts.change import Holdings
    from countersign.domain.accounts.login_flow import Visit
    from countersign.domain.shared.contact import Channel

OF_FACTOR: Final = {
    FactorKind.APP: Level.APP_CODE,
    FactorKind.PASSKEY: Level.PASSKEY,
    FactorKind.RECOVERY_CODE: Level.APP_CODE,
}
"""How strong a proof by each factor is."""

_RESTING: Final = frozenset({Refusal.CONTACT_PAUSED, Refusal.CONTACT_LOCKED, Refusal.LIMITED})


def ways_of(gate: Gate, holdings: Holdings, visit: Visit) -> list[Way]:
    """Return how a flow's code may be asked for: proved contacts and channels that are strong enough, the primary contact first.

    A contact that is about to go, or that has just recovered the account, does not count where there is another one or a factor
    (semantics A1, R2). To sign in, a code by mail or phone does not stand in for a factor that is enrolled.
    """
    signs_in = visit.kind is VisitKind.SIGN_IN
    if signs_in and holdings.strong:
        return []
    least = max(visit.need.level, Level.MAIL_CODE)
    policy = gate.house.rules.policies[visit.kind.purpose]
    apart = holdings.account.recovered_by if signs_in else visit.need.without
    others = [contact for contact in holdings.contacts if contact.id != apart]
    return [
        Way(contact.id, channel, contact.masked)
        for contact in (others if others or holdings.strong else holdings.contacts)
        if contact.proved_at is not None
        for channel in gate.house.rules.channels(contact.kind, policy, live=gate.own.live)
        if OF_METHOD[BY_CHANNEL[channel]] >= least
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
    told: str = "",
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
        told=told,
    )
    return await begin_challenge(gate.house, gate.own, asked)


def began(outcome: Outcome) -> Done | Refused:
    """Return the outcome of a begin, which is one of these two."""
    if not isinstance(outcome, Done | Refused):
        raise AssertionError("a begin without an idempotency key is done or refused")  # noqa: TRY004 - a bug, not a type
    return outcome


async def ask_by_first_way(gate: Gate, browser: Browser, holdings: Holdings, visit: Visit, device: str) -> Asking:
    """Ask an account's holder for the proof that a flow needs, and keep the visit that waits for it.

    Where an authenticator app or a passkey is enrolled and strong enough it is asked for first, and no message is sent. Else a code, by
    the first way that is strong enough and not resting.
    """
    if FactorKind.APP in (methods := methods_of(holdings, visit)) or FactorKind.PASSKEY in methods:
        return ToVerify(await login_flow.keep(gate, visit), device)
    owned = {contact.id: contact for contact in holdings.contacts}
    refused: Refused | None = None
    for way in ways_of(gate, holdings, visit):
        outcome = began(
            await ask(
                gate,
                browser,
                opened(gate, owned[way.contact]),
                purpose=visit.kind.purpose,
                device=device,
                subject=visit.account,
                channel=way.channel,
                action=visit.need.action,
                trusted=visit.requester.device,
            )
        )
        if isinstance(outcome, Done):
            begun = msgspec.structs.replace(visit, challenge=outcome.challenge.id, contact=way.contact)
            return ToVerify(await login_flow.keep(gate, begun, owned[way.contact].masked), device)
        refused = outcome
        if outcome.refusal not in _RESTING:
            break
    return refused or Unmet()


def methods_of(holdings: Holdings | None, visit: Visit) -> tuple[FactorKind, ...]:
    """Return the factors that a flow may be proved by; where an account is recovered, the same whether there is one (semantics R1)."""
    if visit.kind is VisitKind.RECOVER:
        return (FactorKind.RECOVERY_CODE,)
    if holdings is None or visit.kind not in {VisitKind.SIGN_IN, VisitKind.STEP_UP}:
        return ()
    there = {factor.kind for factor in holdings.authenticators if OF_FACTOR[factor.kind] >= visit.need.level}
    return tuple(kind for kind in FactorKind if kind in there)
