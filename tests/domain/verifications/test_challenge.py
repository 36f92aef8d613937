"""A challenge: each thing that can happen to it, in each of its states, and long walks of them in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.clock import MINUTE, NOON, SECOND

from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.verifications.challenge import (
    REFUSAL_OF_STATE,
    TRANSITIONS,
    Challenge,
    ChallengeResult,
    ChallengeState,
    Refusal,
    Terms,
    accepted_rounds,
    begin,
    cancel,
    change_channel,
    check,
    expire,
    resend,
)
from countersign.domain.verifications.code import Code
from countersign.domain.verifications.purpose import Policy, ResendMode

if TYPE_CHECKING:
    from collections.abc import Callable

RIGHT = "000000"
CODES = [Code(f"{round_:06}") for round_ in range(20)]
ENDED = [ChallengeState.APPROVED, ChallengeState.EXHAUSTED, ChallengeState.CANCELED, ChallengeState.EXPIRED]


def code_of(round_: int) -> Code:
    return CODES[round_]


def challenged(policy: Policy | None = None) -> Challenge:
    terms = Terms("sign_in", policy or Policy(), b"sealed", "a***@example.org", ContactKind.MAIL, "k1")
    return begin(
        id="ver_1", application="app_1", dedup_key=b"t", lockout_key=b"s", terms=terms, channel=Channel.EMAIL, now=NOON
    )


def ended(state: ChallengeState) -> Challenge:
    return msgspec.structs.replace(challenged(), state=state, ended_at=NOON + 1)


def wrong(challenge: Challenge, times: int, now: int = NOON) -> Challenge:
    for _ in range(times):
        challenge = check(challenge, "999999", code_of, now).challenge
    return challenge


ACTS: dict[str, Callable[[Challenge, int], ChallengeResult]] = {
    "answer": lambda challenge, now: check(challenge, RIGHT, code_of, now),
    "send_again": resend,
    "redirect": lambda challenge, now: change_channel(challenge, Channel.EMAIL, now),
    "cancel": cancel,
}


def test_a_new_challenge_owes_its_first_message_and_has_all_its_guesses() -> None:
    begun = challenged()
    assert (begun.state, begun.guesses_left, begun.sends_left) == (ChallengeState.PENDING, 5, 4)
    assert (begun.begun_at, begun.sent_at, begun.expires_at) == (NOON, NOON, NOON + 10 * MINUTE)
    assert (begun.resend_at, begun.ended_at, begun.round) == (NOON + 30 * SECOND, None, 0)


def test_the_right_code_approves() -> None:
    judged = check(challenged(), " 000-000 ", code_of, NOON + 7)
    assert judged.refusal is None
    assert (judged.challenge.state, judged.challenge.ended_at, judged.challenge.guesses) == (
        ChallengeState.APPROVED,
        NOON + 7,
        1,
    )


def test_a_wrong_code_costs_a_guess_and_is_refused_as_wrong() -> None:
    judged = check(challenged(), "999999", code_of, NOON)
    assert judged.refusal is Refusal.WRONG_CODE
    assert (judged.challenge.state, judged.challenge.guesses_left) == (ChallengeState.PENDING, 4)


@pytest.mark.parametrize("typed", ["999999", "99 99 99", "\u0669" * 6, "is it 999999?"])
def test_whatever_can_be_the_code_costs_a_guess(typed: str) -> None:
    """C5: no answer that is compared is free."""
    judged = check(challenged(), typed, code_of, NOON)
    assert (judged.refusal, judged.challenge.guesses, judged.is_malformed) == (Refusal.WRONG_CODE, 1, False)


@pytest.mark.parametrize("typed", ["", " ", "0", "00000", "0000000", "x" * 10_000, "\0", "\ud800", "000000 111111"])
def test_what_cannot_be_the_code_is_not_compared_and_costs_nothing(typed: str) -> None:
    """J3, C5: a slip of the finger is no guess, and no code is derived for it."""

    def never(_: int) -> Code:
        raise AssertionError("a code was compared")

    before = challenged()
    judged = check(before, typed, never, NOON)
    assert (judged.refusal, judged.is_malformed) == (Refusal.WRONG_CODE, True)
    assert judged.challenge is before


def test_the_last_guess_may_be_right() -> None:
    judged = check(wrong(challenged(), 4), RIGHT, code_of, NOON)
    assert (judged.refusal, judged.challenge.state) == (None, ChallengeState.APPROVED)


def test_the_fifth_wrong_guess_exhausts_and_the_right_code_comes_too_late() -> None:
    """C5: five comparisons and no more."""
    spent = wrong(challenged(), 5)
    assert (spent.state, spent.guesses_left, spent.ended_at) == (ChallengeState.EXHAUSTED, 0, NOON)
    judged = check(spent, RIGHT, code_of, NOON)
    assert (judged.refusal, judged.challenge) == (Refusal.EXHAUSTED, spent)


@pytest.mark.parametrize("policy", [Policy(), Policy(resend=ResendMode.OVERLAP), Policy(guesses=1)])
def test_a_guess_is_counted_before_it_is_compared(policy: Policy) -> None:
    """C5: an ended challenge derives no code at all; an open one derives each accepted code once a guess."""
    derived: list[int] = []

    def watched(round_: int) -> Code:
        derived.append(round_)
        return code_of(round_)

    challenge = challenged(policy)
    for _ in range(policy.guesses + 5):
        challenge = check(challenge, "999999", watched, NOON).challenge
    assert len(derived) == policy.guesses
    for state in ENDED:
        check(ended(state), RIGHT, watched, NOON)
    assert len(derived) == policy.guesses


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (9 * MINUTE + 59 * SECOND, ChallengeState.APPROVED),
        (10 * MINUTE - 1, ChallengeState.APPROVED),
        (10 * MINUTE, ChallengeState.EXPIRED),
        (10 * MINUTE + SECOND, ChallengeState.EXPIRED),
    ],
)
@pytest.mark.parametrize("resent", [False, True])
def test_a_code_lives_ten_minutes_from_its_first_message(after: int, state: ChallengeState, *, resent: bool) -> None:
    """C2: 9:59 is accepted, 10:01 refused; a resend in between moves nothing."""
    challenge = challenged()
    if resent:
        challenge = resend(challenge, NOON + 9 * MINUTE).challenge
        assert challenge.sends == 2
        assert challenge.expires_at == NOON + 10 * MINUTE
    judged = check(challenge, RIGHT, code_of, NOON + after)
    assert judged.challenge.state is state
    assert judged.refusal is (None if state is ChallengeState.APPROVED else Refusal.EXPIRED)
    assert judged.challenge.guesses == (1 if state is ChallengeState.APPROVED else 0)


def test_what_ran_out_is_expired_before_anybody_records_it() -> None:
    """C2: the state is told by the clock, and recorded with the time at which it ran out."""
    challenge = challenged()
    assert challenge.state_at(NOON + 10 * MINUTE - 1) is ChallengeState.PENDING
    assert challenge.state_at(NOON + 10 * MINUTE) is ChallengeState.EXPIRED
    assert expire(challenge, NOON + 10 * MINUTE - 1) is challenge
    recorded = expire(challenge, NOON + 99 * MINUTE)
    assert (recorded.state, recorded.ended_at) == (ChallengeState.EXPIRED, NOON + 10 * MINUTE)
    assert ended(ChallengeState.APPROVED).state_at(NOON + 99 * MINUTE) is ChallengeState.APPROVED


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("act", ACTS)
def test_nothing_moves_what_has_ended(act: str, state: ChallengeState) -> None:
    """C3: final states are final, and each says which it is."""
    before = ended(state)
    judged = ACTS[act](before, NOON + MINUTE)
    assert judged.challenge == before
    if act == "cancel" and state is ChallengeState.CANCELED:
        assert judged.refusal is None, "canceling twice is no fault"
    else:
        assert judged.refusal is REFUSAL_OF_STATE[state]


def test_every_end_has_its_refusal() -> None:
    assert set(REFUSAL_OF_STATE) == set(ENDED) == set(ChallengeState) - {ChallengeState.PENDING}
    assert len(set(REFUSAL_OF_STATE.values())) == 4


def test_the_functions_walk_the_state_chart_and_no_other_way() -> None:
    reached: dict[ChallengeState, set[ChallengeState]] = {state: set() for state in ChallengeState}
    starts = [challenged(), wrong(challenged(), 4), *(ended(state) for state in ENDED)]

    def wrongly(challenge: Challenge, now: int) -> ChallengeResult:
        return check(challenge, "999999", code_of, now)

    for start in starts:
        for act in (*ACTS.values(), wrongly):
            for now in (NOON, NOON + MINUTE, NOON + 10 * MINUTE):
                after = act(start, now).challenge.state
                if after is not start.state:
                    reached[start.state].add(after)
    assert reached == {state: set(targets) for state, targets in TRANSITIONS.items()}


def test_a_resend_waits_its_time_and_gives_nothing_back() -> None:
    """C5: neither guesses nor time come with another message."""
    challenge = wrong(challenged(), 3)
    early = resend(challenge, NOON + 30 * SECOND - 1)
    assert (early.refusal, early.challenge) == (Refusal.TOO_SOON, challenge)
    judged = resend(challenge, NOON + 30 * SECOND)
    assert judged.refusal is None
    again = judged.challenge
    assert (again.guesses_left, again.sends_left, again.expires_at) == (2, 3, challenge.expires_at)
    assert again.resend_at == NOON + 60 * SECOND


def test_messages_run_out() -> None:
    challenge, now = challenged(), NOON
    for _ in range(4):
        now += 30 * SECOND
        challenge = resend(challenge, now).challenge
    judged = resend(challenge, now + MINUTE)
    assert (judged.refusal, judged.challenge.sends, judged.challenge.sends_left) == (Refusal.NO_SENDS_LEFT, 5, 0)


def test_a_redirect_changes_the_channel_and_nothing_else() -> None:
    judged = change_channel(challenged(), Channel.VOICE, NOON + MINUTE)
    assert judged.challenge == msgspec.structs.replace(
        challenged(), channel=Channel.VOICE, sends=2, sent_at=NOON + MINUTE
    )


def test_a_clock_that_was_set_back_does_not_bar_a_resend() -> None:
    assert resend(challenged(), NOON - MINUTE).refusal is None


@pytest.mark.parametrize(
    ("mode", "right"),
    [(ResendMode.SAME, {0}), (ResendMode.NEW, {2}), (ResendMode.OVERLAP, {1, 2})],
)
def test_after_two_resends_the_policy_says_which_codes_are_right(mode: ResendMode, right: set[int]) -> None:
    """C7: the same code; a new one; a new one while the last still works."""
    challenge = challenged(Policy(resend=mode))
    for minute in (1, 2):
        challenge = resend(challenge, NOON + minute * MINUTE).challenge
    assert set(accepted_rounds(challenge)) == right
    for round_ in range(4):
        judged = check(challenge, CODES[round_].reveal(), code_of, NOON + 3 * MINUTE)
        assert (judged.refusal is None) == (round_ in right)
        assert judged.challenge.guesses == 1, "two accepted codes are one guess"


def test_a_challenge_tells_a_log_its_id_and_state_only() -> None:
    """C8: neither contact nor subject."""
    assert repr(challenged()) == "Challenge(ver_1, pending)"


class AnyWalk(RuleBasedStateMachine):
    """People, applications and time do what they like; what must hold holds after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.compared = 0
        self.approved = 0
        self.challenge = challenged()
        self.before = self.challenge

    @initialize(
        resend=st.sampled_from(ResendMode),
        guesses=st.integers(1, 10),
        sends=st.integers(1, 10),
        lifetime=st.integers(30, 600),
    )
    def agree(self, resend: ResendMode, guesses: int, sends: int, lifetime: int) -> None:
        self.challenge = self.before = challenged(
            Policy(resend=resend, guesses=guesses, sends=sends, lifetime=lifetime, resend_after=10)
        )

    def take(self, judged: ChallengeResult) -> None:
        self.before, self.challenge = self.challenge, judged.challenge

    def watched(self, round_: int) -> Code:
        if round_ == self.challenge.round:
            self.compared += 1
        return code_of(round_)

    @rule(round_=st.integers(0, 12))
    def type_some_code(self, round_: int) -> None:
        judged = check(self.challenge, CODES[round_].reveal(), self.watched, self.now)
        if judged.refusal is None:
            self.approved += 1
            assert round_ in accepted_rounds(self.challenge)
        self.take(judged)

    @rule()
    def type_nonsense(self) -> None:
        judged = check(self.challenge, "999999", self.watched, self.now)
        assert judged.refusal is not None
        self.take(judged)

    @rule(channel=st.sampled_from(Channel))
    def ask_for_another_message(self, channel: Channel) -> None:
        self.take(change_channel(self.challenge, channel, self.now))

    @precondition(lambda self: self.challenge.sends > 1)
    @rule()
    def end_it(self) -> None:
        self.take(cancel(self.challenge, self.now))

    @rule()
    def sweep_it(self) -> None:
        self.before, self.challenge = self.challenge, expire(self.challenge, self.now)

    @rule(ms=st.integers(-60_000, 120_000))
    def let_time_pass(self, ms: int) -> None:
        self.before = self.challenge
        self.now += ms

    @invariant()
    def what_was_promised_holds(self) -> None:
        before, after = self.before, self.challenge
        policy = after.terms.policy
        assert self.approved <= 1
        assert self.compared == after.guesses <= policy.guesses
        assert after.guesses >= before.guesses
        assert before.sends <= after.sends <= policy.sends
        assert before.round <= after.round
        assert after.expires_at == NOON + policy.lifetime * SECOND
        assert (after.terms, after.id, after.begun_at) == (before.terms, before.id, before.begun_at)
        assert after.state is before.state or after.state in TRANSITIONS[before.state]
        assert (after.ended_at is None) == (after.state is ChallengeState.PENDING)
        if before.state is not ChallengeState.PENDING:
            assert after == before


AnyWalk.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyWalk = AnyWalk.TestCase
