"""Attack, or a slip: somebody starts a process of development on the database of production.

It would make a test key, show every message at /inbox, and let a test move the clock by which rows are swept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result
from tests.cli.conftest import _logging_as_before

from countersign.cli import main

__all__ = ["_logging_as_before"]

PRODUCTION = {"COUNTERSIGN_PUBLIC_URL": "https://verify.example.org"}
DEVELOPMENT = {"COUNTERSIGN_ENVIRONMENT": "development"}

Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder of the test, with the settings of one environment."""
    monkeypatch.chdir(tmp_path)

    def invoke(environ: dict[str, str], *words: str) -> Result:
        return CliRunner().invoke(main, words, env=environ, prog_name="countersign")

    return invoke


COMMANDS: list[tuple[str, ...]] = [
    ("serve", "--port", "0"),
    ("work",),
    ("demo",),
    ("apps", "add", "thief"),
    ("migrate",),
    ("apps", "list"),
]


def test_no_command_of_development_opens_it(run: Run, tmp_path: Path) -> None:
    """Each says which setting is wrong, and leaves the database as it was."""
    assert run(PRODUCTION, "keys", "new", ".countersign/secret.keys").exit_code == 0
    assert run(PRODUCTION, "migrate").exit_code == 0
    database = tmp_path / ".countersign" / "countersign.db"
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    for words in COMMANDS:
        ended = run(DEVELOPMENT, *words)
        assert ended.exit_code == 2, (words, ended.output)
        assert "This database is one of production" in ended.output
        assert "COUNTERSIGN_ENVIRONMENT=production" in ended.output
        assert hashlib.sha256(database.read_bytes()).hexdigest() == before
        assert not (tmp_path / ".countersign" / "demo.key").exists()


def test_the_other_way_round_it_is_adopted_by_an_act_of_its_own(run: Run) -> None:
    assert run(DEVELOPMENT, "apps", "list").exit_code == 0
    refused = run(PRODUCTION, "apps", "list")
    assert refused.exit_code == 2
    assert "countersign migrate --adopt" in refused.output
    doctor = run(PRODUCTION, "doctor")
    assert doctor.exit_code == 1
    assert "This database is one of development" in doctor.output
    assert run(DEVELOPMENT, "migrate", "--adopt").exit_code == 2
    adopted = run(PRODUCTION, "migrate", "--adopt")
    assert adopted.exit_code == 0, adopted.output
    assert run(PRODUCTION, "apps", "list").exit_code == 0
    assert run(DEVELOPMENT, "apps", "list").exit_code == 2
