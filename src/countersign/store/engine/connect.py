"""From the address of a database to the Database: `sqlite:///path` or `postgresql://user@host/name`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from countersign.errors import SettingsError

if TYPE_CHECKING:
    from countersign.store.engine.database import Database

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")


def sqlite_path(url: str) -> Path | None:
    """Return the file that the address of an SQLite database names, None for PostgreSQL.

    `sqlite:///data/x.db` is relative to the working directory, `sqlite:////var/x.db` absolute. Raises SettingsError.
    """
    if url.startswith(_POSTGRES):
        return None
    path = unquote(url.removeprefix(_SQLITE))
    if not url.startswith(_SQLITE) or not path or path == ":memory:":
        raise SettingsError(
            "The address of the database (COUNTERSIGN_DATABASE_URL) must be sqlite:///path/to/file or"
            " postgresql://user:password@host/name; a database in memory would lose what was promised."
        )
    return Path(path)


def open_database(url: str, *, lanes: int = 1, pool: int = 8) -> Database:
    """Return the database at an address; nothing is connected before its `open`.

    `lanes` and `pool` are numbers of connections to PostgreSQL: the ledger's own, and those for everything else.
    """
    path = sqlite_path(url)
    if path is None:
        from countersign.store.engine.postgres import PostgresDatabase

        return PostgresDatabase(url, lanes=lanes, pool=pool)
    from countersign.store.engine.sqlite import SqliteDatabase

    return SqliteDatabase(path)
