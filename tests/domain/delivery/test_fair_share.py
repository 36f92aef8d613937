"""Fair shares: no application has more than its part while another has messages due."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.fair_share import DueQueue, fair_shares


def queue(application: str, due: int, oldest: int = 0, provider: str = "mail") -> DueQueue:
    return DueQueue(f"{provider} email {application}", provider, "email", application, due, oldest)


def by_application(queues: list[DueQueue], shares: dict[str, int]) -> dict[str, int]:
    owners = {one.name: one.application for one in queues}
    taken: Counter[str] = Counter()
    for name, count in shares.items():
        taken[owners[name]] += count
    return dict(taken)


def test_one_that_floods_leaves_the_others_their_part() -> None:
    """D10: whoever has little due gets all of it."""
    queues = [queue("flood", 64), queue("shop", 3, oldest=9), queue("bank", 64, oldest=8)]
    assert by_application(queues, fair_shares(queues, 21, {}, 64, {})) == {"flood": 9, "shop": 3, "bank": 9}


def test_a_single_place_goes_to_who_has_the_fewest_in_flight() -> None:
    """D10: and of two that have none, to whose message has waited longer."""
    queues = [queue("flood", 64), queue("shop", 1, oldest=9)]
    assert fair_shares(queues, 1, {"flood": 10}, 64, {}) == {"mail email shop": 1}
    assert fair_shares(queues, 1, {}, 64, {}) == {"mail email flood": 1}


def test_nobody_has_more_in_flight_than_the_most() -> None:
    """D10: what is beyond that is kept for others."""
    queues = [queue("flood", 64)]
    assert fair_shares(queues, 80, {}, 64, {}) == {"mail email flood": 64}
    assert fair_shares(queues, 16, {"flood": 64}, 64, {}) == {}


def test_a_provider_that_takes_few_at_once_has_no_queue_of_its_own() -> None:
    """D10: a flood does not wait inside it, before the code of another application."""
    queues = [queue("flood", 64), queue("flood", 64, provider="webhook"), queue("shop", 1, oldest=9)]
    assert fair_shares(queues, 80, {"flood": 15}, 64, {"mail": 1}) == {"mail email shop": 1, "webhook email flood": 49}
    assert fair_shares(queues, 80, {}, 64, {"mail": 0}) == {"webhook email flood": 64}


def test_an_application_takes_from_all_its_queues() -> None:
    queues = [queue("shop", 10, 5, "first"), queue("shop", 1, 0, "second")]
    assert fair_shares(queues, 4, {}, 64, {}) == {"second email shop": 1, "first email shop": 3}


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 64), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 64)),
    st.integers(0, 80),
)
def test_shares_are_never_uneven_for_want_of_fairness(due: dict[str, int], busy: dict[str, int], room: int) -> None:
    """D10: all room is used, and who has more in flight than another has that only because the other has no more due."""
    queues = [queue(name, count) for name, count in due.items()]
    taken = by_application(queues, fair_shares(queues, room, busy, 64, {}))
    possible = {name: min(count, max(0, 64 - busy.get(name, 0))) for name, count in due.items()}
    assert sum(taken.values()) == min(room, sum(possible.values()))
    for one, got in taken.items():
        for other in due:
            if taken.get(other, 0) < possible[other]:
                assert got + busy.get(one, 0) <= max(taken.get(other, 0) + busy.get(other, 0) + 1, busy.get(one, 0))
