"""Behind PgBouncer in transaction mode: nothing is prepared, no setting is lost, and workers find what is due without a bell."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING

import pytest
from tests.flows import place as place_module
from tests.flows.place import approvals, place_at
from tests.peers.pgbouncer import MissingPgBouncerError, PgBouncer
from tests.peers.postgres import PostgresServer
from tests.peers.program import free_port
from tests.store.test_ledger import Add

from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.maintenance.sweep import sweep
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Rows, Sql
from countersign.store.engine.migrate import migrate, pending
from countersign.store.engine.postgres_hosts import FAILURES, PostgresHosts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def pooler(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """Give a pooler with two connections to each database, fewer than a process asks for."""
    try:
        pooler = PgBouncer(postgres_server, pool=2)
    except MissingPgBouncerError as reason:
        pytest.skip(f"PgBouncer cannot run here: {reason}")
    yield pooler
    pooler.remove()


@pytest.fixture
def pooled_url(pooler: PgBouncer, postgres_url: str) -> str:
    """Give the address of a new, migrated database behind the pooler."""
    return pooler.url(postgres_url.rpartition("/")[2])


async def settings() -> Rows:
    return await Sql(
        "SELECT current_setting('synchronous_commit'), current_setting('enable_seqscan'), current_setting('lock_timeout'),"
        " current_setting('idle_in_transaction_session_timeout')"
    )


async def test_every_transaction_brings_its_settings(pooled_url: str) -> None:
    """O8, C5: a pooler that drops settings without a word must not make a commit less than durable."""
    database = open_database(pooled_url, ledger_connections=1, pool=3, pooled=True)
    await database.open()
    try:
        assert await database.ledger_connections()[0].run(settings) == [("on", "off", "200ms", "30s")]
        seen = await asyncio.gather(*(database.run(settings) for _ in range(12)), database.read(settings))
        assert all(rows == [("on", "off", "2s", "30s")] for rows in seen)
    finally:
        await database.close()


async def test_people_are_served_through_the_pooler(
    pooled_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: begins, guesses, approvals, messages and the sweep, more at once than the pooler has connections."""
    monkeypatch.setattr(
        place_module, "open_database", functools.partial(open_database, pooled=True, ledger_connections=2)
    )
    async with place_at(pooled_url, tmp_path) as place:
        begun = await asyncio.gather(*(place.begun(f"p{number}@example.org") for number in range(60)))
        assert await place.deliver() == 60
        await asyncio.gather(*(place.answer(one, place.wrong(one)) for one in begun))
        answers = await asyncio.gather(*(place.answer(one, place.code(one)) for one in begun for _ in range(2)))
        assert len(approvals(answers)) == 60
        assert (await sweep(place.core, 30)).expired == 0
        assert sorted(await asyncio.gather(*(place.core.ledger.submit(Add(b"a")) for _ in range(50)))) == list(
            range(50)
        )
        assert (await verify_events(place.database, place.keyring)).findings == ()


async def test_without_a_way_past_the_pooler_workers_look_for_themselves(pooled_url: str) -> None:
    """O8: no message waits for a bell that nobody can hear."""
    database = open_database(pooled_url, pool=1, pooled=True)
    heard = asyncio.Event()
    database.listen(heard.set)
    await database.open()
    try:
        await asyncio.wait_for(heard.wait(), 1)
    finally:
        await database.close()


async def test_the_bell_goes_past_the_pooler(pooled_url: str, postgres_url: str) -> None:
    """O8: by an address of its own."""
    here = open_database(pooled_url, pool=1, pooled=True, notify_url=postgres_url)
    there = open_database(pooled_url, pool=1, pooled=True, notify_url=postgres_url)
    heard = asyncio.Event()
    there.listen(heard.set)
    await here.open()
    await there.open()
    try:
        async with asyncio.timeout(5):
            while not heard.is_set():
                here.notify()
                await asyncio.sleep(0.02)
    finally:
        await here.close()
        await there.close()


def test_the_schema_is_migrated_through_the_pooler_too(pooler: PgBouncer, empty_postgres_url: str) -> None:
    """O8: slower than past it, and whole."""
    url = pooler.url(empty_postgres_url.rpartition("/")[2])
    migrate(url)
    assert pending(url) == []


@pytest.fixture
def fickle_server() -> Iterator[PostgresServer]:
    """Give a server of this test's own, to be demoted and promoted."""
    server = PostgresServer()
    yield server
    server.remove()


async def one() -> Rows:
    return await Sql("SELECT 1")


async def test_a_pooler_that_tells_what_its_server_was_is_not_believed(fickle_server: PostgresServer) -> None:
    """O8: a pooler reports for ever what a server was when it first met it, and keeps clients while a primary becomes a standby."""
    with contextlib.ExitStack() as stack:

        def pooler() -> str:
            try:
                started = PgBouncer(fickle_server)
            except MissingPgBouncerError as reason:
                pytest.skip(f"PgBouncer cannot run here: {reason}")
            stack.callback(started.remove)
            return started.url("postgres").replace("/postgres", f",127.0.0.1:{free_port()}/postgres")

        met_as_primary = pooler()
        database = open_database(met_as_primary, ledger_connections=1, pool=1, pooled=True)
        await database.open()
        assert await database.read(one) == [(1,)]
        fickle_server.demote()
        with pytest.raises(UnavailableError):  # and not with what the standby has
            await database.read(one)
        met_as_standby = pooler()
        for url in (met_as_primary, met_as_standby):
            with pytest.raises(FAILURES):
                await PostgresHosts(url, pooled=True).connect({})
        fickle_server.promote()
        connection, host = await PostgresHosts(met_as_standby, pooled=True).connect({})
        connection.terminate()
        assert host == 0
        assert await database.read(one) == [(1,)]
        await database.close()
