"""Commands for the tests of the command line: in this process where that tells enough, as a program where it does not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import structlog
from click.testing import CliRunner, Result
from tests.peers.program import Program

from countersign import logs
from countersign.cli import main

Run: TypeAlias = Callable[..., Result]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command sets up logging for its process, which here is everybody's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.CAPS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of a developer's in this process; settings may be given by name, and `raw` is piped into it."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def invoke(*words: str, raw: bytes = b"", **settings: str) -> Result:
        environ = {f"COUNTERSIGN_{name}": value for name, value in {"ENVIRONMENT": "development", **settings}.items()}
        return runner.invoke(main, words, input=raw, env=environ, prog_name="countersign")

    return invoke


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return the program of a developer, in a place of its own."""
    return Program(tmp_path, ENVIRONMENT="development")


@pytest.fixture
def production(tmp_path: Path) -> Program:
    """Return the program of an operator, with keys and a database."""
    made = Program(tmp_path, PUBLIC_URL="https://verify.example.org")
    for words in (("keys", "new", ".countersign/secret.keys"), ("migrate",)):
        ended = made.run(*words)
        assert ended.returncode == 0, ended.stderr
    return made
