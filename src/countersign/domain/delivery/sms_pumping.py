"""SMS pumping: rules that decide whether one more phone message may be sent to a destination.

SMS pumping is fraud. Someone makes a form send messages to numbers and gets a share of the revenue. The messages look like any other, but
hardly any of their codes is entered. So messages and conversions (codes that were entered) are counted for every traffic key of a number:
the ranges of 1,000, 10,000 and 100,000 numbers around it, its prefix, its country, all new prefixes together, and the application. The
same rules apply to every key. The narrowest key that breaks a rule is held: it gets no messages for a while.

A notice has no code, so it can never convert. It is counted apart: it spends the budgets, a held key gets no notices either, and notices
have an allowance of their own. But no number of notices holds a key, because then they would keep codes from honest people.

Money is in micros, millionths of the operator's currency unit. Times are in ms since the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.delivery.answer_time import USUAL_TIMES, AnswerTimes
from countersign.domain.delivery.conversion_odds import log_odds
from countersign.domain.delivery.sms_traffic import (
    DAY,
    FRESH,
    HOUR,
    MINUTE,
    SLOT,
    Hold,
    TrafficHistory,
    TrafficKey,
    TrafficScope,
)
from countersign.domain.delivery.traffic_tally import (
    BURST,
    NOTHING_KNOWN,
    Surroundings,
    TrafficTally,
    counted_since,
    tally_of,
)

FIRST_HOLD: Final = 15 * MINUTE
LONGEST_HOLD: Final = DAY
PROBATION: Final = DAY
"""After a hold, a destination has only the reduced allowance for this time."""

HOLD_MEMORY: Final = 7 * DAY
"""For this time, a hold makes the next one longer."""

PRIOR: Final = 20
"""Messages without a conversion that are added to each history, so that a short history proves little."""

GROWTH: Final = 4
"""Messages by which each conversion raises an allowance. If fewer than one in five codes are entered, the allowance runs out."""


LAUNCH: Final = 1_500
"""Messages to new prefixes together, or to one country, that may wait for their first answers."""

LARGEST_PART: Final = 6
"""A prefix may have one part in this many of what waits in all new prefixes."""

TIMELY: Final = 0.4
"""The part of an allowance that people must have had the time to answer before a launch counts as unanswered."""


class PumpingMode(StrEnum):
    """Whether the rules hold destinations, only record what they would have held (shadow), or are off."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"


NOTICE_SHARE: Final = 2
"""Notices get one part in this many of each budget. So codes always have the rest, whatever is told to whom."""

TRIALS: Final = {TrafficScope.PREFIX: 1, TrafficScope.COUNTRY: 3}
"""Messages of a day that may stay unanswered in a new prefix, and in its country, while new prefixes are held."""


class PumpingRule(StrEnum):
    """The rule by which a message is withheld."""

    HELD = "held"
    MONEY = "money"
    MESSAGES = "messages"
    ALLOWANCE = "allowance"
    CONVERSION = "conversion"
    NOTICES = "notices"


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


WIDE_SCOPES: Final = frozenset({TrafficScope.NEW_PREFIXES, TrafficScope.COUNTRY})
"""The scopes over which a launch spreads."""

NOTICE_SCOPES: Final = frozenset({TrafficScope.PREFIX, TrafficScope.COUNTRY})
"""The scopes with an allowance for notices. The numbers of one company lie in one range, and may all be told something on one day."""


class PumpingPolicy(msgspec.Struct, frozen=True):
    """The rules of an installation, which apply to every application.

    `price` and `prices` (by prefix or country) are micros for a message. `money` and `messages` are budgets for an hour; 0 means no
    budget. `allowances` are messages in a day that may stay unanswered before conversions allow more. `launch` is how many may
    wait for their first answers where they spread over new prefixes. `probes` is the allowance after a hold.

    The conversion rule compares with the destination's own history. `floor` is the conversion that every honest destination reaches,
    `part` the part of its own past conversion that it must reach. It must also have more than `rise` times its usual traffic and
    `rise_from` messages. `error` is the probability at which an honest destination may be held by this rule.
    """

    mode: PumpingMode = PumpingMode.ON
    price: int = 50_000
    prices: dict[str, int] = {}
    money: dict[TrafficScope, int] = msgspec.field(default_factory=MONEY.copy)
    messages: dict[TrafficScope, int] = {}
    allowances: dict[TrafficScope, int] = msgspec.field(default_factory=ALLOWANCES.copy)
    probes: int = 3
    launch: int = LAUNCH
    floor: float = 0.25
    part: float = 0.5
    rise: float = 2.0
    rise_from: int = 10
    error: float = 1e-4


class PumpingFinding(msgspec.Struct, frozen=True):
    """The result of one rule for one traffic key, with its figures. `without_hold` withholds this message only and starts no hold."""

    key: TrafficKey
    rule: PumpingRule
    held: bool
    figures: dict[str, int | float]
    without_hold: bool = False

    @property
    def sentence(self) -> str:
        """Return the figures as a sentence for an operator, with money in whole units."""
        money = {
            name: f"{value / 1_000_000:,.2f}" for name, value in self.figures.items() if self.rule is PumpingRule.MONEY
        }
        minutes = self.figures.get("minutes", 0)
        period = {
            "period": f"{minutes:.0f} minutes"
            if minutes < 2 * HOUR // MINUTE
            else f"{minutes * MINUTE // HOUR:.0f} hours"
        }
        return _SENTENCES[self.rule].format(**{**self.figures, **money, **period})


class PumpingDecision(msgspec.Struct, frozen=True):
    """Whether a message may be sent, and the finding that withholds it."""

    finding: PumpingFinding | None = None

    @property
    def allowed(self) -> bool:
        """Return True if the message may be sent."""
        return self.finding is None


_SENTENCES: Final = {
    PumpingRule.HELD: "This destination is held for another {minutes} minutes. It is hold number {times} within a week.",
    PumpingRule.MONEY: "{spent} of {budget} were spent in this hour, and the message costs {price}.",
    PumpingRule.MESSAGES: "{sent} of {budget} messages were sent in this hour.",
    PumpingRule.ALLOWANCE: "{sent} messages were sent in {hours} hours. {converted} of their codes were entered, which allows {allowance} messages.",
    PumpingRule.CONVERSION: (
        "{converted} codes of the last {period} were entered. There was time for {old}, and at least {expected:.0%} were expected."
        " {sent} messages were sent where {usual} are usual. The odds against this being chance are {odds:.3g} to 1."
    ),
    PumpingRule.NOTICES: "{sent} notices were sent in 24 hours, where {usual} are usual. {converted} codes were entered, which allows {allowance} notices.",
}


def price_of(policy: PumpingPolicy, country: str, number: str) -> int:
    """Return the price of a message in micros: by the longest matching prefix, else by country, else the default."""
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
    *,
    is_notice: bool = False,
    times: AnswerTimes = USUAL_TIMES,
) -> PumpingDecision:
    """Decide whether one more message may be sent at `now`. The first finding against it counts.

    `keys` are the traffic keys of its number, the narrowest first, and `histories` their history, with that of FRESH. `price` is in
    micros. `times` is how long people take to answer there.
    """
    traffic = Surroundings(times, histories.get(FRESH, TrafficHistory()))
    for key in keys:
        history = histories.get(key, TrafficHistory())
        for finding in findings(key, history, price, policy, now, is_notice=is_notice, traffic=traffic, thorough=False):
            if finding.held and not (
                key.scope is TrafficScope.NEW_PREFIXES and _is_trial(keys, histories, now, is_notice=is_notice)
            ):
                return PumpingDecision(finding)
    return PumpingDecision()


def _is_trial(
    keys: Sequence[TrafficKey], histories: Mapping[TrafficKey, TrafficHistory], now: int, *, is_notice: bool
) -> bool:
    """Return True if a new prefix may send a few messages although new prefixes are held, and more as its codes are entered.

    Otherwise someone who pumps many new prefixes would lock honest people out of a country that is new to the installation.
    """
    for key in keys:
        if key.scope in TRIALS:
            slots = [slot for slot in histories.get(key, TrafficHistory()).slots if slot.at >= now - DAY]
            converted = sum(slot.converted for slot in slots)
            sent = sum(slot.sent + (slot.notices if is_notice else 0) for slot in slots)
            if sent + 1 > TRIALS[key.scope] + GROWTH * converted:
                return False
    return True


def findings(
    key: TrafficKey,
    history: TrafficHistory,
    price: int,
    policy: PumpingPolicy,
    now: int,
    *,
    is_notice: bool = False,
    traffic: Surroundings = NOTHING_KNOWN,
    thorough: bool = True,
) -> Iterator[PumpingFinding]:
    """Yield the result of each rule for one more message to a traffic key: a code or, if `is_notice`, a notice.

    Unless `thorough`, what needs no look passes without a finding.
    """
    hold = history.hold
    if hold is not None and now < hold.ends_at:
        minutes = -(-(hold.ends_at - now) // MINUTE)
        yield PumpingFinding(
            key, PumpingRule.HELD, held=True, figures={"minutes": minutes, "times": hold.times}, without_hold=True
        )
        return
    is_wide = key.scope is TrafficScope.NEW_PREFIXES
    tally = tally_of(history, now, traffic.times.wide if is_wide else traffic.times.own)
    if is_notice:
        yield from _budgets(key, tally, price, policy, without_hold=True, share=NOTICE_SHARE)
        if key.scope in NOTICE_SCOPES:
            yield _notices(key, tally, policy)
        return
    yield from _budgets(key, tally, price, policy, without_hold=now < history.budget_spent_until)
    if key.scope is not TrafficScope.APPLICATION:
        yield _allowance(key, history, tally, policy, now, traffic)
        for span in (BURST, HOUR, DAY):
            if found := _conversion(key, tally, policy, now, span, thorough=thorough):
                yield found


def next_hold(finding: PumpingFinding, before: Hold | None, now: int) -> Hold:
    """Return the hold that a finding starts. It lasts twice as long as the last one of this week.

    A hold for a spent budget ends with its hour.
    """
    if finding.rule in BUDGETS:
        return Hold(now, now - now % HOUR + HOUR, 0)
    # A hold that an operator lifted was a mistake. It makes none longer.
    again = before is not None and before.lifted_at is None and now < before.until + HOLD_MEMORY
    times = before.times + 1 if again and before is not None else 1
    return Hold(now, now + min(LONGEST_HOLD, FIRST_HOLD << min(times - 1, 10)), times)


def _budgets(
    key: TrafficKey,
    tally: TrafficTally,
    price: int,
    policy: PumpingPolicy,
    *,
    without_hold: bool,
    share: int = 1,
) -> Iterator[PumpingFinding]:
    """Check the budgets of the hour, of which the message may use one part in `share`."""
    money, messages = policy.money.get(key.scope, 0), policy.messages.get(key.scope, 0)
    if money:
        money //= share
        figures: dict[str, int | float] = {"spent": tally.spent, "budget": money, "price": price}
        yield PumpingFinding(
            key, PumpingRule.MONEY, held=tally.spent + price > money, figures=figures, without_hold=without_hold
        )
    if messages:
        messages //= share
        figures = {"sent": tally.budgeted, "budget": messages}
        yield PumpingFinding(
            key, PumpingRule.MESSAGES, held=tally.budgeted + 1 > messages, figures=figures, without_hold=without_hold
        )


def _notices(key: TrafficKey, tally: TrafficTally, policy: PumpingPolicy) -> PumpingFinding:
    """Check the notices of a day: a few, and more where many codes are entered or many notices are usual. It starts no hold.

    The usual counts, because people who confirm by an app get notices on their phone and never enter a code from it.
    """
    days = max(1, tally.days)
    usual = tally.past_notices // days
    converted = max(tally.day_converted, tally.past_converted // days)
    allowance = policy.allowances[key.scope] + GROWTH * max(converted, usual)
    figures: dict[str, int | float] = {
        "sent": tally.notices,
        "usual": usual,
        "converted": converted,
        "allowance": allowance,
    }
    return PumpingFinding(
        key, PumpingRule.NOTICES, held=tally.notices + 1 > allowance, figures=figures, without_hold=True
    )


def _allowance(
    key: TrafficKey,
    history: TrafficHistory,
    tally: TrafficTally,
    policy: PumpingPolicy,
    now: int,
    traffic: Surroundings,
) -> PumpingFinding:
    """Check the messages that may stay unanswered: a few, and more for each code that was entered today or usually is.

    A launch sends more than a few before anybody can have answered. So beyond these few, a message counts as unanswered only as far as
    people have had the time to answer it. How many may wait for an answer at once is bounded, too.
    """
    hold, since = history.hold, counted_since(history)
    on_probation = hold is not None and hold.lifted_at is None and now < since + PROBATION
    carried = GROWTH * max(tally.day_converted, 0 if on_probation else tally.past_converted // max(1, tally.days))
    few = policy.probes if on_probation else policy.allowances[key.scope]
    is_over = tally.day + 1 > few + carried
    at_once = max(few, _at_once(key, policy, traffic, now)) if is_over and not on_probation else few
    allowance, most = few + carried, at_once + carried
    figures: dict[str, int | float] = {
        "sent": tally.day,
        "due": int(tally.due),
        "hours": -(-(now - max(now - DAY, min(since, now - 1))) // HOUR),
        "converted": tally.day_converted,
        "allowance": allowance,
        "most": most,
    }
    # On probation, the codes of the first messages get time to be entered before the key is held again.
    waits = on_probation and tally.latest + SLOT + traffic.times.waits > now
    is_time = at_once == few or tally.due > few * TIMELY + carried
    held = is_over and (is_time or tally.day + 1 > most)
    return PumpingFinding(key, PumpingRule.ALLOWANCE, held=held, figures=figures, without_hold=waits)


def _at_once(key: TrafficKey, policy: PumpingPolicy, traffic: Surroundings, now: int) -> int:
    """Return how many messages may wait for their first answers.

    A launch spreads over many prefixes. So one of them may have a part of what waits in all that are new, and not more.
    """
    if key.scope is TrafficScope.PREFIX:
        return min(traffic.waiting(now), policy.launch) // LARGEST_PART
    return policy.launch if key.scope in WIDE_SCOPES else 0


def _conversion(
    key: TrafficKey, tally: TrafficTally, policy: PumpingPolicy, now: int, span: int, *, thorough: bool
) -> PumpingFinding | None:
    """Check whether so few conversions can be chance, while more messages are sent than usual, in the last `span` ms.

    Returns None if nothing rises, unless `thorough`: then the figures are wanted all the same.

    An outage also loses codes, but does not raise traffic. So both are required, a rise in messages and a fall in conversion. The usual
    traffic is the mean of the days before or, if greater, that of this hour a day ago.
    """
    usual = tally.past * span // (max(1, tally.days) * DAY)
    if span < DAY:
        usual = max(usual, tally.yesterday * span // HOUR)
    sent = tally.sent(span)
    rises = sent > policy.rise * usual + policy.rise_from
    if not rises and not thorough:
        return None
    settled, entered = tally.settled(span)
    recent = tally.since(now - span)
    expected = max(policy.floor, policy.part * tally.past_converted / (tally.past + PRIOR))
    # Conversions and unsent messages are counted in the slot of their message. At the edge of a window one of the two may be missing.
    settled = max(0, settled)
    against = log_odds(min(entered, settled), settled, expected, recent)
    figures: dict[str, int | float] = {
        "converted": entered + sum(converted for _, _, converted, _ in recent),
        "old": int(settled + sum(sent * part for _, sent, _, part in recent)),
        "minutes": span // MINUTE,
        "expected": expected,
        "sent": sent,
        "usual": usual,
        "odds": math.exp(min(against, 300.0)),
    }
    return PumpingFinding(
        key, PumpingRule.CONVERSION, held=rises and against >= -math.log(policy.error), figures=figures
    )
