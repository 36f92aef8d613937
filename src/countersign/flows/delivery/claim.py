"""Claim due messages for this worker: load them, drop or block the unwanted ones, and choose a provider for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
import structlog

from countersign.domain.accounts.notice_budget import NoticeLane, lane_of
from countersign.domain.delivery import circuit_breaker as breaker_rules
from countersign.domain.delivery import delivery as delivery_rules
from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.delivery import Delivery, DeliveryState, Reason
from countersign.domain.delivery.fair_share import DueQueue, fair_shares
from countersign.domain.delivery.latency import ProviderStats
from countersign.domain.delivery.notice import NOTICE_PREFIX, Notice
from countersign.domain.shared.application import Application
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import Event
from countersign.domain.verifications.challenge import Challenge, ChallengeState, accepted_rounds
from countersign.flows.delivery.compose import ClaimedDelivery
from countersign.flows.delivery.context import DeliveryContext, provider_key_of
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.events import delivery_event
from countersign.flows.delivery.pumping_round import PumpingResult
from countersign.flows.delivery.sms_pumping import check_pumping, is_counted
from countersign.flows.delivery.suppressions import find_suppressed
from countersign.providers import BoundsSending
from countersign.store.engine.database import Append, Row, Rows, Seek, Take, Write
from countersign.store.tables import (
    applications,
    challenges,
    deliveries,
    notices,
    provider_health,
    queue,
    sms_traffic,
)
from countersign.store.tables.schema import ATTEMPTS, CHALLENGES, DELIVERIES, NOTICES

T = TypeVar("T")

MOST_OF_ONE: Final = 64
"""Messages of one application that one worker has in flight at once, of one kind of channel."""

MAIL: Final = frozenset({Channel.EMAIL})
PHONE: Final = frozenset(Channel) - MAIL
"""The kinds of channels. Each is claimed apart, so that mail never waits for what phone messages wait for."""

_log = structlog.get_logger("countersign.delivery")


class DueMessages(msgspec.Struct, frozen=True):
    """Due messages with the challenges or notices that own them, and the rows that this program cannot read."""

    deliveries: list[Delivery]
    owners: dict[str, Challenge | Notice]
    unreadable: list[Row]


class Claimed(msgspec.Struct, frozen=True):
    """Messages that this worker has claimed: those to send, and those that the pumping rules judge first.

    `probes` has the provider of each message that tests whether it is back, by owner and number. `looked_at` counts the due messages that
    were locked, with those that were ended.
    """

    ready: list[ClaimedDelivery] = []
    unjudged: list[ClaimedDelivery] = []
    probes: dict[tuple[str, int], str] = {}
    looked_at: int = 0


class _Decisions(msgspec.Struct):
    """What becomes of each due message: all of them as they are from now on, those to send, and the events to append."""

    changed: list[Delivery] = []
    claimed: list[ClaimedDelivery] = []
    overdue: list[tuple[Delivery, str]] = []
    events: list[Event] = []


async def find_due(context: DeliveryContext, most: int) -> list[DueQueue]:
    """Return the queues with due messages that this worker can send, each with their number up to `most`.

    A worker leaves alone what names a provider that its settings do not have: another one has newer settings, or older ones. Raises
    UnavailableError if the database is down.
    """
    found = await context.database.read(queue.find_due, context.now(), most)
    return [one for one in found if not one.provider or one.provider in context.providers]


async def claim_due(context: DeliveryContext, limit: int) -> list[ClaimedDelivery]:
    """Claim up to `limit` due messages, and return those that may be sent. Raises UnavailableError if the database is down."""
    claimed = await claim_from(context, await find_due(context, limit), limit)
    return claimed.ready + await judge(context, claimed.unjudged, claimed.probes)


async def claim_from(
    context: DeliveryContext,
    queues: Sequence[DueQueue],
    room: int,
    held: Collection[ClaimedDelivery] = (),
    most: int = MOST_OF_ONE,
) -> Claimed:
    """Claim up to `room` due messages of these queues, shared fairly among their applications (semantics D10).

    Messages that must not be sent any more are ended on the way. Raises UnavailableError if the database is down.

    Arguments:
        context: the context of delivery.
        queues: what is due.
        room: the most messages to claim.
        held: the messages that this worker has in flight.
        most: the most messages in flight of one application.

    """
    in_flight = Counter(one.owner.application for one in held)
    shares = fair_shares(queues, room, in_flight, most, _places(context, held))
    if not shares:
        return Claimed()
    claimed, overdue = await context.claims.run(context.database, _claim, context, context.now(), shares)
    for delivery, application in overdue:
        key = provider_key_of(delivery)
        context.stats.add(key, ProviderStats(overdue=1))
        if context.stats.is_news(f"missing {key} {application}", context.now()):
            _log.warning(
                "receipts_missing",
                provider=key.provider,
                channel=key.channel.value,
                country=key.country,
                application=application,
            )
    return claimed


def _places(context: DeliveryContext, held: Collection[ClaimedDelivery]) -> dict[str, int]:
    """Return how many more messages each provider takes that does not send all at once.

    Beyond that they would wait in the provider, in a row, and whoever asks for one code behind a flood would wait for all of it.
    """
    busy = Counter(one.delivery.provider for one in held)
    return {
        name: max(0, provider.most_at_once - busy[name])
        for name, provider in context.providers.items()
        if isinstance(provider, BoundsSending) and provider.most_at_once is not None
    }


async def judge(
    context: DeliveryContext, messages: Sequence[ClaimedDelivery], probes: Mapping[tuple[str, int], str]
) -> list[ClaimedDelivery]:
    """Have the pumping rules judge claimed messages, end or postpone those that are withheld, and return the others.

    Raises UnavailableError if the database is down. Messages that were not judged must not be sent: they are released, or their leases
    end.
    """
    if not messages:
        return []
    now = context.now()
    pumping = await check_pumping(context, [(one.delivery, one.owner) for one in messages], now, record_conversions)
    if pumping.withheld or pumping.blocks:
        withheld = [one for one in messages if (one.delivery.owner, one.delivery.number) in pumping.withheld]
        await context.claims.run(context.database, _withhold, withheld, pumping, probes, now)
    for country in pumping.withheld_countries:
        context.on_withheld(country)
    for (application, destination), (delivery, finding) in pumping.withheld_notices.items():
        if context.stats.is_news(f"notices {application} {destination}", now):
            _log.warning(
                "notices_withheld",
                destination=destination,
                country=delivery.region.country,
                application=application,
                channel=delivery.channel.value,
                provider=delivery.provider or "",
                rule=finding.rule,
                why=finding.sentence,
            )
    return [one for one in messages if (one.delivery.owner, one.delivery.number) not in pumping.withheld]


async def _claim(
    context: DeliveryContext, now: int, shares: dict[str, int]
) -> tuple[Claimed, list[tuple[Delivery, str]]]:
    """Return what is claimed now, and the messages whose receipt was overdue."""
    rows = await queue.claim_shares(shares, now)
    if not rows:
        return Claimed(), []
    due = await find_owners(rows)
    sites = await applications.find_by_ids([owner.application for owner in due.owners.values()])
    unjudged = await _find_unjudged(due)
    blocked = await _find_blocked(context, due, now)
    breakers = _Breakers(await _load_breakers(now), now)
    decisions = _decide(context.providers, due, sites, blocked, breakers, now)
    await Append(decisions.events)
    await Write(
        (
            *deliveries.update(decisions.changed),
            *deliveries.update_due_at(due.unreadable, now + delivery_rules.LEASE),
            *provider_health.upsert_breakers(breakers.probed),
        ),
        last=True,
    )
    ready: list[ClaimedDelivery] = []
    waiting: list[ClaimedDelivery] = []
    for one in _in_turn(decisions.claimed):
        (waiting if (one.delivery.owner, one.delivery.number) in unjudged else ready).append(one)
    return Claimed(ready, waiting, breakers.probes, len(rows)), decisions.overdue


def _in_turn(claimed: Sequence[ClaimedDelivery]) -> list[ClaimedDelivery]:
    """Return messages in the order in which they are sent: the first of each application, then the second, and so on."""
    turns: dict[str, int] = {}
    order: list[tuple[int, int, ClaimedDelivery]] = []
    for one in claimed:
        turn = turns.get(one.owner.application, 0)
        turns[one.owner.application] = turn + 1
        order.append((turn, len(order), one))
    return [one for _, _, one in sorted(order, key=lambda place: place[:2])]


async def _withhold(
    messages: Sequence[ClaimedDelivery], pumping: PumpingResult, probes: Mapping[tuple[str, int], str], now: int
) -> None:
    """End the messages that are withheld, or have those wait that must arrive, and write what was found.

    Anybody can have a destination held, by asking for codes to numbers beside it. What can cost somebody the account must reach them all
    the same (semantics L1).
    """
    claimed = {(one.delivery.owner, one.delivery.number): one for one in messages}
    changed: list[Delivery] = []
    events: list[Event] = []
    rows = await Take(DELIVERIES, sorted(claimed)) if claimed else ()
    for current in map(deliveries.from_row, rows):
        key = (current.owner, current.number)
        if current.state is not DeliveryState.SENDING or current.attempts != claimed[key].delivery.attempts:
            continue
        untried = delivery_rules.release(current, now)
        if _must_be_told(claimed[key].owner):
            changed.append(delivery_rules.postpone(untried, pumping.withheld[key]))
            continue
        after = delivery_rules.fail(untried, Reason.HELD_BACK, now)
        changed.append(after)
        events.append(delivery_event(after, claimed[key].owner.application, now))
    # What is not sent proves nothing about its provider: the next message is the probe.
    spent = {probes[key] for key in claimed if key in probes}
    breakers = (await provider_health.lock_breakers(sorted(spent))).values()
    await Append([*pumping.events, *events])
    await Write(
        (
            *deliveries.update(changed),
            *provider_health.upsert_breakers([breaker_rules.end_probe(one, now) for one in breakers if one.probing]),
            *sms_traffic.upsert_blocks(pumping.blocks),
        ),
        last=True,
    )


async def find_owners(rows: Rows) -> DueMessages:
    """Return the messages of claimed rows, with their challenges and notices.

    A newer program may have written what this one cannot read. Such a row must not stop the messages of everybody else.
    """
    ids = {row[0] for row in rows}
    notice_ids = {id_ for id_ in ids if id_.startswith(NOTICE_PREFIX)}
    found_challenges, unreadable = _read(await Seek(CHALLENGES, "id", sorted(ids - notice_ids)), challenges.from_row)
    found_notices, unreadable_notices = _read(await Seek(NOTICES, "id", sorted(notice_ids)), notices.from_row)
    owners: dict[str, Challenge | Notice] = {owner.id: owner for owner in found_challenges}
    owners.update({owner.id: owner for owner in found_notices})
    unreadable_ids = {row[0] for row in (*unreadable, *unreadable_notices)}
    due, unreadable = _read([row for row in rows if row[0] not in unreadable_ids], deliveries.from_row)
    unreadable += [row for row in rows if row[0] in unreadable_ids]
    for owner_id, number, *_ in unreadable:
        _log.error("unreadable_record", delivery=f"{owner_id}.{number}")
    return DueMessages(due, owners, unreadable)


async def _find_unjudged(due: DueMessages) -> set[tuple[str, int]]:
    """Return the messages that the pumping rules are yet to judge, by owner and number: those by phone that nobody has tried to send.

    A worker may have died between its claim and the judgement, so an attempt counts as one only once it was recorded.
    """
    counted = [one for one in due.deliveries if is_counted(one, due.owners.get(one.owner))]
    first = {(one.owner, one.number) for one in counted if one.attempts == 0}
    lapsed = [one for one in counted if one.attempts and one.state is DeliveryState.SENDING]
    if not lapsed:
        return first
    recorded = {(row[0], row[1]) for row in await Seek(ATTEMPTS, "owner", sorted({one.owner for one in lapsed}))}
    return first | ({(one.owner, one.number) for one in lapsed} - recorded)


async def _find_blocked(context: DeliveryContext, due: DueMessages, now: int) -> dict[tuple[str, int], Reason]:
    """Return the messages that are not sent because of a suppression, by owner and number, with the reason."""
    with_owners = [(delivery, due.owners.get(delivery.owner)) for delivery in due.deliveries]
    return await find_suppressed(context.keyring, with_owners, now)


def _must_be_told(owner: Challenge | Notice | None) -> bool:
    return isinstance(owner, Notice) and lane_of(owner.kind) is not NoticeLane.ORDINARY


async def _load_breakers(now: int) -> dict[str, CircuitBreaker]:
    """Load the circuit breakers. Those whose rest is over are locked, so that two workers do not both probe a provider."""
    known = await provider_health.find_breakers()
    rested = [name for name, breaker in known.items() if breaker.tripped and not breaker.is_open(now)]
    return {**known, **(await provider_health.lock_breakers(rested))}


class _Breakers:
    """The circuit breakers while a batch of messages is claimed: which providers are skipped, and which are probed."""

    def __init__(self, known: dict[str, CircuitBreaker], now: int) -> None:
        self._known = known
        self._now = now
        self.skipped = {name for name, breaker in known.items() if breaker.is_open(now)}
        self.probed: list[CircuitBreaker] = []
        self.probes: dict[tuple[str, int], str] = {}

    def record_claim(self, delivery: Delivery) -> None:
        """Record that a message goes to its provider. If its rest is over, this message is its probe and all others skip it."""
        breaker = self._known.get(delivery.provider or "")
        if breaker is not None and breaker.tripped and breaker.provider not in self.skipped:
            self.probed.append(breaker_rules.begin_probe(breaker, self._now))
            self.probes[delivery.owner, delivery.number] = breaker.provider
            self.skipped.add(breaker.provider)


def _decide(
    providers: Collection[str],
    due: DueMessages,
    sites: Mapping[str, Application],
    blocked: Mapping[tuple[str, int], Reason],
    breakers: _Breakers,
    now: int,
) -> _Decisions:
    """Decide for each due message whether it is dropped, fails, is left to other workers, or is claimed for a provider."""
    decisions = _Decisions()
    for found in due.deliveries:
        owner = due.owners.get(found.owner)
        delivery = found if owner is None else msgspec.structs.replace(found, application=owner.application)
        site = sites.get(delivery.application)
        block = blocked.get((delivery.owner, delivery.number))
        if (reason := reason_to_drop(delivery, owner, now, site)) is not None:
            after = delivery_rules.drop(delivery, reason, now)
        elif block is not None:
            after = delivery_rules.fail(delivery, block, now)
        else:
            if delivery.state is DeliveryState.ACCEPTED:
                decisions.overdue.append((delivery, owner.application if owner else ""))
            after = _taken(delivery, providers, breakers, now)
        decisions.changed.append(after)
        if after.ended:
            decisions.events.append(delivery_event(after, owner.application if owner else "", now))
        elif after.state is DeliveryState.SENDING and owner is not None:
            breakers.record_claim(after)
            decisions.claimed.append(ClaimedDelivery(after, owner, site))
    return decisions


def _taken(delivery: Delivery, providers: Collection[str], breakers: _Breakers, now: int) -> Delivery:
    """Return a message as this worker sends it, or leaves it to a worker that knows its provider."""
    unknown = {name for name in delivery.route if name not in providers}
    after = delivery_rules.take_turn(delivery, now, breakers.skipped | unknown if unknown else breakers.skipped)
    if after.ended:
        return after
    if delivery.provider in unknown or after.provider in unknown:
        # It was not skipped for want of one that this worker knows: the message stands where its turn has brought it.
        stays = delivery_rules.take_turn(delivery, now)
        return stays if stays.ended else delivery_rules.leave_to_others(stays, now)
    return delivery_rules.start_try(after, now)


def _read(rows: Rows, of_row: Callable[[Row], T]) -> tuple[list[T], list[Row]]:
    """Return the records of rows, and the rows that this program cannot read."""
    records: list[T] = []
    unreadable: list[Row] = []
    for row in rows:
        try:
            records.append(of_row(row))
        except (ValueError, msgspec.MsgspecError):
            unreadable.append(row)
    return records, unreadable


def reason_to_drop(
    delivery: Delivery, owner: Challenge | Notice | None, now: int, application: Application | None = None
) -> Reason | None:
    """Return why a message must not be sent any more, or None.

    Its challenge or notice may be gone, ended or expired, its code may be replaced by a newer one, or its application may be suspended
    or removed.
    """
    if owner is None:
        return Reason.ENDED
    if application is not None and application.is_stopped:
        return Reason.CANCELED
    if isinstance(owner, Notice):
        return Reason.EXPIRED if now >= owner.expires_at else None
    state = owner.state_at(now)
    if state is ChallengeState.EXPIRED:
        return Reason.EXPIRED
    is_outdated = delivery.round not in accepted_rounds(owner)
    return Reason.ENDED if state is not ChallengeState.PENDING or is_outdated else None
