"""Launches and attacks of an application with no history, judged message by message with counts in memory."""

from __future__ import annotations

import heapq
import math
import random
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.sms_pumping import PumpingPolicy, PumpingRule, assess, next_hold
from countersign.domain.delivery.sms_traffic import (
    FRESH,
    RANGES,
    SLOT,
    Hold,
    TrafficHistory,
    TrafficKey,
    TrafficScope,
    TrafficSlot,
    is_new_prefix,
    number_range,
    traffic_keys_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BEGAN: Final = 1_767_312_000_000
COUNTRIES: Final = {"US": ("+1", 12, 0.4), "DE": ("+49", 8, 0.3), "GB": ("+44", 6, 0.2), "FR": ("+33", 4, 0.1)}
"""By country of a launch: calling code, number of prefixes, share of the messages."""


class Asked(msgspec.Struct, frozen=True, order=True):
    """A message somebody asks for, and after how many ms its code is entered (None: never)."""

    at: int
    number: str
    prefix: str
    country: str
    honest: bool = True
    answered_in: int | None = None


class Judge:
    """Judges messages one after the other. `sent` and `refused` have them by whether they are honest; `rules` are those that held."""

    def __init__(self, policy: PumpingPolicy | None = None) -> None:
        self.policy = policy or PumpingPolicy()
        self.sent = {True: 0, False: 0}
        self.refused = {True: 0, False: 0}
        self.rules: list[tuple[TrafficScope, PumpingRule]] = []
        self._slots: dict[TrafficKey, dict[int, TrafficSlot]] = {}
        self._holds: dict[TrafficKey, Hold] = {}

    def judge(self, messages: Iterable[Asked]) -> None:
        """Judge messages in the order of their times, and count each code when it is entered."""
        coming: list[tuple[int, int, tuple[TrafficKey, ...]]] = []
        for message in sorted(messages):
            while coming and coming[0][0] <= message.at:
                _, at, keys = heapq.heappop(coming)
                self._count(keys, at, TrafficSlot(0, converted=1))
            keys = self._keys(message)
            if self._lets_go(message, keys) and message.answered_in is not None:
                heapq.heappush(coming, (message.at + message.answered_in, message.at, keys))

    def _keys(self, message: Asked) -> tuple[TrafficKey, ...]:
        fresh = is_new_prefix(self._history(TrafficKey(TrafficScope.PREFIX, message.prefix)))
        ranges = {digits: found for digits in RANGES if (found := number_range(message.number, message.prefix, digits))}
        return traffic_keys_of(message.country, message.prefix, ranges, fresh=fresh)

    def _lets_go(self, message: Asked, keys: tuple[TrafficKey, ...]) -> bool:
        histories = {key: self._history(key) for key in (*keys, FRESH)}
        finding = assess(keys, histories, 50_000, self.policy, message.at).finding
        if finding is None:
            self._count(keys, message.at, TrafficSlot(0, 1, 50_000))
            self.sent[message.honest] += 1
            return True
        self.refused[message.honest] += 1
        if not finding.without_hold:
            self._holds[finding.key] = next_hold(finding, self._holds.get(finding.key), message.at)
            self.rules.append((finding.key.scope, finding.rule))
        return False

    def _count(self, keys: tuple[TrafficKey, ...], at: int, slot: TrafficSlot) -> None:
        begin = at - at % SLOT
        for key in keys:
            slots = self._slots.setdefault(key, {})
            old = slots.get(begin, TrafficSlot(begin))
            slots[begin] = TrafficSlot(
                begin, old.sent + slot.sent, old.spent + slot.spent, old.converted + slot.converted
            )

    def _history(self, key: TrafficKey) -> TrafficHistory:
        return TrafficHistory(tuple(self._slots.get(key, {}).values()), self._holds.get(key))


def launch(
    a_second: float, seconds: float, *, median: float = 25, deviation: float = 0.9, seed: int = 1, begins: float = 0
) -> Iterator[Asked]:
    """Yield a launch over 30 prefixes of four countries; 85 % answer, after a log-normal time with this median (seconds)."""
    chance = random.Random(seed)
    places = [
        (f"{calling}{171 + rank}", country, share / (rank + 2))
        for country, (calling, prefixes, share) in COUNTRIES.items()
        for rank in range(prefixes)
    ]
    weights = [weight for _, _, weight in places]
    for n in range(round(a_second * seconds)):
        prefix, country, _ = chance.choices(places, weights)[0]
        took = min(chance.lognormvariate(math.log(median), deviation), 540) * 1_000
        answered = int(took) if chance.random() < 0.85 else None
        at = BEGAN + int((begins + n / a_second) * 1_000)
        yield Asked(at, f"{prefix}{chance.randrange(10**7):07d}", prefix, country, answered_in=answered)


def attack(
    a_second: float, seconds: float, prefixes: int, countries: int = 1, *, begins: float = 0, seed: int = 2
) -> Iterator[Asked]:
    """Yield an attack on so many new prefixes of so many countries, at random numbers, none of which is answered."""
    chance = random.Random(seed)
    for n in range(round(a_second * seconds)):
        country = n % prefixes % countries
        prefix = f"+{960 + country}{100 + n % prefixes}"
        at = BEGAN + int((begins + n / a_second) * 1_000)
        yield Asked(at, f"{prefix}{chance.randrange(10**7):07d}", prefix, f"X{country}", honest=False)
