"""What tests of attacks may ask for: the places of the flows, and as many new databases as a comparison needs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, TypeAlias

import pytest
from tests.flows.conftest import clock, each_place, home, place
from tests.peers.databases import EACH_DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.peers.postgres import PostgresServer

__all__ = ["clock", "each_place", "home", "new_url", "place"]

NewUrl: TypeAlias = "Callable[[], str]"


@pytest.fixture(params=EACH_DATABASE)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewUrl]:
    """Give the address of a new, migrated database as often as it is called: on SQLite, then on PostgreSQL."""
    made: list[str] = []
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")

        def on_sqlite() -> str:
            made.append(f"world{len(made)}.db")
            shutil.copy(template, tmp_path / made[-1])
            return f"sqlite:///{tmp_path / made[-1]}"

        yield on_sqlite
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    migrated: str = request.getfixturevalue("_postgres_template")

    def on_postgres() -> str:
        made.append(server.create(migrated))
        return server.url(made[-1])

    yield on_postgres
    for name in made:
        server.drop(name)
