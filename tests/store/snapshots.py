"""Raw copies of a database, as an operator or a storage system makes them: past the program, which knows nothing of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.peers.postgres import PostgresServer


class Snapshots:
    """A database at `url`, and copies of it that are taken while nobody has it open."""

    def __init__(self, url: str, server: PostgresServer | None, name: str) -> None:
        self.url = url
        self._server = server
        self._name = name
        self._made: list[str] = []

    def copy(self) -> str:
        """Copy the database as it is; return the address of the copy."""
        if self._server is None:
            path = f"{self._name}.{len(self._made)}"
            shutil.copy(self._name, path)
            self._made.append(path)
            return f"sqlite:///{path}"
        self._made.append(self._server.create(self._name))
        return self._server.url(self._made[-1])

    def remove(self) -> None:
        """Remove the copies on a server."""
        if self._server is not None:
            for name in self._made:
                self._server.drop(name)


def snapshots_of(request: pytest.FixtureRequest, folder: Path) -> Snapshots:
    """Return a new, migrated database of the kind that the fixture's parameter names."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    if request.param == "sqlite":
        return Snapshots(url, None, str(folder / "countersign.db"))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    made = Snapshots(url, server, url.rpartition("/")[2].partition("?")[0])
    request.addfinalizer(made.remove)
    return made
