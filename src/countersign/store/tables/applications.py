"""Applications as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from countersign.domain.shared.application import Application, ApplicationMode
from countersign.domain.shared.event import Event
from countersign.store.engine.database import Append, Insert, Row, Seek, Sql, Take, Update, Write
from countersign.store.tables.schema import APPLICATIONS


async def find_by_key(key_hash: bytes) -> Application | None:
    """Return the application that a key (by its keyed hash) belongs to or belonged to, removed ones aside."""
    rows = await Sql(
        f"SELECT {APPLICATIONS.names} FROM applications WHERE (key_hash = $1 OR old_key_hash = $1) AND removed_at IS NULL",
        (key_hash,),
    )
    return of_row(rows[0]) if rows else None


async def were_added() -> bool:
    """Say whether any application was ever added."""
    return bool(await Sql("SELECT 1 FROM applications LIMIT 1"))


async def find_by_name(name: str) -> Application | None:
    """Return the application of this name, removed ones aside."""
    rows = await Sql(f"SELECT {APPLICATIONS.names} FROM applications WHERE name = $1 AND removed_at IS NULL", (name,))
    return of_row(rows[0]) if rows else None


async def find(application_id: str) -> Application | None:
    """Return an application by id, removed ones too: their challenges still carry its name."""
    rows = await Sql(f"SELECT {APPLICATIONS.names} FROM applications WHERE id = $1", (application_id,))
    return of_row(rows[0]) if rows else None


async def of_ids(ids: Sequence[str]) -> dict[str, Application]:
    """Return the applications with these ids, removed ones too."""
    rows = await Seek(APPLICATIONS, "id", sorted(set(ids)))
    return {row[0]: of_row(row) for row in rows}


async def all_of_them() -> list[Application]:
    """Return every application that was not removed, by name."""
    rows = await Sql(f"SELECT {APPLICATIONS.names} FROM applications WHERE removed_at IS NULL ORDER BY name")
    return [of_row(row) for row in rows]


async def add(application: Application, event: Event) -> None:
    """Add an application, and record it."""
    await Append([event])
    await Write((Insert(APPLICATIONS, [_row(application)]),), last=True)


async def change(
    application_id: str, changed: Callable[[Application], Application], event: Event
) -> Application | None:
    """Change an application as it stands now, and record it; None, and nothing changed, if it was removed meanwhile."""
    rows = await Take(APPLICATIONS, [(application_id,)])
    before = of_row(rows[0]) if rows else None
    if before is None or before.removed_at is not None:
        return None
    after = changed(before)
    await Append([event])
    row = _row(after)
    await Write((Update(APPLICATIONS, [(row[0], *row[2:])]),), last=True)
    return after


def of_row(row: Row) -> Application:
    """Return the application that a whole row holds."""
    id_, created_at, name, mode, site, host, purposes, key_hash, old_key_hash, old_until, removed_at, *rest = row
    redirects, sign_outs, app_hash = rest
    return Application(
        id_,
        created_at,
        name,
        ApplicationMode(mode),
        site,
        host,
        msgspec.json.decode(purposes, type=tuple[str, ...]),
        bytes(key_hash),
        None if old_key_hash is None else bytes(old_key_hash),
        old_until,
        removed_at,
        msgspec.json.decode(redirects, type=tuple[str, ...]),
        msgspec.json.decode(sign_outs, type=tuple[str, ...]),
        app_hash,
    )


def _row(application: Application) -> Row:
    return (
        application.id,
        application.created_at,
        application.name,
        application.mode.value,
        application.site,
        application.host,
        msgspec.json.encode(application.purposes).decode(),
        application.key_hash,
        application.old_key_hash,
        application.old_until,
        application.removed_at,
        msgspec.json.encode(application.redirect_uris).decode(),
        msgspec.json.encode(application.post_logout_redirect_uris).decode(),
        application.app_hash,
    )
