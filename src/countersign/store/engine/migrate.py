"""Migrates the schema of a database to the newest revision: Alembic renders the SQL, and our drivers run it.

An empty database, and a file of SQLite, gets everything in one transaction. PostgreSQL is migrated while programs serve, step by step.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import asyncpg
import msgspec
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from countersign.errors import SettingsError, UnavailableError
from countersign.store.engine.connect import sqlite_path
from countersign.store.engine.migration_steps import StepKind, split_statements, split_steps
from countersign.store.engine.online_migration import (
    COMPATIBLE_SINCE,
    LOCK_S,
    UNBOUNDED_S,
    RevisionSteps,
    apply_revision,
    save_compatibility,
    wait_for_turn,
)
from countersign.store.engine.postgres_hosts import FAILURES, PostgresHosts

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from types import ModuleType

T = TypeVar("T")

MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"
FIRST: Final = "0001"
"""The oldest revision whose programs can live with the schema, unless a revision since then has taken something away."""
CONNECT_S: Final = 5.0
"""How long connecting to one host may take, in seconds."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""Held while Alembic renders: its context is global to the process, and two threads would share it."""

_VERSION: Final = "SELECT version_num FROM alembic_version"


class Schema(msgspec.Struct, frozen=True):
    """The revision of a database, and the one that a program must know to live with it; None if neither is known."""

    revision: str | None = None
    compatible_since: str | None = None


def head() -> str:
    """Return the newest revision that this program knows."""
    newest = _script().get_current_head()
    if newest is None:
        raise SettingsError(f"There are no revisions in {MIGRATIONS}: install Countersign again.")
    return newest


def pending(url: str) -> list[str]:
    """Return the revisions that the database does not have yet, oldest first; all of them if it is empty.

    None are missing if the database is newer, and says that programs like this one can live with it. Raises UnavailableError if the
    database cannot be reached, and SettingsError if it is newer and this program cannot.
    """
    return _missing(_find_schema(url))


def _find_schema(url: str) -> Schema:
    """Return the schema that a database has."""
    path = sqlite_path(url)
    if path is None:
        return _in_thread(_postgres_schema(url))
    if not path.exists():
        return Schema()
    with _sqlite(path) as connection:
        return _sqlite_schema(connection)


def migrate(url: str, to: str = "head") -> str:
    """Migrate a database to the newest revision, or to the revision `to`; return the revision that it has then.

    A file of SQLite is created if it is missing. Several processes may call this at once: one migrates, the others wait and find nothing
    to do. Raises UnavailableError if the database cannot be reached or migrated, and SettingsError if it is newer than this program.
    """
    path = sqlite_path(url)
    if path is None:
        return _in_thread(_migrate_postgres(url, to))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with _sqlite(path) as connection:
        # If two programs switch a new file to WAL at once, the second fails with "locked" instead of waiting.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        before = _sqlite_schema(connection)
        script = "" if _is_newer(before) else render("sqlite", before.revision, to)
        for statement in split_statements(script):
            connection.execute(statement)
        reached = _named(_sqlite_schema(connection).revision)
        if script:
            fact = (COMPATIBLE_SINCE, f"{reached} {_compatible_since(reached)}".encode())
            connection.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", fact)
        connection.execute("COMMIT")
    return reached


class Planned(msgspec.Struct, frozen=True):
    """A step that a migration would take: its revision, how it is carried out, and its SQL."""

    revision: str
    how: str
    sql: str


def plan(url: str) -> list[Planned]:
    """Return what `migrate` would do, in order. Raises what `pending` raises."""
    schema = _find_schema(url)
    missing = _missing(schema)
    if sqlite_path(url) is not None or schema.revision is None:
        return [Planned(revision, StepKind.TRANSACTION.value, "") for revision in missing]
    steps = [(each.revision, step) for each in _revisions_after(schema.revision, "head") for step in each.steps]
    return [Planned(revision, step.kind.value, step.sql) for revision, step in steps if missing]


def _revisions_after(revision: str, to: str) -> list[RevisionSteps]:
    """Return the revisions between two on PostgreSQL, with their steps."""
    missing = _missing(Schema(revision))
    if to != "head":
        missing = missing[: missing.index(to) + 1] if to in missing else []
    found: list[RevisionSteps] = []
    for before, each in zip([revision, *missing], missing, strict=False):
        module = _modules()[each]
        steps = split_steps(render("postgresql", before, each), getattr(module, "in_batches", {}))
        found.append(RevisionSteps(each, before, steps, _compatible_since(each), hasattr(module, "compatible_since")))
    return found


def _modules() -> dict[str, ModuleType]:
    """Return the module of each revision, oldest first."""
    return {script.revision: script.module for script in list(_script().walk_revisions())[::-1]}


def _compatible_since(revision: str) -> str:
    """Return the oldest revision that a program must know to live with the schema of `revision`."""
    said = [getattr(module, "compatible_since", FIRST) for each, module in _modules().items() if each <= revision]
    return max(said, default=FIRST)


def _is_newer(schema: Schema) -> bool:
    """Return True if the database is newer than this program, which can live with it; raises SettingsError if it cannot."""
    if schema.revision is None or schema.revision in _modules():
        return False
    if schema.compatible_since is None or schema.compatible_since > head():
        raise SettingsError(
            f"The database has revision {schema.revision}, which this version of Countersign does not know: run the newer version that"
            " migrated it."
        )
    return True


def _config(dialect: str, output: io.StringIO) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["dialect"] = dialect
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config("sqlite", io.StringIO()))


def _missing(schema: Schema) -> list[str]:
    """Return the revisions that a database does not have yet, oldest first."""
    known = list(_modules())
    if schema.revision is None:
        return known
    return [] if _is_newer(schema) else known[known.index(schema.revision) + 1 :]


def render(dialect: str, revision: str | None, to: str) -> str:
    """Return the SQL that leads from one revision to another; empty if the database is already there, or beyond."""
    missing = _missing(Schema(revision))
    if not missing or (to != "head" and to not in missing):
        return ""
    output = io.StringIO()
    with _ONE_AT_A_TIME:
        command.upgrade(_config(dialect, output), f"{revision}:{to}" if revision else to, sql=True)
    return output.getvalue()


def _named(revision: str | None) -> str:
    if revision is None:
        raise UnavailableError("The migration left the database without a revision: run `countersign migrate` again.")
    return revision


@contextlib.contextmanager
def _sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=LOCK_S)
        yield connection
    except sqlite3.Error as error:
        raise UnavailableError(
            f"The database {path} cannot be migrated ({error}): check its folder, the free space, and which other program has it open."
        ) from error
    finally:
        if connection is not None:
            connection.close()


def _sqlite_schema(connection: sqlite3.Connection) -> Schema:
    table = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone()
    row = connection.execute(_VERSION).fetchone() if table else None
    if row is None:
        return Schema()
    fact = connection.execute("SELECT value FROM facts WHERE name = ?", (COMPATIBLE_SINCE,)).fetchone()
    return _told(str(row[0]), None if fact is None else fact[0])


def _told(revision: str, fact: bytes | None) -> Schema:
    told, _, since = (fact or b"").decode(errors="replace").partition(" ")
    return Schema(revision, since if told == revision else None)


async def connect_to_migrate(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """Return a connection whose statements may take long; raises SettingsError or UnavailableError."""
    try:
        hosts = PostgresHosts(url, pooled=True, connect_s=CONNECT_S, command_s=LOCK_S)  # a pooler may stand between
        return (await hosts.connect({"application_name": "countersign migrate"}))[0]
    except ValueError as error:
        raise SettingsError(f"{error} (COUNTERSIGN_DATABASE_URL)") from None
    except FAILURES as error:
        raise UnavailableError(
            f"PostgreSQL cannot be reached ({type(error).__name__}): check that it runs, and that COUNTERSIGN_DATABASE_URL"
            " names it with the right user, password and database."
        ) from error


async def _schema_of(connection: asyncpg.Connection[asyncpg.Record]) -> Schema:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return Schema()
    found = await connection.fetchval(_VERSION)
    if found is None:
        return Schema()
    return _told(str(found), await connection.fetchval("SELECT value FROM facts WHERE name = $1", COMPATIBLE_SINCE))


async def _postgres_schema(url: str) -> Schema:
    connection = await connect_to_migrate(url)
    try:
        async with connection.transaction():
            return await _schema_of(connection)
    finally:
        await connection.close()


async def _migrate_postgres(url: str, to: str) -> str:
    connection = await connect_to_migrate(url)
    schema = Schema()
    try:
        await wait_for_turn(connection)
        schema = await _schema_of(connection)
        if schema.revision is None:
            async with connection.transaction():
                await connection.execute(render("postgresql", None, to), timeout=UNBOUNDED_S)
                reached = _named((await _schema_of(connection)).revision)
                await save_compatibility(connection, reached, _compatible_since(reached))
        elif not _is_newer(schema):
            for each in _revisions_after(schema.revision, to):
                await apply_revision(connection, each)
        return _named((await _schema_of(connection)).revision)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        how = (
            "was left as it was"
            if schema.revision is None
            else "what was done before stays done, so that it can be run again"
        )
        raise UnavailableError(f"The database cannot be migrated, and {how}: {error}") from error
    finally:
        await connection.close()


def _in_thread(work: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end, whether or not the caller is in an event loop."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - it is raised to the caller
            failure.append(error)

    thread = threading.Thread(target=run, name="migrate")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
