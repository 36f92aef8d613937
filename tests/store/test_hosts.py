"""An address with several hosts: each is asked with a time limit of its own, and the one that takes writes is found and remembered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from tests.peers.program import free_port

from countersign.errors import SettingsError, UnavailableError
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Rows, Sql
from countersign.store.engine.migrate import pending
from countersign.store.engine.postgres_address import parse_address
from countersign.store.engine.postgres_hosts import PostgresHosts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.peers.postgres import PostgresServer

ATTRIBUTE = "target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("url", "where", "urls"),
    [
        ("postgresql://u:p@h:1/db", "h:1/db", ["postgresql://u:p@h:1/db"]),
        (
            "postgresql://u:p@h1:5432,h2:5433/db",
            "h1:5432,h2:5433/db",
            [f"postgresql://u:p@h1:5432/db?{ATTRIBUTE}", f"postgresql://u:p@h2:5433/db?{ATTRIBUTE}"],
        ),
        (
            "postgres://u@h1,[::1]:5433/db?sslmode=require",
            "h1,[::1]:5433/db",
            [
                f"postgres://u@h1/db?sslmode=require&{ATTRIBUTE}",
                f"postgres://u@[::1]:5433/db?sslmode=require&{ATTRIBUTE}",
            ],
        ),
        (
            "postgresql://u@/db?host=h1,h2&port=1,2&target_session_attrs=any",
            "h1:1,h2:2/db",
            [f"postgresql://u@h1:1/db?{ATTRIBUTE}", f"postgresql://u@h2:2/db?{ATTRIBUTE}"],
        ),
        (
            "postgresql://u@h1,h2/db?port=7",
            "h1:7,h2:7/db",
            [f"postgresql://u@h1:7/db?{ATTRIBUTE}", f"postgresql://u@h2:7/db?{ATTRIBUTE}"],
        ),
        ("postgresql:///db", "its socket/db", ["postgresql:///db"]),
        ("postgresql:///db?host=/run/postgresql", "/run/postgresql/db", ["postgresql:///db?host=/run/postgresql"]),
    ],
)
def test_every_usual_spelling_is_understood(url: str, where: str, urls: list[str]) -> None:
    """O8: a standby is never taken, whatever the address says."""
    found = parse_address(url)
    assert (found.where, list(found.urls)) == (where, urls)
    assert "p@" not in repr(found)


@pytest.mark.parametrize("url", ["postgresql://u@h1:x,h2:1/db", "postgresql://u@/db?host=a,b,c&port=1,2"])
def test_an_address_that_cannot_be_read_is_a_fault_of_the_settings(url: str) -> None:
    with pytest.raises(SettingsError, match="COUNTERSIGN_DATABASE_URL"):
        open_database(url)
    with pytest.raises(SettingsError, match="COUNTERSIGN_DATABASE_URL"):
        pending(url)


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[int]:
    """Give a port where connections are accepted and nothing ever answers, as on a machine that hangs."""
    open_: list[asyncio.StreamWriter] = []

    async def swallow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.append(writer)

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_:
            writer.transport.abort()
        await asyncio.sleep(0)


def address(server: PostgresServer, url: str, *ports: int) -> str:
    """Return an address with these ports; 0 is the server's own."""
    hosts = ",".join(f"127.0.0.1:{port or server.port}" for port in ports)
    return url.replace(f"127.0.0.1:{server.port}", hosts)


async def one() -> Rows:
    return await Sql("SELECT 1")


@pytest.mark.postgres
async def test_a_host_that_hangs_keeps_nobody_from_the_others(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """O8: wherever it stands in the address, and twice."""
    async with black_hole() as hole, black_hole() as other:
        for ports in ((hole, 0), (0, hole), (hole, other, 0)):
            url = address(postgres_server, postgres_url, *ports)
            began = time.monotonic()
            database = open_database(url, pool=1)
            await database.open()
            assert await database.run(one) == [(1,)]
            assert time.monotonic() - began < 1.9, ports
            await database.close()
        assert pending(address(postgres_server, postgres_url, hole, 0)) == []


@pytest.mark.postgres
async def test_the_primary_is_remembered(postgres_server: PostgresServer, postgres_url: str) -> None:
    """O8: once it was found, a host that hangs costs nothing more."""
    async with black_hole() as hole:
        hosts = PostgresHosts(address(postgres_server, postgres_url, hole, 0))
        first, host = await hosts.connect({})
        began = time.monotonic()
        second, again = await hosts.connect({})
        assert (host, again) == (1, 1)
        assert time.monotonic() - began < 0.25
        await first.close()
        await second.close()


@pytest.mark.postgres
async def test_a_standby_is_passed_over(postgres_server: PostgresServer, postgres_url: str) -> None:
    """O8: what refuses to write is not taken for the primary."""
    name = postgres_url.rpartition("/")[2]
    hosts = PostgresHosts(address(postgres_server, postgres_url, 0, 0))
    connection, _ = await hosts.connect({})
    await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await connection.close()
    database = open_database(address(postgres_server, postgres_url, 0, 0), pool=1)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await database.open()
    await database.close()


async def test_if_no_host_answers_the_error_names_all_and_no_password() -> None:
    ports = free_port(), free_port()
    database = open_database(f"postgresql://u:hunter2@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/db")
    began = time.monotonic()
    with pytest.raises(UnavailableError) as told:
        await database.open()
    assert time.monotonic() - began < 1
    assert all(str(port) in str(told.value) for port in ports)
    assert "hunter2" not in str(told.value)
    await database.close()
