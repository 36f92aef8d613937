"""Both databases keep the same promises: what Runner and Database say, said again as tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from countersign.store.database import (
    ConflictError,
    Database,
    Insert,
    Query,
    RejectedError,
    Row,
    Rows,
    Steps,
    Take,
    Update,
    Upsert,
    Write,
)
from countersign.store.tables import CHALLENGES, DELIVERIES, FACTS, LIMITS, STANDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.store.database import Change, Table


def write(*changes: Change) -> Steps[None]:
    yield Write(changes)


def take(table: Table, keys: Sequence[Row]) -> Steps[Rows]:
    return (yield Take(table, keys))


def query(sql: str, *args: object) -> Steps[Rows]:
    return (yield Query(sql, args))


def challenge(number: int, twin: bytes | None = None, guesses: int = 5) -> Row:
    return (
        f"ver_{number:06d}",
        "app_1",
        twin or b"twin" + number.to_bytes(4, "big"),
        b"standing",
        b"terms",
        1,
        2,
        "pending",
        "sms",
        guesses,
        1,
        1,
        1,
        None,
    )


async def test_rows_come_back_as_they_were_written(database: Database) -> None:
    rows = [challenge(1), challenge(2)]
    await database.run(write, Insert(CHALLENGES, rows))
    assert list(await database.run(take, CHALLENGES, [("ver_000002",), ("ver_000001",), ("ver_000009",)])) == rows
