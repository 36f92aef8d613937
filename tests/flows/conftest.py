"""What tests of flows may ask for: a place on an embedded database, and one on each database in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.clock import FixedClock
from tests.flows.people import CARRIER
from tests.flows.place import Place, place_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def clock() -> FixedClock:
    """A clock that the test moves."""
    return FixedClock()


@pytest_asyncio.fixture
async def place(sqlite_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place without budgets on SQLite."""
    async with place_at(sqlite_url, tmp_path, clock=clock) as opened:
        yield opened


@pytest_asyncio.fixture
async def each_place(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place without budgets: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock) as opened:
        yield opened


@pytest_asyncio.fixture
async def home(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place whose own pages can send, by a carrier: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=(CARRIER,)) as opened:
        yield opened
