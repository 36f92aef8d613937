"""`countersign backup`, `restore` and `drill`, as an operator runs them."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.peers.postgres import PostgresServer
from tests.peers.program import Program

from countersign.store.engine.migrate import migrate

DATABASE = ".countersign/countersign.db"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def move_away(place: Path) -> None:
    """Do what an operator does before a restoration."""
    (place / "old").mkdir(exist_ok=True)
    for path in (place / ".countersign").glob("countersign.db*"):
        path.replace(place / "old" / path.name)


def test_a_backup_is_a_file_of_its_owner_and_needs_named_keys(run: Run, tmp_path: Path) -> None:
    """O11: it is whole, nobody else reads it, and it says which keys it needs, none of which is in it."""
    run("apps", "add", "shop")
    made = json.loads(run("backup", "b.db", "--json").stdout)
    path = tmp_path / "b.db"
    assert path.stat().st_mode & 0o777 == 0o600
    (key,) = json.loads((tmp_path / ".countersign" / "secret.keys").read_text())["keys"]
    assert made["keys"] == [key["kid"]]
    assert key["secret"].encode() not in path.read_bytes()
    with opened(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT name FROM applications").fetchall() == [("shop",)]
    assert not list(tmp_path.glob(".*partial*"))


def test_nothing_is_ever_overwritten(run: Run, tmp_path: Path) -> None:
    """O11: neither by a backup nor by a restoration."""
    run("apps", "add", "shop")
    assert run("backup", "b.db").exit_code == 0
    written = (tmp_path / "b.db").read_bytes()
    again = run("backup", "b.db")
    assert again.exit_code == 2
    assert "nothing is ever overwritten" in again.stderr
    assert (tmp_path / "b.db").read_bytes() == written
    assert run("restore", "b.db").exit_code == 2
    move_away(tmp_path)
    (tmp_path / f"{DATABASE}-wal").write_bytes(b"of another file")
    left = run("restore", "b.db")
    assert left.exit_code == 2
    assert "countersign.db-wal" in left.stderr, "SQLite would take it for a part of what was restored"
    assert not (tmp_path / DATABASE).exists()


@pytest.mark.parametrize("words", [(), ("--gzip",)])
def test_a_folder_gets_a_file_named_after_the_time(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    run("apps", "add", "shop")
    (tmp_path / "backups").mkdir()
    first, second = (run("backup", "backups", *words).stdout.strip() for _ in range(2))
    assert first != second
    assert Path(first).name.endswith(".db.gz" if words else ".db")
    move_away(tmp_path)
    assert run("restore", second).exit_code == 0
    assert "shop" in run("apps", "list").stdout


def test_a_backup_goes_through_a_pipe_to_be_encrypted(run: Run, tmp_path: Path) -> None:
    """O11: `-` is stdout and stdin, and nothing but the backup goes there."""
    run("apps", "add", "shop")
    piped = run("backup", "-", "--gzip")
    assert piped.exit_code == 0
    assert gzip.decompress(piped.stdout_bytes).startswith(b"SQLite format 3")
    assert "needs the key" in piped.stderr
    move_away(tmp_path)
    restored = run("restore", "-", raw=piped.stdout_bytes)
    assert restored.exit_code == 0, restored.stderr
    assert "shop" in run("apps", "list").stdout
    assert run("drill", "-", raw=piped.stdout_bytes).exit_code == 0


@pytest.mark.parametrize("harm", ["cut", "flipped", "text", "empty", "cut gzip", "missing"])
def test_a_damaged_backup_is_refused_and_loses_nothing(run: Run, tmp_path: Path, harm: str) -> None:
    """O11: also one byte in a text that SQLite itself would not miss."""
    run("apps", "add", "a-name-that-is-looked-for")
    run("backup", "b.db")
    path, raw = tmp_path / "b.db", (tmp_path / "b.db").read_bytes()
    harmed = {
        "cut": raw[: len(raw) // 2],
        "flipped": raw.replace(b"a-name-that-is-looked-for", b"a-name-that-is-looked-fox"),
        "text": b"these are not the rows that you are looking for",
        "empty": b"",
        "cut gzip": gzip.compress(raw)[:-500],
        "missing": b"",
    }[harm]
    path.write_bytes(harmed)
    if harm == "missing":
        path.unlink()
    move_away(tmp_path)
    for words in (("restore", "b.db"), ("drill", "b.db")):
        ended = run(*words)
        assert ended.exit_code == 2, ended.output
        assert "cannot be" in ended.stderr
    assert not list((tmp_path / ".countersign").glob("countersign.db*"))
    assert not list((tmp_path / ".countersign").glob(".*"))


def test_a_backup_of_another_environment_or_of_other_keys_is_refused(run: Run, tmp_path: Path) -> None:
    """O11: and it is said which keys it needs."""
    run("apps", "add", "shop")
    run("backup", "b.db")
    kid = json.loads((tmp_path / ".countersign" / "secret.keys").read_text())["keys"][0]["kid"]
    move_away(tmp_path)
    url = "https://verify.example.org"
    of_another = run("restore", "b.db", ENVIRONMENT="production", PUBLIC_URL=url)
    assert of_another.exit_code == 2
    assert "one of development" in of_another.stderr
    run("keys", "new", "other.keys")
    others = run("restore", "b.db", SECRET_FILE="other.keys")
    assert others.exit_code == 2
    assert kid in others.stderr
    assert run("drill", "b.db", SECRET_FILE="other.keys").exit_code == 2
    assert not (tmp_path / DATABASE).exists()


def test_a_backup_that_needs_a_key_which_the_file_lacks_is_refused(run: Run, tmp_path: Path) -> None:
    """O11: an older copy of the right key file."""
    run("apps", "add", "shop")
    shutil.copy(tmp_path / ".countersign" / "secret.keys", tmp_path / "older.keys")
    added = json.loads(run("keys", "rotate", "--json").stdout)["kid"]
    run("backup", "b.db")
    ended = run("drill", "b.db", SECRET_FILE="older.keys")
    assert ended.exit_code == 2
    assert added in ended.stderr


def test_a_backup_of_a_newer_schema_is_refused_and_an_older_one_is_migrated(run: Run, tmp_path: Path) -> None:
    """O11, O7."""
    run("apps", "add", "shop")
    run("backup", "b.db")
    with opened(tmp_path / "b.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(
            "UPDATE facts SET value = CAST(replace(value, '\"revision\":\"0', '\"revision\":\"9') AS BLOB) WHERE name = 'backup'"
        )
    move_away(tmp_path)
    newer = run("restore", "b.db")
    assert newer.exit_code == 2
    assert "newer version" in newer.stderr
    (tmp_path / "b.db").unlink()
    migrate(f"sqlite:///{tmp_path / 'old.db'}", "0012")
    restored = run("restore", "old.db")
    assert restored.exit_code == 0, restored.stderr
    assert "was not made by" in restored.stdout
    assert run("apps", "add", "shop").exit_code == 0


def test_a_drill_opens_what_is_sealed_and_walks_the_log(run: Run, tmp_path: Path) -> None:
    """O11: it fails if a row cannot be opened, or if the log was changed, which a copy alone does not show."""
    run("demo")
    sound = json.loads(run("drill", "--json").stdout)
    assert sound["sound"]
    assert sound["report"]["opened"] > 10
    assert run("backup", "b.db", "--drill").exit_code == 0
    with opened(tmp_path / DATABASE) as connection:
        connection.execute("UPDATE accounts SET name = (SELECT name FROM accounts ORDER BY id DESC LIMIT 1)")
        connection.execute("UPDATE events SET page = replace(page, 'account.created', 'account.deleted')")
    ended = run("drill", "--json")
    assert ended.exit_code == 1
    report = json.loads(ended.stdout)["report"]
    assert report["unreadable"]["accounts"] >= 1
    assert report["findings"]
    told = run("backup", "c.db", "--drill")
    assert told.exit_code == 1
    assert "NOT sound" in told.stdout


def test_a_place_that_a_drill_would_not_use_is_refused_and_its_password_is_not_repeated(run: Run) -> None:
    """O11, C8: somebody who names a database is not told that a drill has been there."""
    assert run("backup", "b.db").exit_code == 0
    refused = run("drill", "b.db", "--into", "postgresql://u:word-of-tests@127.0.0.1:9/x")
    assert refused.exit_code == 2
    assert "leave out --into" in refused.stderr
    assert "word-of-tests" not in refused.output


def test_the_log_and_the_doctor_say_that_it_was_restored(run: Run, tmp_path: Path) -> None:
    """O11: by command, and by a raw copy of an older file, of which nobody has told the program."""
    run("apps", "add", "shop")
    run("backup", "b.db")
    assert "restored" not in run("doctor").stdout
    for copied in (False, True):
        move_away(tmp_path)
        if copied:
            shutil.copy(tmp_path / "b.db", tmp_path / DATABASE)
            run("apps", "list")
        else:
            assert run("restore", "b.db").exit_code == 0
        found = {one["name"]: one for one in json.loads(run("doctor", "--json").stdout)}
        assert found["restored"]["state"] == "advice"
        with opened(tmp_path / DATABASE) as connection:
            pages = [page for (page,) in connection.execute("SELECT page FROM events")]
        assert sum("database.restored" in page for page in pages) == 1


def test_a_database_that_was_restored_by_other_means_can_be_declared_so(run: Run) -> None:
    """O11: point-in-time recovery on a machine that remembers nothing."""
    run("apps", "add", "shop")
    assert run("restore").exit_code == 2
    assert run("restore", "--by-other-means").exit_code == 0
    assert json.loads(run("events", "verify", "--json").stdout)["findings"] == []
    assert "restored" in run("doctor").stdout


@pytest.mark.postgres
def test_postgres_is_restored_into_an_empty_database_alone(run: Run, postgres_server: PostgresServer) -> None:
    """O11: by no other program than ours; the scratch database of a drill is empty again."""
    names = [postgres_server.create() for _ in range(3)]
    urls = [postgres_server.url(name) for name in names]
    try:
        run("apps", "add", "shop", DATABASE_URL=urls[0])
        made = run("backup", "b.gz", "--gzip", "--drill", "--into", urls[1], DATABASE_URL=urls[0])
        assert made.exit_code == 0, made.output
        assert run("drill", "b.gz", "--into", urls[1]).exit_code == 0, "it was left empty"
        assert run("drill", "b.gz").exit_code == 2, "it asks where"
        assert run("drill", "b.gz", "--into", urls[0]).exit_code == 2, "the one that serves is not empty"
        assert run("restore", "b.gz", DATABASE_URL=urls[0]).exit_code == 2
        other_kind = run("restore", "b.gz")
        assert other_kind.exit_code == 2
        assert "one of PostgreSQL" in other_kind.stderr
        restored = run("restore", "b.gz", DATABASE_URL=urls[2])
        assert restored.exit_code == 0, restored.output
        assert "shop" in run("apps", "list", DATABASE_URL=urls[2]).stdout
        assert json.loads(run("events", "verify", "--json", DATABASE_URL=urls[2]).stdout)["findings"] == []
        assert run("restore", "b.gz", DATABASE_URL=urls[2]).exit_code == 2
    finally:
        for name in names:
            postgres_server.drop(name)


def test_production_restores_and_says_what_is_left_to_do(production: Program) -> None:
    """O11: as a program, with the exit codes of the documents."""
    key = production.run("apps", "add", "shop").stdout.strip()
    assert key
    assert production.run("backup", "b.db").returncode == 0
    (production.place / DATABASE).unlink()
    for path in (production.place / ".countersign").glob("countersign.db-*"):
        path.unlink()
    restored = production.run("restore", "b.db")
    assert restored.returncode == 0, restored.stderr
    assert "Remove again the applications" in restored.stderr
    assert production.run("backup", "nowhere/b.db").returncode == 2
