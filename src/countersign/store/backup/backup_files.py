"""Writes and reads the files of backups: compressed or not, complete or not there at all, or as a stream through a pipe."""

from __future__ import annotations

import contextlib
import gzip
import io
import tempfile
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import msgspec

from countersign.errors import SettingsError, UnavailableError
from countersign.store.backup import sqlite_backup
from countersign.store.backup.frames import MAGIC
from countersign.store.backup.manifest import (
    GZIP,
    PARTIAL,
    SQLITE,
    BackupManifest,
    bad_backup,
    in_chunks,
    partial_beside,
    publish,
)
from countersign.store.engine.connect import sqlite_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from countersign.store.backup.manifest import BackupRequest
    from countersign.store.backup.postgres_backup import RestoredTransaction
    from countersign.store.engine.database import Database

LEVEL: Final = 6
"""How hard gzip works: 1 is fast, 9 small."""
_LEFTOVER_S: Final = 86_400
"""Seconds after which a file that was never completed belongs to a command that was killed."""
_NAME: Final = "countersign-"


class WrittenBackup(msgspec.Struct, frozen=True):
    """A backup that was written: what it says of itself, its file (None for a pipe), and its bytes."""

    manifest: BackupManifest
    path: Path | None
    size: int


async def write_backup(url: str, target: Path | BinaryIO, request: BackupRequest, *, compress: bool) -> WrittenBackup:
    """Back up the database at `url` into a file, into a new file of a folder, or into a pipe, while programs serve.

    A file appears under its name only when it is complete, checked and on the disk; its mode is 0600. Raises SettingsError if there is a
    file of this name, and UnavailableError if the database or the disk fails.
    """
    source = sqlite_path(url)
    if not isinstance(target, Path):
        return await _write_to_pipe(url, target, request, compress=compress)
    path = _place_of(target, request.made_at, compress=compress, sqlite=source is not None)
    drafts: list[Path] = []
    try:
        drafts.append(partial_beside(path))
        if source is not None:
            manifest = sqlite_backup.back_up(source, drafts[0], request)
            if compress:
                drafts.append(partial_beside(path))
                with drafts[0].open("rb") as plain, _writing(drafts[1], compress=True) as out:
                    for piece in in_chunks(plain):
                        out.write(piece)
        else:
            from countersign.store.backup import postgres_backup

            with _writing(drafts[0], compress=compress) as out:
                manifest = await postgres_backup.back_up(url, out, request)
        size = drafts[-1].stat().st_size
        publish(drafts[-1], path)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise UnavailableError(
            f"The backup {path} cannot be written ({error.strerror}): check its folder and the free space."
        ) from error
    finally:
        _remove(drafts)
    return WrittenBackup(manifest, path, size)


async def restore_backup(url: str, source: BinaryIO, check: Callable[[BackupManifest], None]) -> BackupManifest:
    """Restore a backup into a database that is empty or, of SQLite, not there yet; return what the backup says of itself.

    `check` may refuse by an error what the backup says. Either everything is restored, or nothing is changed. Raises SettingsError if there
    is a database already, or if the backup is damaged, of the other kind of database, or newer than this program.
    """
    kind, opened = _identified(source)
    path = sqlite_path(url)
    with _readable():
        if path is None:
            _refuse_other_kind(kind, "postgresql")
            from countersign.store.backup import postgres_backup

            return await postgres_backup.restore(url, opened, check)
        _refuse_other_kind(kind, "sqlite")
        return _restore_file(path, opened, check)


@contextlib.asynccontextmanager
async def in_scratch_place(
    scratch_url: str, source: BinaryIO, check: Callable[[BackupManifest], None]
) -> AsyncIterator[tuple[BackupManifest, Database | RestoredTransaction]]:
    """Give a backup as it is when restored, brought to the newest revision, in a place that is empty again at the end.

    A backup of SQLite is restored into a temporary file, one of PostgreSQL into the empty database at `scratch_url`, in a transaction that
    is rolled back.
    """
    from countersign.store.engine.connect import open_database
    from countersign.store.engine.migrate import migrate

    kind, opened = _identified(source)
    with _readable():
        if kind == "postgresql":
            if not scratch_url or sqlite_path(scratch_url) is not None:
                raise SettingsError(
                    "A backup of PostgreSQL is tried in an empty database of PostgreSQL: name one by --into."
                )
            from countersign.store.backup import postgres_backup

            async with postgres_backup.restored(scratch_url, opened, check) as restored:
                yield restored.manifest, restored
            return
        if scratch_url and sqlite_path(scratch_url) is None:
            raise SettingsError("A backup of SQLite is tried in a temporary file: leave out --into.")
        with tempfile.TemporaryDirectory(prefix=_NAME) as folder:
            path = Path(folder) / "drill.db"
            manifest = _restore_file(path, opened, check)
            migrate(f"sqlite:///{path}")
            database = open_database(f"sqlite:///{path}")
            await database.open()
            try:
                yield manifest, database
            finally:
                await database.close()


async def _write_to_pipe(url: str, out: BinaryIO, request: BackupRequest, *, compress: bool) -> WrittenBackup:
    counted = _Counted(out)
    packed = gzip.GzipFile(fileobj=counted, mode="wb", compresslevel=LEVEL, mtime=0) if compress else None
    written = cast("BinaryIO", packed or counted)
    try:
        source = sqlite_path(url)
        if source is None:
            from countersign.store.backup import postgres_backup

            manifest = await postgres_backup.back_up(url, written, request)
        else:
            with tempfile.TemporaryDirectory(prefix=_NAME) as folder:
                draft = partial_beside(Path(folder) / "pipe")
                manifest = sqlite_backup.back_up(source, draft, request)
                with draft.open("rb") as plain:
                    for piece in in_chunks(plain):
                        written.write(piece)
        if packed is not None:
            packed.close()
        out.flush()
    except OSError as error:
        raise UnavailableError(f"The backup cannot be written ({error.strerror}).") from error
    return WrittenBackup(manifest, None, counted.size)


def _restore_file(path: Path, source: BinaryIO, check: Callable[[BackupManifest], None]) -> BackupManifest:
    if found := sqlite_backup.leftovers(path):
        raise SettingsError(
            f"There is {found[0]} already, and nothing is ever overwritten. Stop every program that serves it, and move"
            f" {', '.join(map(str, found))} to another place first."
        )
    drafts: list[Path] = []
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        drafts.append(partial_beside(path))
        with drafts[0].open("wb") as out:
            for piece in in_chunks(source):
                out.write(piece)
        manifest = sqlite_backup.check(drafts[0])
        check(manifest)
        publish(drafts[0], path)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise UnavailableError(
            f"The database {path} cannot be written ({error.strerror}): check its folder and the free space."
        ) from error
    finally:
        _remove(drafts)
    return manifest


def _identified(source: BinaryIO) -> tuple[str, BinaryIO]:
    """Return which kind of database a backup is of, and the backup itself, uncompressed. Raises SettingsError if it is none."""
    with _readable():
        head = source.read(len(GZIP))
        opened = cast("BinaryIO", _Rest(head, source))
        if head == GZIP:
            opened = cast("BinaryIO", gzip.GzipFile(fileobj=opened, mode="rb"))
        head = opened.read(max(len(SQLITE), len(MAGIC)))
    opened = cast("BinaryIO", _Rest(head, opened))
    if head.startswith(SQLITE):
        return "sqlite", opened
    if head.startswith(MAGIC):
        return "postgresql", opened
    raise bad_backup(
        "it is no backup of Countersign, and one that is encrypted must be decrypted first" if head else "it is empty"
    )


class _Rest:
    """A file of which some bytes were read already, given once more from its beginning."""

    def __init__(self, head: bytes, source: BinaryIO) -> None:
        self._head = head
        self._source = source

    def read(self, count: int = -1) -> bytes:
        """Return so many bytes, and fewer only at the end; all that are left if it is negative."""
        if count < 0:
            head, self._head = self._head, b""
            return head + self._source.read()
        head, self._head = self._head[:count], self._head[count:]
        return head + self._source.read(count - len(head)) if len(head) < count else head


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise bad_backup("it is damaged, or ends too early") from error


def _refuse_other_kind(kind: str, wanted: str) -> None:
    if kind != wanted:
        names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
        raise SettingsError(
            f"The backup is one of {names[kind]}, and the settings name a database of {names[wanted]} (COUNTERSIGN_DATABASE_URL)."
        )


def _place_of(target: Path, made_at: int, *, compress: bool, sqlite: bool) -> Path:
    """Return the file that is to be written. A folder gets one that is named after the time."""
    if target.is_dir():
        _remove_leftovers(target)
        moment = datetime.fromtimestamp(made_at / 1_000, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
        target = target / f"{_NAME}{moment}{'.db' if sqlite else '.backup'}{'.gz' if compress else ''}"
    if not target.parent.is_dir():
        raise SettingsError(f"The folder {target.parent} of the backup does not exist.")
    if target.exists() or target.is_symlink():
        raise _taken(target)
    return target


def _remove_leftovers(folder: Path) -> None:
    """Remove what commands that were killed have left half done, a day later."""
    for path in folder.glob(f".{_NAME}*{PARTIAL}"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _LEFTOVER_S:
                path.unlink()


@contextlib.contextmanager
def _writing(path: Path, *, compress: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        if not compress:
            yield cast("BinaryIO", file)
            return
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=LEVEL, mtime=0) as packed:
            yield cast("BinaryIO", packed)


def _remove(drafts: list[Path]) -> None:
    for draft in drafts:
        for path in (draft, *(draft.with_name(draft.name + end) for end in sqlite_backup.SIDE_FILES)):
            path.unlink(missing_ok=True)


def _taken(path: Path) -> SettingsError:
    return SettingsError(f"There is {path} already, and nothing is ever overwritten: name another file.")


class _Counted(io.RawIOBase):
    """Passes on what is written, and counts it."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self.size = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        """Write everything."""
        self._out.write(piece)
        self.size += len(piece)
        return len(piece)
