"""The gate for everything that leaves by telephone: count it before it is sent, judge it, and block SMS pumping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from countersign.domain.delivery.answer_time import LearnedTimes
from countersign.domain.delivery.delivery import Delivery, Reason
from countersign.domain.delivery.notice import Notice
from countersign.domain.delivery.sms_pumping import (
    BUDGETS,
    PumpingFinding,
    PumpingMode,
    PumpingPolicy,
    findings,
    price_of,
)
from countersign.domain.delivery.sms_traffic import (
    NEW_PREFIXES,
    RANGES,
    TrafficHistory,
    TrafficSlot,
    is_new_prefix,
    number_range,
)
from countersign.domain.delivery.traffic_tally import Surroundings
from countersign.domain.policy import INBOX
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.shared.phone_region import PhoneRegion
from countersign.domain.verifications.challenge import Challenge
from countersign.errors import CountersignError
from countersign.flows.delivery.pumping_round import (
    Destination,
    JudgingRound,
    PumpingResult,
    TrafficCounts,
    display_name,
    slot_for,
    slot_of,
)
from countersign.flows.delivery.suppressions import contact_of
from countersign.store.engine.database import Seek
from countersign.store.tables import challenges, notices, provider_health, sms_traffic
from countersign.store.tables.schema import ATTEMPTS, CHALLENGES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from countersign.flows.delivery.context import DeliveryContext
    from countersign.keys import Keyring

_log = structlog.get_logger("countersign.pumping")


def is_counted(delivery: Delivery, owner: object) -> bool:
    """Return True if the pumping rules apply to a message: a code or a notice that a provider sends to a telephone."""
    return (
        (isinstance(owner, Notice) or (isinstance(owner, Challenge) and owner.terms.live))
        and delivery.channel is not Channel.EMAIL
        and bool(delivery.region.prefix)
        and delivery.provider != INBOX
    )


def destination_of(keyring: Keyring, number: str, region: PhoneRegion) -> Destination:
    """Return the destination of a number (E.164). Its ranges are keyed hashes, so that no number is stored."""
    starts = {digits: number_range(number, region.prefix, digits) for digits in RANGES}
    ranges = {
        digits: keyring.blind_index("range", str(digits), start).hex() for digits, start in starts.items() if start
    }
    return Destination(number, region, ranges)


async def check_pumping(
    context: DeliveryContext,
    messages: Sequence[tuple[Delivery, Challenge | Notice]],
    now: int,
    count_answers: Callable[[DeliveryContext], Awaitable[object]],
) -> PumpingResult:
    """Judge messages that nobody has tried to send yet, and count those that may be sent.

    Each message is judged with the counts of those before it. No lock is held meanwhile: one statement reserves a slice of the counts for
    these messages, and says where the slice begins. Messages of other workers that were counted since are before it, and what they leave
    of a budget or an allowance is all that these messages have. Before anything is held because codes are missing, `count_answers` counts
    those that were entered until now. Raises UnavailableError if the database is down.
    """
    policy = context.policy.pumping
    if policy.mode is PumpingMode.OFF or not messages:
        return PumpingResult()
    result = await _judge(context, messages, now)
    if result is None:
        await count_answers(context)
        result = await _judge(context, messages, now, is_counted_up=True)
    for block, delivery in zip(result.blocks, result.blocked_by, strict=True) if result else ():
        _log.warning(
            "destination_held",
            destination=display_name(block),
            country=block.country,
            application=block.application,
            channel=delivery.channel.value,
            provider=delivery.provider or "",
            rule=block.rule,
            why=block.figures,
            shadow=block.shadow,
        )
    return result or PumpingResult()


async def _judge(
    context: DeliveryContext,
    messages: Sequence[tuple[Delivery, Challenge | Notice]],
    now: int,
    *,
    is_counted_up: bool = False,
) -> PumpingResult | None:
    """Judge and count messages. Returns None, and counts nothing, if answers must be counted first."""
    result, policy = PumpingResult(), context.policy.pumping
    places = {
        application: (
            own,
            sorted({key.name for _, destination in own for key in destination.traffic_keys(is_new=True)}),
        )
        for application, own in _by_application(context, messages).items()
    }
    names = {application: found for application, (_, found) in places.items()}
    known = await context.database.read(_find_all_histories, names, now, policy.mode is PumpingMode.SHADOW)
    first = JudgingRound(policy, known, now, result, context.stats.answer_times)
    for application, (own, _) in places.items():
        first.check(application, own)
    if not is_counted_up and any(block.rule not in BUDGETS for block in result.blocks):
        return None
    if not first.counts.slots:
        return result
    begins = await context.database.run(sms_traffic.reserve_counts, first.counts.slots)
    others = {key: slot for key, slot in begins.items() if slot != slot_of(known[key[0]][key[1]], key[2])}
    if others:
        second = JudgingRound(policy, first.histories_after(known, others), now, result, context.stats.answer_times)
        for application, (own, _) in places.items():
            second.check(application, [one for one in own if (one[0].owner, one[0].number) not in result.withheld])
        await context.database.run(sms_traffic.add_counts, first.counts.minus(second.counts))
    return result


async def _find_all_histories(
    places: Mapping[str, Sequence[str]],
    now: int,
    shadow: bool,  # noqa: FBT001 - passed on by the database
) -> dict[str, dict[str, TrafficHistory]]:
    """Return the histories of these places, by application and place."""
    return {
        application: await sms_traffic.find_histories(application, names, now, shadow=shadow)
        for application, names in places.items()
    }


async def count_conversions(
    context: DeliveryContext, converted: Sequence[tuple[Delivery, Challenge]], now: int
) -> None:
    """Count the conversion of each message in the slot in which it was counted as sent. Call it once for each message."""
    await _correct_counts(context, converted, lambda _delivery, _price: TrafficSlot(0, converted=1), now)


async def uncount_failed(context: DeliveryContext, failed: Sequence[Delivery], now: int) -> None:
    """Subtract messages that no provider accepted: they cost nothing, and nobody could enter their code.

    A message whose last provider did not respond in time may have been sent, and stays counted.
    """
    uncertain = {Reason.TIMED_OUT, Reason.HELD_BACK}
    candidates = [one for one in failed if one.region.prefix and one.reason not in uncertain]
    if not candidates or context.policy.pumping.mode is PumpingMode.OFF:
        return
    ids = sorted({one.owner for one in candidates})
    accepted = {(row[0], row[1]) for row in await Seek(ATTEMPTS, "owner", ids, "outcome = 'accepted'")}
    owners: dict[str, Challenge | Notice] = dict(await notices.find_by_ids(ids))
    owners.update({one.id: one for one in map(challenges.from_row, await Seek(CHALLENGES, "id", ids))})
    unsent = [
        (one, owners[one.owner])
        for one in candidates
        if (one.owner, one.number) not in accepted and is_counted(one, owners.get(one.owner))
    ]
    await _correct_counts(context, unsent, lambda delivery, price: slot_for(delivery, -1, price, 0), now)


async def _correct_counts(
    context: DeliveryContext,
    messages: Sequence[tuple[Delivery, Challenge | Notice]],
    correction: Callable[[Delivery, int], TrafficSlot],
    now: int,
) -> None:
    """Add `correction(delivery, price)` to the slots in which messages were counted as sent."""
    policy = context.policy.pumping
    if policy.mode is PumpingMode.OFF:
        return
    counts = TrafficCounts()
    for application, own_messages in _by_application(context, messages).items():
        prefixes = sorted({destination.region.prefix for _, destination in own_messages})
        histories = await sms_traffic.find_histories(application, prefixes, now)
        for delivery, destination in own_messages:
            price = price_of(policy, destination.region.country, destination.number)
            slot = msgspec.structs.replace(correction(delivery, price), at=sms_traffic.slot_start(delivery.created_at))
            for key in destination.traffic_keys(is_new=is_new_prefix(histories[destination.region.prefix])):
                counts.add(application, key, slot)
    await sms_traffic.add_counts(counts.slots)


def _by_application(
    context: DeliveryContext, messages: Sequence[tuple[Delivery, Challenge | Notice]]
) -> dict[str, list[tuple[Delivery, Destination]]]:
    """Return messages with their destinations, by application in the order of the ids."""
    found: dict[str, list[tuple[Delivery, Destination]]] = {
        application: [] for application in sorted({owner.application for _, owner in messages})
    }
    for delivery, owner in messages:
        found[owner.application].append((delivery, _destination(context, delivery, owner)))
    return found


def _destination(context: DeliveryContext, delivery: Delivery, owner: Challenge | Notice) -> Destination:
    try:
        number = contact_of(context.keyring, owner).address
    except CountersignError:
        # Composing the message fails too, and reports it. The prefix is known without the number.
        return Destination(delivery.region.prefix, delivery.region, {})
    return destination_of(context.keyring, number, delivery.region)


async def explain_pumping(
    destination: Destination, application: str, policy: PumpingPolicy, now: int
) -> list[PumpingFinding]:
    """Return the result of every rule for a message that would be sent now. Counts nothing."""
    times = LearnedTimes(await provider_health.find_stats()).of(destination.region.country)
    names = sorted({key.name for key in destination.traffic_keys(is_new=True)})
    is_shadow = policy.mode is PumpingMode.SHADOW
    histories = await sms_traffic.find_histories(application, names, now, shadow=is_shadow)
    price = price_of(policy, destination.region.country, destination.number)
    keys = destination.traffic_keys(is_new=is_new_prefix(histories[destination.region.prefix]))
    traffic = Surroundings(times, histories[NEW_PREFIXES])
    return [one for key in keys for one in findings(key, histories[key.name], price, policy, now, traffic=traffic)]


def lift_event(block: sms_traffic.Block, now: int) -> Event:
    """Return the event of a hold that an operator lifted."""
    return Event(now, EventKind.PREFIX_LIFTED, block.application, display_name(block), {"scope": block.scope})
