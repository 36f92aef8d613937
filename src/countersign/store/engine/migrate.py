"""Migrates the schema of a database to the newest revision: Alembic renders the SQL, and our drivers run it in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from countersign.errors import SettingsError, UnavailableError
from countersign.store.engine.connect import sqlite_path
from countersign.store.engine.postgres_hosts import FAILURES, PostgresHosts

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

T = TypeVar("T")

MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"
LOCK: Final = 0x0C0DE51617
"""The advisory lock of PostgreSQL that lets one process at a time migrate a database."""
CONNECT_S: Final = 5.0
"""How long connecting to one host may take, in seconds."""
LOCK_S: Final = 60.0
"""How long a migration waits for another one, in seconds."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""Held while Alembic renders: its context is global to the process, and two threads would share it."""

_VERSION: Final = "SELECT version_num FROM alembic_version"


def head() -> str:
    """Return the newest revision that this program knows."""
    newest = _script().get_current_head()
    if newest is None:
        raise SettingsError(f"There are no revisions in {MIGRATIONS}: install Countersign again.")
    return newest


def pending(url: str) -> list[str]:
    """Return the revisions that the database does not have yet, oldest first; all of them if it is empty.

    Raises UnavailableError if the database cannot be reached, and SettingsError if it is newer than this program.
    """
    path = sqlite_path(url)
    if path is None:
        return _missing(_in_thread(_postgres_revision(url)))
    if not path.exists():
        return _missing(None)
    with _sqlite(path) as connection:
        return _missing(_sqlite_revision(connection))


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
        for statement in _statements(_rendered("sqlite", _sqlite_revision(connection), to)):
            connection.execute(statement)
        reached = _sqlite_revision(connection)
        connection.execute("COMMIT")
    return _named(reached)


def _config(dialect: str, output: io.StringIO) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["dialect"] = dialect
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config("sqlite", io.StringIO()))


def _missing(revision: str | None) -> list[str]:
    """Return the revisions that follow `revision`, oldest first."""
    known = [script.revision for script in _script().walk_revisions()][::-1]
    if revision is None:
        return known
    if revision not in known:
        raise SettingsError(
            f"The database has revision {revision}, which this version of Countersign does not know: run the newer version that migrated it."
        )
    return known[known.index(revision) + 1 :]


def _rendered(dialect: str, revision: str | None, to: str) -> str:
    """Return the SQL that leads from one revision to another; empty if the database is already there, or beyond."""
    missing = _missing(revision)
    if not missing or (to != "head" and to not in missing):
        return ""
    output = io.StringIO()
    with _ONE_AT_A_TIME:
        command.upgrade(_config(dialect, output), f"{revision}:{to}" if revision else to, sql=True)
    return output.getvalue()


def _statements(script: str) -> Iterator[str]:
    """Return the statements of a script; the driver of SQLite takes one at a time, and would commit the transaction for several."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


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


def _sqlite_revision(connection: sqlite3.Connection) -> str | None:
    table = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone()
    row = connection.execute(_VERSION).fetchone() if table else None
    return None if row is None else str(row[0])


async def _connected(url: str) -> asyncpg.Connection[asyncpg.Record]:
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


async def _revision_of(connection: asyncpg.Connection[asyncpg.Record]) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found = await connection.fetchval(_VERSION)
    return None if found is None else str(found)


async def _postgres_revision(url: str) -> str | None:
    connection = await _connected(url)
    try:
        async with connection.transaction():
            return await _revision_of(connection)
    finally:
        await connection.close()


async def _migrate_postgres(url: str, to: str) -> str:
    connection = await _connected(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            script = _rendered("postgresql", await _revision_of(connection), to)
            if script:
                await connection.execute(script, timeout=None)
            return _named(await _revision_of(connection))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UnavailableError(f"The database cannot be migrated, and was left as it was: {error}") from error
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
