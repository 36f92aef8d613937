"""SMS pumping: budgets, allowances that conversions raise, and a test that honest destinations pass."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countersign.domain.delivery.conversion_odds import log_odds
from countersign.domain.delivery.sms_pumping import (
    FIRST_HOLD,
    GROWTH,
    LONGEST_HOLD,
    PumpingFinding,
    PumpingPolicy,
    PumpingRule,
    assess,
    findings,
    next_hold,
    price_of,
)
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
    TrafficSlot,
    traffic_keys_of,
)

NOW = 1_767_348_000_000 + 11 * MINUTE

PREFIX = TrafficKey(TrafficScope.PREFIX, "+49170")

POLICY = PumpingPolicy()


def verdict(
    standing: TrafficHistory, policy: PumpingPolicy = POLICY, place: TrafficKey = PREFIX, now: int = NOW
) -> PumpingRule | None:
    """Return the rule that holds one more message of 50,000 micros back."""
    because = assess((place,), {place: standing}, 50_000, policy, now).finding
    return because.rule if because else None


def at(age: int, sent: int, converted: int) -> TrafficSlot:
    """Return a slot of so long ago."""
    begin = NOW - age
    return TrafficSlot(begin - begin % SLOT, sent, sent * 50_000, converted)


slots = st.builds(
    lambda age, sent, part: at(age, sent, round(sent * part)),
    st.integers(0, 8 * DAY),
    st.integers(0, 400),
    st.floats(0, 1),
)


@given(st.lists(slots, max_size=12), st.data())
def test_one_more_code_that_came_back_never_holds_what_went(before: list[TrafficSlot], data: st.DataObject) -> None:
    raised = [
        msgspec.structs.replace(slot, converted=data.draw(st.integers(slot.converted, slot.sent)))
        if slot.at >= NOW - DAY
        else slot
        for slot in before
    ]
    if verdict(TrafficHistory(tuple(before))) is None:
        assert verdict(TrafficHistory(tuple(raised))) is None


@given(st.integers(1, 500), st.integers(0, 500))
def test_a_budget_of_messages_lets_exactly_that_many_go(budget: int, sent: int) -> None:
    policy = PumpingPolicy(messages={TrafficScope.APPLICATION: budget})
    place = TrafficKey(TrafficScope.APPLICATION, "")
    held = verdict(TrafficHistory((at(0, sent, 0),)), policy, place) is PumpingRule.MESSAGES
    assert held is (sent >= budget)


@given(st.integers(0, 1_000_000), st.integers(1, 90_000), st.integers(1, 1_000_000))
@example(950_000, 50_000, 1_000_000)
def test_a_budget_of_money_is_never_exceeded_and_can_be_spent_whole(spent: int, price: int, budget: int) -> None:
    policy = PumpingPolicy(money={TrafficScope.APPLICATION: budget})
    place = TrafficKey(TrafficScope.APPLICATION, "")
    standing = TrafficHistory((TrafficSlot(NOW - NOW % SLOT, 1, spent, 0),))
    held = assess((place,), {place: standing}, price, policy, NOW).finding is not None
    assert held is (spent + price > budget)


def test_a_budget_begins_anew_with_the_hour() -> None:
    policy = PumpingPolicy(messages={TrafficScope.APPLICATION: 1})
    place = TrafficKey(TrafficScope.APPLICATION, "")
    standing = TrafficHistory((at(0, 1, 0),))
    assert verdict(standing, policy, place) is PumpingRule.MESSAGES
    assert verdict(standing, policy, place, NOW - NOW % HOUR + HOUR) is None


@pytest.mark.parametrize("expected", [0.25, 0.4, 0.45])
def test_an_honest_place_is_held_by_its_conversion_no_more_often_than_was_said(expected: float) -> None:
    """Exact, not drawn: the chance of every path of 600 messages, judged after each, is added up."""
    limit = -math.log(POLICY.error)
    alive = {0: 1.0}
    held = 0.0
    for sent in range(1, 601):
        after: dict[int, float] = {}
        for converted, chance in alive.items():
            for more, part in ((1, expected), (0, 1 - expected)):
                if log_odds(converted + more, sent, expected) >= limit:
                    held += chance * part
                else:
                    after[converted + more] = after.get(converted + more, 0.0) + chance * part
        alive = after
    assert 0 < held <= POLICY.error


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.05, 0.9))
def test_evidence_falls_with_every_code_that_came_back(converted: int, missed: int, expected: float) -> None:
    sent = converted + missed + 1
    assert log_odds(converted + 1, sent, expected) <= log_odds(converted, sent, expected) + 1e-9


def test_a_new_prefix_has_an_allowance_that_its_conversions_carry() -> None:
    most = POLICY.allowances[TrafficScope.PREFIX]
    assert verdict(TrafficHistory((at(0, most - 1, 0),))) is None
    assert verdict(TrafficHistory((at(0, most, 0),))) is PumpingRule.ALLOWANCE
    assert verdict(TrafficHistory((at(0, most + GROWTH, 1),))) is PumpingRule.ALLOWANCE
    assert verdict(TrafficHistory((at(0, most + GROWTH - 1, 1),))) is None


def known(conversion: float, hourly: int = 60) -> tuple[TrafficSlot, ...]:
    """Return seven days of traffic."""
    return tuple(at(hours * HOUR, hourly, round(hourly * conversion)) for hours in range(1, 7 * 24))


def test_a_rise_whose_codes_do_not_come_back_is_held() -> None:
    """D7: sends rise, conversions do not."""
    assert verdict(TrafficHistory((*known(0.8), at(10 * MINUTE, 300, 50)))) is PumpingRule.CONVERSION


def test_a_rise_whose_codes_come_back_goes_on() -> None:
    assert verdict(TrafficHistory((*known(0.8), at(10 * MINUTE, 900, 700)))) is None


def test_an_outage_is_no_rise() -> None:
    outage = tuple(at(minutes * MINUTE, 7, 0) for minutes in range(0, 60, 5))
    assert verdict(TrafficHistory((*known(0.8), *outage))) is None


def test_messages_that_may_still_be_answered_are_no_evidence() -> None:
    fresh_rise = TrafficHistory((*known(0.8), at(0, 300, 0)))
    assert verdict(fresh_rise) is None


def test_a_held_place_lets_a_few_go_when_its_time_is_over_and_more_as_they_convert() -> None:
    over = Hold(NOW - HOUR, NOW - 20 * MINUTE, 1)
    assert verdict(TrafficHistory((at(HOUR, 40, 0),), Hold(NOW - HOUR, NOW + MINUTE, 1))) is PumpingRule.HELD
    assert verdict(TrafficHistory((at(HOUR, 40, 0),), over)) is None
    assert verdict(TrafficHistory((at(HOUR, 40, 0), at(15 * MINUTE, 3, 0)), over)) is PumpingRule.ALLOWANCE
    assert verdict(TrafficHistory((at(HOUR, 40, 0), at(15 * MINUTE, 3, 2)), over)) is None


def test_a_place_that_was_held_is_no_launch_when_its_hold_ends() -> None:
    """D11: while others wait for their answers, it gets its few and no more."""
    over = Hold(NOW - HOUR, NOW - 20 * MINUTE, 1)
    others = TrafficHistory((at(0, 600, 0),))
    fresh = {FRESH: others, PREFIX: TrafficHistory((at(0, 3, 0),), over)}
    finding = assess((PREFIX,), fresh, 1, POLICY, NOW).finding
    assert finding is not None
    assert finding.rule is PumpingRule.ALLOWANCE
    never_held = {FRESH: others, PREFIX: TrafficHistory((at(0, 50, 0),))}
    assert assess((PREFIX,), never_held, 1, POLICY, NOW).allowed, "one prefix of a launch may have a part of it"
    greedy = {FRESH: others, PREFIX: TrafficHistory((at(0, 100, 0),))}
    assert not assess((PREFIX,), greedy, 1, POLICY, NOW).allowed, "but not more"


def test_the_answer_to_the_few_is_waited_for_before_the_place_is_held_again() -> None:
    over = Hold(NOW - HOUR, NOW - 20 * MINUTE, 1)
    waiting = _finding(TrafficHistory((at(0, 3, 0),), over))
    answered = _finding(TrafficHistory((at(15 * MINUTE, 3, 0),), over))
    assert waiting.held
    assert waiting.without_hold
    assert answered.held
    assert not answered.without_hold


def _finding(standing: TrafficHistory) -> PumpingFinding:
    return next(one for one in findings(PREFIX, standing, 1, POLICY, NOW) if one.rule is PumpingRule.ALLOWANCE)


def test_each_hold_is_twice_as_long_up_to_a_day_and_a_lifted_one_makes_none_longer() -> None:
    finding = PumpingFinding(PREFIX, PumpingRule.ALLOWANCE, held=True, figures={})
    hold, now, lasted = None, NOW, []
    for _ in range(9):
        hold = next_hold(finding, hold, now)
        lasted.append(hold.until - hold.since)
        now = hold.until
    assert lasted == [min(FIRST_HOLD * 2**n, LONGEST_HOLD) for n in range(9)]
    lifted = msgspec.structs.replace(hold, lifted_at=now) if hold else None
    assert next_hold(finding, lifted, now).until - now == FIRST_HOLD


def test_a_budgets_hold_ends_with_its_hour() -> None:
    hold = next_hold(PumpingFinding(PREFIX, PumpingRule.MONEY, held=True, figures={}), None, NOW)
    assert hold.until == NOW - NOW % HOUR + HOUR


def test_a_budget_that_is_spent_is_told_once_and_leaves_no_probation() -> None:
    policy = PumpingPolicy(messages={TrafficScope.PREFIX: 40})
    spent = TrafficHistory((*known(0.8), at(0, 40, 35)))
    because = assess((PREFIX,), {PREFIX: spent}, 1, policy, NOW).finding
    assert because is not None
    assert not because.without_hold
    told = msgspec.structs.replace(spent, budget_spent_until=next_hold(because, None, NOW).until)
    again = assess((PREFIX,), {PREFIX: told}, 1, policy, NOW).finding
    assert again is not None
    assert again.without_hold
    assert verdict(told, policy, now=told.budget_spent_until) is None


def test_the_narrowest_place_at_fault_is_held() -> None:
    places = traffic_keys_of("DE", "+49170", {3: "a", 4: "b", 5: "c"}, fresh=True)
    standings = {place: TrafficHistory((at(0, 70, 0),)) for place in places}
    because = assess(places, standings, 1, POLICY, NOW).finding
    assert because is not None
    assert because.key.scope is TrafficScope.THOUSAND


NEW = traffic_keys_of("EE", "+372545", {}, fresh=True)
HELD = TrafficHistory(hold=Hold(NOW - MINUTE, NOW + HOUR, 1))


def finding_for_new(sent: int, country: int, *, told: int = 0, is_notice: bool = False) -> PumpingFinding | None:
    """Return what withholds one more message to a new prefix, while new prefixes are held."""
    counts = {TrafficScope.PREFIX: sent, TrafficScope.COUNTRY: country}
    histories = {
        key: HELD
        if key.scope is TrafficScope.NEW_PREFIXES
        else TrafficHistory((msgspec.structs.replace(at(0, counts.get(key.scope, 0), 0), notices=told),))
        for key in NEW
    }
    return assess(NEW, histories, 1, POLICY, NOW, is_notice=is_notice).finding


@pytest.mark.parametrize(("sent", "country", "goes"), [(0, 0, True), (1, 1, False), (0, 2, True), (0, 3, False)])
def test_while_new_prefixes_are_held_one_message_is_tried_and_three_in_a_country(
    *, sent: int, country: int, goes: bool
) -> None:
    """D7: the second message of a new prefix is held, and so is the fourth of its country."""
    finding = finding_for_new(sent, country)
    assert (finding is None) is goes
    if finding is not None:
        assert (finding.key.scope, finding.rule) == (TrafficScope.NEW_PREFIXES, PumpingRule.HELD)


def test_notices_use_up_no_trial_of_a_code_and_codes_that_of_a_notice() -> None:
    """L4: what is told to somebody keeps no code from anybody."""
    assert finding_for_new(0, 0, told=50) is None
    assert finding_for_new(0, 0, is_notice=True) is None
    assert finding_for_new(0, 0, told=1, is_notice=True) is not None
    assert finding_for_new(1, 1, is_notice=True) is not None


def told(age: int, notices: int, sent: int = 0, converted: int = 0) -> TrafficSlot:
    """Return a slot with notices."""
    slot = at(age, sent, converted)
    return msgspec.structs.replace(slot, notices=notices, spent=slot.spent + notices * 50_000)


@given(st.lists(slots, max_size=12), st.integers(0, 50))
def test_no_number_of_notices_makes_the_codes_of_a_prefix_look_pumped(before: list[TrafficSlot], each: int) -> None:
    """L4, D7: notices can never convert, so they take no part in what conversions decide."""
    unlimited = PumpingPolicy(money={})
    noisy = tuple(msgspec.structs.replace(slot, notices=each * slot.sent) for slot in before)
    assert verdict(TrafficHistory(noisy), unlimited) == verdict(TrafficHistory(tuple(before)), unlimited)


def notice_finding(
    *history: TrafficSlot, policy: PumpingPolicy = POLICY, hold: Hold | None = None
) -> PumpingFinding | None:
    """Return what withholds one more notice of 50,000 micros."""
    return assess((PREFIX,), {PREFIX: TrafficHistory(history, hold)}, 50_000, policy, NOW, is_notice=True).finding


def test_notices_have_an_allowance_that_codes_and_habit_carry_and_hold_nothing() -> None:
    """L4."""
    most = POLICY.allowances[TrafficScope.PREFIX]
    assert notice_finding(told(0, most - 1)) is None
    finding = notice_finding(told(0, most))
    assert finding is not None
    assert (finding.rule, finding.without_hold) == (PumpingRule.NOTICES, True)
    assert str(most) in finding.sentence
    assert notice_finding(told(0, most, 10, 10)) is None, "people who enter codes also change things"
    usual = [told(day * DAY + HOUR, 10) for day in range(1, 8)]
    assert notice_finding(*usual, told(0, most)) is None, "what is usual goes on"
    assert notice_finding(*usual, told(0, most + GROWTH * 10)) is not None
    assert notice_finding(told(DAY + HOUR, 10_000)) is None, "yesterday's do not count against today's"


def test_a_held_destination_gets_no_notices_either() -> None:
    """L4, D7."""
    finding = notice_finding(hold=HELD.hold)
    assert finding is not None
    assert finding.rule is PumpingRule.HELD


def test_notices_get_half_of_each_budget_and_codes_the_rest() -> None:
    """L4: money and messages are counted together, and notices never spend what codes need."""
    money = PumpingPolicy(money={TrafficScope.PREFIX: 1_000_000}, allowances=dict.fromkeys(TrafficScope, 1_000))
    assert notice_finding(told(0, 9), policy=money) is None
    finding = notice_finding(told(0, 10), policy=money)
    assert finding is not None
    assert (finding.rule, finding.without_hold) == (PumpingRule.MONEY, True)
    assert verdict(TrafficHistory((told(0, 10),)), money) is None
    assert verdict(TrafficHistory((told(0, 10, 10, 10),)), money) is PumpingRule.MONEY
    messages = PumpingPolicy(messages={TrafficScope.PREFIX: 20}, allowances=dict.fromkeys(TrafficScope, 1_000))
    assert notice_finding(told(0, 9), policy=messages) is None
    assert notice_finding(told(0, 10), policy=messages) is not None
    assert verdict(TrafficHistory((told(0, 10, 9, 9),)), messages) is None
    assert verdict(TrafficHistory((told(0, 10, 10, 10),)), messages) is PumpingRule.MESSAGES


def test_the_longest_prefix_sets_the_price_then_the_country() -> None:
    policy = PumpingPolicy(price=1, prices={"DE": 2, "+49": 3, "+4917": 4})
    assert price_of(policy, "DE", "+491701234567") == 4
    assert price_of(policy, "DE", "+491601234567") == 3
    assert price_of(policy, "FR", "+33612345678") == 1


@pytest.mark.parametrize(
    "rule", [PumpingRule.MONEY, PumpingRule.MESSAGES, PumpingRule.ALLOWANCE, PumpingRule.CONVERSION]
)
def test_every_finding_tells_its_figures_in_a_sentence(rule: PumpingRule) -> None:
    policy = PumpingPolicy(messages={TrafficScope.PREFIX: 10})
    found = {one.rule: one for one in findings(PREFIX, TrafficHistory((at(10 * MINUTE, 50, 1),)), 5, policy, NOW)}
    figures, sentence = found[rule].figures, found[rule].sentence
    assert (f"{figures['budget'] / 1_000_000:,.2f}" if rule is PumpingRule.MONEY else str(figures["sent"])) in sentence
