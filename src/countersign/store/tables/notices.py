"""Notices as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from countersign.domain.delivery.notice import Notice, NoticeKind
from countersign.domain.shared import identifier
from countersign.domain.shared.contact import ContactKind
from countersign.store.engine.database import Change, Insert, Row, Seek, Sql
from countersign.store.tables.schema import NOTICES

_facts: Final = msgspec.json.Decoder(dict[str, str]).decode
_encode: Final = msgspec.json.Encoder().encode


async def find(notice_id: str) -> Notice | None:
    """Return a notice, or None."""
    rows = await Sql(f"SELECT {NOTICES.names} FROM notices WHERE id = $1", (notice_id,))
    return of_row(rows[0]) if rows else None


async def of_ids(ids: Sequence[str]) -> dict[str, Notice]:
    """Return the notices with these ids."""
    rows = (await Seek(NOTICES, "id", sorted(set(ids)))) if ids else ()
    return {row[0]: of_row(row) for row in rows}


def added(notices: Sequence[Notice]) -> tuple[Change, ...]:
    """Return the changes that add notices; their deliveries are added beside them."""
    return (Insert(NOTICES, [row(notice) for notice in notices]),) if notices else ()


async def forget(before: int, most: int) -> int:
    """Delete notices that were made before `before` (ms), with their messages and attempts; return how many went."""
    first_kept = identifier.make("ntc", before, bytes(identifier.RANDOM_BYTES))
    rows = await Sql("SELECT id FROM notices WHERE id < $1 ORDER BY id LIMIT $2", (first_kept, most))
    for (id_,) in rows:
        await Sql("DELETE FROM attempts WHERE owner = $1", (id_,))
        await Sql("DELETE FROM deliveries WHERE owner = $1", (id_,))
        await Sql("DELETE FROM notices WHERE id = $1", (id_,))
    return len(rows)


def of_row(row: Row) -> Notice:
    """Return the notice that a whole row holds."""
    id_, account, application, kind, to, to_kind, masked, locale, facts, created_at, expires_at = row
    return Notice(
        id_,
        account,
        application,
        NoticeKind(kind),
        bytes(to),
        ContactKind(to_kind),
        masked,
        locale,
        _facts(facts),
        created_at,
        expires_at,
    )


def row(notice: Notice) -> Row:
    """Return the whole row of a notice."""
    return (
        notice.id,
        notice.account,
        notice.application,
        notice.kind.value,
        notice.to,
        notice.to_kind.value,
        notice.masked,
        notice.locale,
        _encode(notice.facts).decode(),
        notice.created_at,
        notice.expires_at,
    )
