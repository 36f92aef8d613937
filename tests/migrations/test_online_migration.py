"""A migration of PostgreSQL while programs serve: locks are short, indexes are built beside the traffic, and a crash loses no step."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from countersign.errors import SettingsError, UnavailableError
from countersign.store.engine import online_migration
from countersign.store.engine.connect import open_database
from countersign.store.engine.migrate import head, migrate, pending, plan, render
from countersign.store.engine.migration_steps import Step, StepKind, split_steps
from countersign.store.engine.online_migration import RevisionSteps, apply_revision
from countersign.store.tables import metadata

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

IN_BATCHES = {"UPDATE deliveries SET settled_at = changed_at": "settled_at IS NULL"}
MIGRATE = "import sys; from countersign.store.engine.migrate import migrate; print(migrate(sys.argv[1]))"
ROWS = (
    "INSERT INTO deliveries (owner, number, channel, route, created_at, round, state, leg, tries, attempts, changed_at)"
    " SELECT 'ntc_' || n, 1, 'sms', '[]', 1000, 0, 'accepted', 0, 1, 1, n FROM generate_series($1::bigint, $2) n"
)
"""Deliveries as the first releases wrote them."""


@pytest_asyncio.fixture
async def connection(empty_postgres_url: str) -> AsyncIterator[Connection]:
    """Give a connection past the program."""
    made = await asyncpg.connect(empty_postgres_url)
    yield made
    await made.close()


async def until(look: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not await look():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def killed(url: str, when: Callable[[], Awaitable[bool]]) -> None:
    """Begin a migration in a process of its own, and kill -9 it at a moment."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, url)
    try:
        await until(when)
    finally:
        process.kill()
        await process.wait()


def test_what_is_large_is_not_done_in_one_go() -> None:
    """O7: an index on a table that exists, and a column that is filled; a table that is made here has no traffic yet."""
    steps = split_steps(render("postgresql", "0003", "0004"), IN_BATCHES)
    assert [step.kind.value for step in steps] == ["one transaction"] * 3 + ["in batches", "concurrently"] + [
        "one transaction"
    ] * 2
    assert steps[4].sql.startswith("CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_created_at ON deliveries")
    made = split_steps(render("postgresql", "0010", "0011"), {})
    assert {step.kind for step in made} == {StepKind.TRANSACTION}


def test_a_plan_tells_what_would_be_done(empty_postgres_url: str) -> None:
    """O7: and does nothing."""
    migrate(empty_postgres_url, "0003")
    planned = plan(empty_postgres_url)
    assert [step.how for step in planned if step.revision == "0004"][3:5] == ["in batches", "concurrently"]
    assert pending(empty_postgres_url)[0] == "0004"
    migrate(empty_postgres_url)
    assert plan(empty_postgres_url) == []


@pytest.mark.postgres
async def test_nobody_waits_long_for_a_migration(empty_postgres_url: str, connection: Connection) -> None:
    """O7: somebody holds the table for a second, others insert all the time: no insert waits for more than a moment."""
    await asyncio.to_thread(migrate, empty_postgres_url, "0003")
    await connection.execute(ROWS, 1, 3_000)
    holding = connection.transaction()
    await holding.start()
    await connection.execute("SELECT 1 FROM deliveries LIMIT 1")
    migrating = asyncio.create_task(asyncio.to_thread(migrate, empty_postgres_url))
    other = await asyncpg.connect(empty_postgres_url)
    waits: list[float] = []
    number = 10_000
    released = time.monotonic() + 1.0
    while not migrating.done():
        began = time.monotonic()
        await other.execute(ROWS, number, number)
        waits.append(time.monotonic() - began)
        number += 1
        if released and began > released:
            await holding.rollback()
            released = 0.0
        await asyncio.sleep(0.005)
    assert await migrating == head()
    assert not released
    assert max(waits) < 0.8, max(waits)  # the patience of one step, and a busy machine
    assert await other.fetchval("SELECT count(*) FROM deliveries WHERE changed_at <= 3000 AND settled_at IS NULL") == 0
    await other.close()


@pytest.mark.postgres
async def test_a_migration_that_was_killed_while_it_filled_rows_goes_on(
    empty_postgres_url: str, connection: Connection
) -> None:
    """O7: kill -9 in the middle of the batches."""
    await asyncio.to_thread(migrate, empty_postgres_url, "0003")
    await connection.execute(ROWS, 1, 20_000)
    await come_as_far(connection, 3)
    other = await asyncpg.connect(empty_postgres_url)
    async with other.transaction():  # the last row is locked, so the batches stop there
        await other.execute("SELECT 1 FROM deliveries WHERE owner = 'ntc_20000' FOR UPDATE")

        async def is_filling() -> bool:
            return bool(await connection.fetchval("SELECT count(settled_at) FROM deliveries"))

        await killed(empty_postgres_url, is_filling)
    await other.close()
    assert 0 < await connection.fetchval("SELECT count(settled_at) FROM deliveries") < 20_000
    assert pending(empty_postgres_url)[0] == "0004"
    assert await asyncio.to_thread(migrate, empty_postgres_url) == head()
    assert (
        await connection.fetchval("SELECT count(*) FROM deliveries WHERE settled_at IS DISTINCT FROM changed_at") == 0
    )
    assert await progress(connection) == ""


@pytest.mark.postgres
async def test_an_index_that_was_left_half_built_is_built_again(
    empty_postgres_url: str, connection: Connection
) -> None:
    """O7: both the program and its session at the server end while the index waits for a writer."""
    await asyncio.to_thread(migrate, empty_postgres_url, "0003")
    other = await asyncpg.connect(empty_postgres_url)
    writing = other.transaction()
    await come_as_far(connection, 4)
    await writing.start()
    await other.execute(ROWS, 1, 1)

    async def is_building() -> bool:
        return bool(await connection.fetchval("SELECT 1 FROM pg_index WHERE NOT indisvalid"))

    await killed(empty_postgres_url, is_building)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND pid <> pg_backend_pid()"
    )
    await writing.commit()
    await other.close()
    assert await is_building()
    assert await asyncio.to_thread(migrate, empty_postgres_url) == head()
    assert not await is_building()
    assert await connection.fetchval("SELECT to_regclass('deliveries_created_at') IS NOT NULL")


@pytest.mark.postgres
async def test_what_is_counted_is_counted_once(empty_postgres_url: str, connection: Connection) -> None:
    """O7: a revision that fails after it has counted, and is run again."""
    await asyncio.to_thread(migrate, empty_postgres_url, "0008")
    await connection.execute(ROWS, 1, 3)
    await connection.execute("UPDATE deliveries SET country = 'DE', prefix = '+49170'")
    await connection.execute("ALTER TABLE traffic ADD CONSTRAINT no_country CHECK (place <> 'DE')")
    with pytest.raises(UnavailableError, match="stays done"):
        await asyncio.to_thread(migrate, empty_postgres_url)
    assert (await progress(connection)).startswith("0009 ")
    await connection.execute("ALTER TABLE traffic DROP CONSTRAINT no_country")
    assert await asyncio.to_thread(migrate, empty_postgres_url) == head()
    assert [tuple(row) for row in await connection.fetch("SELECT place, notices FROM traffic ORDER BY place")] == [
        ("+49170", 3),
        ("DE", 3),
    ]


@pytest.mark.postgres
async def test_a_table_that_stays_in_use_stops_a_migration_and_nothing_else(
    empty_postgres_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7: it gives up after a while, names the step, and can be run again."""
    monkeypatch.setattr(online_migration, "LOCK_S", 0.3)
    await asyncio.to_thread(migrate, empty_postgres_url, "0004")
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM applications")
        with pytest.raises(UnavailableError, match=r"Step 1 of 1 of revision 0005 .* run `countersign migrate` again"):
            await asyncio.to_thread(migrate, empty_postgres_url)
    assert await asyncio.to_thread(migrate, empty_postgres_url) == head()


@pytest.mark.postgres
async def test_programs_that_cannot_live_with_what_comes_know_it_before(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7: a revision that takes something away says so first, even if it then comes to nothing."""
    monkeypatch.setattr(online_migration, "LOCK_S", 0.0)
    made = await asyncpg.connect(postgres_url)
    database = open_database(postgres_url)
    await database.open()
    assert await database.read(metadata.can_serve)
    contracting = RevisionSteps(
        "9998", head(), [Step(StepKind.TRANSACTION, "ALTER TABLE accounts DROP COLUMN name")], "9998", contracts=True
    )
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute("SELECT 1 FROM accounts")
        with pytest.raises(UnavailableError):
            await apply_revision(made, contracting)
    assert not await database.read(metadata.can_serve)
    assert await database.read(metadata.find_revision) == head()
    await database.close()
    await made.close()
    await other.close()


@pytest.mark.parametrize(
    ("revision", "fact", "lives"),
    [
        ("9999", b"9999 0001", True),
        ("9999", b"9999 9000", False),
        ("9999", b"9998 0001", False),  # whoever migrated it further did not say
        ("9999", b"", False),
        (head(), b"", True),  # an older release migrated it
        (head(), f"{head()} 9000".encode(), False),
        ("0001", b"0001 0001", False),
    ],
)
async def test_a_program_lives_with_a_range_of_revisions(
    database_url: str, revision: str, fact: bytes, *, lives: bool
) -> None:
    """O7: a newer schema that says that this program may use it is served, and `migrate` leaves it alone."""
    database = open_database(database_url)
    await database.open()
    await database.run(_set, revision, fact)
    assert await database.read(metadata.can_serve) is lives
    await database.close()
    if lives:
        assert pending(database_url) == []
        assert await asyncio.to_thread(migrate, database_url) == revision
    elif revision == "9999":
        with pytest.raises(SettingsError, match="9999"):
            migrate(database_url)


def test_a_revision_that_a_release_can_do_without_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7: an index alone, for example: the newer program starts before the database has it."""
    for name, text in (("0001_first", ""), ("0002_table", ""), ("0003_index", "\n\noptional: Final = True\n")):
        (tmp_path / f"{name}.py").write_text(f'"""Text."""{text}')
    monkeypatch.setattr(metadata, "_VERSIONS", tmp_path)
    try:
        for cached in (metadata.oldest_revision, metadata._revisions):
            cached.cache_clear()
        assert (metadata.oldest_revision(), metadata.newest_revision()) == ("0002", "0003")
    finally:
        for cached in (metadata.oldest_revision, metadata._revisions):
            cached.cache_clear()


async def _set(revision: str, fact: bytes) -> None:
    from countersign.store.engine.database import Sql

    await Sql("UPDATE alembic_version SET version_num = $1", (revision,))
    await metadata.save(metadata.COMPATIBLE_SINCE, fact)


async def come_as_far(connection: Connection, steps: int) -> None:
    """Take the first steps of revision 0004."""
    for step in split_steps(render("postgresql", "0003", "0004"), IN_BATCHES)[:steps]:
        await connection.execute(step.sql)
    await connection.execute("INSERT INTO facts (name, value) VALUES ('migrating', $1)", f"0004 {steps}".encode())


async def progress(connection: Connection) -> str:
    """Return how far a migration has come that did not end."""
    found = await connection.fetchval("SELECT value FROM facts WHERE name = 'migrating'")
    return bytes(found or b"").decode()
