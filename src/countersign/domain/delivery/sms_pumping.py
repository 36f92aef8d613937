"""Pumping: whether one more phone message may go, judged by what was sent there before and what of it came back as right codes.

Whoever pumps makes a form send to numbers whose revenue is shared with him. Such messages are asked for like others, but hardly any
code comes back. So counts are kept for each place a number lies in (the ranges of 1,000, 10,000 and 100,000 numbers around it, its prefix,
its country, all prefixes nobody has heard from), and each place is judged by the same four rules; the narrowest that is at fault is held.
Money is in micros, millionths of the operator's currency unit; times are in ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.delivery.sms_traffic import (
    DAY,
    HOUR,
    RETENTION,
    MINUTE,
    CONVERSION_DELAY,
    SLOT,
    Hold,
    TrafficHistory,
    TrafficKey,
    TrafficScope,
)

FIRST_HOLD: Final = 15 * MINUTE
LONGEST_HOLD: Final = DAY
PROBATION: Final = DAY
"""How long after a hold a place has but the allowance of one that was just let go."""

HOLD_MEMORY: Final = 7 * DAY
"""How long a hold makes the next one longer."""

PRIOR: Final = 20
"""Messages without a conversion that are added to each history: a short one claims less."""

GROWTH: Final = 4
"""By how many messages each conversion raises an allowance: below one in five, conversions do not carry it."""


class PumpingMode(StrEnum):
    """Whether the breaker acts, only writes down what it would have done, or rests."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"


TRIALS: Final = {TrafficScope.PREFIX: 1, TrafficScope.COUNTRY: 3}
"""Messages of a day that may stay unanswered in a new prefix, and in its country, while new prefixes are held."""


class PumpingRule(StrEnum):
    """Why a message is held back."""

    HELD = "held"
    MONEY = "money"
    MESSAGES = "messages"
    ALLOWANCE = "allowance"
    CONVERSION = "conversion"


BUDGETS: Final = frozenset({PumpingRule.MONEY, PumpingRule.MESSAGES})

MONEY: Final = {
    TrafficScope.PREFIX: 500_000_000,
    TrafficScope.COUNTRY: 2_000_000_000,
    TrafficScope.APPLICATION: 5_000_000_000,
}
ALLOWANCES: Final = {
    TrafficScope.THOUSAND: 20,
    TrafficScope.TEN_THOUSAND: 25,
    TrafficScope.HUNDRED_THOUSAND: 30,
    TrafficScope.PREFIX: 30,
    TrafficScope.NEW_PREFIXES: 40,
    TrafficScope.COUNTRY: 60,
}


class PumpingPolicy(msgspec.Struct, frozen=True):
    """What holds for every application.

    `price` and `prices` are micros a message; `money` and `messages` are budgets an hour, of which 0 is none. `allowances` are messages
    in a day that may stay unanswered before conversions carry more; `probes` those after a hold. `floor` is the conversion below which
    nobody honest stays, `part` the part of its own history below which a place is at fault, `rise` how many times its usual traffic
    (and `rise_from` messages) it must have, and `error` how often an honest place may be held by the rule of conversions all the same.
    """

    mode: PumpingMode = PumpingMode.ON
    price: int = 50_000
    prices: dict[str, int] = {}
    money: dict[TrafficScope, int] = msgspec.field(default_factory=MONEY.copy)
    messages: dict[TrafficScope, int] = {}
    allowances: dict[TrafficScope, int] = msgspec.field(default_factory=ALLOWANCES.copy)
    probes: int = 3
    floor: float = 0.25
    part: float = 0.5
    rise: float = 2.0
    rise_from: int = 10
    error: float = 1e-4


class PumpingFinding(msgspec.Struct, frozen=True):
    """What one rule says of one place, with its figures; `passing` refuses this message alone, and begins no hold."""

    key: TrafficKey
    rule: PumpingRule
    held: bool
    figures: dict[str, int | float]
    without_hold: bool = False

    @property
    def sentence(self) -> str:
        """Return the figures as a sentence for an operator, money in whole units of his currency."""
        money = {
            name: f"{value / 1_000_000:,.2f}" for name, value in self.figures.items() if self.rule is PumpingRule.MONEY
        }
        return _SENTENCES[self.rule].format(**{**self.figures, **money})


class PumpingDecision(msgspec.Struct, frozen=True):
    """Whether a message may go, and the finding that holds it back."""

    because: PumpingFinding | None = None

    @property
    def allowed(self) -> bool:
        """Say whether it may go."""
        return self.because is None


_SENTENCES: Final = {
    PumpingRule.HELD: "It is held for another {minutes} minutes; this is hold number {times} within a week.",
    PumpingRule.MONEY: "{spent} of {budget} were spent in this hour, and the message costs {price}.",
    PumpingRule.MESSAGES: "{sent} messages of {budget} were sent in this hour.",
    PumpingRule.ALLOWANCE: "{sent} messages in {hours} hours and {converted} codes came back, which carry {allowance} messages.",
    PumpingRule.CONVERSION: (
        "{converted} of {old} codes of the last {hours} hours came back, and at least {expected:.0%} were to be expected;"
        " {sent} messages where {usual} are usual. Odds against this being chance: {odds:.3g} to 1."
    ),
}


def price_of(policy: PumpingPolicy, country: str, number: str) -> int:
    """Return the micros that a message costs: by the longest prefix that fits, else by country, else the price of any."""
    fits = [prefix for prefix in policy.prices if prefix.startswith("+") and number.startswith(prefix)]
    if fits:
        return policy.prices[max(fits, key=len)]
    return policy.prices.get(country, policy.price)


def assess(
    keys: Sequence[TrafficKey],
    histories: Mapping[TrafficKey, TrafficHistory],
    price: int,
    policy: PumpingPolicy,
    now: int,
) -> PumpingDecision:
    """Judge one more message at `now`: the first finding against it, the narrowest place first."""
    for key in keys:
        for finding in findings(key, histories.get(key, TrafficHistory()), price, policy, now):
            if finding.held and not (key.scope is TrafficScope.NEW_PREFIXES and _tries_out(keys, histories, now)):
                return PumpingDecision(finding)
    return PumpingDecision()


def _tries_out(keys: Sequence[TrafficKey], histories: Mapping[TrafficKey, TrafficHistory], now: int) -> bool:
    """Say whether a new prefix may find its way although new prefixes are held: very few messages, and more as their codes come back.

    Else whoever pumps many new prefixes would keep honest people out of a country that somebody has just begun to serve.
    """
    for key in keys:
        if key.scope in TRIALS:
            slots = [slot for slot in histories.get(key, TrafficHistory()).slots if slot.at >= now - DAY]
            converted = sum(slot.converted for slot in slots)
            if sum(slot.sent for slot in slots) + 1 > TRIALS[key.scope] + GROWTH * converted:
                return False
    return True


def findings(
    key: TrafficKey, history: TrafficHistory, price: int, policy: PumpingPolicy, now: int
) -> Iterator[PumpingFinding]:
    """Tell what each rule says of one more message to a place."""
    hold = history.hold
    if hold is not None and now < hold.ends_at:
        minutes = -(-(hold.ends_at - now) // MINUTE)
        yield PumpingFinding(
            key, PumpingRule.HELD, held=True, figures={"minutes": minutes, "times": hold.times}, without_hold=True
        )
        return
    tally = _tally(history, now)
    yield from _budgets(key, history, tally, price, policy, now)
    if key.scope is not TrafficScope.APPLICATION:
        yield _allowance(key, history, tally, policy, now)
        yield _conversion(key, tally, policy, HOUR)
        yield _conversion(key, tally, policy, DAY)


def next_hold(finding: PumpingFinding, before: Hold | None, now: int) -> Hold:
    """Return the hold that a finding begins: twice as long as the last of this week; a budget's lasts until its hour is over."""
    if finding.rule in BUDGETS:
        return Hold(now, now - now % HOUR + HOUR, 0)
    # One that was lifted was a mistake, and makes none longer.
    again = before is not None and before.lifted_at is None and now < before.until + HOLD_MEMORY
    times = before.times + 1 if again and before is not None else 1
    return Hold(now, now + min(LONGEST_HOLD, FIRST_HOLD << min(times - 1, 10)), times)


class _Tally(msgspec.Struct):
    """What was sent to a place and came back: in this hour of the clock, in the last hour and day, and in the week before.

    Hour and day begin no earlier than the latest hold ended. `old` are messages that have had time to be answered.
    """

    budgeted: int = 0
    spent: int = 0
    hour: int = 0
    hour_old: int = 0
    hour_converted: int = 0
    day: int = 0
    day_old: int = 0
    day_old_converted: int = 0
    day_converted: int = 0
    latest: int = 0
    yesterday: int = 0
    past: int = 0
    past_converted: int = 0
    days: int = 0


def _tally(history: TrafficHistory, now: int) -> _Tally:  # noqa: C901 - one pass, since this is most of what judging costs
    """Add all up in one go."""
    found = _Tally(past=history.past.sent, past_converted=history.past.converted)
    answered = _answered(history)
    of_clock, day, hour, waits = now - now % HOUR, now - DAY, now - HOUR, now - CONVERSION_DELAY - SLOT
    first = history.past.at or now
    for slot in history.slots:
        at, sent = slot.at, slot.sent
        if at < first:  # noqa: PLR1730 - a call of min is half of what this loop costs
            first = at
        if day - HOUR <= at < day + HOUR:
            found.yesterday += sent
        if at < day:
            if at >= now - RETENTION:
                found.past += sent
                found.past_converted += slot.converted
            continue
        if at >= of_clock:
            found.budgeted += sent
            found.spent += slot.spent
        if at < answered:
            continue
        if sent and at > found.latest:
            found.latest = at
        found.day += sent
        found.day_converted += slot.converted
        if at >= hour:
            found.hour += sent
        if at <= waits:
            found.day_old += sent
            found.day_old_converted += slot.converted
            if at >= hour:
                found.hour_old += sent
                found.hour_converted += slot.converted
    found.yesterday //= 2
    found.days = max(0, -((first - day) // DAY))
    return found


def _budgets(
    key: TrafficKey, history: TrafficHistory, tally: _Tally, price: int, policy: PumpingPolicy, now: int
) -> Iterator[PumpingFinding]:
    money, messages = policy.money.get(key.scope, 0), policy.messages.get(key.scope, 0)
    known = now < history.budget_spent_until
    if money:
        figures: dict[str, int | float] = {"spent": tally.spent, "budget": money, "price": price}
        yield PumpingFinding(
            key, PumpingRule.MONEY, held=tally.spent + price > money, figures=figures, without_hold=known
        )
    if messages:
        figures = {"sent": tally.budgeted, "budget": messages}
        yield PumpingFinding(
            key, PumpingRule.MESSAGES, held=tally.budgeted + 1 > messages, figures=figures, without_hold=known
        )


def _allowance(
    key: TrafficKey, history: TrafficHistory, tally: _Tally, policy: PumpingPolicy, now: int
) -> PumpingFinding:
    """Judge what may stay unanswered: a few messages, and more for each code that came back or comes back on other days."""
    hold, since = history.hold, _answered(history)
    on_probation = hold is not None and hold.lifted_at is None and now < since + PROBATION
    if on_probation:
        allowance = policy.probes + GROWTH * tally.day_converted
    else:
        usual = tally.past_converted // max(1, tally.days)
        allowance = policy.allowances[key.scope] + GROWTH * max(tally.day_converted, usual)
    figures: dict[str, int | float] = {
        "sent": tally.day,
        "hours": -(-(now - max(now - DAY, min(since, now - 1))) // HOUR),
        "converted": tally.day_converted,
        "allowance": allowance,
    }
    # On probation the answer to the few that were let through is waited for, before the place is held again.
    waits = on_probation and tally.latest + SLOT + CONVERSION_DELAY > now
    return PumpingFinding(
        key, PumpingRule.ALLOWANCE, held=tally.day + 1 > allowance, figures=figures, without_hold=waits
    )


def _conversion(key: TrafficKey, tally: _Tally, policy: PumpingPolicy, span: int) -> PumpingFinding:
    """Judge whether so few codes came back by chance, while more is sent than usual.

    An outage loses codes too, but sends no more than the people there ask for; so both are asked, a rise and a fall.
    What is usual is the mean of the days before, or what this hour was a day ago if that is more.
    """
    mean = tally.past * span // (max(1, tally.days) * DAY)
    if span == HOUR:
        sent, old, converted, usual = tally.hour, tally.hour_old, tally.hour_converted, max(mean, tally.yesterday)
    else:
        sent, old, converted, usual = tally.day, tally.day_old, tally.day_old_converted, mean
    # Answers, and what no provider took, are entered where their message was asked for: at the edge of a window one may be missing.
    old = max(0, old)
    converted = min(converted, old)
    expected = max(policy.floor, policy.part * tally.past_converted / (tally.past + PRIOR))
    against = log_odds(converted, old, expected)
    rises = sent > policy.rise * usual + policy.rise_from
    figures: dict[str, int | float] = {
        "converted": converted,
        "old": old,
        "hours": span // HOUR,
        "expected": expected,
        "sent": sent,
        "usual": usual,
        "odds": math.exp(min(against, 300.0)),
    }
    return PumpingFinding(
        key, PumpingRule.CONVERSION, held=rises and against >= -math.log(policy.error), figures=figures
    )


def _answered(history: TrafficHistory) -> int:
    """Return the slot in which a place's latest hold ended: what was before is not held against it again, nor counted for it.

    One that was lifted within the slot in which it began leaves that slot behind too.
    """
    hold = history.hold
    if hold is None:
        return 0
    begin = hold.ends_at - hold.ends_at % SLOT
    return begin if begin > hold.since else begin + SLOT


def log_odds(converted: int, sent: int, expected: float) -> float:
    """Return the logarithm of how much better `converted` of `sent` fits somebody who pumps than a place where `expected` come back.

    It is a mixture of two likelihood ratios, against a tenth and a half of what is expected. For a place whose codes come back with
    probability `expected` or more its exponential is a supermartingale of mean 1: the chance that it ever reaches 1/p, however
    often somebody looks, is at most p (Ville 1939; docs/decisions/0035).
    """
    missed = sent - converted
    tenth, half = (
        converted * math.log(part) + missed * math.log((1 - part * expected) / (1 - expected)) for part in (0.1, 0.5)
    )
    most = max(tenth, half)
    return most + math.log((math.exp(tenth - most) + math.exp(half - most)) / 2)
