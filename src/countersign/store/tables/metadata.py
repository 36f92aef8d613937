"""Single facts about a database, by name: whose keys it belongs to, and which revision its schema has."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from countersign.store.engine.database import Insert, Query, Steps, Upsert, Write
from countersign.store.tables.schema import FACTS

KEYS: Final = "keys_fingerprint"
"""The fingerprint of the keys that this database was made with."""

AHEAD: Final = "clock_ahead"
"""Milliseconds, in digits, by which a test has moved the clock of development ahead."""

_VERSIONS: Final = Path(__file__).parent.parent / "migrations" / "versions"


def find(name: str) -> Steps[bytes | None]:
    """Return a fact, or None."""
    rows = yield Query("SELECT value FROM facts WHERE name = $1", (name,))
    return bytes(rows[0][0]) if rows else None


def add(name: str, value: bytes) -> Steps[None]:
    """Add a fact; one that is there already raises ConflictError."""
    yield Write((Insert(FACTS, [(name, value)]),))


def put(name: str, value: bytes) -> Steps[None]:
    """Write a fact, in the place of what it was."""
    yield Write((Upsert(FACTS, [(name, value)]),))


def revision() -> Steps[str | None]:
    """Return the revision that the schema has; a database that was never migrated raises UnavailableError."""
    rows = yield Query("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


def newest_revision() -> str:
    """Return the newest revision that this program knows, by the names of its files: quicker than to load Alembic."""
    return max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))
