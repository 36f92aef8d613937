"""Backs up a database of PostgreSQL while it is served, and restores one, by COPY through our own driver.

Nobody who runs Countersign needs `pg_dump` of the right version beside it. All tables are read in one snapshot.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, BinaryIO, Final, ParamSpec, TypeVar

import asyncpg
import msgspec

from countersign.errors import CountersignError, SettingsError, UnavailableError
from countersign.store.backup.frames import FrameKind, FrameWriter, read_frames
from countersign.store.backup.manifest import (
    FORMAT,
    BackedUpTable,
    BackupManifest,
    BackupRequest,
    bad_backup,
    check_revision,
)
from countersign.store.engine.migrate import connect_to_migrate, render
from countersign.store.engine.online_migration import PROGRESS, UNBOUNDED_S, wait_for_turn
from countersign.store.engine.postgres_sql import StatementCache
from countersign.store.engine.postgres_transactions import LockedTransaction
from countersign.store.tables import metadata
from countersign.store.tables.lineage import BACKUP
from countersign.store.tables.schema import ALL_TABLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from countersign.store.engine.database import Transaction

    Connection = asyncpg.Connection[asyncpg.Record]
    Frames = Iterator[tuple[FrameKind, bytes]]

P = ParamSpec("P")
T = TypeVar("T")

_NAMES: Final = tuple(table.name for table in ALL_TABLES)
_COLUMNS: Final = """SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
 ORDER BY attnum"""
_FACT: Final = "SELECT value FROM facts WHERE name = $1"


async def back_up(url: str, out: BinaryIO, request: BackupRequest) -> BackupManifest:
    """Write a backup of the database at `url` to `out`, and return what it says of itself.

    Nobody waits for it but a migration. Raises UnavailableError if the database fails, and SettingsError if it cannot be backed up now.
    """
    with _explained("cannot be backed up"):
        connection = await connect_to_migrate(url)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _write(connection, FrameWriter(out), request)
        finally:
            await connection.close()


class RestoredTransaction:
    """A database that has been restored in a transaction which nobody else sees, and which is rolled back. It can be read meanwhile."""

    def __init__(self, connection: Connection, manifest: BackupManifest) -> None:
        self._connection = connection
        self.manifest = manifest

    async def read(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that only reads."""
        runner = LockedTransaction(self._connection, StatementCache(), locks=False)
        running, rows = transaction(*args, **kwargs), None
        try:
            while True:
                try:
                    statement = running.send(rows)
                except StopIteration as end:
                    result: T = end.value
                    return result
                rows = await runner.perform(statement)
        finally:
            running.close()


async def restore(url: str, source: BinaryIO, check: Callable[[BackupManifest], None]) -> BackupManifest:
    """Restore a backup into the empty database at `url`, in one transaction, and return what the backup says of itself.

    `check` may refuse by an error what the backup says, before anything is written. Raises SettingsError if the database is not empty, or
    the backup is damaged or newer than this program, and UnavailableError if the database fails: then it is as empty as before.
    """
    with _explained("cannot be restored, and is as it was"):
        connection = await connect_to_migrate(url)
        try:
            await wait_for_turn(connection)
            async with connection.transaction():
                return await _read(connection, read_frames(source), check)
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def restored(
    url: str, source: BinaryIO, check: Callable[[BackupManifest], None]
) -> AsyncIterator[RestoredTransaction]:
    """Give a database as `restore` makes it, which is gone at the end: for a drill."""
    with _explained("cannot be restored, and is as it was"):
        connection = await connect_to_migrate(url)
        try:
            await wait_for_turn(connection)
            transaction = connection.transaction()
            await transaction.start()
            try:
                manifest = await _read(connection, read_frames(source), check)
                if script := render("postgresql", manifest.revision, "head"):
                    await connection.execute(script, timeout=UNBOUNDED_S)
                yield RestoredTransaction(connection, manifest)
            finally:
                await transaction.rollback()
        finally:
            await connection.close()


async def _write(connection: Connection, out: FrameWriter, request: BackupRequest) -> BackupManifest:
    # Asks the catalogue alone, so the snapshot begins after the locks, and no migration changes a table in between.
    present = {
        row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    }
    names = [name for name in _NAMES if name in present]
    if "facts" not in names:
        raise SettingsError("The database was never migrated: there is nothing to back up.")
    await connection.execute(f"LOCK TABLE {', '.join(names)} IN ACCESS SHARE MODE")
    manifest = await _describe(connection, request)
    out.write(FrameKind.HEAD, msgspec.json.encode(manifest))
    tables: list[BackedUpTable] = []
    for name in names:
        columns = tuple(row[0] for row in await connection.fetch(_COLUMNS, name))
        out.write(FrameKind.TABLE, msgspec.json.encode(BackedUpTable(name, columns)))
        digest = hashlib.sha256()

        async def take(piece: bytes, digest: hashlib._Hash = digest) -> None:
            digest.update(piece)
            out.write(FrameKind.ROWS, piece)

        status = await connection.copy_from_table(
            name, columns=columns, output=take, format="binary", timeout=UNBOUNDED_S
        )
        tables.append(BackedUpTable(name, columns, _count(status), digest.hexdigest()))
    manifest = msgspec.structs.replace(manifest, tables=tuple(tables))
    out.write(FrameKind.MANIFEST, msgspec.json.encode(manifest))
    out.finish()
    return manifest


async def _describe(connection: Connection, request: BackupRequest) -> BackupManifest:
    revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    if await connection.fetchval(_FACT, PROGRESS) is not None:
        raise SettingsError("A migration of the database has not come to its end: run `countersign migrate` first.")
    if revision not in metadata.revisions():
        raise SettingsError(
            f"The database has revision {revision}, which this version of Countersign does not know: back it up with the newer version."
        )
    return BackupManifest(
        made_at=request.made_at,
        release=request.release,
        database="postgresql",
        revision=revision,
        environment=bytes(await connection.fetchval(_FACT, metadata.ENVIRONMENT) or b"").decode(),
        fingerprint=bytes(await connection.fetchval(_FACT, metadata.KEYS) or b"").hex(),
        keys=request.keys,
    )


async def _read(connection: Connection, frames: Frames, check: Callable[[BackupManifest], None]) -> BackupManifest:
    if await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"):
        raise SettingsError(
            "The database is not empty, and nothing is ever overwritten: create an empty one, and name it by COUNTERSIGN_DATABASE_URL."
        )
    kind, content = _next(frames)
    head = _decoded(content) if kind is FrameKind.HEAD else None
    if head is None or head.format > FORMAT:
        raise bad_backup("its format is newer than this program")
    check_revision(head.revision)
    check(head)
    await connection.execute(render("postgresql", None, head.revision), timeout=UNBOUNDED_S)
    made = [name for name in _NAMES if await connection.fetchval("SELECT to_regclass($1)", name) is not None]
    await connection.execute(f"TRUNCATE {', '.join(made)}")
    loaded: list[BackedUpTable] = []
    step = _next(frames)
    while step[0] is FrameKind.TABLE:
        table, step = await _load(connection, step[1], frames)
        loaded.append(table)
    if step[0] is not FrameKind.MANIFEST or next(frames, None) is not None:
        raise bad_backup("it is damaged")
    manifest = _decoded(step[1])
    if manifest.tables != tuple(loaded):
        raise bad_backup("it is damaged: its tables are not what was backed up")
    await connection.execute("INSERT INTO facts (name, value) VALUES ($1, $2)", BACKUP, step[1])
    return manifest


async def _load(
    connection: Connection, described: bytes, frames: Frames
) -> tuple[BackedUpTable, tuple[FrameKind, bytes]]:
    """Load the rows of one table; return what was loaded, and the frame after it."""
    try:
        table = msgspec.json.decode(described, type=BackedUpTable)
    except msgspec.MsgspecError as error:
        raise bad_backup("it is damaged") from error
    if table.name not in _NAMES:
        raise bad_backup(f"it has a table {table.name!r} that is none of ours")
    digest = hashlib.sha256()
    after: list[tuple[FrameKind, bytes]] = []

    async def pieces() -> AsyncIterator[bytes]:
        for kind, content in frames:
            if kind is not FrameKind.ROWS:
                after.append((kind, content))
                return
            digest.update(content)
            yield content

    status = await connection.copy_to_table(
        table.name, columns=table.columns, source=pieces(), format="binary", timeout=UNBOUNDED_S
    )
    if not after:
        raise bad_backup("it ends too early: it was cut off")
    return BackedUpTable(table.name, table.columns, _count(status), digest.hexdigest()), after[0]


def _next(frames: Frames) -> tuple[FrameKind, bytes]:
    found = next(frames, None)
    if found is None:
        raise bad_backup("it is damaged")
    return found


def _decoded(content: bytes) -> BackupManifest:
    try:
        return msgspec.json.decode(content, type=BackupManifest)
    except msgspec.MsgspecError as error:
        raise bad_backup("it is damaged, or made by a newer release") from error


def _count(status: str) -> int:
    """Return how many rows a COPY has carried, from its status "COPY 12"."""
    return int(status.rpartition(" ")[2])


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Raise a failure of the driver as UnavailableError, and a value that PostgreSQL refuses as a damaged backup."""
    try:
        yield
    except CountersignError:
        raise
    except asyncpg.DataError as error:
        raise bad_backup(f"it is damaged ({error})") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UnavailableError(
            f"The database {what} ({error}): check that PostgreSQL runs, its log, and its disk."
        ) from error
