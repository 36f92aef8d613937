"""Leases and due times go by the database's clock: a machine whose own clock is wrong delays nothing and repeats nothing."""

from __future__ import annotations

import time

import pytest

from countersign.store.engine import postgres_clock
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Rows, Sql
from countersign.store.engine.postgres_clock import PostgresClock


def wall() -> int:
    return time.time_ns() // 1_000_000


async def one() -> Rows:
    return await Sql("SELECT 1")


def test_until_it_was_measured_this_machine_s_clock_stands_for_it() -> None:
    assert abs(PostgresClock().now() - wall()) < 1_000


def test_the_middle_of_a_measurement_counts_and_jitter_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000
    monkeypatch.setattr(postgres_clock, "steady_ms", lambda: now)
    clock = PostgresClock()
    clock.record(5_100, 900, 1_100)
    assert clock.now() == 5_100 + 0
    clock.record(5_130, 990, 1_010)
    assert clock.now() == 5_100, "30 ms more or less are the network's"
    clock.record(9_000, 990, 1_010)
    assert clock.now() == 9_000, "the database's clock was set, or another server is the primary"
    now = 1_500
    assert clock.now() == 9_500
    assert not clock.is_due
    now = 60_000
    assert clock.is_due


@pytest.mark.postgres
@pytest.mark.parametrize("ahead", [30, -30])
async def test_a_machine_whose_clock_is_wrong_goes_by_the_database_s(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """O8: a web node half a minute ahead writes no due time of its own."""
    true = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true() + ahead * 1_000_000_000)
    database = open_database(postgres_url, pool=1)
    await database.open()
    try:
        assert abs(database.now() - true() // 1_000_000) < 1_000
    finally:
        await database.close()


@pytest.mark.postgres
async def test_the_clock_is_measured_again_on_a_connection_that_stays(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: somebody sets the clock of the database's machine while all connections live on."""
    database = open_database(postgres_url, pool=1)
    await database.open()
    try:
        await database.run(one)
        monkeypatch.setattr(postgres_clock, "MEASURE_EVERY_S", -100.0)
        steady = postgres_clock.steady_ms
        monkeypatch.setattr(postgres_clock, "steady_ms", lambda: steady() - 60_000)
        assert abs(database.now() - wall()) > 50_000
        monkeypatch.setattr("countersign.store.engine.postgres_hosts.steady_ms", lambda: steady() - 60_000)
        for _ in range(3):  # what was being measured while the clock was set counts until it is measured once more
            await database.run(one)
        assert abs(database.now() - wall()) < 1_000
    finally:
        await database.close()


def test_an_sqlite_database_has_the_clock_of_its_machine(sqlite_url: str) -> None:
    assert abs(open_database(sqlite_url).now() - wall()) < 1_000
