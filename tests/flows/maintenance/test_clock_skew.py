"""The clock of this machine and that of the database: how far they are apart, said once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from countersign.clock import system_clock
from countersign.flows.maintenance.clock_skew import ClockWatch, measure_skew
from countersign.store.engine.connect import open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from countersign.store.engine.database import Database


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """A database on PostgreSQL: SQLite has the clock of its machine."""
    opened = open_database(postgres_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.postgres
@pytest.mark.parametrize("ahead", [180_000, 5_000, -5_000])
async def test_a_difference_is_measured_and_never_made_larger(database: Database, ahead: int) -> None:
    skew = await measure_skew(database, lambda: system_clock() + ahead)
    assert abs(skew - ahead) < 1_000
    assert abs(skew) <= abs(ahead) + 50


@pytest.mark.postgres
async def test_a_slow_answer_is_no_difference(database: Database) -> None:
    times = iter([0, 4_000])  # ms from now: the answer seems to take four seconds

    def clock() -> int:
        return system_clock() + next(times)

    assert await measure_skew(database, clock) == 0


@pytest.mark.postgres
async def test_it_is_said_once_and_so_is_its_end(database: Database) -> None:
    """O6: only the doctor said so."""
    ahead = 180_000
    seen: list[int] = []
    watch = ClockWatch(database, lambda: system_clock() + ahead, seen.append)
    with capture_logs() as logs:
        for ahead in (180_000, 180_000, 60_000, 0, 0, -9_000):  # noqa: B007 - the clock reads it
            await watch.look()
    assert [one["event"] for one in logs] == ["clock_skewed", "clock_agrees", "clock_skewed"]
    assert logs[0]["seconds"] == pytest.approx(180, abs=1)
    assert "NTP" in logs[0]["remedy"]
    assert len(seen) == 6
