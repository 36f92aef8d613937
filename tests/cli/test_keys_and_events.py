"""The key file and the event log at the command line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from tests.cli.conftest import Run


def test_new_keys_are_the_owners_alone_and_never_overwritten(run: Run, tmp_path: Path) -> None:
    """O2."""
    path = tmp_path / "keys" / "secret.keys"
    assert run("keys", "new", str(path)).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.read_bytes()
    ended = run("keys", "new", str(path))
    assert ended.exit_code == 2
    assert "never overwritten" in ended.stderr
    assert path.read_bytes() == written


def test_new_keys_need_no_other_setting(run: Run, tmp_path: Path) -> None:
    """O2: the first thing an operator does, before there is anything to set."""
    assert run("keys", "new", "mine.keys", ENVIRONMENT="production").exit_code == 0
    assert (tmp_path / "mine.keys").exists()


def test_rotated_keys_are_listed_with_what_they_are_for(run: Run, tmp_path: Path) -> None:
    """O2."""
    run("apps", "list")
    rotated = json.loads(run("keys", "rotate", "--json").stdout)
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert [key["state"] for key in listed] == ["in_use", "to_come"]
    assert listed[1]["kid"] == rotated["kid"]
    secrets = [key["secret"] for key in json.loads((tmp_path / ".countersign" / "secret.keys").read_text())["keys"]]
    assert not any(secret in run("keys", "list").output for secret in secrets)


def test_a_rotation_is_in_the_log(run: Run) -> None:
    run("keys", "rotate")
    before = json.loads(run("events", "verify", "--json").stdout)["entries"]
    run("keys", "rotate")
    assert json.loads(run("events", "verify", "--json").stdout)["entries"] == before + 1


def test_a_whole_log_is_found_whole(run: Run) -> None:
    """O4."""
    run("apps", "add", "shop")
    ended = run("events", "verify")
    assert ended.exit_code == 0
    assert "0 findings" in ended.stdout


def test_a_log_that_was_changed_is_found_so_and_ends_with_one(run: Run, tmp_path: Path) -> None:
    """O4."""
    run("apps", "add", "shop")
    run("apps", "remove", "shop")
    connection = sqlite3.connect(tmp_path / ".countersign" / "countersign.db")
    with connection:
        assert connection.execute("DELETE FROM events WHERE writer = (SELECT min(writer) FROM events)").rowcount == 1
    connection.close()
    ended = run("events", "verify", "--json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["findings"]


def test_a_checkpoint_that_is_none_is_told(run: Run, tmp_path: Path) -> None:
    """O4."""
    (tmp_path / "kept").write_text("nonsense")
    assert run("events", "verify", "--checkpoint", "kept").exit_code == 1
    (tmp_path / "kept").write_bytes(b"\xff")
    assert run("events", "verify", "--checkpoint", "kept").exit_code == 2
