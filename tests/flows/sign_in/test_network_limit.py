"""Limits by network: what one network may ask for before anything is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import Visitor

from countersign.domain.shared.network import WIDE_NETWORK
from countersign.domain.verifications.challenge import Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts.context import (
    BrowserContext,
    CodeRequested,
)
from countersign.flows.sign_in.network_limit import count_by_network
from countersign.flows.verifications.results import Refused

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_one_network_cannot_have_accounts_opened_without_end(home: Place) -> None:
    """S1, H1: each costs a hash before anything is proved."""
    outcomes = [await Visitor(home).signs_up(f"ada{number}@example.org") for number in range(22)]
    assert [isinstance(outcome, CodeRequested) for outcome in outcomes] == [True] * 20 + [False] * 2
    assert isinstance(outcomes[-1], Refused)
    assert outcomes[-1].retry_after > 0


async def test_recoveries_are_limited_by_network(home: Place) -> None:
    """R1."""
    answers = [
        await Visitor(home, BrowserContext(ip="203.0.113.77")).recovers(f"u{number}@example.org")
        for number in range(21)
    ]
    assert [type(one) for one in answers[:20]] == [CodeRequested] * 20
    assert isinstance(answers[-1], Refused)


LIMIT = RateLimit("sign_up_network", 2, 60_000)
OTHER = RateLimit("recover_network", 2, 60_000)


async def counted(place: Place, ip: str, limit: RateLimit = LIMIT) -> bool:
    """Say whether a request from this address is within the limit."""
    return await count_by_network(place.accounts, BrowserContext(ip=ip), limit) is None


async def test_every_network_and_every_limit_has_its_own_count(home: Place) -> None:
    """H1: IPv6 is counted by /64."""
    assert [
        await counted(home, "2001:db8::1"),
        await counted(home, "2001:db8::2"),
        await counted(home, "2001:db8::3"),
    ] == [
        True,
        True,
        False,
    ]
    assert await counted(home, "2001:db8:0:1::1")
    assert await counted(home, "2001:db8::1", OTHER)
    home.clock.forward(60_000)
    assert await counted(home, "2001:db8::1")


@pytest.mark.parametrize("network", ["2001:db8:7:{:x}::1", "203.0.113.{}"])
async def test_a_network_around_many_has_a_wider_limit(home: Place, network: str) -> None:
    """L5: one subscriber's /48 has 65,536 networks of /64, and a /24 has 256 addresses."""
    allowed = 0
    for number in range(3 * WIDE_NETWORK):
        allowed += await counted(home, network.format(number))
    assert allowed == 2 * WIDE_NETWORK
    assert await counted(home, "2001:db8:8::1")
    assert await counted(home, "203.0.114.1")


async def test_a_counter_without_a_lane_cannot_be_used(home: Place) -> None:
    """L1."""
    with pytest.raises(LookupError):
        await counted(home, "203.0.113.1", RateLimit("of_no_lane", 2, 60_000))


async def test_a_refusal_names_the_limit_and_when_to_try_again(home: Place) -> None:
    """H1."""
    browser = BrowserContext(ip="203.0.113.5")
    for _ in range(2):
        assert await count_by_network(home.accounts, browser, LIMIT) is None
    refused = await count_by_network(home.accounts, browser, LIMIT)
    assert refused is not None
    assert (refused.refusal, refused.limit) == (Refusal.LIMITED, "sign_up_network")
    assert refused.retry_after == 30_000


async def test_a_browser_without_an_address_is_not_limited(home: Place) -> None:
    assert all([await counted(home, "") for _ in range(5)])
