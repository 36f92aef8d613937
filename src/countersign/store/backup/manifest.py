"""What a backup says of itself: when it was made, of what, which keys it needs, and how many rows each table has."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

import msgspec

from countersign.errors import SettingsError
from countersign.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT: Final = 1
"""The newest format of backups that this program makes and reads."""
MODE: Final = 0o600
CHUNK: Final = 1 << 20
"""Bytes that are read or written at once."""
GZIP: Final = b"\x1f\x8b"
SQLITE: Final = b"SQLite format 3\0"

PARTIAL: Final = ".partial"
"""What the name of a file ends in that is not complete."""


class BackedUpTable(msgspec.Struct, frozen=True):
    """A table of a backup: its columns, how many rows it has, and the SHA-256 of what is stored of them, in hexadecimal."""

    name: str
    columns: tuple[str, ...]
    rows: int = 0
    sha256: str = ""


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself.

    - `made_at` (ms) is the moment whose state it holds; `release` is that of the program that made it.
    - `database` is the kind of database, `revision` that of its schema.
    - `environment` and `fingerprint` (hexadecimal) are what the database says of its environment and of its key file.
    - `keys` are the ids of the keys that may have sealed something in it. None of them is in it.
    """

    format: int = FORMAT
    made_at: int
    release: str
    database: Literal["sqlite", "postgresql"]
    revision: str
    environment: str = ""
    fingerprint: str = ""
    keys: tuple[str, ...] = ()
    tables: tuple[BackedUpTable, ...] = ()

    @property
    def rows(self) -> int:
        """Return how many rows it has."""
        return sum(table.rows for table in self.tables)


class BackupRequest(msgspec.Struct, frozen=True):
    """What a backup is told by its caller: the time (ms), the release, and the ids of the keys."""

    made_at: int
    release: str
    keys: tuple[str, ...]


def check_revision(revision: str) -> None:
    """Raise SettingsError if this program does not know a backup's schema."""
    if revision not in metadata.revisions():
        raise SettingsError(
            f"The backup has revision {revision}, which this version of Countersign does not know: restore it with the newer version that"
            " made it."
        )


def bad_backup(what: str) -> SettingsError:
    """Return the error for a file that cannot be restored."""
    return SettingsError(f"The backup cannot be used: {what}. Nothing was changed. Take another backup.")


def partial_beside(path: Path) -> Path:
    """Return a new, empty file for its owner alone, beside the file `path` that it will become. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
    return draft


def publish(draft: Path, path: Path) -> None:
    """Give a complete file its name, durably. Raises FileExistsError if the name is taken: nothing is ever overwritten."""
    _sync(draft)
    os.link(draft, path)
    draft.unlink()
    _sync(path.parent)


def in_chunks(source: BinaryIO) -> Iterator[bytes]:
    """Return what a file holds, piece by piece."""
    while piece := source.read(CHUNK):
        yield piece


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
