"""Backs up a file of SQLite while it is served, and restores one. The backup is a file of SQLite itself.

`VACUUM INTO` copies one snapshot, however much is written meanwhile. SQLite's backup interface begins anew whenever another process
commits, and never ends under load.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.errors import SettingsError, UnavailableError
from countersign.store.backup.manifest import (
    FORMAT,
    BackedUpTable,
    BackupManifest,
    BackupRequest,
    bad_backup,
    check_revision,
)
from countersign.store.tables import metadata
from countersign.store.tables.lineage import BACKUP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_S: Final = 5.0
"""How long another process that writes is waited for, in seconds."""
SIDE_FILES: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database. One that is left over from another file would be taken for a part of it."""

_encode: Final = msgspec.msgpack.Encoder().encode


def back_up(path: Path, draft: Path, request: BackupRequest) -> BackupManifest:
    """Write a backup of the database at `path` into the empty file `draft`, check it, and return what it says of itself.

    The file is on the disk, but for its name. Raises UnavailableError if the database or the disk fails.
    """
    with _opened(path, f"file:{_quoted(path)}?mode=rw") as connection:
        connection.execute("VACUUM INTO ?", (str(draft),))
    with _opened(draft, f"file:{_quoted(draft)}?mode=rw") as connection:
        _check_pages(connection)
        manifest = BackupManifest(
            made_at=request.made_at,
            release=request.release,
            database="sqlite",
            revision=_revision(connection),
            environment=_text(_fact(connection, metadata.ENVIRONMENT)),
            fingerprint=(_fact(connection, metadata.KEYS) or b"").hex(),
            keys=request.keys,
            tables=tuple(_digests(connection)),
        )
        _note(connection, manifest)
    return manifest


def check(draft: Path) -> BackupManifest:
    """Check a file that is to be restored against what it says of itself, and return that.

    A copy that was made by other means says nothing: then its own state counts, and `tables` is empty. The file is noted to be a backup in
    any case, so that the next start knows it. Raises SettingsError if it is damaged, no database of ours, or newer than this program.
    """
    try:
        with _opened(draft, f"file:{_quoted(draft)}?mode=rw") as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            _check_pages(connection)
            noted = _fact(connection, BACKUP)
            if noted is None:
                manifest = _of_a_copy(connection)
                check_revision(manifest.revision)
                _note(connection, manifest)
                return manifest
            manifest = msgspec.json.decode(noted, type=BackupManifest)
            check_revision(manifest.revision)
            if manifest.format > FORMAT:
                raise bad_backup(f"its format {manifest.format} is newer than this program")
            connection.execute("BEGIN")
            connection.execute("DELETE FROM facts WHERE name = ?", (BACKUP,))
            found = tuple(_digests(connection))
            connection.execute("ROLLBACK")
    except (sqlite3.Error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise bad_backup(f"it is damaged, or no backup of Countersign ({error})") from error
    wrong = [table.name for table, noted_ in zip(found, manifest.tables, strict=False) if table != noted_]
    if len(found) != len(manifest.tables) or wrong:
        raise bad_backup(f"it is damaged: {', '.join(wrong) or 'tables'} are not what was backed up")
    return manifest


def leftovers(path: Path) -> list[Path]:
    """Return what stands where a database is to be restored: the file, or what SQLite has left beside it."""
    places = [path, *(path.with_name(path.name + end) for end in SIDE_FILES)]
    return [one for one in places if one.exists()]


@contextlib.contextmanager
def _opened(path: Path, uri: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_S)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        yield connection
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise
        raise UnavailableError(
            f"The database {path} cannot be copied ({error}): check the disk and the free space."
        ) from error
    finally:
        connection.close()


def _check_pages(connection: sqlite3.Connection) -> None:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise bad_backup(f"it is damaged ({'; '.join(found)})")


def _of_a_copy(connection: sqlite3.Connection) -> BackupManifest:
    newest = connection.execute("SELECT max(at) FROM checkpoints").fetchone()[0]
    return BackupManifest(
        made_at=newest or 0,
        release="",
        database="sqlite",
        revision=_revision(connection),
        environment=_text(_fact(connection, metadata.ENVIRONMENT)),
        fingerprint=(_fact(connection, metadata.KEYS) or b"").hex(),
    )


def _digests(connection: sqlite3.Connection) -> Iterator[BackedUpTable]:
    """Return each table with the number and the digest of its rows, which are read in the order of their keys."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    for (name,) in names:
        described = connection.execute(f"PRAGMA table_info({name})").fetchall()
        columns = [row[1] for row in described]
        key = [row[1] for row in sorted(described, key=lambda row: int(row[5])) if row[5]] or columns
        digest, rows = hashlib.sha256(), 0
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY {', '.join(key)}"):
            digest.update(_encode(row))
            rows += 1
        yield BackedUpTable(name, tuple(columns), rows, digest.hexdigest())


def _note(connection: sqlite3.Connection, manifest: BackupManifest) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (BACKUP, msgspec.json.encode(manifest))
    )


def _revision(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise SettingsError("The database was never migrated: there is nothing to back up or restore.")
    return str(row[0])


def _fact(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
