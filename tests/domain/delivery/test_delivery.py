"""A delivery: what follows each word of a provider, by literals, and that every walk over a route ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import MINUTE, NOON, SECOND

from countersign.domain.delivery.delivery import (
    BACKOFF,
    LATE_AFTER,
    LEASE,
    Accepted,
    Delivery,
    DeliveryState,
    Failure,
    Message,
    Reason,
    Receipt,
    ReceiptState,
    after_acceptance,
    after_failure,
    after_receipt,
    claim,
    drop,
    new_delivery,
    next_provider,
    release,
)
from countersign.domain.shared.contact import Channel

BUSY = Failure(Reason.THROTTLED, permanent=False)
NO = Failure(Reason.REFUSED, permanent=True)
NOBODY = Failure(Reason.UNKNOWN_RECIPIENT, permanent=True)
UNTIL = NOON + 10 * MINUTE


def due(*route: str) -> Delivery:
    return new_delivery("ver_1", 1, Channel.SMS, route, NOON)


def sending(*route: str, tries: int = 1, position: int = 0) -> Delivery:
    claimed = claim(due(*route), NOON)
    return msgspec.structs.replace(claimed, tries=tries, attempts=tries, position=position)


def told(state: ReceiptState, provider: str = "a", reason: Reason | None = None) -> Receipt:
    return Receipt(provider, "m1", state, reason)


def test_a_message_is_due_at_once() -> None:
    message = due("a", "b")
    assert (message.state, message.due_at, message.provider, message.ended) == (DeliveryState.QUEUED, NOON, "a", False)


def test_a_message_that_nobody_can_carry_has_failed_from_the_start() -> None:
    message = due()
    assert (message.state, message.reason, message.provider, message.ended) == (
        DeliveryState.FAILED,
        Reason.NO_ROUTE,
        None,
        True,
    )


def test_a_claim_counts_the_try_and_runs_a_lease() -> None:
    claimed = claim(due("a"), NOON + 5)
    assert (claimed.state, claimed.tries, claimed.attempts) == (DeliveryState.SENDING, 1, 1)
    assert claimed.due_at == NOON + 5 + LEASE


@pytest.mark.parametrize("reason", [Reason.TIMED_OUT, Reason.PROVIDER_ERROR, Reason.THROTTLED, Reason.UNREACHABLE])
def test_where_another_could_take_it_a_failing_provider_is_left_at_once(reason: Reason) -> None:
    """D2: a person is waiting."""
    moved = after_failure(sending("a", "b"), Failure(reason, permanent=False), NOON, 0.0, UNTIL)
    assert (moved.state, moved.provider, moved.due_at, moved.tries) == (DeliveryState.QUEUED, "b", NOON, 0)


@pytest.mark.parametrize("reason", [Reason.GREYLISTED, Reason.MAILBOX_FULL])
@pytest.mark.parametrize("tries", [1, 2, 3])
def test_what_stands_behind_a_provider_is_waited_for(tries: int, reason: Reason) -> None:
    moved = after_failure(sending("a", "b", tries=tries), Failure(reason, permanent=False), NOON, 0.0, UNTIL)
    assert moved.provider == "a"


@pytest.mark.parametrize(("tries", "wait"), [(1, SECOND), (2, 4 * SECOND), (3, 12 * SECOND)])
@pytest.mark.parametrize("reason", [Reason.TIMED_OUT, Reason.PROVIDER_ERROR, Reason.THROTTLED, Reason.UNREACHABLE])
def test_a_passing_failure_is_tried_again_by_the_same_provider(tries: int, wait: int, reason: Reason) -> None:
    """D2: time-out, 5xx and throttle wait longer each time, where nobody else could take it."""
    moved = after_failure(sending("a", tries=tries), Failure(reason, permanent=False), NOON, 0.0, UNTIL)
    assert (moved.state, moved.provider, moved.due_at, moved.reason) == (DeliveryState.QUEUED, "a", NOON + wait, reason)


def test_a_wait_is_spread_by_a_quarter_at_most() -> None:
    assert after_failure(sending("a"), BUSY, NOON, 0.999, UNTIL).due_at == NOON + 1_249


def test_a_fourth_failure_moves_to_the_next_provider_at_once() -> None:
    """D2: the route goes on after the last wait."""
    moved = after_failure(sending("a", "b", tries=4), BUSY, NOON, 0.5, UNTIL)
    assert (moved.provider, moved.due_at, moved.tries, moved.attempts) == ("b", NOON, 0, 4)
    assert (moved.round, moved.owner, moved.number) == (0, "ver_1", 1), "the same code goes by each route"


def test_a_permanent_refusal_is_not_retried() -> None:
    """D2: the next provider at once, or the end."""
    moved = after_failure(sending("a", "b"), NO, NOON, 0.5, UNTIL)
    assert (moved.provider, moved.due_at) == ("b", NOON)
    last = after_failure(sending("a", "b", position=1), NO, NOON, 0.5, UNTIL)
    assert (last.state, last.reason, last.ended) == (DeliveryState.FAILED, Reason.REFUSED, True)


def test_an_address_that_does_not_exist_is_not_offered_to_another_provider() -> None:
    """D2: what is wrong with the recipient is wrong on every route."""
    moved = after_failure(sending("a", "b", "c"), NOBODY, NOON, 0.5, UNTIL)
    assert (moved.state, moved.reason, moved.ended) == (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT, True)


def test_a_passing_doubt_about_the_recipient_is_tried_again() -> None:
    moved = after_failure(sending("a"), Failure(Reason.UNKNOWN_RECIPIENT, permanent=False), NOON, 0.0, UNTIL)
    assert moved.state is DeliveryState.QUEUED


def test_a_providers_own_wish_is_waited_for() -> None:
    moved = after_failure(sending("a"), msgspec.structs.replace(BUSY, retry_after=10_000), NOON, 0.0, UNTIL)
    assert (moved.provider, moved.due_at) == ("a", NOON + 10_000)
    short = after_failure(sending("a"), msgspec.structs.replace(BUSY, retry_after=10), NOON, 0.0, UNTIL)
    assert short.due_at == NOON + BACKOFF[0], "a wish does not shorten the wait"


def test_a_long_wish_is_waited_for_only_where_nobody_else_could_take_the_message() -> None:
    wish = msgspec.structs.replace(BUSY, retry_after=5 * MINUTE)
    assert after_failure(sending("a", "b"), wish, NOON, 0.0, UNTIL).provider == "b"
    alone = after_failure(sending("a"), wish, NOON, 0.0, UNTIL)
    assert (alone.provider, alone.due_at) == ("a", NOON + 5 * MINUTE)


def test_the_last_provider_of_a_route_is_the_end() -> None:
    failed = next_provider(sending("a", "b", position=1), Reason.TRIES_SPENT, NOON)
    assert (failed.state, failed.ended, failed.position) == (DeliveryState.FAILED, True, 1)


def test_a_lease_that_ran_out_is_claimed_again_and_the_try_counts() -> None:
    """D1: a worker that died over it has used up its try."""
    again = claim(claim(due("a"), NOON), NOON + LEASE)
    assert (again.state, again.provider, again.tries, again.attempts) == (DeliveryState.SENDING, "a", 2, 2)


def test_a_message_over_which_workers_keep_dying_moves_on_and_ends() -> None:
    message = due("a", "b")
    providers = []
    for number in range(20):
        message = claim(message, NOON + number * LEASE)
        if message.ended:
            break
        providers.append(message.provider)
    assert providers == ["a"] * 4 + ["b"] * 4
    assert (message.state, message.reason) == (DeliveryState.FAILED, Reason.TRIES_SPENT)


def test_a_message_is_late_when_nobody_said_in_half_a_minute_that_it_came_and_at_once_when_it_is_lost() -> None:
    """D2: then the page offers another way by itself."""
    waiting = after_acceptance(sending("a"), Accepted("m1"), NOON)
    assert not waiting.is_late(NOON + LATE_AFTER - 1)
    assert waiting.is_late(NOON + LATE_AFTER)
    assert next_provider(sending("a"), Reason.REFUSED, NOON).is_late(NOON)
    came = after_receipt(waiting, told(ReceiptState.DELIVERED), NOON)
    assert not came.is_late(NOON + 10 * MINUTE)


def test_a_message_that_was_canceled_is_lost_and_one_that_nobody_wants_any_more_is_not() -> None:
    """D10: then the page offers another way at once."""
    assert drop(due("a"), Reason.CANCELED, NOON).is_late(NOON)
    assert not drop(due("a"), Reason.ENDED, NOON).is_lost


def test_providers_that_are_left_out_are_passed_over_while_there_are_others() -> None:
    """D2."""
    assert claim(due("a", "b", "c"), NOON, {"a"}).provider == "b"
    assert claim(due("a", "b", "c"), NOON, {"a", "b"}).provider == "c"
    assert claim(due("a", "b", "c"), NOON, {"b"}).provider == "a"
    assert claim(due("a", "b"), NOON, {"a", "b"}).provider == "a", "better to try than to send nothing"
    assert claim(sending("a", "b", position=1), NOON + LEASE, {"b"}).provider == "b", "a route is never gone back"


def test_a_receipt_that_does_not_come_moves_to_the_next_provider() -> None:
    waiting = after_acceptance(sending("a", "b"), Accepted("m1", receipt_within=30_000), NOON)
    assert (waiting.state, waiting.due_at) == (DeliveryState.ACCEPTED, NOON + 30_000)
    claimed = claim(waiting, NOON + 30_000)
    assert (claimed.provider, claimed.state, claimed.tries, claimed.reason) == (
        "b",
        DeliveryState.SENDING,
        1,
        Reason.NO_RECEIPT,
    )


def test_a_provider_that_promises_no_receipt_ends_the_message_with_its_word() -> None:
    message = after_acceptance(sending("a", "b"), Accepted("m1"), NOON)
    assert (message.state, message.ended) == (DeliveryState.ACCEPTED, True)


def test_a_dropped_message_is_never_due_again() -> None:
    dropped = drop(due("a"), Reason.EXPIRED, NOON)
    assert (dropped.state, dropped.reason, dropped.ended) == (DeliveryState.DROPPED, Reason.EXPIRED, True)


def test_the_last_provider_is_tried_for_as_long_as_the_code_lives() -> None:
    """D8: with growing pauses, so that a mail server that restarts or greylists is asked again in time."""
    message, tried = due("a"), [0]
    now = NOON
    while True:
        message = after_failure(claim(message, now), Failure(Reason.UNREACHABLE, permanent=False), now, 0.0, UNTIL)
        if message.due_at is None:
            break
        now = message.due_at
        tried.append((now - NOON) // SECOND)
    assert tried == [0, 1, 5, 17, 47, 107, 227, 347, 467, 587]
    assert (message.state, message.reason) == (DeliveryState.FAILED, Reason.UNREACHABLE)


def test_a_failure_after_which_no_try_would_be_of_use_is_told_at_once() -> None:
    """D8: the person may choose another way instead of waiting for what cannot come."""
    late = after_failure(sending("a", tries=9), BUSY, UNTIL - 30 * SECOND, 0.0, UNTIL)
    assert (late.state, late.reason) == (DeliveryState.FAILED, Reason.THROTTLED)
    long = msgspec.structs.replace(BUSY, retry_after=11 * MINUTE)
    assert after_failure(sending("a"), long, NOON, 0.0, UNTIL).state is DeliveryState.FAILED
    moved = after_failure(sending("a", "b", tries=4), BUSY, UNTIL + 1, 0.0, UNTIL)
    assert moved.provider == "b", "the claim drops it, with the reason"


def test_a_worker_that_dies_over_a_late_try_does_not_end_the_message() -> None:
    """D8: four leases in a row end it, not the number of its tries."""
    lapsed = claim(sending("a", tries=8), NOON + LEASE)
    assert (lapsed.state, lapsed.tries, lapsed.lapses) == (DeliveryState.SENDING, 9, 1)
    failed = after_failure(lapsed, BUSY, NOON + LEASE, 0.0, UNTIL)
    assert (failed.state, failed.lapses) == (DeliveryState.QUEUED, 0)


def test_what_is_given_back_is_due_at_once_and_its_try_does_not_count() -> None:
    back = release(claim(due("a"), NOON), NOON + 5)
    assert (back.state, back.tries, back.attempts, back.due_at) == (DeliveryState.QUEUED, 0, 0, NOON + 5)


@pytest.mark.parametrize(
    "state", [DeliveryState.ACCEPTED, DeliveryState.SENDING, DeliveryState.FAILED, DeliveryState.UNDELIVERED]
)
def test_a_receipt_of_arrival_is_the_better_end_whatever_stood_there(state: DeliveryState) -> None:
    moved = after_receipt(
        msgspec.structs.replace(sending("a", "b"), state=state, position=1), told(ReceiptState.DELIVERED), NOON
    )
    assert (moved.state, moved.ended, moved.reason) == (DeliveryState.DELIVERED, True, None)


def test_nothing_moves_a_message_that_has_arrived() -> None:
    arrived = after_receipt(sending("a", "b"), told(ReceiptState.DELIVERED), NOON)
    assert after_receipt(arrived, told(ReceiptState.UNDELIVERED), NOON + 1) is arrived
    assert after_receipt(arrived, told(ReceiptState.DELIVERED), NOON + 1) is arrived


def test_a_bad_receipt_moves_to_the_next_provider_and_after_the_last_to_the_end() -> None:
    waiting = after_acceptance(sending("a", "b"), Accepted("m1", 30_000), NOON)
    moved = after_receipt(waiting, told(ReceiptState.UNDELIVERED, reason=Reason.BLOCKED), NOON + 1)
    assert (moved.provider, moved.due_at, moved.reason) == ("b", NOON + 1, Reason.BLOCKED)
    last = after_acceptance(sending("a", "b", position=1), Accepted("m2", 30_000), NOON)
    ended = after_receipt(last, told(ReceiptState.UNDELIVERED, "b"), NOON + 1)
    assert (ended.state, ended.reason, ended.ended) == (DeliveryState.UNDELIVERED, Reason.REFUSED, True)
    nobody = after_receipt(waiting, told(ReceiptState.UNDELIVERED, reason=Reason.UNKNOWN_RECIPIENT), NOON + 1)
    assert (nobody.state, nobody.ended) == (DeliveryState.UNDELIVERED, True)


def test_a_bad_receipt_of_a_provider_that_was_left_changes_nothing() -> None:
    waiting = after_acceptance(sending("a", "b", position=1), Accepted("m2", 30_000), NOON)
    assert after_receipt(waiting, told(ReceiptState.UNDELIVERED, "a"), NOON + 1) is waiting
    trying = sending("a", "b")
    assert after_receipt(trying, told(ReceiptState.UNDELIVERED, "a"), NOON + 1) is trying


def test_a_name_for_the_provider_is_the_same_for_every_try_and_another_on_another_leg() -> None:
    """D2: one that offers idempotency sends nothing twice."""
    first = claim(due("a", "b"), NOON)
    again = claim(first, NOON + LEASE)
    moved = after_failure(again, NO, NOON, 0.0, UNTIL)
    assert first.key == again.key == "ver_1.1.0"
    assert moved.key == "ver_1.1.1"


def test_a_message_shows_a_log_neither_code_nor_recipient() -> None:
    """C8: its repr."""
    message = Message("ver_1.1.0", Channel.SMS, "+14155550123", "en", "", "123456 is your code", "", "Shop")
    assert repr(message) == "Message(ver_1.1.0, sms)"


failures = st.builds(
    Failure, st.sampled_from(Reason), permanent=st.booleans(), retry_after=st.none() | st.integers(0, 600_000)
)
receipts = st.builds(
    Receipt, st.sampled_from("abc"), st.just("m"), st.sampled_from(ReceiptState), st.none() | st.sampled_from(Reason)
)
words = st.builds(Accepted, st.text(max_size=3), st.none() | st.integers(0, 600_000))


@dataclass
class Walk:
    """What a worker and the world did to one message."""

    message: Delivery
    now: int = NOON
    claimed: list[tuple[str, str]] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)

    def step(self, happened: Failure | Accepted | Receipt | None, chance: float) -> None:
        """Wait until it is due, claim it, and let that happen (None: the worker dies)."""
        assert self.message.due_at is not None
        self.now = max(self.now, self.message.due_at)
        self.message = claim(self.message, self.now)
        if self.message.ended:
            return
        assert self.message.provider is not None
        assert self.message.position not in self.refused, "a provider that refused for good was asked again"
        self.claimed.append((self.message.provider, self.message.key))
        if isinstance(happened, Accepted):
            self.message = after_acceptance(self.message, happened, self.now)
        elif isinstance(happened, Failure):
            if happened.permanent:
                self.refused.add(self.message.position)
            self.message = after_failure(self.message, happened, self.now, chance, UNTIL)
        elif isinstance(happened, Receipt):
            self.message = after_receipt(self.message, happened, self.now)


@given(
    st.lists(st.sampled_from("abc"), max_size=3, unique=True),
    st.lists(st.none() | failures | words | receipts, min_size=80, max_size=80),
    st.floats(0, 1, exclude_max=True),
)
def test_every_walk_ends_and_never_asks_again_who_refused_for_good(
    route: list[str], happenings: list[Failure | Accepted | Receipt | None], chance: float
) -> None:
    """D2, D8: four tries of a provider at most while another is left, in the order of the route, none after a permanent refusal."""
    walk = Walk(due(*route))
    for happened in happenings:
        if walk.message.ended or walk.now >= UNTIL:
            break
        walk.step(happened, chance)
    assert walk.message.ended or walk.now >= UNTIL, (
        "the last provider is tried until the code has run out, and no longer"
    )
    providers = [provider for provider, _ in walk.claimed]
    assert providers == sorted(providers, key=route.index)
    assert all(providers.count(provider) <= len(BACKOFF) + 1 for provider in route[:-1])
    assert len(set(walk.claimed)) == len(set(providers)), "one name for the provider a leg"
    assert walk.message.attempts == len(walk.claimed)


@pytest.mark.parametrize(
    ("state", "age", "slow"),
    [
        (DeliveryState.ACCEPTED, MINUTE - 1, False),
        (DeliveryState.ACCEPTED, MINUTE, True),
        (DeliveryState.SENDING, MINUTE, True),
        (DeliveryState.DELIVERED, MINUTE, False),
    ],
)
def test_a_message_is_slow_after_a_minute_unless_it_has_arrived(state: DeliveryState, age: int, *, slow: bool) -> None:
    message = msgspec.structs.replace(new_delivery("ver_1", 1, Channel.SMS, ("a",), NOON), state=state)
    assert message.is_slow(NOON + age) is slow
