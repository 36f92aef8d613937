"""Pumping attacks, replayed within a day of honest traffic against the very rules that judge messages, counted in memory."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from countersign.domain.delivery.answer_time import HORIZON, LearnedTimes
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket, merged
from countersign.domain.delivery.sms_pumping import PumpingPolicy, assess, next_hold
from countersign.domain.delivery.sms_traffic import (
    DAY,
    FRESH,
    HOUR,
    MINUTE,
    RANGES,
    SLOT,
    WIDE_SLOT,
    Hold,
    TrafficHistory,
    TrafficKey,
    TrafficScope,
    TrafficSlot,
    is_new_prefix,
    number_range,
    traffic_keys_of,
)
from countersign.domain.shared.contact import Channel

BEGAN: Final = 1_767_312_000_000
"""2 January 2026, 00:00 UTC: the day that is replayed; seven days are before it."""
PRICE: Final = 50_000
FOLD: Final = 3 * HOUR
NARROW: Final = 15 * MINUTE

Sender = Callable[[random.Random], Iterator["Message"]]


class Message(msgspec.Struct, frozen=True, order=True):
    """One message somebody asks for: when, whereto, and after how many ms its code comes back (None: never)."""

    at: int
    number: str
    prefix: str
    country: str
    honest: bool
    answered_in: int | None = None


class Prefix(msgspec.Struct, frozen=True):
    """Honest traffic: messages an hour at the mean, the part that converts, and the hours in which its carrier is out."""

    name: str
    country: str
    hourly: float
    conversion: float
    begins: int = 0
    outage: tuple[int, int] = (0, 0)


class Outcome(msgspec.Struct):
    """What came of a day: messages asked for and let through, of the attack and of honest people; and what was held."""

    asked: int = 0
    sent: int = 0
    honest: int = 0
    refused: int = 0
    holds: int = 0

    @property
    def spend(self) -> float:
        """Return the part of the attack's money that was spent."""
        return self.sent / self.asked if self.asked else 0.0

    @property
    def refusals(self) -> float:
        """Return the part of honest messages that was refused."""
        return self.refused / self.honest if self.honest else 0.0


class Memory:
    """What the database would hold: counts of each place by slot, and each place's latest hold."""

    def __init__(self, policy: PumpingPolicy) -> None:
        self._policy = policy
        self._slots: dict[TrafficKey, dict[int, TrafficSlot]] = {}
        self._holds: dict[TrafficKey, Hold] = {}
        self._past: dict[TrafficKey, TrafficSlot] = {}
        self._folded = self._folded_all = 0
        self._narrow: set[TrafficKey] = set()
        self._entries: dict[ProviderKey, ProviderStats] = {}
        self._unripe: list[tuple[int, ProviderKey, int]] = []
        self._times = LearnedTimes({})
        self.holds = 0

    def lets_through(self, message: Message, places: tuple[TrafficKey, ...]) -> bool:
        """Judge a message, and count it if it goes."""
        if message.at - self._folded >= WIDE_SLOT:
            self._fold(message.at)
            self._folded = message.at
            self._ripen(message.at - HORIZON)
        verdict = assess(
            places,
            {place: self._standing(place) for place in (*places, FRESH)},
            PRICE,
            self._policy,
            message.at,
            times=self._times.of(message.country),
        )
        if verdict.finding is None:
            for place in places:
                self.count(place, message.at, 1, 0)
            return True
        because = verdict.finding
        if not because.without_hold:
            self._holds[because.key] = next_hold(because, self._holds.get(because.key), message.at)
            self.holds += 1
        return False

    def places(self, message: Message) -> tuple[TrafficKey, ...]:
        """Return the places a message counts for."""
        fresh = is_new_prefix(self._standing(TrafficKey(TrafficScope.PREFIX, message.prefix)))
        ranges = {digits: found for digits in RANGES if (found := number_range(message.number, message.prefix, digits))}
        return traffic_keys_of(message.country, message.prefix, ranges, fresh=fresh)

    def count(self, place: TrafficKey, at: int, sent: int, converted: int) -> None:
        """Add to the slot of a time."""
        begin = at - at % SLOT
        slots = self._slots.setdefault(place, {})
        self._narrow.add(place)
        old = slots.get(begin, TrafficSlot(begin))
        slots[begin] = TrafficSlot(begin, old.sent + sent, old.spent + sent * PRICE, old.converted + converted)

    def learn(self, country: str, sent_at: int, took: int) -> None:
        """Learn how long somebody took to enter a code, once nobody answers any more what was sent when this was."""
        self._unripe.append((sent_at, ProviderKey("carrier", Channel.SMS, country), bucket(took)))

    def _ripen(self, before: int) -> None:
        ripe = [one for one in self._unripe if one[0] < before]
        self._unripe = [one for one in self._unripe if one[0] >= before]
        for _, key, took in ripe:
            self._entries[key] = merged(self._entries.get(key, ProviderStats()), ProviderStats(entries={took: 1}))
        if ripe:
            self._times = LearnedTimes(self._entries)

    def _standing(self, place: TrafficKey) -> TrafficHistory:
        return TrafficHistory(
            tuple(self._slots.get(place, {}).values()), self._holds.get(place), 0, self._past.get(place, TrafficSlot(0))
        )

    def _fold(self, now: int) -> None:
        """Make one slot of each hour, and of each five minutes, that is over, as the sweep does, and one of all before yesterday."""
        by_hour, by_wide_slot = now - FOLD - (now - FOLD) % HOUR, now - NARROW - (now - NARROW) % WIDE_SLOT
        every = now - self._folded_all >= HOUR
        places = list(self._slots) if every else self._narrow
        self._folded_all = now if every else self._folded_all
        self._narrow = {place for place in self._narrow if max(self._slots[place]) >= by_wide_slot}
        for place in places:
            slots = self._slots[place]
            folded: dict[int, TrafficSlot] = {}
            for slot in slots.values():
                if slot.at < now - DAY - HOUR:
                    past = self._past.get(place, TrafficSlot(slot.at))
                    self._past[place] = TrafficSlot(
                        min(past.at, slot.at), past.sent + slot.sent, 0, past.converted + slot.converted
                    )
                    continue
                width = HOUR if slot.at < by_hour else WIDE_SLOT if slot.at < by_wide_slot else SLOT
                begin = slot.at - slot.at % width
                old = folded.get(begin, TrafficSlot(begin))
                folded[begin] = TrafficSlot(
                    begin, old.sent + slot.sent, old.spent + slot.spent, old.converted + slot.converted
                )
            self._slots[place] = folded


def honest_prefixes(chance: random.Random) -> list[Prefix]:
    """Return eight countries with five prefixes each, from a few messages an hour to hundreds; one is launched in, one has an outage."""
    found: list[Prefix] = []
    for place, scale in enumerate((200, 120, 60, 30, 15, 8, 4, 2)):
        country, calling = f"C{place}", f"+{30 + place}"
        outage = (2 * HOUR, 5 * HOUR) if place == 1 else (0, 0)
        for n in range(5):
            rate = scale * (1.6 - 0.3 * n)
            found.append(Prefix(f"{calling}{170 + n}", country, rate, chance.uniform(0.7, 0.9), outage=outage))
    launch = [Prefix(f"+99{5 + n}20", "NEW", 120, chance.uniform(0.7, 0.9), begins=9 * HOUR) for n in range(3)]
    return found + launch


def replay(prefixes: list[Prefix], attack: Sender | None, policy: PumpingPolicy, seed: int) -> Outcome:
    """Replay the day, with a week of honest history before it."""
    chance = random.Random(seed)
    memory = Memory(policy)
    for prefix in prefixes:
        _remember(memory, prefix, chance)
    messages = [message for prefix in prefixes for message in _honest(prefix, chance)]
    if attack is not None:
        messages += attack(chance)
    return replay_messages(messages, memory)


def replay_messages(messages: list[Message], memory: Memory) -> Outcome:
    """Judge messages in the order of their times, and count each code that is entered."""
    outcome = Outcome()
    coming: list[tuple[int, int, int, str, tuple[TrafficKey, ...]]] = []
    for message in sorted(messages):
        while coming and coming[0][0] <= message.at:
            _, took, sent_at, country, places = heapq.heappop(coming)
            memory.learn(country, sent_at, took)
            for place in places:
                memory.count(place, sent_at, 0, 1)
        places = memory.places(message)
        through = memory.lets_through(message, places)
        if message.honest:
            outcome.honest += 1
            outcome.refused += not through
        else:
            outcome.asked += 1
            outcome.sent += through
        if through and message.answered_in is not None:
            entered = message.at + message.answered_in
            heapq.heappush(coming, (entered, message.answered_in, message.at, message.country, places))
    outcome.holds = memory.holds
    return outcome


def _remember(memory: Memory, prefix: Prefix, chance: random.Random) -> None:
    """Write a week of history down, an hour at a time."""
    if prefix.begins:
        return
    for hour in range(-7 * 24, 0):
        at = BEGAN + hour * HOUR
        sent = _poisson(prefix.hourly * _by_day(at), chance)
        converted = sum(chance.random() < prefix.conversion for _ in range(sent))
        for place in (
            TrafficKey(TrafficScope.PREFIX, prefix.name),
            TrafficKey(TrafficScope.COUNTRY, prefix.country),
            TrafficKey(TrafficScope.APPLICATION, ""),
        ):
            memory.count(place, at, sent, converted)


def _honest(prefix: Prefix, chance: random.Random) -> Iterator[Message]:
    """Return a day's messages: during an outage nine of ten codes are lost, and every second person asks once more."""
    at = float(BEGAN + prefix.begins)
    most = prefix.hourly * 2
    while (at := at + chance.expovariate(most) * HOUR) < BEGAN + DAY:
        if chance.random() * 2 > _by_day(int(at)):
            continue
        number = f"{prefix.name}{chance.randrange(10**7):07d}"
        begin, end = prefix.outage
        out = begin <= at - BEGAN < end
        comes = chance.random() < prefix.conversion * (0.1 if out else 1)
        answered = int(min(chance.lognormvariate(math.log(25_000), 0.9), 9 * MINUTE)) if comes else None
        yield Message(int(at), number, prefix.name, prefix.country, True, answered)
        if out and not comes and chance.random() < 1 / 2:
            yield Message(int(at) + 45_000, number, prefix.name, prefix.country, True)


def _by_day(at: int) -> float:
    """Return how busy an hour is: between 0.3 at four in the morning and 1.7 at four in the afternoon."""
    return 1 - 0.7 * math.cos(2 * math.pi * (at % DAY / DAY - 1 / 6))


def _poisson(mean: float, chance: random.Random) -> int:
    count, at = 0, chance.expovariate(1)
    while at < mean:
        count, at = count + 1, at + chance.expovariate(1)
    return count


def _steady(
    an_hour: float, hours: float, where: Callable[[random.Random, int], tuple[str, str, str]], converts: float = 0.0
) -> Sender:
    """Return an attack of so many messages an hour from eight in the morning on; `where` draws number, prefix and country of the nth."""

    def attack(chance: random.Random) -> Iterator[Message]:
        at, n = float(BEGAN + 8 * HOUR), 0
        while (at := at + chance.expovariate(an_hour) * HOUR) < BEGAN + (8 + hours) * HOUR:
            number, prefix, country = where(chance, n)
            n += 1
            answered = 20_000 if chance.random() < converts else None
            yield Message(int(at), number, prefix, country, False, answered)

    return attack


def _one_prefix(chance: random.Random, _: int) -> tuple[str, str, str]:
    return f"+372900{chance.randrange(10**6):06d}", "+372900", "EE"


def _fifty_prefixes(chance: random.Random, n: int) -> tuple[str, str, str]:
    country, place = divmod(n % 50, 5)
    prefix = f"+{960 + country}{77 + place}0"
    return f"{prefix}{chance.randrange(10**6):06d}", prefix, f"X{country}"


def _sequential(_: random.Random, n: int) -> tuple[str, str, str]:
    return f"+30170{2_000_000 + n:07d}", "+30170", "C0"


def _one_range(chance: random.Random, _: int) -> tuple[str, str, str]:
    return f"+3017055{chance.randrange(10**5):05d}", "+30170", "C0"


def _scattered(chance: random.Random, _: int) -> tuple[str, str, str]:
    return f"+30170{chance.randrange(10**7):07d}", "+30170", "C0"


SHAPES: Final[dict[str, Sender | None]] = {
    "nobody attacks": None,
    "one prefix nobody sends to, 60 a minute for 6 hours": _steady(3_600, 6, _one_prefix),
    "50 prefixes of 10 such countries, 12 an hour each for 16 hours": _steady(600, 16, _fifty_prefixes),
    "numbers one after the other in the busiest prefix, 10 a minute for 16 hours": _steady(600, 16, _sequential),
    "one such prefix, 20 a minute for 16 hours, 5 % converted by the attacker": _steady(1_200, 16, _one_prefix, 0.05),
    "one range of 100,000 numbers in the busiest prefix, 10 a minute for 16 hours": _steady(600, 16, _one_range),
    "scattered over the busiest prefix, ten times its traffic for 16 hours": _steady(3_600, 16, _scattered),
    "scattered over the busiest prefix, half its traffic for 16 hours": _steady(150, 16, _scattered),
}


LAUNCH_SHARES: Final = {"US": ("+1", 12, 0.4), "DE": ("+49", 8, 0.3), "GB": ("+44", 6, 0.2), "FR": ("+33", 4, 0.1)}
"""By country of a launch: calling code, number of prefixes, and share of the messages."""


class Launch(msgspec.Struct, frozen=True):
    """A launch of an application with no history: honest messages a second, how long they last, and how people answer.

    `median` is the time (ms) within which half of those who answer have done so, and `deviation` that of its logarithm.
    """

    a_second: float
    minutes: float = 10.0
    conversion: float = 0.85
    median: int = 25_000
    deviation: float = 0.9

    def messages(self, chance: random.Random) -> Iterator[Message]:
        """Return its messages. In each country, a prefix has the more of them the earlier it is (as one in its rank)."""
        places = [
            (f"{calling}{171 + rank}", country, share / (rank + 2))
            for country, (calling, prefixes, share) in LAUNCH_SHARES.items()
            for rank in range(prefixes)
        ]
        at = float(BEGAN)
        while (at := at + chance.expovariate(self.a_second) * 1_000) < BEGAN + self.minutes * MINUTE:
            ((prefix, country, _),) = chance.choices(places, [weight for _, _, weight in places])
            comes = chance.random() < self.conversion
            took = chance.lognormvariate(math.log(self.median), self.deviation)
            yield Message(
                int(at),
                f"{prefix}{chance.randrange(10**7):07d}",
                prefix,
                country,
                True,
                int(min(took, 9 * MINUTE)) if comes else None,
            )


def replay_launch(launch: Launch, attack: Sender | None, policy: PumpingPolicy, seed: int) -> Outcome:
    """Replay a launch, with an attack beside it or none."""
    chance = random.Random(seed)
    messages = list(launch.messages(chance))
    if attack is not None:
        messages += attack(chance)
    return replay_messages(messages, Memory(policy))


def _burst(
    a_second: float, begins: int, lasts: int, where: Callable[[random.Random, int], tuple[str, str, str]]
) -> Sender:
    """Return an attack of so many messages a second, from `begins` on and for so long (ms)."""

    def attack(chance: random.Random) -> Iterator[Message]:
        at, n = float(BEGAN + begins), 0
        while (at := at + chance.expovariate(a_second) * 1_000) < BEGAN + begins + lasts:
            number, prefix, country = where(chance, n)
            n += 1
            yield Message(int(at), number, prefix, country, False)

    return attack


def _like_a_launch(chance: random.Random, n: int) -> tuple[str, str, str]:
    country, place = divmod(n % 30, 8)
    prefix = f"+{960 + country}{77 + place}0"
    return f"{prefix}{chance.randrange(10**7):07d}", prefix, f"X{country}"


NOBODY: Final = Launch(0.001, 0.0)

LAUNCHES: Final[dict[str, tuple[Launch, Sender | None]]] = {
    "launch, 2 a second over 30 prefixes of four countries for 10 minutes": (Launch(2), None),
    "launch, 10 a second": (Launch(10), None),
    "launch, 50 a second": (Launch(50), None),
    "launch, 10 a second, people take twice as long": (Launch(10, median=50_000), None),
    "launch, 10 a second, and one new prefix beside it, 50 a second for a minute": (
        Launch(10),
        _burst(50, 5 * MINUTE, MINUTE, _one_prefix),
    ),
    "launch, 10 a second, and 50 a second like another launch for 10 minutes": (
        Launch(10),
        _burst(50, 5 * MINUTE, 10 * MINUTE, _like_a_launch),
    ),
    "no history, one new prefix, 50 a second for a minute": (NOBODY, _burst(50, 0, MINUTE, _one_prefix)),
    "no history, like a launch but nobody answers, 10 a second for 10 minutes": (
        NOBODY,
        _burst(10, 0, 10 * MINUTE, _like_a_launch),
    ),
    "no history, like a launch but nobody answers, 50 a second for 10 minutes": (
        NOBODY,
        _burst(50, 0, 10 * MINUTE, _like_a_launch),
    ),
}
