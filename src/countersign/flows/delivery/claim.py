"""Take what is due: claim messages for this worker, drop what is no longer wanted, and lead around providers that are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from countersign.domain.delivery import circuit_breaker as breaker_rules
from countersign.domain.delivery import delivery as rules_of
from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.delivery import Delivery, DeliveryState, Reason
from countersign.domain.delivery.latency import ProviderStats
from countersign.domain.delivery.notice import NOTICE_PREFIX, Notice
from countersign.domain.shared.event import Event
from countersign.domain.verifications.challenge import Challenge, ChallengeState, accepted_rounds
from countersign.flows.delivery.compose import ClaimedDelivery
from countersign.flows.delivery.context import DeliveryContext, provider_key_of
from countersign.flows.delivery.events import delivery_event
from countersign.flows.delivery.sms_pumping import check_pumping, is_counted
from countersign.flows.delivery.suppressions import find_suppressed
from countersign.store.engine.database import Append, Claim, Row, Rows, Seek, Update, Write
from countersign.store.tables import applications, challenges, deliveries, notices, provider_health, sms_traffic
from countersign.store.tables.schema import CHALLENGES, DELIVERIES, NOTICES

T = TypeVar("T")

_log = structlog.get_logger("countersign.deliver")


class _Taken(msgspec.Struct, frozen=True):
    """What a claim brought: messages to send, those whose receipts had not come in time, and the countries of those held back."""

    claimed: list[ClaimedDelivery]
    overdue: list[Delivery]
    held_back: list[str] = []


async def claim_due(context: DeliveryContext, most: int) -> list[ClaimedDelivery]:
    """Take up to `most` messages that are due; what nobody wants any more is dropped on the way."""
    taken = await context.claims.run(context.database, _claim, context, context.now(), most)
    for country in taken.held_back:
        context.on_withheld(country)
    for delivery in taken.overdue:
        context.stats.note(provider_key_of(delivery), ProviderStats(overdue=1))
    return taken.claimed


async def _claim(context: DeliveryContext, now: int, most: int) -> _Taken:
    rows = await Claim(DELIVERIES, "due_at IS NOT NULL AND due_at <= $1", (now,), "due_at", most)
    if not rows:
        return _Taken([], [])
    found = await Seek(CHALLENGES, "id", sorted({row[0] for row in rows if not row[0].startswith(NOTICE_PREFIX)}))
    news = await Seek(NOTICES, "id", sorted({row[0] for row in rows if row[0].startswith(NOTICE_PREFIX)}))
    read, strange = _read(found, challenges.of_row)
    read_notices, strange_notices = _read(news, notices.of_row)
    strange += strange_notices
    owners: dict[str, Challenge | Notice] = {owner.id: owner for owner in read}
    owners.update({owner.id: owner for owner in read_notices})
    # A newer program may have written what this one cannot read: that must not stop the messages of everybody else.
    strangers = {row[0] for row in strange}
    due, unreadable = _read([row for row in rows if row[0] not in strangers], deliveries.of_row)
    unreadable += [row for row in rows if row[0] in strangers]
    put_off = [deliveries.put_off(row, now + rules_of.LEASE) for row in unreadable]
    for owner_id, number, *_ in put_off:
        _log.error("unreadable_record", delivery=f"{owner_id}.{number}")
    sites = await applications.of_ids([owner.application for owner in owners.values()])
    wanted = [
        (delivery, owner)
        for delivery in due
        if delivery.attempts == 0
        and isinstance(owner := owners.get(delivery.owner), Challenge)
        and is_counted(delivery, owner)
        and why_unwanted(delivery, owner, now) is None
    ]
    judged = await check_pumping(context, wanted, now)
    shut = await find_suppressed(context.keyring, [(one, owners.get(one.owner)) for one in due], now)
    shut.update(dict.fromkeys(judged.held, Reason.HELD_BACK))
    breakers = await _breakers(now)
    left_out = {name for name, one in breakers.items() if one.is_open(now)}
    probed: list[CircuitBreaker] = []
    claimed: list[ClaimedDelivery] = []
    overdue: list[Delivery] = []
    changed: list[Delivery] = []
    events: list[Event] = [*judged.events]
    for delivery in due:
        owner = owners.get(delivery.owner)
        unwanted = why_unwanted(delivery, owner, now)
        if unwanted is not None:
            taken = rules_of.drop(delivery, unwanted, now)
        elif (delivery.owner, delivery.number) in shut:
            taken = rules_of.fail(delivery, shut[delivery.owner, delivery.number], now)
        else:
            if delivery.state is DeliveryState.ACCEPTED:
                overdue.append(delivery)
            taken = rules_of.claim(delivery, now, left_out)
        changed.append(taken)
        if taken.ended:
            events.append(delivery_event(taken, owner.application if owner else "", now))
            continue
        tripped = breakers.get(taken.provider or "")
        if tripped is not None and tripped.tripped and tripped.provider not in left_out:
            # Its rest is over, and this message shows whether it is back: until that is known, all others pass it over.
            probed.append(breaker_rules.begin_probe(tripped, now))
            left_out.add(tripped.provider)
        if owner is not None:
            claimed.append(ClaimedDelivery(taken, owner, sites.get(owner.application)))
    await Append(events)
    await Write(
        (
            Update(DELIVERIES, [*(deliveries.changed_row(delivery) for delivery in changed), *put_off]),
            *provider_health.saved(probed),
            *sms_traffic.began(judged.blocks),
        ),
        last=True,
    )
    return _Taken(claimed, overdue, judged.countries)


async def _breakers(now: int) -> dict[str, CircuitBreaker]:
    """Return what is known of providers that fail; one whose rest is over is held, so that two workers do not both try it."""
    known = await provider_health.breakers()
    rested = [name for name, one in known.items() if one.tripped and not one.is_open(now)]
    return {**known, **(await provider_health.take_breakers(rested))}


def _read(rows: Rows, of_row: Callable[[Row], T]) -> tuple[list[T], list[Row]]:
    """Return what rows hold, and the rows that this program cannot read."""
    read: list[T] = []
    strange: list[Row] = []
    for row in rows:
        try:
            read.append(of_row(row))
        except (ValueError, msgspec.MsgspecError):
            strange.append(row)
    return read, strange


def why_unwanted(delivery: Delivery, owner: Challenge | Notice | None, now: int) -> Reason | None:
    """Return why a message must not be sent any more: what it is for has ended, expired, or goes by a newer code; else None."""
    if owner is None:
        return Reason.ENDED
    if isinstance(owner, Notice):
        return Reason.EXPIRED if now >= owner.expires_at else None
    state = owner.state_at(now)
    if state is ChallengeState.EXPIRED:
        return Reason.EXPIRED
    outdated = delivery.round not in accepted_rounds(owner)
    return Reason.ENDED if state is not ChallengeState.PENDING or outdated else None
