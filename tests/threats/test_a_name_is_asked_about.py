"""Threat: somebody who knows a name alone wants to learn whether it has an account, from what is said or from how long it takes."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest
from tests.flows.people import Visitor, ada
from tests.flows.place import place_at
from tests.rounds import rounds

from countersign.flows.accounts.context import CodeRequested, InvalidCredentials
from countersign.flows.sign_in.guess_counters import ATTEMPTS_PER_IDENTIFIER

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = 500


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_sign_in_takes_as_long_for_an_unknown_name_as_for_a_known_one(sqlite_url: str, tmp_path: Path) -> None:
    """S1: the medians differ by no more than those of the same against the same, with as much again for the machine's own noise."""
    async with place_at(sqlite_url, tmp_path, live=("carrier",)) as home:
        await ada(home)
        visitor = Visitor(home)

        async def took(name: str) -> float:
            home.clock.forward(
                ATTEMPTS_PER_IDENTIFIER.interval
            )  # so that no budget runs out, and nothing is refused for another reason
            began = time.perf_counter()
            assert isinstance(await visitor.signs_in(name, "wrong password"), InvalidCredentials)
            return time.perf_counter() - began

        times: dict[str, list[float]] = {"known": [], "unknown": [], "again": []}
        for _ in range(rounds(SAMPLES, 4)):
            times["known"].append(await took("ada@example.org"))
            times["unknown"].append(await took("nobody@example.org"))
            times["again"].append(await took("ada@example.org"))
        known, unknown, again = (statistics.median(times[name]) for name in ("known", "unknown", "again"))
        noise = abs(known - again) + 0.03 * known
        assert abs(known - unknown) <= 2 * noise, (known, unknown, again)


@pytest.mark.slow
async def test_sign_up_takes_as_long_for_a_known_contact_as_for_a_new_one(sqlite_url: str, tmp_path: Path) -> None:
    """S1: and looks the same."""
    async with place_at(sqlite_url, tmp_path, live=("carrier",)) as home:
        await ada(home)
        times: dict[bool, list[float]] = {True: [], False: []}
        for number in range(SAMPLES // 10):
            for known in (True, False):
                home.clock.forward(600_000)
                name = "ada@example.org" if known else f"new{number}@example.org"
                visitor = Visitor(home)
                began = time.perf_counter()
                assert isinstance(await visitor.signs_up(name), CodeRequested)
                times[known].append(time.perf_counter() - began)
        ratio = statistics.median(times[True]) / statistics.median(times[False])
        assert 0.85 < ratio < 1.18, ratio


@pytest.mark.slow
async def test_recovery_takes_as_long_for_an_unknown_contact_as_for_a_known_one(
    sqlite_url: str, tmp_path: Path
) -> None:
    """R1: both send a message, and the medians differ by no more than those of the same against the same, twice."""
    async with place_at(sqlite_url, tmp_path, live=("carrier",)) as home:
        await ada(home)
        times: dict[str, list[float]] = {"known": [], "unknown": [], "again": []}
        for number in range(SAMPLES // 4):
            for what, took in times.items():
                home.clock.forward(600_000)
                name = f"nobody{number}@example.org" if what == "unknown" else "ada@example.org"
                visitor = Visitor(home)
                began = time.perf_counter()
                assert isinstance(await visitor.recovers(name), CodeRequested)
                took.append(time.perf_counter() - began)
        known, unknown, again = (statistics.median(times[name]) for name in ("known", "unknown", "again"))
        noise = abs(known - again) + 0.05 * known
        assert abs(known - unknown) <= 2 * noise, (known, unknown, again)
