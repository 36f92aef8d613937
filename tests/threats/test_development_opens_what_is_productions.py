"""Attack, or a slip: somebody starts a process of development on the database of production.

It would make a test key, show every message at /inbox, and let a test move the clock by which rows are swept.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.peers.program import Program

HTTPS = "https://verify.example.org"


@pytest.fixture
def production(tmp_path: Path) -> Program:
    """Return the program of an operator, with keys and a database."""
    made = Program(tmp_path, PUBLIC_URL=HTTPS)
    for words in (("keys", "new", ".countersign/secret.keys"), ("migrate",)):
        ended = made.run(*words)
        assert ended.returncode == 0, ended.stderr
    return made


@pytest.mark.parametrize(
    "words",
    [("serve", "--port", "0"), ("work",), ("demo",), ("apps", "add", "thief"), ("migrate",), ("apps", "list")],
    ids=" ".join,
)
def test_no_command_of_development_opens_it(production: Program, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Each says which setting is wrong, and leaves the database as it was."""
    database = tmp_path / ".countersign" / "countersign.db"
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    ended = production.run(*words, ENVIRONMENT="development")
    assert ended.returncode == 2, ended.stdout
    assert "This database is one of production" in ended.stderr
    assert "COUNTERSIGN_ENVIRONMENT=production" in ended.stderr
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert not (tmp_path / ".countersign" / "demo.key").exists()


def test_the_other_way_round_it_is_adopted_by_an_act_of_its_own(tmp_path: Path) -> None:
    program = Program(tmp_path, ENVIRONMENT="development")
    assert program.run("apps", "list").returncode == 0
    refused = program.run("apps", "list", ENVIRONMENT="production", PUBLIC_URL=HTTPS)
    assert refused.returncode == 2
    assert "countersign migrate --adopt" in refused.stderr
    doctor = program.run("doctor", ENVIRONMENT="production", PUBLIC_URL=HTTPS)
    assert doctor.returncode == 1
    assert "This database is one of development" in doctor.stdout
    assert program.run("migrate", "--adopt").returncode == 2
    adopted = program.run("migrate", "--adopt", ENVIRONMENT="production", PUBLIC_URL=HTTPS)
    assert adopted.returncode == 0, adopted.stderr
    assert program.run("apps", "list", ENVIRONMENT="production", PUBLIC_URL=HTTPS).returncode == 0
    assert program.run("apps", "list").returncode == 2
