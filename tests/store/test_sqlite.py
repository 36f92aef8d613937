"""SQLite with a full disk, a second process, a long WAL, a folder that cannot be written: a clear word, and recovery by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from countersign.errors import OverloadedError, SettingsError, UnavailableError
from countersign.store.engine import sqlite, sqlite_threads
from countersign.store.engine.connect import open_database, sqlite_path
from countersign.store.engine.database import Insert, Rows, Sql, Update, Upsert, Write
from countersign.store.engine.migrate import migrate
from countersign.store.engine.sqlite import SqliteDatabase, in_dialect
from countersign.store.tables.schema import ALL_TABLES, FACTS, LIMITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from countersign.store.engine.database import Change


async def write(*changes: Change) -> None:
    await Write(changes)


async def query(sql: str, *args: object) -> Rows:
    return await Sql(sql, args)


async def slow(seconds: float) -> None:
    time.sleep(seconds)
    await Sql("SELECT 1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a migrated database."""
    file = tmp_path / "home" / "countersign.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SqliteDatabase]:
    """Give it opened."""
    database = SqliteDatabase(path)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or os.geteuid() != 0
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "none", disk], check=False).returncode
    ):
        pytest.skip("mounting a small disk needs the rights of root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


async def test_the_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "countersign.db"
    database = SqliteDatabase(file)
    await database.open()
    await database.run(query, "CREATE TABLE t (a)")
    modes = {found.name: found.stat().st_mode & 0o777 for found in file.parent.iterdir()}
    await database.close()
    assert modes == dict.fromkeys(("countersign.db", "countersign.db-wal", "countersign.db-shm"), 0o600)
    assert file.parent.stat().st_mode & 0o777 == 0o700


async def test_closing_puts_the_wal_into_the_file(path: Path) -> None:
    database = SqliteDatabase(path)
    await database.open()
    await database.run(write, Insert(LIMITS, [(b"k", 1)]))
    await database.close()
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    with pytest.raises(UnavailableError):
        await database.run(query, "SELECT 1")


ELSEWHERE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO facts (name, value) VALUES ('elsewhere', x'')")
connection.commit()
connection.close()
"""


async def test_opening_a_file_that_is_open_loses_no_lock_on_it(tmp_path: Path) -> None:
    """D1, K4: a process that takes new settings has the file open twice for a moment.

    Whoever closes any descriptor of a file loses the locks that its process has on it (POSIX, fcntl). The next process that closes the
    database would take itself for the last one, and remove the log of writes that the first still reads.
    """
    file = tmp_path / "countersign.db"
    migrate(f"sqlite:///{file}")
    first = SqliteDatabase(file)
    await first.open()
    await first.run(write, Insert(FACTS, [("before", b"")]))
    second = SqliteDatabase(file)
    await second.open()
    await second.close()
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", ELSEWHERE, str(file)], check=True)
    assert (tmp_path / "countersign.db-wal").exists(), "the other process took itself for the last one"
    assert await first.read(query, "SELECT name FROM facts WHERE name = 'elsewhere'") == [("elsewhere",)]
    await first.close()


async def test_every_commit_waits_for_the_disk(store: SqliteDatabase) -> None:
    assert await store.run(query, "PRAGMA journal_mode") == [("wal",)]
    assert await store.run(query, "PRAGMA synchronous") == [(2,)]


async def test_a_full_disk_is_told_and_space_that_returns_is_used(small_disk: Path) -> None:
    file = small_disk / "countersign.db"
    migrate(f"sqlite:///{file}")
    database = SqliteDatabase(file)
    await database.open()
    ballast = small_disk / "ballast"
    await database.run(write, Insert(FACTS, [("before", b"")]))
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as fill:
        while True:
            fill.write(bytes(4_096))
    for n in range(3):
        with pytest.raises(UnavailableError, match=r"disk is full|I/O error"):
            await database.run(write, Insert(FACTS, [(f"lost {n}", bytes(200_000))]))
    assert await database.read(query, "SELECT name FROM facts WHERE name <> 'compatible_since'") == [("before",)]
    ballast.unlink()
    await database.run(write, Insert(FACTS, [("after", bytes(200_000))]))
    kept = await database.read(query, "SELECT name FROM facts WHERE name <> 'compatible_since' ORDER BY name")
    assert kept == [("after",), ("before",)]
    await database.close()


async def test_a_file_that_may_not_grow_is_told_as_a_full_disk(store: SqliteDatabase) -> None:
    await store.run(query, "PRAGMA max_page_count = 60")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="disk is full"):
            await store.run(write, Insert(LIMITS, [(b"small", 1)]), Insert(FACTS, [("large", bytes(1_000_000))]))
    assert await store.read(query, "SELECT count(*) FROM limits") == [(0,)]
    await store.run(write, Insert(LIMITS, [(b"small", 1)]))
    await store.run(query, "PRAGMA max_page_count = 100000")
    await store.run(write, Insert(FACTS, [("large", bytes(1_000_000))]))


async def test_another_process_may_write_and_one_that_never_ends_is_told(
    store: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.run(write, Insert(LIMITS, [(b"k", 1)])))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    assert await store.read(query, "SELECT count(*) FROM limits") == [(0,)]
    other.execute("COMMIT")
    await waiting
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sqlite, "BUSY_MS", 200)
    impatient = SqliteDatabase(path)
    await impatient.open()
    with pytest.raises(UnavailableError, match="another process"):
        await impatient.run(write, Insert(LIMITS, [(b"l", 1)]))
    other.execute("ROLLBACK")
    other.close()
    await impatient.run(write, Insert(LIMITS, [(b"l", 1)]))
    await impatient.close()


async def test_the_wal_stays_short_under_load_and_while_something_reads(
    store: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_threads, "LONG_WAL", 800)
    wal = path.with_name(path.name + "-wal")
    keys = [n.to_bytes(4, "big") * 8 for n in range(5_000)]
    await store.run(write, Upsert(LIMITS, [(key, 0) for key in keys]))
    longest = 0
    for n in range(150):
        await store.run(write, Update(LIMITS, [(key, n) for key in keys[n::40]]))
        await store.run(write, Update(LIMITS, [(key, n) for key in keys]))
        if n % 10 == 0:
            await store.read(query, "SELECT count(*) FROM limits")
        longest = max(longest, wal.stat().st_size)
    assert longest < 4 * 800 * 4_120, f"{longest / 1e6:.0f} MB"


async def test_a_long_read_does_not_hold_up_the_writer(store: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_threads, "LONG_WAL", 10)

    async def long_read() -> Rows:
        await Sql("SELECT count(*) FROM limits")
        time.sleep(1)
        return await Sql("SELECT count(*) FROM limits")

    reading = asyncio.create_task(store.read(long_read))
    await asyncio.sleep(0.05)
    slowest = 0.0
    for n in range(20):
        begun = time.monotonic()
        await store.run(write, Upsert(LIMITS, [(i.to_bytes(4, "big"), n) for i in range(1_000)]))
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 0.8
    assert await reading == [(0,)]


async def test_more_waiting_than_promised_is_refused(store: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_threads, "MAX_WAITING", 2)
    running = asyncio.create_task(store.run(slow, 0.3))
    await asyncio.sleep(0.1)
    waiting = [asyncio.create_task(store.run(slow, 0)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await store.run(slow, 0)
    await asyncio.gather(running, *waiting)


async def test_a_caller_who_left_before_their_turn_changes_nothing(store: SqliteDatabase) -> None:
    running = asyncio.create_task(store.run(slow, 0.2))
    await asyncio.sleep(0.05)
    gone = asyncio.create_task(store.run(write, Insert(LIMITS, [(b"k", 1)])))
    await asyncio.sleep(0.05)
    gone.cancel()
    await running
    assert await store.run(query, "SELECT count(*) FROM limits") == [(0,)]


async def test_keys_are_found_by_the_index(store: SqliteDatabase) -> None:
    for table in ALL_TABLES:
        plan = await store.run(query, f"EXPLAIN QUERY PLAN {sqlite._select(table, 16)}", *range(16 * len(table.key)))
        (step,) = [str(step[3]) for step in plan if " t " in str(step[3])]
        assert step.startswith("SEARCH t USING")
        assert "(rowid=?)" in step or all(f"{name}=?" in step for name, _ in table.key)


async def test_a_database_without_tables_says_what_to_do(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "empty.db")
    await database.open()
    with pytest.raises(UnavailableError, match="countersign migrate"):
        await database.run(write, Insert(LIMITS, [(b"k", 1)]))
    await database.close()


async def test_a_place_that_cannot_be_a_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(
        "a letter to a friend, long enough to be no header of a database at all, and then some more" * 20
    )
    with pytest.raises(UnavailableError, match="not an SQLite database"):
        await SqliteDatabase(tmp_path / "file").open()
    with pytest.raises(UnavailableError, match="cannot be opened"):
        await SqliteDatabase(tmp_path / "file" / "below").open()


def test_a_statement_is_put_into_sqlites_words() -> None:
    assert (
        in_dialect("SELECT a FROM t WHERE b = $1 AND c = $12 FOR UPDATE OF t SKIP LOCKED")
        == "SELECT a FROM t WHERE b = ?1 AND c = ?12"
    )


@pytest.mark.parametrize(
    "url", ["", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://host/x", "countersign.db"]
)
def test_an_address_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="COUNTERSIGN_DATABASE_URL"):
        open_database(url)


def test_an_address_may_be_relative_absolute_and_quoted() -> None:
    assert sqlite_path("sqlite:///data/x.db") == Path("data/x.db")
    assert sqlite_path("sqlite:////var/x%20y.db") == Path("/var/x y.db")
    assert sqlite_path("postgresql://host/x") is None
