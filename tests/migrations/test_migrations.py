"""The schema that migrations make is the one that the statements expect, alike on both databases."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from countersign.errors import SettingsError, UnavailableError
from countersign.store.engine.connect import open_database, sqlite_path
from countersign.store.engine.database import Rows, Sql
from countersign.store.engine.migrate import MIGRATIONS, head, migrate, pending, render
from countersign.store.tables.schema import ALL_TABLES

Schema = dict[str, dict[str, tuple[str, bool]]]
"""Of each table, of each column: its kind, and whether it may be NULL."""

NULLABLE = {
    "accounts.deletion_at",
    "activity.recipient",
    "notices.about",
    "breakers.until",
    "deliveries.settled_at",
    "challenges.ended_at",
    "deliveries.due_at",
    "deliveries.reason",
    "blocks.lifted_at",
    "attempts.ended_at",
    "attempts.reason",
    "applications.old_key_hash",
    "applications.old_until",
    "applications.removed_at",
    "accounts.disabled_at",
    "accounts.locked_at",
    "contacts.ended_at",
    "changes.applied_at",
    "changes.ended_at",
    "changes.remind_at",
    "factors.last_used_at",
    "factors.ended_at",
    "credentials.last_used_at",
    "credentials.ended_at",
    "contacts.proved_at",
    "devices.trusted_at",
    "devices.ended_at",
    "grants.used_at",
    "tokens.ended_at",
    "suppressions.lifted_at",
    "notices.held_until",
    "applications.suspended_at",
}

INDEXES = {
    "challenges_twin",
    "challenges_expires_at",
    "deliveries_due_at",
    "deliveries_queue_due_at",
    "traffic_at",
    "notices_held_until",
    "deliveries_created_at",
    "attempts_provider_provider_message_id",
    "events_at",
    "suppressions_until",
    "answers_expires_at",
    "applications_name",
    "applications_key_hash",
    "applications_old_key_hash",
    "contacts_blind",
    "contacts_ended_at",
    "changes_blind",
    "changes_asked_at",
    "changes_remind_at",
    "factors_mark",
    "factors_ended_at",
    "credentials_account",
    "credentials_expires_at",
    "accounts_deletion_at",
    "activity_at",
    "activity_recipient",
    "notices_account",
    "tokens_account",
    "devices_last_seen_at",
    "sessions_account",
    "sessions_expires_at",
    "visits_expires_at",
    "grants_expires_at",
    "pushed_requests_expires_at",
    "single_uses_expires_at",
    "tokens_grant_key",
    "tokens_expires_at",
}


RELEASED = "0007"
"""The revision that the SQL in `released/` ends with; a release writes that SQL anew, and the revision here."""


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a database without tables: SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'empty.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


async def query(sql: str, *args: object) -> Rows:
    return await Sql(sql, args)


async def ask(url: str, sql: str, *args: object) -> Rows:
    database = open_database(url)
    await database.open()
    try:
        return await database.read(query, sql, *args)
    finally:
        await database.close()


async def schema(url: str) -> Schema:
    """Return the tables as the database itself describes them."""
    if sqlite_path(url) is None:
        kinds = {"text": "text", "bigint": "int", "bytea": "bytes", "character varying": "version"}
        rows = await ask(
            url,
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' FROM information_schema.columns"
            " WHERE table_schema = 'public'",
        )
    else:
        kinds = {"TEXT": "text", "INTEGER": "int", "BLOB": "bytes", "VARCHAR(32)": "version"}
        rows = await ask(
            url,
            'SELECT t.name, c.name, c.type, NOT c."notnull" FROM sqlite_schema t, pragma_table_info(t.name) c'
            " WHERE t.type = 'table'",
        )
    found: Schema = {}
    for table, column, kind, null in rows:
        found.setdefault(table, {})[column] = (kinds[kind], bool(null))
    del found["alembic_version"]
    return found


def columns_of(tables: Schema) -> set[tuple[str, str, str, bool]]:
    """Return each column as (table, column, kind, may be NULL), so that a comparison shows which one differs."""
    return {(table, column, *facts) for table, columns in tables.items() for column, facts in columns.items()}


async def indexes(url: str) -> set[str]:
    sql = (
        "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%pk%'"
        if sqlite_path(url) is None
        else "SELECT name FROM sqlite_schema WHERE type = 'index' AND name NOT LIKE 'sqlite_autoindex%'"
    )
    return {name for (name,) in await ask(url, sql)}


async def test_the_tables_of_the_statements_are_those_of_the_schema(database_url: str) -> None:
    expected: Schema = {
        table.name: {name: (kind, f"{table.name}.{name}" in NULLABLE) for name, kind in table.columns}
        for table in ALL_TABLES
    }
    assert columns_of(await schema(database_url)) ^ columns_of(expected) == set(), "migrated, or declared, but not both"


async def test_each_key_is_the_primary_key(database_url: str) -> None:
    if sqlite_path(database_url) is None:
        rows = await ask(
            database_url,
            "SELECT c.relname::text, a.attname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
            " WHERE i.indisprimary ORDER BY c.relname, array_position(i.indkey::int[], a.attnum::int)",
        )
    else:
        rows = await ask(
            database_url,
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND c.pk ORDER BY t.name, c.pk",
        )
    found: dict[str, tuple[str, ...]] = {}
    for table, column in rows:
        found[table] = (*found.get(table, ()), column)
    assert found == {table.name: tuple(name for name, _ in table.key) for table in ALL_TABLES} | {
        "alembic_version": ("version_num",)
    }


async def test_the_indexes_are_there(database_url: str) -> None:
    assert await indexes(database_url) == INDEXES


@pytest.mark.postgres
async def test_text_is_compared_byte_by_byte_on_postgresql(postgres_url: str) -> None:
    rows = await ask(
        postgres_url,
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'",
    )
    assert list(rows) == []


@pytest.mark.postgres
async def test_tables_that_change_often_keep_room_on_their_pages(postgres_url: str) -> None:
    rows = await ask(postgres_url, "SELECT relname::text FROM pg_class WHERE reloptions @> ARRAY['fillfactor=85']")
    assert {name for (name,) in rows} == {"challenges", "deliveries", "limits", "sessions", "standings", "writers"}


async def test_a_new_database_is_migrated_once_and_then_left_alone(empty_url: str) -> None:
    assert pending(empty_url)[-1] == head()
    assert migrate(empty_url) == head()
    assert pending(empty_url) == []
    made = await schema(empty_url)
    assert migrate(empty_url) == head()
    assert await schema(empty_url) == made


async def test_one_revision_after_the_other_leads_where_one_leap_does(
    empty_url: str, request: pytest.FixtureRequest
) -> None:
    database_url = request.getfixturevalue("postgres_url" if sqlite_path(empty_url) is None else "sqlite_url")
    for revision in pending(empty_url):
        assert migrate(empty_url, revision) == revision
    assert await schema(empty_url) == await schema(database_url)
    assert await indexes(empty_url) == await indexes(database_url)


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    script = "import sys; from countersign.store.engine.migrate import migrate; print(migrate(sys.argv[1]))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ended = [one.communicate(timeout=60) for one in started]
    assert ended == [(f"{head()}\n", "")] * 4


def test_several_threads_may_migrate_at_once(tmp_path: Path) -> None:
    """Alembic's context is global to a process: without a lock, one thread renders into the other's."""
    urls = [f"sqlite:///{tmp_path / str(number)}.db" for number in range(8)]
    with ThreadPoolExecutor(len(urls)) as pool:
        assert list(pool.map(migrate, urls)) == [head()] * len(urls)


async def test_a_database_that_is_newer_than_the_program_is_left_alone(database_url: str) -> None:
    database = open_database(database_url)
    await database.open()
    await database.run(query, "UPDATE alembic_version SET version_num = $1", "9999")
    await database.close()
    with pytest.raises(SettingsError, match="9999"):
        pending(database_url)
    with pytest.raises(SettingsError, match="9999"):
        migrate(database_url)


@pytest.mark.postgres
async def test_a_migration_that_fails_leaves_the_database_as_it_was(empty_postgres_url: str) -> None:
    connection = await asyncpg.connect(empty_postgres_url)
    await connection.execute("CREATE TABLE facts (something_else int)")
    with pytest.raises(UnavailableError, match="left as it was"):
        migrate(empty_postgres_url)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert [name for (name,) in tables] == ["facts"]


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached") as told:
        migrate("postgresql://tester:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in str(told.value)


def test_a_file_of_sqlite_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.db"
    migrate(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_revision_that_was_released_stays_as_it_is(dialect: str) -> None:
    """Databases have run this SQL: whatever the functions that write it have become, they write the same."""
    released = (Path(__file__).parent / "released" / f"{dialect}.sql").read_text()
    assert render(dialect, None, RELEASED).split() == released.split()


async def test_the_notices_of_the_last_week_are_usual_from_the_first_day(empty_url: str) -> None:
    """L4: an upgrade makes no installation forget how many notices it sends by phone."""
    hour, day = 3_600_000, 24 * 3_600_000
    revisions = pending(empty_url)
    this = next(MIGRATIONS.glob("versions/*_gathered_notices.py")).name.partition("_")[0]
    await asyncio.to_thread(migrate, empty_url, revisions[revisions.index(this) - 1])
    sent = [
        ("ntc_1", "sms", 20 * day + 5, 1),
        ("ntc_2", "sms", 20 * day + hour - 1, 1),
        ("ntc_3", "sms", 19 * day, 1),
        ("ntc_4", "sms", 5 * day, 1),
        ("ntc_5", "sms", 20 * day, 0),
        ("ntc_6", "email", 20 * day, 1),
        ("ver_7", "sms", 20 * day, 1),
    ]
    for owner, channel, at, attempts in sent:
        region = ("DE", "+49170") if channel == "sms" else ("", "")
        await change(
            empty_url,
            "INSERT INTO deliveries (owner, number, channel, route, created_at, round, state, leg, tries, attempts,"
            " changed_at, country, prefix) VALUES ($1, 1, $2, '[]', $3, 0, 'accepted', 0, 1, $4, 0, $5, $6)",
            *(owner, channel, at, attempts, *region),
        )
    await asyncio.to_thread(migrate, empty_url, this)
    rows = await ask(empty_url, "SELECT application, place, at, sent, notices FROM traffic ORDER BY place, at")
    assert [tuple(row) for row in rows] == [
        ("app_own", place, at, 0, count) for place in ("+49170", "DE") for at, count in ((19 * day, 1), (20 * day, 2))
    ]


async def test_what_is_queued_belongs_to_the_application_that_asked_for_it(empty_url: str) -> None:
    """D10: an upgrade leaves no message to nobody, so that suspending an application ends all that it has queued."""
    revisions = pending(empty_url)
    this = next(MIGRATIONS.glob("versions/*_queues.py")).name.partition("_")[0]
    await asyncio.to_thread(migrate, empty_url, revisions[revisions.index(this) - 1])
    await change(
        empty_url,
        "INSERT INTO challenges (id, application, twin, standing, terms, begun_at, expires_at, state, channel, guesses, sends,"
        " round, sent_at) VALUES ('ver_1', 'app_1', $1, $1, $1, 0, 9, 'pending', 'email', 0, 1, 0, 0)",
        b"x",
    )
    for number, due_at in ((1, 5), (2, None)):
        await change(
            empty_url,
            "INSERT INTO deliveries (owner, number, channel, route, created_at, round, state, leg, tries, attempts, due_at,"
            " changed_at) VALUES ('ver_1', $1, 'email', '[]', 0, 0, 'queued', 0, 0, 0, $2, 0)",
            *(number, due_at),
        )
    await asyncio.to_thread(migrate, empty_url, this)
    rows = await ask(empty_url, "SELECT number, application, lapses, queue FROM deliveries ORDER BY number")
    assert [tuple(row) for row in rows] == [(1, "app_1", 0, ""), (2, "", 0, "")]


async def change(url: str, sql: str, *args: object) -> None:
    database = open_database(url)
    await database.open()
    try:
        await database.run(query, sql, *args)
    finally:
        await database.close()
