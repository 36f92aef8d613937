"""Hold back what pumping makes us send: claimed phone messages are judged, and counted if they go, in the claim's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.sms_pumping import (
    BUDGETS,
    PumpingFinding,
    PumpingMode,
    PumpingPolicy,
    assess,
    findings,
    next_hold,
    price_of,
)
from countersign.domain.delivery.sms_traffic import (
    NEW_PREFIXES,
    RANGES,
    TrafficHistory,
    TrafficKey,
    TrafficScope,
    TrafficSlot,
    is_new_prefix,
    number_range,
    traffic_keys_of,
)
from countersign.domain.policy import INBOX
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.shared.phone_region import PhoneRegion
from countersign.domain.verifications.challenge import Challenge
from countersign.errors import CountersignError
from countersign.store.engine.database import Seek
from countersign.store.tables import challenges, sms_traffic
from countersign.store.tables.schema import ATTEMPTS, CHALLENGES

if TYPE_CHECKING:
    from countersign.domain.delivery.delivery import Delivery
    from countersign.flows.delivery.context import DeliveryContext
    from countersign.keys import Keyring

_log = structlog.get_logger("countersign.pumping")


class PumpingResult(msgspec.Struct):
    """What was judged: the messages that are held back, by owner and number; places that are held from now on, and the events of it."""

    held: set[tuple[str, int]] = set()
    blocks: list[sms_traffic.Block] = []
    events: list[Event] = []
    countries: list[str] = []


class Destination(msgspec.Struct, frozen=True):
    """Where a message goes, as it is judged: its area, and the keyed hash of each range around its number."""

    number: str
    region: PhoneRegion
    ranges: dict[int, str]

    def places(self, *, fresh: bool) -> tuple[TrafficKey, ...]:
        """Return the places it lies in."""
        return traffic_keys_of(self.region.country, self.region.prefix, self.ranges, fresh=fresh)


def is_counted(delivery: Delivery, owner: object) -> bool:
    """Say whether a message is one that pumping could be after: a code by phone that leaves us by a carrier."""
    return (
        isinstance(owner, Challenge)
        and owner.terms.live
        and delivery.channel is not Channel.EMAIL
        and bool(delivery.region.prefix)
        and delivery.provider != INBOX
    )


def destination_of(keyring: Keyring, number: str, region: PhoneRegion) -> Destination:
    """Return where a number is judged; ranges are known by a keyed hash, so that no number is stored."""
    beginnings = {digits: number_range(number, region.prefix, digits) for digits in RANGES}
    ranges = {
        digits: keyring.blind_index("range", str(digits), begin).hex() for digits, begin in beginnings.items() if begin
    }
    return Destination(number, region, ranges)


async def check_pumping(
    context: DeliveryContext, claimed: Sequence[tuple[Delivery, Challenge]], now: int
) -> PumpingResult:
    """Judge messages that are claimed for the first time, one after the other as they count."""
    judged, policy = PumpingResult(), context.policy.pumping
    if policy.mode is PumpingMode.OFF or not claimed:
        return judged
    await sms_traffic.wait_turn([owner.application for _, owner in claimed])
    counted: dict[sms_traffic.Key, TrafficSlot] = {}
    for application in sorted({owner.application for _, owner in claimed}):
        ours = [
            (delivery, _whereto(context, delivery, owner))
            for delivery, owner in claimed
            if owner.application == application
        ]
        names = {place.name for _, whereto in ours for place in whereto.places(fresh=True)}
        known = await sms_traffic.standings(application, sorted(names), now, shadow=policy.mode is PumpingMode.SHADOW)
        for delivery, whereto in ours:
            _judge_one(judged, counted, known, application, delivery, whereto, policy, now)
    await sms_traffic.count(counted)
    return judged


def _judge_one(  # noqa: PLR0917 - one step of judge, on what it gathers
    judged: PumpingResult,
    counted: dict[sms_traffic.Key, TrafficSlot],
    known: dict[str, TrafficHistory],
    application: str,
    delivery: Delivery,
    whereto: Destination,
    policy: PumpingPolicy,
    now: int,
) -> None:
    region = whereto.region
    places = whereto.places(fresh=is_new_prefix(known[region.prefix]))
    price = price_of(policy, region.country, whereto.number)
    because = assess(places, {place: known[place.name] for place in places}, price, policy, now).finding
    if because is not None:
        shadow = policy.mode is PumpingMode.SHADOW
        if not because.without_hold:
            standing = known[because.key.name]
            hold = next_hold(because, standing.hold, now)
            known[because.key.name] = (
                msgspec.structs.replace(standing, budget_spent_until=hold.until)
                if because.rule in BUDGETS
                else msgspec.structs.replace(standing, hold=hold)
            )
            block = sms_traffic.held_since(because, hold, application, (region.country, region.prefix), shadow=shadow)
            judged.blocks.append(block)
            judged.events.append(hold_event(block))
            _log.warning("destination_held", place=display_name(block), rule=block.rule, why=block.figures, shadow=shadow)
        if not shadow:
            judged.held.add((delivery.owner, delivery.number))
            judged.countries.append(region.country)
            return
    for place in places:
        one = TrafficSlot(sms_traffic.slot_of(now), 1, price)
        key = (application, place.name, one.at)
        counted[key] = _plus(counted.get(key), one)
        standing = known[place.name]
        known[place.name] = msgspec.structs.replace(standing, slots=(*standing.slots, one))


async def count_conversions(
    context: DeliveryContext, came_back: Sequence[tuple[Delivery, Challenge]], now: int
) -> None:
    """Count messages whose code came back where they were counted as sent; each is told of once."""
    await _count_later(context, came_back, now, converted=True)


async def uncount_failed(context: DeliveryContext, failed: Sequence[Delivery], now: int) -> None:
    """Take off what was counted of messages that no provider took: they cost nothing, and nobody could answer them.

    One whose last provider said nothing in time may have been sent, and stays counted.
    """
    unsure = {Reason.TIMED_OUT, Reason.HELD_BACK}
    wanted = [one for one in failed if one.region.prefix and one.reason not in unsure]
    if not wanted or context.policy.pumping.mode is PumpingMode.OFF:
        return
    ids = sorted({one.owner for one in wanted})
    tries = await Seek(ATTEMPTS, "owner", ids, "outcome = 'accepted'")
    taken = {(row[0], row[1]) for row in tries}
    found = await Seek(CHALLENGES, "id", ids)
    owners = {challenge.id: challenge for challenge in map(challenges.of_row, found)}
    ours = [
        (one, owners[one.owner])
        for one in wanted
        if (one.owner, one.number) not in taken and is_counted(one, owners.get(one.owner))
    ]
    await _count_later(context, ours, now, converted=False)


async def _count_later(
    context: DeliveryContext, which: Sequence[tuple[Delivery, Challenge]], now: int, *, converted: bool
) -> None:
    policy = context.policy.pumping
    if policy.mode is PumpingMode.OFF:
        return
    counted: dict[sms_traffic.Key, TrafficSlot] = {}
    for application in sorted({owner.application for _, owner in which}):
        ours = [
            (delivery, _whereto(context, delivery, owner))
            for delivery, owner in which
            if owner.application == application
        ]
        known = await sms_traffic.standings(application, sorted({whereto.region.prefix for _, whereto in ours}), now)
        for delivery, whereto in ours:
            at = sms_traffic.slot_of(delivery.created_at)
            price = price_of(policy, whereto.region.country, whereto.number)
            one = TrafficSlot(at, converted=1) if converted else TrafficSlot(at, -1, -price)
            for place in whereto.places(fresh=is_new_prefix(known[whereto.region.prefix])):
                key = (application, place.name, at)
                counted[key] = _plus(counted.get(key), one)
    await sms_traffic.count(counted)


async def explain_pumping(
    whereto: Destination, application: str, policy: PumpingPolicy, now: int
) -> list[PumpingFinding]:
    """Return what every rule says of a message to a number, were it sent now."""
    names = sorted({place.name for place in whereto.places(fresh=True)})
    known = await sms_traffic.standings(application, names, now, shadow=policy.mode is PumpingMode.SHADOW)
    price = price_of(policy, whereto.region.country, whereto.number)
    places = whereto.places(fresh=is_new_prefix(known[whereto.region.prefix]))
    return [one for place in places for one in findings(place, known[place.name], price, policy, now)]


def hold_event(block: sms_traffic.Block) -> Event:
    """Return the event of a place that is held from now on."""
    facts: dict[str, str | int] = {
        "scope": block.scope,
        "country": block.country,
        "rule": block.rule,
        "why": block.figures,
        "until": block.until,
        "shadow": int(block.shadow),
    }
    return Event(block.since, EventKind.PREFIX_HELD, block.application, display_name(block), facts)


def lift_event(block: sms_traffic.Block, now: int) -> Event:
    """Return the event of a place that was let go by hand."""
    return Event(now, EventKind.PREFIX_LIFTED, block.application, display_name(block), {"scope": block.scope})


def display_name(block: sms_traffic.Block) -> str:
    """Return what a place is called: itself, or the prefix that a range or all new prefixes were met by."""
    ours = {TrafficScope.PREFIX.value, TrafficScope.COUNTRY.value}
    if block.scope in ours or block.place == NEW_PREFIXES:
        return block.place
    return block.prefix if block.scope != TrafficScope.APPLICATION.value else "all"


def _whereto(context: DeliveryContext, delivery: Delivery, owner: Challenge) -> Destination:
    try:
        key = context.keyring.named(owner.terms.kid)
        number = key.unseal(owner.terms.to, owner.id.encode()).decode()
    except CountersignError:
        # Its message cannot be composed either, and that is told there; its prefix is known all the same.
        return Destination(delivery.region.prefix, delivery.region, {})
    return destination_of(context.keyring, number, delivery.region)


def _plus(before: TrafficSlot | None, one: TrafficSlot) -> TrafficSlot:
    if before is None:
        return one
    return TrafficSlot(one.at, before.sent + one.sent, before.spent + one.spent, before.converted + one.converted)
