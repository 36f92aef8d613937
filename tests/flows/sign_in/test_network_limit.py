"""Limits by network: what one network may ask for before anything is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import Visitor

from countersign.flows.accounts.context import (
    BrowserContext,
    CodeRequested,
)
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
