"""The gate for everything that leaves by telephone: count it before it is sent, judge it, and block SMS pumping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.notice import NOTICE_PREFIX, Notice
from countersign.domain.delivery.sms_pumping import (
    BUDGETS,
    FIRST_HOLD,
    PumpingFinding,
    PumpingMode,
    PumpingPolicy,
    PumpingRule,
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
    difference,
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
from countersign.flows.delivery.suppressions import contact_of
from countersign.store.engine.database import Seek
from countersign.store.tables import challenges, notices, sms_traffic
from countersign.store.tables.schema import ATTEMPTS, CHALLENGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from countersign.domain.delivery.delivery import Delivery
    from countersign.flows.delivery.context import DeliveryContext
    from countersign.keys import Keyring

_log = structlog.get_logger("countersign.pumping")


class PumpingResult(msgspec.Struct):
    """The outcome of a check.

    `withheld` are the messages that are not sent, by owner and number, each with the time (ms) at which it might be sent.
    `withheld_countries` has the country of each. `blocks` are the
    holds that start now, and `events` the events of these. `withheld_notices` are the findings that withhold notices and hold nothing.
    """

    withheld: dict[tuple[str, int], int] = {}
    withheld_countries: list[str] = []
    blocks: list[sms_traffic.Block] = []
    events: list[Event] = []
    withheld_notices: dict[str, PumpingFinding] = {}


class Destination(msgspec.Struct, frozen=True):
    """A telephone number as the pumping rules see it: its region, and the keyed hash of each range of numbers around it."""

    number: str
    region: PhoneRegion
    ranges: dict[int, str]

    def traffic_keys(self, *, is_new: bool) -> tuple[TrafficKey, ...]:
        """Return the traffic keys that a message to this number counts for. `is_new` is True if its prefix is new."""
        return traffic_keys_of(self.region.country, self.region.prefix, self.ranges, fresh=is_new)


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
    context: DeliveryContext, messages: Sequence[tuple[Delivery, Challenge | Notice]], now: int
) -> PumpingResult:
    """Judge messages that nobody has tried to send yet, and count those that may be sent.

    Each message is judged with the counts of those before it. No lock is held meanwhile: one statement reserves a slice of the counts for
    these messages, and says where the slice begins. Messages of other workers that were counted since are before it, and what they leave
    of a budget or an allowance is all that these messages have. Raises UnavailableError if the database is down.
    """
    result, policy = PumpingResult(), context.policy.pumping
    if policy.mode is PumpingMode.OFF or not messages:
        return result
    places = {
        application: (
            own,
            sorted({key.name for _, destination in own for key in destination.traffic_keys(is_new=True)}),
        )
        for application, own in _by_application(context, messages).items()
    }
    names = {application: found for application, (_, found) in places.items()}
    known = await context.database.read(_find_all_histories, names, now, policy.mode is PumpingMode.SHADOW)
    first = _Round(policy, known, now, result)
    for application, (own, _) in places.items():
        first.check(application, own)
    if not first.counts.slots:
        return result
    begins = await context.database.run(sms_traffic.reserve_counts, first.counts.slots)
    others = {key: slot for key, slot in begins.items() if slot != _slot_of(known[key[0]][key[1]], key[2])}
    if others:
        second = _Round(policy, first.histories_after(known, others), now, result)
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


def _slot_of(history: TrafficHistory, at: int) -> TrafficSlot:
    """Return what is counted in the slot that begins at `at` (ms)."""
    return next((slot for slot in history.slots if slot.at == at), TrafficSlot(at))


class _Round:
    """One round of judging messages of several applications, from what is known of the places they go to."""

    def __init__(
        self, policy: PumpingPolicy, known: Mapping[str, dict[str, TrafficHistory]], now: int, result: PumpingResult
    ) -> None:
        self.counts = _Counts()
        self._policy = policy
        self._histories = {application: dict(histories) for application, histories in known.items()}
        self._now = now
        self._result = result

    def check(self, application: str, messages: Sequence[tuple[Delivery, Destination]]) -> None:
        """Judge the messages of an application, one after the other."""
        histories = self._histories[application]
        check = _ApplicationCheck(application, self._policy, histories, self._now, self._result, self.counts)
        for delivery, destination in messages:
            check.check(delivery, destination)

    def histories_after(
        self, known: Mapping[str, dict[str, TrafficHistory]], others: Mapping[sms_traffic.Key, TrafficSlot]
    ) -> dict[str, dict[str, TrafficHistory]]:
        """Return what is known before a second round: the slots as others left them, and the holds that this round has found."""
        found: dict[str, dict[str, TrafficHistory]] = {}
        for application, histories in known.items():
            for place, history in histories.items():
                at = sms_traffic.slot_start(self._now)
                slot = others.get((application, place, at))
                slots = history.slots
                if slot is not None:
                    slots = (*(one for one in slots if one.at != at), slot)
                after = msgspec.structs.replace(self._histories[application][place], slots=slots)
                found.setdefault(application, {})[place] = after
        return found


class _Counts:
    """Counts that are added to the database at the end of a transaction."""

    def __init__(self) -> None:
        self.slots: dict[sms_traffic.Key, TrafficSlot] = {}

    def add(self, application: str, key: TrafficKey, slot: TrafficSlot) -> None:
        """Add `slot` to the counts of a traffic key."""
        row = (application, key.name, slot.at)
        before = self.slots.get(row, TrafficSlot(slot.at))
        self.slots[row] = TrafficSlot(
            slot.at,
            before.sent + slot.sent,
            before.spent + slot.spent,
            before.converted + slot.converted,
            before.notices + slot.notices,
        )

    def minus(self, other: _Counts) -> dict[sms_traffic.Key, TrafficSlot]:
        """Return what gives back those of these counts that `other` does not have."""
        given = {key: difference(other.slots.get(key, TrafficSlot(slot.at)), slot) for key, slot in self.slots.items()}
        return {key: slot for key, slot in given.items() if slot != TrafficSlot(slot.at)}


class _ApplicationCheck:
    """Checks the messages of one application, one after the other."""

    def __init__(
        self,
        application: str,
        policy: PumpingPolicy,
        histories: dict[str, TrafficHistory],
        now: int,
        result: PumpingResult,
        counts: _Counts,
    ) -> None:
        self._application = application
        self._policy = policy
        self._histories = histories
        self._now = now
        self._result = result
        self._counts = counts
        self._is_shadow = policy.mode is PumpingMode.SHADOW

    def check(self, delivery: Delivery, destination: Destination) -> None:
        """Withhold a message, or count it as sent. In shadow mode every message is counted."""
        region = destination.region
        keys = destination.traffic_keys(is_new=is_new_prefix(self._histories[region.prefix]))
        price = price_of(self._policy, region.country, destination.number)
        histories = {key: self._histories[key.name] for key in keys}
        notice = is_notice(delivery)
        finding = assess(keys, histories, price, self._policy, self._now, is_notice=notice).finding
        if finding is not None and not finding.without_hold:
            self._start_hold(finding, region)
        if finding is not None and notice and finding.rule is not PumpingRule.HELD:
            self._result.withheld_notices[_place(finding, region)] = finding
        if finding is not None and not self._is_shadow:
            self._result.withheld[delivery.owner, delivery.number] = self._may_be_sent_at(finding)
            self._result.withheld_countries.append(region.country)
            return
        self._count(keys, _slot(delivery, 1, price, sms_traffic.slot_start(self._now)))

    def _may_be_sent_at(self, finding: PumpingFinding) -> int:
        """Return when (ms) a message that was withheld is worth another look: at the end of the hold, or a little later."""
        hold = self._histories[finding.key.name].hold
        return hold.ends_at if finding.rule is PumpingRule.HELD and hold is not None else self._now + FIRST_HOLD

    def _start_hold(self, finding: PumpingFinding, region: PhoneRegion) -> None:
        history = self._histories[finding.key.name]
        hold = next_hold(finding, history.hold, self._now)
        self._histories[finding.key.name] = (
            msgspec.structs.replace(history, budget_spent_until=hold.until)
            if finding.rule in BUDGETS
            else msgspec.structs.replace(history, hold=hold)
        )
        where = (region.country, region.prefix)
        block = sms_traffic.new_block(finding, hold, self._application, where, shadow=self._is_shadow)
        self._result.blocks.append(block)
        self._result.events.append(hold_event(block))
        _log.warning(
            "destination_held",
            destination=display_name(block),
            country=block.country,
            application=self._application,
            rule=block.rule,
            why=block.figures,
            shadow=self._is_shadow,
        )

    def _count(self, keys: Sequence[TrafficKey], slot: TrafficSlot) -> None:
        for key in keys:
            self._counts.add(self._application, key, slot)
            history = self._histories[key.name]
            self._histories[key.name] = msgspec.structs.replace(history, slots=(*history.slots, slot))


def is_notice(delivery: Delivery) -> bool:
    """Return True if a message is a notice, which nobody can enter a code from."""
    return delivery.owner.startswith(NOTICE_PREFIX)


def _slot(delivery: Delivery, count: int, price: int, at: int) -> TrafficSlot:
    """Return what `count` messages like this one add to the slot `at`: as notices or as codes."""
    if is_notice(delivery):
        return TrafficSlot(at, spent=count * price, notices=count)
    return TrafficSlot(at, count, count * price)


def _place(finding: PumpingFinding, region: PhoneRegion) -> str:
    """Return the destination of a finding for operators."""
    if finding.key.scope in {TrafficScope.PREFIX, TrafficScope.COUNTRY}:
        return finding.key.name
    return region.prefix if finding.key.name else "all"


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
    await _correct_counts(context, unsent, lambda delivery, price: _slot(delivery, -1, price, 0), now)


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
    counts = _Counts()
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
    names = sorted({key.name for key in destination.traffic_keys(is_new=True)})
    is_shadow = policy.mode is PumpingMode.SHADOW
    histories = await sms_traffic.find_histories(application, names, now, shadow=is_shadow)
    price = price_of(policy, destination.region.country, destination.number)
    keys = destination.traffic_keys(is_new=is_new_prefix(histories[destination.region.prefix]))
    return [one for key in keys for one in findings(key, histories[key.name], price, policy, now)]


def hold_event(block: sms_traffic.Block) -> Event:
    """Return the event of a hold that starts."""
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
    """Return the event of a hold that an operator lifted."""
    return Event(now, EventKind.PREFIX_LIFTED, block.application, display_name(block), {"scope": block.scope})


def display_name(block: sms_traffic.Block) -> str:
    """Return the name of a held destination for operators: a prefix, a country, or "all" for a whole application.

    A range is stored as a keyed hash. It is shown as the prefix of the message that started the hold.
    """
    if block.scope in {TrafficScope.PREFIX.value, TrafficScope.COUNTRY.value} or block.place == NEW_PREFIXES:
        return block.place
    return block.prefix if block.scope != TrafficScope.APPLICATION.value else "all"
