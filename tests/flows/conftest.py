"""What tests of flows may ask for: a place on an embedded database, and one on each database in turn."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.clock import FixedClock
from tests.flows.people import CARRIER
from tests.flows.place import Place, place_at

from countersign.store.engine.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated file of SQLite, which is migrated once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "countersign.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the address of a new, migrated file of SQLite."""
    shutil.copy(sqlite_template, tmp_path / "countersign.db")
    return f"sqlite:///{tmp_path / 'countersign.db'}"


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
