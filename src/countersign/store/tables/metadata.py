"""Reads and writes single values about this database, by name, and tells which revision its schema has."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from countersign.store.engine.database import Insert, Sql, Upsert, Write
from countersign.store.tables.schema import FACTS

KEYS: Final = "keys_fingerprint"
"""The fingerprint of the keys that this database was made with."""

ENVIRONMENT: Final = "environment"
"""The environment that this database is of: `development` or `production`. Databases of earlier releases do not say."""

AHEAD: Final = "clock_ahead"
"""Milliseconds, in digits, by which a test has moved the clock of development ahead."""

HOUSEKEEPER: Final = "housekeeper"
"""Which worker has the lease on the upkeep, and until when, as JSON."""
WRITE_PROBE: Final = "write_probe."
"""With a number after it: what a program wrote last to see whether the database takes writes. It means nothing."""

_VERSIONS: Final = Path(__file__).parent.parent / "migrations" / "versions"


async def find(name: str) -> bytes | None:
    """Return a value, or None."""
    rows = await Sql("SELECT value FROM facts WHERE name = $1", (name,))
    return rows[0][0] if rows else None


async def add(name: str, value: bytes) -> None:
    """Add a value; raises ConflictError if there is one of this name."""
    await Write((Insert(FACTS, [(name, value)]),))


async def save(name: str, value: bytes) -> None:
    """Write a value, whether or not there is one of this name."""
    await Write((Upsert(FACTS, [(name, value)]),))


async def find_revision() -> str | None:
    """Return the revision that the schema has; raises UnavailableError if the database was never migrated."""
    rows = await Sql("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


def newest_revision() -> str:
    """Return the newest revision that this program knows, from the names of its migrations: faster than to load Alembic."""
    return max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))
