"""The fixtures that give a test a database: a file of SQLite, a database on a real PostgreSQL, or each in turn.

The program is imported where it is needed: at the top it would be imported before coverage is measured.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.peers.postgres import MissingPostgresError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from countersign.store.engine.database import Database

EACH_DATABASE = (pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give the PostgreSQL that all tests share; it does not wait for the disk."""
    try:
        server = PostgresServer()
    except MissingPostgresError as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    yield server
    server.remove()


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> str:
    from countersign.store.engine.migrate import migrate

    name = postgres_server.create()
    migrate(postgres_server.url(name))
    return name


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address of a new database without any table."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _postgres_template: str) -> Iterator[str]:
    """Give the address of a new, migrated database on PostgreSQL."""
    name = postgres_server.create(_postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated file of SQLite, which is migrated once and copied for each test."""
    from countersign.store.engine.migrate import migrate

    path = tmp_path_factory.mktemp("template") / "countersign.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the address of a new, migrated file of SQLite."""
    shutil.copy(sqlite_template, tmp_path / "countersign.db")
    return f"sqlite:///{tmp_path / 'countersign.db'}"


@pytest.fixture(params=EACH_DATABASE)
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the address of a new, migrated database: SQLite, then PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give an open database, new and migrated: SQLite, then PostgreSQL."""
    from countersign.store.engine.connect import open_database

    opened = open_database(database_url)
    await opened.open()
    yield opened
    await opened.close()
