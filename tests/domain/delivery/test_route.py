"""Routes: the order in which providers are tried, as written or by weight."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.route import (
    MAX_WEIGHTED,
    WeightedProvider,
    is_valid_route,
    order_providers,
    parse_provider,
    unweighted,
)

WEIGHTED = (WeightedProvider("first", 3), WeightedProvider("second", 1))


def test_without_weights_it_is_as_written() -> None:
    assert order_providers(unweighted("b", "a", "c"), "ver_1") == ("b", "a", "c")
    assert order_providers((), "ver_1") == ()


def test_weights_draw_the_first_as_often_as_they_say() -> None:
    firsts = Counter(order_providers(WEIGHTED, f"ver_{number}")[0] for number in range(4_000))
    assert 2_850 < firsts["first"] < 3_150  # 3 of 4, five standard deviations either way


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=MAX_WEIGHTED), st.text())
def test_every_provider_has_a_turn_and_a_draw_is_always_the_same(weights: list[int], draw: str) -> None:
    """D2: a resend goes as the first message went."""
    carriers = tuple(WeightedProvider(f"p{place}", weight) for place, weight in enumerate(weights))
    assert sorted(order_providers(carriers, draw)) == sorted(carrier.name for carrier in carriers)
    assert order_providers(carriers, draw) == order_providers(carriers, draw)


@pytest.mark.parametrize(
    "text", ["a=", "a=0", "a=-1", "a=1001", "a=x", "a=1=2", "a=\u0661", "a=0001099999", "a=01", "a=" + "9" * 5_000]
)
def test_a_weight_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="weight"):
        parse_provider(text)


def test_either_all_have_weights_or_none() -> None:
    assert is_valid_route(WEIGHTED)
    assert is_valid_route(unweighted("a", "b"))
    assert not is_valid_route((WeightedProvider("a", 1), WeightedProvider("b")))
    assert not is_valid_route(unweighted("a", "a"))
    assert not is_valid_route(tuple(WeightedProvider(f"p{place}", 1) for place in range(MAX_WEIGHTED + 1)))
