"""Opens the database that an address names: `sqlite:///path` or `postgresql://user@host/name`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from countersign.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.store.engine.database import Database

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")


def sqlite_path(url: str) -> Path | None:
    """Return the file that the address of an SQLite database names, or None for PostgreSQL.

    `sqlite:///data/x.db` is relative to the working directory, `sqlite:////var/x.db` is absolute. Raises SettingsError for another address.
    """
    if url.startswith(_POSTGRES):
        return None
    path = unquote(url.removeprefix(_SQLITE))
    if not url.startswith(_SQLITE) or not path or path == ":memory:":
        raise SettingsError(
            "The address of the database (COUNTERSIGN_DATABASE_URL) must be sqlite:///path/to/file or"
            " postgresql://user:password@host/name. A database in memory is not possible: it would lose what was promised."
        )
    return Path(path)


def open_database(
    address: str | Callable[[], str],
    *,
    ledger_connections: int = 1,
    pool: int = 8,
    pooled: bool = False,
    notify_url: str = "",
) -> Database:
    """Return the database at an address. It does not connect before its `open` is awaited.

    An address that is a function is asked before each connection to PostgreSQL is made.
    Of the connections to PostgreSQL, `ledger_connections` serve the ledger alone, and up to `pool` serve everything else. `pooled` says
    that a pooler in transaction mode stands between, and `notify_url` leads past it. Raises SettingsError for an unreadable address.
    """
    path = sqlite_path(address if isinstance(address, str) else address())
    if path is None:
        from countersign.store.engine.postgres import PostgresDatabase

        return PostgresDatabase(
            address, ledger_connections=ledger_connections, pool=pool, pooled=pooled, notify_url=notify_url
        )
    from countersign.store.engine.sqlite import SqliteDatabase

    return SqliteDatabase(path)
