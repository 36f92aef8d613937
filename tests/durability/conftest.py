"""What the tests of durability share: a PostgreSQL that waits for the disk, and a sender that keeps what was posted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.durability.sender import Sender
from tests.peers.postgres import MissingPostgresError, PostgresServer

from countersign.store.engine.migrate import migrate


@pytest.fixture(scope="session")
def durable_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL whose commits wait for the disk (fsync on), as in production."""
    try:
        server = PostgresServer(durable=True)
    except MissingPostgresError as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    yield server
    server.remove()


@pytest.fixture
def durable_url(durable_server: PostgresServer) -> Iterator[str]:
    """Give the address of a new, migrated database on it."""
    name = durable_server.create()
    migrate(durable_server.url(name))
    yield durable_server.url(name)
    durable_server.drop(name)


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres)])
def each_url(request: pytest.FixtureRequest) -> str:
    """Give the address of each database in turn; empty for the SQLite file in the installation's own home."""
    if request.param == "sqlite":
        return ""
    url: str = request.getfixturevalue("durable_url")
    return url


@pytest_asyncio.fixture
async def sender() -> AsyncIterator[Sender]:
    """Give the operator's own receiver of messages."""
    opened = Sender()
    await opened.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(autouse=True)
async def _sockets_are_closed() -> AsyncIterator[None]:
    """Let the loop close, in its last turns, the sockets of connections that a test hung up."""
    yield
    for _ in range(3):
        await asyncio.sleep(0)
