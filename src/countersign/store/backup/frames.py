"""The file format of a backup of PostgreSQL: frames, each with a kind, a length and its bytes, and a digest over all at the end."""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, Final

from countersign.store.backup.manifest import bad_backup

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"countersign backup\n"

_LENGTH_BYTES: Final = 8
_MOST_AT_ONCE: Final = 1 << 28


class FrameKind(Enum):
    """What a frame holds: the manifest without its counts, a table's name, rows of the table, the whole manifest, or the digest."""

    HEAD = b"H"
    TABLE = b"T"
    ROWS = b"R"
    MANIFEST = b"M"
    END = b"E"


class FrameWriter:
    """Writes a backup to a file that cannot be read or sought, such as a pipe."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self._put(MAGIC)

    def write(self, kind: FrameKind, content: bytes) -> None:
        """Write one frame."""
        self._put(kind.value + len(content).to_bytes(_LENGTH_BYTES))
        self._put(content)

    def finish(self) -> None:
        """Write the digest of everything before, which nothing follows."""
        digest = self._digest.digest()
        self.write(FrameKind.END, digest)

    def _put(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._out.write(piece)


def read_frames(source: BinaryIO) -> Iterator[tuple[FrameKind, bytes]]:
    """Return the frames of a backup but the last, after which nothing may follow. Raises SettingsError if it is damaged or cut off.

    What it returned is only known to be right when it has come to its end.
    """
    digest = hashlib.sha256()

    def take(count: int) -> bytes:
        piece = source.read(count)
        if len(piece) < count:
            raise bad_backup("it ends too early: it was cut off")
        return piece

    magic = take(len(MAGIC))
    if magic != MAGIC:
        raise bad_backup("it is no backup of Countersign")
    digest.update(magic)
    while True:
        head = take(1 + _LENGTH_BYTES)
        length = int.from_bytes(head[1:])
        if head[:1] not in {kind.value for kind in FrameKind} or length > _MOST_AT_ONCE:
            raise bad_backup("it is damaged")
        content = take(length)
        kind = FrameKind(head[:1])
        if kind is FrameKind.END:
            if content != digest.digest() or source.read(1):
                raise bad_backup("it is damaged: its digest is not what was written")
            return
        digest.update(head)
        digest.update(content)
        yield kind, content
