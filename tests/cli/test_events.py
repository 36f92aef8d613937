"""`countersign events` at the command line: export, follow, confirm and months."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from countersign.flows.maintenance.export_events import Cursor
from countersign.flows.maintenance.ocsf import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Run
    from tests.peers.program import Program


def lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_an_export_has_each_event_on_a_line_and_goes_on_after_a_cursor(run: Run) -> None:
    """O4: what no worker has ordered yet is in it, too."""
    run("apps", "add", "shop")
    first = run("events", "export")
    assert first.exit_code == 0, first.output
    (event,) = lines(first.stdout)
    assert (event["kind"], event["facts"]["name"]) == ("application.added", "shop")
    assert event["at"].endswith("Z")
    assert list(event) == ["cursor", "id", "at", "kind", "application", "owner", "facts"]
    run("keys", "rotate")
    (second,) = lines(run("events", "export", "--after", event["cursor"]).stdout)
    assert second["kind"] == "keys.rotated"
    assert run("events", "export", "--after", second["cursor"]).stdout == ""
    assert run("events", "verify").exit_code == 0


def test_an_export_speaks_ocsf(run: Run) -> None:
    run("apps", "add", "shop")
    (event,) = lines(run("events", "export", "--format", "ocsf").stdout)
    assert (event["class_uid"], event["metadata"]["version"]) == (3004, SCHEMA_VERSION)
    assert run("events", "export", "--format", "ocsf", "--after", event["unmapped"]["cursor"]).stdout == ""


def test_a_cursor_that_is_none_is_misuse(run: Run) -> None:
    ended = run("events", "export", "--after", "nonsense")
    assert ended.exit_code == 2
    assert "no cursor" in ended.stderr


def test_a_cursor_beyond_what_a_database_can_count_is_misuse(run: Run) -> None:
    """Somebody may have made it up."""
    run("apps", "add", "shop")
    for word in ("export", "confirm"):
        made_up = str(Cursor((1 << 64) - 1, 0, bytes(8)))
        ended = run("events", word, *(["--after"] if word == "export" else []), made_up)
        assert ended.exit_code == 2, ended.output
        assert "no cursor" in ended.stderr


def test_a_page_that_is_missing_ends_an_export_with_one(run: Run, tmp_path: Any) -> None:
    """O4."""
    import sqlite3

    run("apps", "add", "shop")
    run("keys", "rotate")
    connection = sqlite3.connect(tmp_path / ".countersign" / "countersign.db")
    with connection:
        assert connection.execute("DELETE FROM events WHERE page LIKE '%application.added%'").rowcount == 1
    connection.close()
    ended = run("events", "export")
    assert ended.exit_code == 1
    assert [one["kind"] for one in lines(ended.stdout)] == ["keys.rotated"]
    assert "1 pages that should be there are missing" in ended.stderr


def test_an_export_is_confirmed_once(run: Run) -> None:
    """O10: and the log says by whom."""
    run("apps", "add", "shop")
    cursor = lines(run("events", "export").stdout)[-1]["cursor"]
    assert "Confirmed." in run("events", "confirm", cursor).stderr
    assert "before" in run("events", "confirm", cursor).stderr
    (event,) = lines(run("events", "export", "--after", cursor).stdout)
    assert event["kind"] == "export.confirmed"
    assert event["facts"]["by"]


def test_months_that_were_sealed_are_listed(run: Run) -> None:
    run("apps", "add", "shop")
    assert json.loads(run("events", "months", "--json").stdout) == []


@contextlib.contextmanager
def reader_of(url: str) -> Iterator[str]:
    """Give the address of a database for a user who may only read."""

    async def carry_out(*statements: str) -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(carry_out("CREATE ROLE archive LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO archive"))
    yield url.replace("tester@", "archive@")
    asyncio.run(carry_out("DROP OWNED BY archive", "DROP ROLE archive"))


@pytest.mark.postgres
def test_a_user_who_may_only_read_exports_and_verifies_and_is_told_the_rest(run: Run, postgres_url: str) -> None:
    """O4: an archive needs no more than SELECT, for all that a worker has put in order."""
    run("apps", "add", "shop", DATABASE_URL=postgres_url)
    cursor = lines(run("events", "export", DATABASE_URL=postgres_url).stdout)[-1]["cursor"]
    run("keys", "rotate", DATABASE_URL=postgres_url)
    with reader_of(postgres_url) as url:
        exported = run("events", "export", DATABASE_URL=url)
        assert exported.exit_code == 0, exported.output
        assert [one["kind"] for one in lines(exported.stdout)] == ["application.added"]
        assert "takes no writes" in exported.stderr
        assert run("events", "export", "--after", cursor, DATABASE_URL=url).stdout == ""
        assert json.loads(run("events", "verify", "--json", DATABASE_URL=url).stdout)["findings"] == []
        refused = run("events", "confirm", cursor, DATABASE_URL=url)
        assert refused.exit_code == 3
        assert "lacks a right" in refused.stderr
        found = {one["name"]: one for one in json.loads(run("doctor", "--json", DATABASE_URL=url).stdout)}
        assert found["database writes"]["state"] == "unsafe"
        assert "lacks a right" in found["database writes"]["what"]


@contextlib.contextmanager
def following(program: Program, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        program.command("events", "export", "--follow", *words),
        cwd=program.place,
        env=program.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_following_tells_of_what_happens_and_ends_at_a_signal(program: Program, number: signal.Signals) -> None:
    """O4: each line at once, and nothing twice."""
    assert program.run("apps", "add", "shop").returncode == 0
    with following(program) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        assert json.loads(started.stdout.readline())["kind"] == "application.added"
        assert program.run("keys", "rotate").returncode == 0
        assert json.loads(started.stdout.readline())["kind"] == "keys.rotated"
        started.send_signal(number)
        assert started.wait(20) == 0
        assert started.stdout.read() == b""
        assert b"Traceback" not in started.stderr.read()


def test_following_ends_when_nobody_reads_any_more(program: Program) -> None:
    """O4: also while nothing happens that could be written."""
    assert program.run("apps", "add", "shop").returncode == 0
    with following(program) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.readline()
        started.stdout.close()
        assert started.wait(20) == 0
        assert started.stderr.read() == b""
        started.stdout = None


def test_a_reader_that_does_not_read_keeps_no_export_from_ending(program: Program) -> None:
    """O4: the pipe is full, and the signal is heard all the same."""
    for number in range(2):
        assert program.run("apps", "add", f"shop{number}").returncode == 0
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    started = subprocess.Popen(
        program.command("events", "export", "--follow"), cwd=program.place, env=program.environ, stdout=writing
    )
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"{", "the rest of the first line stays in the pipe, and the second one waits"
        with pytest.raises(subprocess.TimeoutExpired):
            started.wait(0.2)
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 0
    finally:
        started.kill()
        started.wait()
        os.close(reading)
