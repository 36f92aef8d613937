"""Accounts to look at, at the command line."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_a_few_accounts_are_opened_once(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("demo", "--json").stdout)
    assert [one["name"] for one in told] == ["Ada Lovelace", "Grace Hopper", "Émilie du Châtelet"]
    again = run("demo")
    assert again.exit_code == 0
    assert "0 of 3 accounts are new" in again.stderr
    connection = sqlite3.connect(tmp_path / ".countersign" / "countersign.db")
    try:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names are ours
            for table in ("accounts", "contacts", "devices")
        ]
        trusted = connection.execute("SELECT count(*) FROM devices WHERE trusted_at IS NOT NULL").fetchone()[0]
    finally:
        connection.close()
    assert counts == [3, 4, 9]
    assert trusted == 3


def test_it_names_the_address_that_is_served(run: Run, tmp_path: Path) -> None:
    """The server was started with a port that this command does not know."""
    assert "inbox: http://localhost:8000/inbox" in run("demo").stderr
    assert "inbox: http://localhost:8123/inbox" in run("demo", PORT="8123").stderr
    (tmp_path / ".countersign" / "address").write_text("http://localhost:9321\n")
    assert "inbox: http://localhost:9321/inbox" in run("demo").stderr
    (tmp_path / ".countersign" / "address").write_bytes(b"\xff\xfe\x00")
    assert "inbox: http://localhost:8000/inbox" in run("demo").stderr


def test_production_has_no_accounts_with_a_known_password(run: Run, tmp_path: Path) -> None:
    """S9."""
    run("keys", "new", "mine.keys", ENVIRONMENT="production")
    ended = run(
        "demo",
        ENVIRONMENT="production",
        PUBLIC_URL="https://verify.example.org",
        SECRET_FILE=str(tmp_path / "mine.keys"),
    )
    assert ended.exit_code == 2
    assert "in development only" in ended.stderr
