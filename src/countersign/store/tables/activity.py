"""Activity as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from countersign.domain.shared.activity import Activity
from countersign.domain.shared.event import EventKind
from countersign.store.engine.database import Change, Insert, Row, Sql
from countersign.store.tables.schema import ACTIVITY

_facts: Final = msgspec.json.Decoder(dict[str, str]).decode
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def insert(happened: Sequence[Activity]) -> tuple[Change, ...]:
    """Return the changes that write down what happened."""
    if not happened:
        return ()
    return (
        Insert(
            ACTIVITY, [(one.account, one.id, one.at, one.kind.value, _encode(one.facts).decode()) for one in happened]
        ),
    )


async def list_newest(account: str, most: int) -> list[Activity]:
    """Return what happened to an account last, the newest first."""
    rows = await Sql(
        f"SELECT {ACTIVITY.names} FROM activity WHERE account = $1 ORDER BY id DESC LIMIT $2", (account, most)
    )
    return [from_row(row) for row in rows]


async def delete_before(before: int, most: int) -> int:
    """Delete what happened before `before` (ms), at most `most`; return how many went."""
    rows = await Sql("SELECT account, id FROM activity WHERE at < $1 ORDER BY at LIMIT $2", (before, most))
    for account, id_ in rows:
        await Sql("DELETE FROM activity WHERE account = $1 AND id = $2", (account, id_))
    return len(rows)


def from_row(row: Row) -> Activity:
    """Return what a whole row holds."""
    account, id_, at, kind, facts = row
    return Activity(account, id_, at, EventKind(kind), _facts(facts))
