"""Applications as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from countersign.domain.shared.application import Application, Mode
from countersign.domain.shared.event import Event
from countersign.store.engine.database import Insert, Query, Row, Seek, Steps, Take, Update, Write
from countersign.store.tables.events import Chain, Head
from countersign.store.tables.schema import APPLICATIONS


def find_by_key(key_hash: bytes) -> Steps[Application | None]:
    """Return the application that a key (by its keyed hash) belongs to or belonged to, removed ones aside."""
    rows = yield Query(
        f"SELECT {APPLICATIONS.names} FROM applications WHERE (key_hash = $1 OR old_key_hash = $1) AND removed_at IS NULL",
        (key_hash,),
    )
    return of_row(rows[0]) if rows else None


def were_added() -> Steps[bool]:
    """Say whether any application was ever added."""
    return bool((yield Query("SELECT 1 FROM applications LIMIT 1")))


def find_by_name(name: str) -> Steps[Application | None]:
    """Return the application of this name, removed ones aside."""
    rows = yield Query(f"SELECT {APPLICATIONS.names} FROM applications WHERE name = $1 AND removed_at IS NULL", (name,))
    return of_row(rows[0]) if rows else None


def find(application_id: str) -> Steps[Application | None]:
    """Return an application by id, removed ones too: their challenges still carry its name."""
    rows = yield Query(f"SELECT {APPLICATIONS.names} FROM applications WHERE id = $1", (application_id,))
    return of_row(rows[0]) if rows else None


def of_ids(ids: Sequence[str]) -> Steps[dict[str, Application]]:
    """Return the applications with these ids, removed ones too."""
    rows = yield Seek(APPLICATIONS, "id", sorted(set(ids)))
    return {row[0]: of_row(row) for row in rows}


def all_of_them() -> Steps[list[Application]]:
    """Return every application that was not removed, by name."""
    rows = yield Query(f"SELECT {APPLICATIONS.names} FROM applications WHERE removed_at IS NULL ORDER BY name")
    return [of_row(row) for row in rows]


def add(chain: Chain, application: Application, event: Event) -> Steps[tuple[None, Head]]:
    """Add an application, and record it."""
    linked, head = chain.link([event])
    yield Write((Insert(APPLICATIONS, [_row(application)]), *linked))
    return None, head


def change(
    chain: Chain, application_id: str, changed: Callable[[Application], Application], event: Event
) -> Steps[tuple[Application | None, Head]]:
    """Change an application as it stands now, and record it; None, and nothing changed, if it was removed meanwhile."""
    rows = yield Take(APPLICATIONS, [(application_id,)])
    before = of_row(rows[0]) if rows else None
    if before is None or before.removed_at is not None:
        return None, chain.head
    after = changed(before)
    linked, head = chain.link([event])
    row = _row(after)
    yield Write((Update(APPLICATIONS, [(row[0], *row[2:])]), *linked))
    return after, head


def of_row(row: Row) -> Application:
    """Return the application that a whole row holds."""
    id_, created_at, name, mode, site, host, purposes, key_hash, old_key_hash, old_until, removed_at, *rest = row
    redirects, sign_outs, app_hash = rest
    return Application(
        id_,
        created_at,
        name,
        Mode(mode),
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
        msgspec.json.encode(application.redirects).decode(),
        msgspec.json.encode(application.sign_outs).decode(),
        application.app_hash,
    )
