"""The front door: what it says of itself, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run

from countersign import __version__
from countersign.cli.main import COMMANDS


def test_help_names_every_command_and_every_exit_code(run: Run) -> None:
    said = run("--help").output
    assert all(f"\n  {name} " in said for name in COMMANDS)
    assert all(f"\n  {code}  " in said.replace("\n    ", "\n  ") for code in "0123")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.exit_code == 0
    assert "Usage: countersign" in ended.output


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").output == f"{__version__}\n"


@pytest.mark.parametrize("words", [("nonsense",), ("apps", "nonsense"), ("serve", "--port", "x"), ("apps", "add")])
def test_misuse_ends_with_two(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_a_bad_setting_ends_with_two_and_its_name(run: Run) -> None:
    ended = run("apps", "list", PORT="x")
    assert ended.exit_code == 2
    assert "COUNTERSIGN_PORT" in ended.stderr
    assert ended.stdout == ""


def test_an_outage_ends_with_three(run: Run) -> None:
    ended = run("apps", "list", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert ended.exit_code == 3
    assert "cannot be reached" in ended.stderr


def test_the_settings_file_is_taken_by_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('home = "elsewhere"\n')
    assert run("apps", "list", "--config", "mine.toml").exit_code == 0
    assert (tmp_path / "elsewhere" / "countersign.db").exists()


def test_migrate_makes_a_database_and_finds_it_made(run: Run, tmp_path: Path) -> None:
    assert "has revision" in run("migrate").output
    assert "Nothing to do" in run("migrate").output
    assert (tmp_path / ".countersign" / "countersign.db").stat().st_mode & 0o777 == 0o600
