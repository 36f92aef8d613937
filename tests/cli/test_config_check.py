"""`countersign config check`: each problem with its line, before anything reads the settings."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def _nobody_is_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a connection is made."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_sound_settings_are_told_so(run: Run, tmp_path: Path) -> None:
    """O5: also where nothing was ever started, and nothing is made."""
    ended = run("config", "check", DATABASE_URL="postgresql://nobody@192.0.2.1/none")
    assert (ended.exit_code, ended.stdout) == (0, "The settings are sound.\n")
    assert list(tmp_path.iterdir()) == []
    assert json.loads(run("config", "check", "--json").stdout) == {"faults": []}


def test_each_problem_is_told_with_its_line(run: Run, tmp_path: Path) -> None:
    """O5: of values, of files, and of TOML itself; exit code 2."""
    file = tmp_path / "other.toml"
    file.write_text(
        'grace = "soon"\n\n[log]\nlevel = "loud"\n[providers.mail]\nkind = "smtp"\npassword_file = "none"\n'
    )
    ended = run("config", "check", "--config", str(file))
    assert ended.exit_code == 2
    for said in ("other.toml, line 1", "other.toml, line 4", "other.toml, line 7", "[providers.mail]"):
        assert said in ended.stderr
    file.write_text('site = "Shop"\nport = = 1\n')
    ended = run("config", "check", "--config", str(file))
    assert ended.exit_code == 2
    assert "line 2" in ended.stderr
    found = run("config", "check", "--json", "--config", str(file))
    assert found.exit_code == 2
    assert len(json.loads(found.stdout)["faults"]) == 1


def test_files_that_settings_name_are_opened(run: Run, tmp_path: Path) -> None:
    """O5: a key file that others read, and a template that cannot be used."""
    keys = tmp_path / "secret.keys"
    keys.write_text("{}")
    keys.chmod(0o644)
    ended = run("config", "check", SECRET_FILE=str(keys), MESSAGES_FOLDER=str(tmp_path / "none"))
    assert ended.exit_code == 2
    assert "chmod 600" in ended.stderr
    assert str(tmp_path / "none") in ended.stderr


def test_the_sections_that_differ_from_what_runs_are_named(run: Run, tmp_path: Path) -> None:
    """O5: with --diff it asks the database, which an SQLite file answers without a network."""
    run("apps", "list")
    assert "differs" not in run("config", "check", "--diff").stdout  # nothing has started yet
    import sqlite3

    from countersign import __version__

    with sqlite3.connect(tmp_path / ".countersign" / "countersign.db") as connection:
        stored = json.dumps({"version": __version__, "sections": {}}).encode()
        connection.execute("INSERT INTO facts VALUES ('settings', ?)", (stored,))
    connection.close()
    assert "differs\tlimits" in run("config", "check", "--diff").stdout
    assert "limits" in json.loads(run("config", "check", "--diff", "--json").stdout)["differing"]
    assert "limits" in run("doctor").stdout
