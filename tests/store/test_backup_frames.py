"""A backup of PostgreSQL that was damaged in any place is refused, and the database stays empty."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import asyncpg
import msgspec
import pytest

from countersign.errors import SettingsError
from countersign.store.backup import postgres_backup
from countersign.store.backup.frames import FrameKind, FrameWriter, read_frames
from countersign.store.backup.manifest import BackedUpTable, BackupManifest, BackupRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.postgres


async def backup_of(url: str) -> bytes:
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO limits SELECT decode(md5(i::text), 'hex'), i FROM generate_series(1, 500) i")
    await connection.close()
    out = io.BytesIO()
    await postgres_backup.back_up(url, out, BackupRequest(0, "1", ("k1",)))
    return out.getvalue()


async def tables_in(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"))
    finally:
        await connection.close()


async def test_it_is_refused_wherever_it_was_cut_or_changed(postgres_url: str, empty_postgres_url: str) -> None:
    """O11: in its head, between two tables, in a row, at its end."""
    whole = await backup_of(postgres_url)
    size = len(whole)
    harmed = [whole[:cut] for cut in (19, 40, size // 3, size // 2, size - 40, size - 1)]
    harmed += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, 30, size // 2, size - 200, size - 1)]
    for one in (*harmed, whole + b"x"):
        with pytest.raises(SettingsError, match="cannot be used"):
            await postgres_backup.restore(empty_postgres_url, io.BytesIO(one), lambda _: None)
    assert await tables_in(empty_postgres_url) == 0
    restored = await postgres_backup.restore(empty_postgres_url, io.BytesIO(whole), lambda _: None)
    assert restored.rows > 500


async def test_tables_that_are_not_those_it_describes_are_refused(postgres_url: str, empty_postgres_url: str) -> None:
    """O11: though its digest is right, as in one that somebody has put together."""
    whole = await backup_of(postgres_url)
    for forge in (without_limits, with_a_table_of_another):
        out = io.BytesIO()
        writer = FrameWriter(out)
        for kind, content in forge(whole):
            writer.write(kind, content)
        writer.finish()
        out.seek(0)
        with pytest.raises(SettingsError, match="cannot be used"):
            await postgres_backup.restore(empty_postgres_url, out, lambda _: None)
    assert await tables_in(empty_postgres_url) == 0


def without_limits(whole: bytes) -> Iterator[tuple[FrameKind, bytes]]:
    """Leave out one table, which the manifest still has."""
    leaves_out = False
    for kind, content in read_frames(io.BytesIO(whole)):
        if kind is not FrameKind.ROWS:
            leaves_out = kind is FrameKind.TABLE and msgspec.json.decode(content, type=BackedUpTable).name == "limits"
        if not leaves_out:
            yield kind, content


def with_a_table_of_another(whole: bytes) -> Iterator[tuple[FrameKind, bytes]]:
    """Name a table that is none of ours: it would be written into by whoever restores."""
    for kind, content in read_frames(io.BytesIO(whole)):
        if kind is FrameKind.TABLE:
            yield kind, msgspec.json.encode(BackedUpTable("pg_authid", ("rolname",)))
        else:
            yield kind, content


async def test_a_newer_one_is_refused_before_anything_is_read(empty_postgres_url: str) -> None:
    """O11."""
    for head in (
        BackupManifest(made_at=0, release="9", database="postgresql", revision="9999"),
        BackupManifest(made_at=0, release="9", database="postgresql", revision="0015", format=99),
    ):
        out = io.BytesIO()
        writer = FrameWriter(out)
        writer.write(FrameKind.HEAD, msgspec.json.encode(head))
        writer.finish()
        out.seek(0)
        with pytest.raises(SettingsError, match="newer"):
            await postgres_backup.restore(empty_postgres_url, out, lambda _: None)
    assert await tables_in(empty_postgres_url) == 0
