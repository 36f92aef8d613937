"""A plugin for an older release's tests: whatever database they ask for was migrated by the newer release.

It is copied beside the older tests and runs in their process, so it imports nothing of ours but what both releases have. The
environment says where the newer code is (NEWER_SOURCE) and which server of PostgreSQL to use (NEWER_POSTGRES).
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final
from zlib import crc32

import asyncpg
import pytest
from tests.peers import postgres

from countersign import passwords

POSTGRES: Final = os.environ["NEWER_POSTGRES"]
MIGRATE: Final = (
    "import sys; from countersign.store.engine.migrate import migrate; sys.stdout.write(migrate(sys.argv[1]))"
)
PLACES: Final = ("countersign.store.migrate", "countersign.store.engine.migrate")
"""Where `migrate` stands, and where it stood."""

migrated: list[str] = []
"""The revision that each database was given."""


def migrate(url: str, _: str = "head") -> str:
    """Migrate a database by the newer code; a new file of SQLite is a copy of one that was."""
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or path.exists():
        return _by_newer_code(url)
    shutil.copy(_sqlite_file(), path)
    return migrated[0]


@cache
def _sqlite_file() -> Path:
    path = Path(tempfile.mkdtemp(prefix="countersign-newer-")) / "countersign.db"
    _by_newer_code(f"sqlite:///{path}")
    return path


def _by_newer_code(url: str) -> str:
    environ = {**os.environ, "PYTHONPATH": os.environ["NEWER_SOURCE"]}
    ended = subprocess.run(
        [sys.executable, "-c", MIGRATE, url], env=environ, cwd="/", capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    migrated.append(ended.stdout)
    return ended.stdout


class Server:
    """The server that the newer tests started, as the older ones ask for it."""

    _numbers = itertools.count(1)

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return f"{POSTGRES}/{database}"

    def create(self, template: str = "template0") -> str:
        """Make a database, a copy of `template`, and return its name."""
        name = f"older_{next(self._numbers)}"
        _execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Drop a database."""
        _execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def remove(self) -> None:
        """Leave it running: whoever started it removes it."""


def _execute(statement: str) -> None:
    async def carry_out() -> None:
        connection = await asyncpg.connect(f"{POSTGRES}/postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, carry_out()).result()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one test of NEWER_SHARE, by its name: a parametrized test stays whole or goes whole."""
    share = int(os.environ["NEWER_SHARE"])
    left_out = [item for item in items if crc32(item.nodeid.partition("[")[0].encode()) % share]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_terminal_summary() -> None:
    """Say which revisions the tests ran on, for the test that started us to read."""
    if migrated:
        sys.stdout.write(f"\nmigrated by the newer code to {', '.join(sorted(set(migrated)))}\n")


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


postgres.PostgresServer = Server  # type: ignore[assignment, misc]  # of the older tests' own module, before they read it
passwords.MEMORY_KIB, passwords.ITERATIONS = 8, 1  # type: ignore[misc]  # passwords are not what is asked about
for place in PLACES:
    if _found(place):
        importlib.import_module(place).migrate = migrate  # type: ignore[attr-defined]
