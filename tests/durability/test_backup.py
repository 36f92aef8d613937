"""Backups while everything goes on: under load, killed in the middle, on a full disk, and brought back over what was used since."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.durability.installation import Installation, installed, webhook_config
from tests.durability.sender import SECRET
from tests.peers.postgres import PostgresServer

CONFIG = webhook_config("http://127.0.0.1:9/", SECRET)
ROWS = 60_000
"""Rows enough for a backup that takes a moment."""
WITHIN = 30.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def ask(installation: Installation, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=WITHIN)
    try:
        headers = {"Authorization": f"Bearer {installation.key}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


async def fill(installation: Installation, rows: int = ROWS) -> None:
    if installation.sqlite:
        await installation.change(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"  # noqa: S608 - a number of ours
            " INSERT INTO limits (key, tat) SELECT CAST(printf('%032d', i) AS BLOB), i FROM n"
        )
    else:
        await installation.change(
            f"INSERT INTO limits SELECT convert_to(lpad(i::text, 32, '0'), 'UTF8'), i FROM generate_series(1, {rows}) i"  # noqa: S608
        )


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, each_url: str, tmp_path: Path) -> Iterator[str]:
    """Give the address of a database, of the same kind, that is not there yet or empty."""
    if not each_url:
        yield f"sqlite:///{tmp_path / 'again.db'}"
        return
    server: PostgresServer = request.getfixturevalue("durable_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


class Begins(threading.Thread):
    """Begins verifications one after the other, and keeps those that were acknowledged."""

    def __init__(self, installation: Installation) -> None:
        super().__init__()
        self.installation = installation
        self.begun: list[str] = []
        self.slowest = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        until = time.monotonic() + WITHIN
        while not self.over.is_set() and time.monotonic() < until:
            began = time.monotonic()
            status, answer = ask(
                self.installation, "/v1/verifications", {"to": f"u{len(self.begun)}@{id(self)}.example"}
            )
            assert status == 201, answer
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.begun.append(answer["id"])


async def test_a_backup_under_load_is_whole_and_holds_up_nobody(each_url: str, empty_url: str, tmp_path: Path) -> None:
    """O11: SQLite's own `.backup` was not done after 40 s, and its file held no table."""
    with installed(tmp_path, each_url, config=CONFIG) as installation:
        await fill(installation)
        installation.serve()
        crowd = [Begins(installation) for _ in range(2)]
        for one in crowd:
            one.start()
        await asyncio.sleep(0.5)
        before = [id_ for one in crowd for id_ in one.begun]
        began = time.monotonic()
        words = ("backup", "backup", "--json", "--drill", "--into", empty_url)
        made = await asyncio.to_thread(installation.program.run, *words)
        took = time.monotonic() - began
        for one in crowd:
            one.over.set()
            one.join()
        assert made.returncode == 0, made.stderr
        assert before
        assert max(one.slowest for one in crowd) < 5.0
        restored = installation.program.run("restore", "backup", DATABASE_URL=empty_url)
        assert restored.returncode == 0, restored.stderr
        installation.database_url = empty_url
        kept = {id_ for (id_,) in await installation.rows("SELECT id FROM challenges")}
        assert kept >= set(before), "what was acknowledged before is in it"
        assert (await installation.rows("SELECT count(*) FROM limits"))[0][0] >= ROWS
    figures = json.loads(made.stdout)
    print(f"\n{figures['rows']} rows in {figures['seconds']} s ({took:.1f} s with the start)")  # noqa: T201 - shown with -rP


def test_a_killed_backup_leaves_no_file_under_its_name(each_url: str, tmp_path: Path) -> None:
    """O11: and the next one is made as if nothing had happened."""
    with installed(tmp_path, each_url, config=CONFIG) as installation:
        asyncio.run(
            fill(installation, (5 if installation.sqlite else 1) * ROWS)
        )  # SQLite copies them so fast that no kill is in time
        folder = tmp_path / "backups"
        folder.mkdir()
        for sent in (signal.SIGKILL, signal.SIGTERM):
            running = subprocess.Popen(
                installation.program.command("backup", "backups"),
                cwd=tmp_path,
                env=installation.program.environ,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            until, before = time.monotonic() + WITHIN, set(folder.iterdir())
            while not set(folder.iterdir()) - before and time.monotonic() < until and running.poll() is None:
                time.sleep(0.001)
            running.send_signal(sent)
            running.wait(WITHIN)
            assert not list(folder.glob("countersign-*"))
            left = list(folder.iterdir())
            assert bool(left) is (sent is signal.SIGKILL), "what was killed a day ago is removed"
            for path in left:
                os.utime(path, (0, 0))
        assert installation.program.run("backup", "backups").returncode == 0
        (made,) = folder.iterdir()
        assert made.stat().st_mode & 0o777 == 0o600


async def copies_into(url: str, name: str) -> None:
    """Wait until rows are copied into the database of this name."""
    watcher = await asyncpg.connect(url)
    copying = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'COPY%'"
    async with asyncio.timeout(WITHIN):
        while not await watcher.fetchval(copying, name):  # noqa: ASYNC110 - another program's doing
            await asyncio.sleep(0.005)
    await watcher.close()


@pytest.mark.postgres
def test_a_killed_restoration_leaves_the_database_empty(
    durable_url: str, durable_server: PostgresServer, tmp_path: Path
) -> None:
    """O11: so that it can be run again."""
    name = durable_server.create()
    empty_url = durable_server.url(name)
    try:
        with installed(tmp_path, durable_url, config=CONFIG) as installation:
            asyncio.run(fill(installation))
            assert installation.program.run("backup", "backup").returncode == 0
            running = subprocess.Popen(
                installation.program.command("restore", "backup"),
                cwd=tmp_path,
                env={**installation.program.environ, "COUNTERSIGN_DATABASE_URL": empty_url},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            asyncio.run(copies_into(durable_url, name))
            running.kill()
            running.wait(WITHIN)
            again = installation.program.run("restore", "backup", DATABASE_URL=empty_url)
            assert again.returncode == 0, again.stderr
    finally:
        durable_server.drop(name)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own on which hardly anything has room; only root may have one."""
    place = Path("/tmp") / f"countersign-small-{os.getpid()}"  # noqa: S108 - a mount of our own
    place.mkdir(mode=0o700)
    mount = shutil.which("mount")
    words = [mount or "", "-t", "tmpfs", "-o", "size=200k,mode=700", "tmpfs", str(place)]
    if mount is None or subprocess.run(words, check=False, capture_output=True).returncode != 0:
        place.rmdir()
        pytest.skip("no disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        place.rmdir()


def test_a_full_disk_leaves_nothing_half_done(each_url: str, tmp_path: Path, small_disk: Path) -> None:
    """O11: neither a backup nor, on SQLite, a database."""
    with installed(tmp_path, each_url, config=CONFIG) as installation:
        asyncio.run(fill(installation))
        for words in ((), ("--gzip",)):
            full = installation.program.run("backup", str(small_disk / "backup"), *words)
            assert full.returncode == 3, full.stderr
            assert "free space" in full.stderr or "disk" in full.stderr
            assert not list(small_disk.iterdir())
        if installation.sqlite:
            assert installation.program.run("backup", "backup").returncode == 0
            url = f"sqlite:///{small_disk / 'again.db'}"
            full = installation.program.run("restore", "backup", DATABASE_URL=url)
            assert full.returncode == 3, full.stderr
            assert not list(small_disk.iterdir())


def test_an_older_file_that_was_copied_back_lets_no_used_code_in(tmp_path: Path) -> None:
    """O11: nobody told the program. The machine remembers a page of the event log that the older file lacks."""
    with installed(tmp_path, config=CONFIG) as installation:
        serving = installation.serve()
        _, begun = ask(installation, "/v1/verifications", {"to": "ada@example.org"})
        earlier = tmp_path / "earlier.db"
        with sqlite3.connect(installation.home / "countersign.db") as connection:
            connection.execute("VACUUM INTO ?", (str(earlier),))
        connection.close()
        code, path = installation.code_of(begun["id"]), f"/v1/verifications/{begun['id']}/check"
        assert ask(installation, path, {"code": code})[1]["status"] == "approved"
        serving.kill()
        for found in installation.home.glob("countersign.db*"):
            found.unlink()
        shutil.copy(earlier, installation.home / "countersign.db")
        installation.serve()
        status, refused = ask(installation, path, {"code": code})
        assert (status, refused["refusal"]) == (409, "canceled")
        assert b"database_restored" in installation.logged()
