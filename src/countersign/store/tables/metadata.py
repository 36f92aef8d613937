"""Reads and writes single values about this database, by name, and tells which revision its schema has.

Two releases serve one database while the newer one is rolled out. So a program lives with a range of revisions: from the oldest that it
needs to the newest that it knows, and beyond, as long as the database says that programs like it may.
"""

from __future__ import annotations

import functools
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
COMPATIBLE_SINCE: Final = "compatible_since"
"""A revision of the schema, and after it the one that a program must know to live with it; migrations write it."""

SETTINGS: Final = "settings"
"""Digests of the settings of the program that started last; see `config.agreement`."""

EVENTS_EXPORTED: Final = "events_exported"
"""Up to where an export of the event log is kept elsewhere, as JSON; see `flows.maintenance.drop_months`."""

_OPTIONAL: Final = "\noptional: Final = True\n"
"""What stands in a revision that programs of its own release can do without, such as one that only adds an index."""

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


async def can_serve() -> bool:
    """Return True if this program can live with the schema; raises UnavailableError if the database was never migrated."""
    revision = await find_revision()
    if revision is None or revision < oldest_revision():
        return False
    since = compatible_since(revision, await find(COMPATIBLE_SINCE))
    return revision <= newest_revision() if since is None else since <= newest_revision()


def compatible_since(revision: str, fact: bytes | None) -> str | None:
    """Return which revision a program must know to live with the schema of `revision`; None if the fact says nothing of it."""
    told, _, since = (fact or b"").decode(errors="replace").partition(" ")
    return since if told == revision else None


async def find_revision() -> str | None:
    """Return the revision that the schema has; raises UnavailableError if the database was never migrated."""
    rows = await Sql("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


def newest_revision() -> str:
    """Return the newest revision that this program knows, from the names of its migrations: faster than to load Alembic."""
    return _revisions()[-1][0]


def revisions() -> tuple[str, ...]:
    """Return every revision that this program knows, oldest first."""
    return tuple(revision for revision, _ in _revisions())


@functools.cache
def oldest_revision() -> str:
    """Return the oldest revision that this program can live with."""
    return next(revision for revision, path in reversed(_revisions()) if _OPTIONAL not in path.read_text())


@functools.cache
def _revisions() -> list[tuple[str, Path]]:
    """Return each revision and its file, oldest first."""
    return sorted((path.name.partition("_")[0], path) for path in _VERSIONS.glob("[0-9]*_*.py"))
