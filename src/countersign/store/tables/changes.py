"""Changes of accounts as rows."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.change import AccountChange, ChangeEffect, ChangeKind, ChangeState
from countersign.store.engine.database import Change, Insert, Row, Sql, Update
from countersign.store.tables.schema import CHANGES

_SELECT: Final = f"SELECT {CHANGES.names} FROM changes"
_effect: Final = msgspec.json.Decoder(ChangeEffect).decode
_encode: Final = msgspec.json.Encoder().encode


async def find(account: str, change_id: str) -> AccountChange | None:
    """Return a change, or None."""
    rows = await Sql(f"{_SELECT} WHERE account = $1 AND id = $2", (account, change_id))
    return from_row(rows[0]) if rows else None


async def list_since(account: str, since: int, most: int) -> list[AccountChange]:
    """Return an account's changes that were asked for since `since` (ms), the newest first, at most `most`."""
    rows = await Sql(
        f"{_SELECT} WHERE account = $1 AND asked_at >= $2 ORDER BY id DESC LIMIT $3", (account, since, most)
    )
    return [from_row(row) for row in rows]


async def list_open(account: str, now: int) -> list[AccountChange]:
    """Return an account's changes that wait or can be undone, the newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE account = $1 AND until > $2 AND state IN ('pending', 'applied') ORDER BY id DESC",
        (account, now),
    )
    return [from_row(row) for row in rows]


async def list_pending_recoveries(blind_index: bytes, now: int) -> list[AccountChange]:
    """Return the changes that wait for the holder of a new contact to finish them, the newest first."""
    rows = await Sql(
        f"{_SELECT} WHERE blind = $1 AND kind = $2 AND state = 'pending' AND until > $3 ORDER BY id DESC",
        (blind_index, ChangeKind.ACCESS_RECOVERED.value, now),
    )
    return [from_row(row) for row in rows]


async def list_due_reminders(now: int, most: int) -> list[AccountChange]:
    """Return changes whose waiting is to be told again."""
    rows = await Sql(f"{_SELECT} WHERE remind_at <= $1 AND state = 'pending' ORDER BY remind_at LIMIT $2", (now, most))
    return [from_row(row) for row in rows]


def insert(change: AccountChange) -> Change:
    """Return the change of rows that adds it."""
    return Insert(CHANGES, [to_row(change)])


def update(change: AccountChange) -> Change:
    """Return the change of rows that moves it on."""
    return Update(CHANGES, [(change.account, change.id, *_moving(change))])


async def delete_before(before: int, most: int) -> int:
    """Delete changes that were asked for before `before` (ms), at most `most`; return how many went."""
    rows = await Sql("SELECT account, id FROM changes WHERE asked_at < $1 ORDER BY asked_at LIMIT $2", (before, most))
    for account, id_ in rows:
        await Sql("DELETE FROM changes WHERE account = $1 AND id = $2", (account, id_))
    return len(rows)


def from_row(row: Row) -> AccountChange:
    """Return the change that a whole row holds."""
    account, id_, kind, asked_at, session, blind_index, about, data, user_agent, place, *moving = row
    state, until, applied_at, ended_at, remind_at, effect = moving
    return AccountChange(
        account,
        id_,
        ChangeKind(kind),
        asked_at,
        session,
        bytes(blind_index),
        about,
        bytes(data),
        user_agent,
        place,
        ChangeState(state),
        until,
        applied_at,
        ended_at,
        remind_at,
        _effect(effect),
    )


def to_row(change: AccountChange) -> Row:
    """Return the whole row of a change."""
    return (
        change.account,
        change.id,
        change.kind.value,
        change.asked_at,
        change.session,
        change.blind_index,
        change.about,
        change.data,
        change.user_agent,
        change.place,
        *_moving(change),
    )


def _moving(change: AccountChange) -> Row:
    return (
        change.state.value,
        change.until,
        change.applied_at,
        change.ended_at,
        change.remind_at,
        _encode(change.effect).decode(),
    )
