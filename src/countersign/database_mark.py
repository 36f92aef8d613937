"""Remembers, outside the database, the last page of the event log that this machine has seen become durable.

A database that lacks this page has been set back to an earlier state. Each machine keeps a mark of its own, so the key file may be shared
and mounted read-only.
"""

from __future__ import annotations

import contextlib
import os
import weakref
import zlib
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE: Final = 512
"""Bytes of the file. It is written as a whole, at its beginning, so a crash leaves the earlier mark or the later one."""

_MODE: Final = 0o600
_log = structlog.get_logger("countersign.database")


class Mark(msgspec.Struct, frozen=True):
    """A page that was durable.

    - `database` and `generation` are those of the database's lineage at that time (`store.tables.lineage`).
    - `writer`, `seq` and `hash` name the page; `at` (ms) is when it was marked.
    """

    database: str
    generation: str
    writer: str
    seq: int
    hash: str
    at: int


class DatabaseMark:
    """The file with the mark of this machine. Without it, everything works, and a database that was set back is not noticed.

    Args:
        path: where it is; it is made when the first page is marked, with mode 0600.
        clock: the time in ms.
    """

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self.path = path
        self._clock = clock
        self._lineage: tuple[str, str] | None = None
        self._descriptor: int | None = None
        self._failed = False

    def read(self) -> Mark | None:
        """Return the mark, or None if there is none that can be read."""
        try:
            raw = self.path.read_bytes()
        except OSError:
            return None
        checksum, _, encoded = raw.rstrip(b" \n").partition(b" ")
        if checksum != _checksum(encoded):
            return None
        try:
            return msgspec.json.decode(encoded, type=Mark)
        except msgspec.MsgspecError:
            return None

    def bind(self, database: str, generation: str) -> None:
        """Mark pages of this database from now on. Until then nothing is written, so that the earlier mark can be judged."""
        self._lineage = (database, generation)

    def record(self, writer: str, seq: int, page_hash: bytes) -> None:
        """Mark a page that has become durable. It costs one write that does not wait for the disk."""
        if self._lineage is None or self._failed:
            return
        database, generation = self._lineage
        encoded = msgspec.json.encode(Mark(database, generation, writer, seq, page_hash.hex(), self._clock()))
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            os.pwrite(self._descriptor, (_checksum(encoded) + b" " + encoded).ljust(SIZE - 1) + b"\n", 0)
        except OSError as error:
            # What serves goes on. Without a mark the database is served as one of a machine that has just been added.
            self._failed = True
            _log.info("mark_not_written", file=str(self.path), why=error.strerror)

    def _open(self) -> int:
        """Open the file, and give one that root makes to the owner of its folder, who serves."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        weakref.finalize(self, os.close, descriptor)
        if os.geteuid() == 0:
            folder = self.path.parent.stat()
            with contextlib.suppress(OSError):
                os.fchown(descriptor, folder.st_uid, folder.st_gid)
        return descriptor


def _checksum(encoded: bytes) -> bytes:
    return b"%08x" % zlib.crc32(encoded)
