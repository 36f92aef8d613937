"""One round of judging phone messages by the pumping rules, from what is known of the places they go to; it counts what may be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.delivery.answer_time import LearnedTimes
from countersign.domain.delivery.delivery import Delivery
from countersign.domain.delivery.notice import NOTICE_PREFIX
from countersign.domain.delivery.sms_pumping import (
    BUDGETS,
    FIRST_HOLD,
    PumpingFinding,
    PumpingMode,
    PumpingPolicy,
    PumpingRule,
    assess,
    next_hold,
    price_of,
)
from countersign.domain.delivery.sms_traffic import (
    FRESH,
    NEW_PREFIXES,
    TrafficHistory,
    TrafficKey,
    TrafficScope,
    TrafficSlot,
    difference,
    is_new_prefix,
    traffic_keys_of,
)
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.shared.phone_region import PhoneRegion
from countersign.store.tables import sms_traffic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class PumpingResult(msgspec.Struct):
    """The outcome of a check.

    `withheld` are the messages that are not sent, by owner and number, each with the time (ms) at which it might be sent.
    `withheld_countries` has the country of each. `blocks` are the
    holds that start now, `blocked_by` the message that starts each, and `events` their events. `withheld_notices` are the messages and
    findings of notices that are withheld while nothing is held, by application and destination.
    """

    withheld: dict[tuple[str, int], int] = {}
    withheld_countries: list[str] = []
    blocks: list[sms_traffic.Block] = []
    blocked_by: list[Delivery] = []
    events: list[Event] = []
    withheld_notices: dict[tuple[str, str], tuple[Delivery, PumpingFinding]] = {}


class Destination(msgspec.Struct, frozen=True):
    """A telephone number as the pumping rules see it: its region, and the keyed hash of each range of numbers around it."""

    number: str
    region: PhoneRegion
    ranges: dict[int, str]

    def traffic_keys(self, *, is_new: bool) -> tuple[TrafficKey, ...]:
        """Return the traffic keys that a message to this number counts for. `is_new` is True if its prefix is new."""
        return traffic_keys_of(self.region.country, self.region.prefix, self.ranges, fresh=is_new)


def slot_of(history: TrafficHistory, at: int) -> TrafficSlot:
    """Return what is counted in the slot that begins at `at` (ms)."""
    return next((slot for slot in history.slots if slot.at == at), TrafficSlot(at))


class JudgingRound:
    """One round of judging messages of several applications, from what is known of the places they go to."""

    def __init__(
        self,
        policy: PumpingPolicy,
        known: Mapping[str, dict[str, TrafficHistory]],
        now: int,
        result: PumpingResult,
        times: LearnedTimes,
    ) -> None:
        self.counts = TrafficCounts()
        self._policy = policy
        self._histories = {application: dict(histories) for application, histories in known.items()}
        self._now = now
        self._result = result
        self._times = times

    def check(self, application: str, messages: Sequence[tuple[Delivery, Destination]]) -> None:
        """Judge the messages of an application, one after the other."""
        histories = self._histories[application]
        check = _ApplicationCheck(
            application, self._policy, histories, self._now, self._result, self.counts, times=self._times
        )
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


class TrafficCounts:
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

    def minus(self, other: TrafficCounts) -> dict[sms_traffic.Key, TrafficSlot]:
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
        counts: TrafficCounts,
        *,
        times: LearnedTimes,
    ) -> None:
        self._times = times
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
        histories = {key: self._histories[key.name] for key in (*keys, FRESH)}
        notice = is_notice(delivery)
        times = self._times.of(region.country)
        finding = assess(keys, histories, price, self._policy, self._now, is_notice=notice, times=times).finding
        if finding is not None and not finding.without_hold:
            self._start_hold(finding, delivery, region)
        if finding is not None and notice and finding.rule is not PumpingRule.HELD:
            self._result.withheld_notices[self._application, _place(finding, region)] = (delivery, finding)
        if finding is not None and not self._is_shadow:
            self._result.withheld[delivery.owner, delivery.number] = self._may_be_sent_at(finding)
            self._result.withheld_countries.append(region.country)
            return
        self._count(keys, slot_for(delivery, 1, price, sms_traffic.slot_start(self._now)))

    def _may_be_sent_at(self, finding: PumpingFinding) -> int:
        """Return when (ms) a message that was withheld is worth another look: at the end of the hold, or a little later."""
        hold = self._histories[finding.key.name].hold
        return hold.ends_at if finding.rule is PumpingRule.HELD and hold is not None else self._now + FIRST_HOLD

    def _start_hold(self, finding: PumpingFinding, delivery: Delivery, region: PhoneRegion) -> None:
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
        self._result.blocked_by.append(delivery)
        self._result.events.append(hold_event(block))

    def _count(self, keys: Sequence[TrafficKey], slot: TrafficSlot) -> None:
        for key in keys:
            self._counts.add(self._application, key, slot)
            history = self._histories[key.name]
            self._histories[key.name] = msgspec.structs.replace(history, slots=(*history.slots, slot))


def is_notice(delivery: Delivery) -> bool:
    """Return True if a message is a notice, which nobody can enter a code from."""
    return delivery.owner.startswith(NOTICE_PREFIX)


def slot_for(delivery: Delivery, count: int, price: int, at: int) -> TrafficSlot:
    """Return what `count` messages like this one add to the slot `at`: as notices or as codes."""
    if is_notice(delivery):
        return TrafficSlot(at, spent=count * price, notices=count)
    return TrafficSlot(at, count, count * price)


def _place(finding: PumpingFinding, region: PhoneRegion) -> str:
    """Return the destination of a finding for operators."""
    if finding.key.scope in {TrafficScope.PREFIX, TrafficScope.COUNTRY}:
        return finding.key.name
    return region.prefix if finding.key.name else "all"


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


def display_name(block: sms_traffic.Block) -> str:
    """Return the name of a held destination for operators: a prefix, a country, or "all" for a whole application.

    A range is stored as a keyed hash. It is shown as the prefix of the message that started the hold.
    """
    if block.scope in {TrafficScope.PREFIX.value, TrafficScope.COUNTRY.value} or block.place == NEW_PREFIXES:
        return block.place
    return block.prefix if block.scope != TrafficScope.APPLICATION.value else "all"
