"""PostgreSQL that goes away, hangs, is full or changes under us: bounded waits, a clear word, and recovery by itself."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio
from tests.peers.postgres import MissingPostgresError, PostgresServer

from countersign.errors import OverloadedError, UnavailableError
from countersign.store.engine import postgres
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Claim, Insert, Rows, Sql, Take, Update, Upsert, Write
from countersign.store.engine.migrate import migrate
from countersign.store.engine.postgres import PostgresDatabase
from countersign.store.engine.postgres_notify import WORKER
from countersign.store.tables.schema import DELIVERIES, LIMITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from countersign.store.engine.database import Change, Runner

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """Give a server that a test may stop, and whose commits wait for the disk."""
    try:
        server = PostgresServer(durable=True, max_connections="20", superuser_reserved_connections="0")
    except MissingPostgresError as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    yield server
    server.remove()


@pytest.fixture
def shaken_url(own_server: PostgresServer) -> str:
    """Give the address of a new, migrated database on that server."""
    url = own_server.url(own_server.create())
    migrate(url)
    return url


@pytest_asyncio.fixture
async def shaken(shaken_url: str) -> AsyncIterator[PostgresDatabase]:
    """Give it opened."""
    database = PostgresDatabase(shaken_url, ledger_connections=2, pool=3)
    await database.open()
    yield database
    await database.close()


async def write(*changes: Change) -> None:
    await Write(changes)


async def add_one(key: bytes) -> int:
    rows = await Take(LIMITS, [(key,)])
    total = int(rows[0][1]) + 1 if rows else 1
    await Write((Upsert(LIMITS, [(key, total)]),))
    return total


async def query(sql: str, *args: object) -> Rows:
    return await Sql(sql, args)


async def until_it_works(work: Callable[[], Any], seconds: float = 10) -> None:
    """Try again every now and then, as callers do; only an outage is forgiven."""
    end = time.monotonic() + seconds
    while True:
        try:
            await work()
        except UnavailableError:
            assert time.monotonic() < end, "it did not recover by itself"
            await asyncio.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_under_use_loses_nothing_that_was_committed(
    own_server: PostgresServer, shaken: PostgresDatabase, mode: str
) -> None:
    committed: dict[bytes, int] = {}
    unknown: dict[bytes, int] = {}
    finished = asyncio.Event()

    async def use(runner: Runner, key: bytes) -> None:
        committed[key] = unknown[key] = 0
        while not finished.is_set():
            begun = time.monotonic()
            try:
                async with asyncio.timeout(15):
                    committed[key] = await runner.run(add_one, key)
            except UnavailableError:
                unknown[key] += 1
                assert time.monotonic() - begun < 3
                await asyncio.sleep(0.02)

    users = [
        asyncio.create_task(use(runner, b"%d" % n)) for n, runner in enumerate((*shaken.ledger_connections(), shaken))
    ]
    for _ in range(2):
        await asyncio.sleep(0.2)
        await asyncio.to_thread(own_server.stop, mode)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(own_server.start)
        before = dict(committed)
        async with asyncio.timeout(10):
            while any(committed[key] <= total + 1 for key, total in before.items()):  # noqa: ASYNC110 - counters have no event
                await asyncio.sleep(0.01)
    finished.set()
    await asyncio.gather(*users)
    for key, total in committed.items():
        ((stored,),) = await shaken.read(query, "SELECT tat FROM limits WHERE key = $1", key)
        assert total <= stored <= total + unknown[key]


async def test_a_server_that_is_gone_is_told_at_once_and_by_name(
    own_server: PostgresServer, shaken: PostgresDatabase
) -> None:
    own_server.stop()
    try:
        for work in (shaken.ledger_connections()[0].run, shaken.run, shaken.read):
            begun = time.monotonic()
            with pytest.raises(UnavailableError, match=f"127.0.0.1:{own_server.port}.*check that it runs"):
                await work(query, "SELECT 1")
            assert time.monotonic() - begun < 2
        with pytest.raises(UnavailableError, match="COUNTERSIGN_DATABASE_URL"):
            await open_database(own_server.url("test_1")).open()
    finally:
        own_server.start()
    await until_it_works(lambda: shaken.ledger_connections()[0].run(query, "SELECT 1"))


async def test_a_server_that_hangs_is_given_up_in_bounded_time(
    own_server: PostgresServer, shaken_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "COMMAND_S", 1.0)
    hanging = PostgresDatabase(shaken_url, ledger_connections=1, pool=1)
    connection = hanging.ledger_connections()[0]
    await connection.run(add_one, b"k")
    own_server.pause()
    try:
        for _ in range(2):
            begun = time.monotonic()
            with pytest.raises(UnavailableError):
                await connection.run(add_one, b"k")
            assert time.monotonic() - begun < 4
    finally:
        own_server.resume()
    await until_it_works(lambda: connection.run(add_one, b"k"))
    await hanging.close()


async def test_a_connection_that_was_ended_while_idle_is_not_noticed(shaken: PostgresDatabase) -> None:
    connection = shaken.ledger_connections()[0]
    assert await connection.run(add_one, b"k") == 1
    killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    await shaken.run(query, killed)
    assert await connection.run(add_one, b"k") == 2


async def test_statements_survive_a_change_of_the_schema(shaken: PostgresDatabase) -> None:
    connection = shaken.ledger_connections()[0]
    everything = "SELECT * FROM limits ORDER BY key"
    await connection.run(write, Insert(LIMITS, [(b"k", 1)]))
    assert await connection.run(query, everything) == [(b"k", 1)]
    await shaken.run(query, "ALTER TABLE limits ADD COLUMN more text")
    assert await connection.run(query, everything) == [(b"k", 1, None)]
    assert await connection.run(add_one, b"k") == 2
    await connection.run(query, "DEALLOCATE ALL")
    assert await connection.run(add_one, b"k") == 3


async def test_too_many_connections_are_an_outage_and_not_a_failure(shaken_url: str) -> None:
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    late = PostgresDatabase(shaken_url, ledger_connections=1, pool=1)
    try:
        while True:
            taken.append(await asyncpg.connect(shaken_url))
    except asyncpg.TooManyConnectionsError:
        with pytest.raises(UnavailableError, match="53300"):
            await late.run(query, "SELECT 1")
    finally:
        for connection in taken:
            await connection.close()
    await until_it_works(lambda: late.run(query, "SELECT 1"))
    await late.close()


async def test_a_busy_pool_is_told_and_bounded(shaken: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "IDLE_S", 0.2)
    monkeypatch.setattr(postgres, "MAX_WAITING", 1)
    busy = [asyncio.create_task(shaken.run(query, "SELECT pg_sleep(0.6)")) for _ in range(3)]
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(shaken.run(query, "SELECT 1"))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await shaken.run(query, "SELECT 1")
    with pytest.raises(UnavailableError, match="busy"):
        await waiting
    await asyncio.gather(*busy)
    assert await shaken.run(query, "SELECT 1") == [(1,)]


async def test_a_transaction_that_deadlocks_is_tried_again_from_its_start(shaken: PostgresDatabase) -> None:
    await shaken.run(write, Insert(LIMITS, [(b"a", 0), (b"b", 0)]))
    runs = 0

    async def crosswise(first: bytes, second: bytes) -> None:
        nonlocal runs
        runs += 1
        await Sql("UPDATE limits SET tat = tat + 1 WHERE key = $1", (first,))
        await Sql("SELECT pg_sleep(0.1)")
        await Sql("UPDATE limits SET tat = tat + 1 WHERE key = $1", (second,))

    await asyncio.gather(shaken.run(crosswise, b"a", b"b"), shaken.run(crosswise, b"b", b"a"))
    assert runs == 3
    assert await shaken.read(query, "SELECT tat FROM limits") == [(2,), (2,)]


async def test_the_ledgers_statements_go_by_an_index_though_the_table_was_empty(shaken: PostgresDatabase) -> None:
    connection = shaken.ledger_connections()[0]
    for _ in range(8):
        await connection.run(add_one, b"k")
        await connection.run(write, Update(LIMITS, [(b"k", 0)]))
    await connection.run(write, Upsert(LIMITS, [(n.to_bytes(4, "big"), n) for n in range(20_000)]))
    for n in range(5):
        await connection.run(add_one, n.to_bytes(4, "big"))
    await asyncio.sleep(1.2)  # the server's statistics are written once a second
    ((scans,),) = await shaken.read(query, "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'limits'")
    assert scans <= 1, "only the making of its index has read the whole table"


async def test_an_announcement_reaches_another_process_and_is_merged_with_its_neighbours(
    shaken: PostgresDatabase, shaken_url: str
) -> None:
    other = PostgresDatabase(shaken_url, ledger_connections=1, pool=1)
    await other.open()
    rings = 0
    heard = asyncio.Event()

    def wake() -> None:
        nonlocal rings
        rings += 1
        heard.set()

    other.listen(wake)
    try:
        async with asyncio.timeout(5):
            while not heard.is_set():
                shaken.notify()
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        rings = 0
        begun = time.monotonic()
        for _ in range(1_000):
            shaken.notify()
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert 1 <= rings <= (time.monotonic() - begun) / 0.02 + 1
    finally:
        await other.close()


async def test_whoever_hears_is_woken_when_the_server_comes_back(
    own_server: PostgresServer, shaken: PostgresDatabase
) -> None:
    heard = asyncio.Event()
    # Announced elsewhere while nobody could listen: the return of the connection counts as an announcement.
    await asyncio.sleep(0.2)
    shaken.listen(heard.set)
    own_server.stop()
    own_server.start()
    await asyncio.wait_for(heard.wait(), 5)


async def test_an_error_names_neither_the_password_nor_a_value(own_server: PostgresServer) -> None:
    url = own_server.url("nowhere").replace("tester@", "tester:hunter2@")
    with pytest.raises(UnavailableError) as told:
        await open_database(url).open()
    assert "hunter2" not in str(told.value)
    assert "nowhere" in str(told.value)


async def test_a_claim_passes_over_what_another_has_claimed(shaken: PostgresDatabase) -> None:
    rows = [
        (f"o{n}", 1, "sms", "route", 1, 1, "US", "+1415", "queued", 0, 0, 0, n, None, 1, None, "", 0, "")
        for n in range(4)
    ]
    await shaken.run(write, Insert(DELIVERIES, rows))

    async def claim(pause: float) -> Rows:
        claimed = await Claim(DELIVERIES, "due_at <= $1", (9,), "due_at", 2)
        await Sql("SELECT pg_sleep($1::float8)", (pause,))
        return claimed

    first = asyncio.create_task(shaken.run(claim, 0.3))
    await asyncio.sleep(0.1)
    assert await shaken.run(claim, 0) == rows[2:]
    assert await first == rows[:2]


async def test_no_default_of_the_server_makes_a_commit_less_than_durable(shaken_url: str) -> None:
    """C3, C5: `synchronous_commit = off` is a common tuning, and a crash would then give spent guesses back."""
    administrator = await asyncpg.connect(shaken_url)
    name = await administrator.fetchval("SELECT current_database()")
    await administrator.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    await administrator.close()

    async def settings() -> Rows:
        return await Sql(
            "SELECT current_setting('synchronous_commit'), current_setting('idle_in_transaction_session_timeout')"
        )

    database = PostgresDatabase(shaken_url, ledger_connections=1, pool=1)
    await database.open()
    for runner in (*database.ledger_connections(), database):
        assert await runner.run(settings) == [("on", "30s")]
    await database.close()


async def test_the_bell_wakes_one_worker_of_another_process(shaken: PostgresDatabase, shaken_url: str) -> None:
    """O8: each worker that is woken for nothing costs the database a claim."""
    workers = [PostgresDatabase(shaken_url, ledger_connections=1, pool=1) for _ in range(4)]
    rings: list[int] = []
    for number, worker in enumerate(workers):
        await worker.open()
        worker.listen(lambda number=number: rings.append(number))  # type: ignore[misc]
    try:
        await until_workers_listen(shaken, len(workers))
        for _ in range(20):
            before = len(rings)
            shaken.notify()
            async with asyncio.timeout(5):
                while len(rings) == before:  # noqa: ASYNC110 - another connection rings
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
        assert len(rings) == 20
        assert len(set(rings)) > 1, "and not always the same"
        rings.clear()
        workers[0].notify()
        await asyncio.sleep(0.1)
        assert rings == [0], "a process that can deliver wakes itself alone"
        workers[0].pass_on()
        async with asyncio.timeout(5):
            while len(rings) < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
        assert 0 not in rings[1:]
    finally:
        for worker in workers:
            await worker.close()


async def until_workers_listen(database: PostgresDatabase, many: int) -> None:
    """Wait until so many workers are known to the server."""
    async with asyncio.timeout(5):
        known = 0
        while known < many:
            known = len(
                await database.read(query, "SELECT pid FROM pg_stat_activity WHERE application_name = $1", WORKER)
            )
