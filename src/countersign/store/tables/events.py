"""Reads the event log: its pages, its writers, and where the chain of each writer ends."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from countersign.domain.shared.event import FIRST_HASH, Event, EventKind, decode_page, decode_stored
from countersign.store.engine.database import Rows, Sql

_PAGES_AT_ONCE: Final = 500
_KNOWN_KINDS: Final = frozenset(kind.value for kind in EventKind)


class Head(msgspec.Struct, frozen=True):
    """The end of a writer's chain: how many pages it has, and the hash of the last one."""

    writer: str
    seq: int = 0
    hash: bytes = FIRST_HASH


async def list_heads() -> list[tuple[Head, bytes]]:
    """Return the stored end of every writer's chain, each with the code that authenticates it."""
    rows = await Sql("SELECT writer, seq, hash, mac FROM writers ORDER BY writer")
    return [(Head(writer, seq, bytes(hash_)), bytes(mac)) for writer, seq, hash_, mac in rows]


async def list_writers() -> list[str]:
    """Return the names of the writers that have pages."""
    rows = await Sql("SELECT DISTINCT writer FROM events ORDER BY writer")
    return [row[0] for row in rows]


async def list_pages_after(writer: str, seq: int) -> Rows:
    """Return the pages of a chain that follow page `seq`, at most 500: (seq, at, count, page, hash)."""
    return await Sql(
        "SELECT seq, at, count, page, hash FROM events WHERE writer = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        (writer, seq, _PAGES_AT_ONCE),
    )


async def list_of_owner(owner: str, since: int) -> list[Event]:
    """Return the events about one record since `since` (ms), oldest first. It looks through all pages of that time."""
    rows = await Sql(
        "SELECT page FROM events WHERE at >= $1 AND page LIKE $2 ORDER BY at, writer, seq", (since, f"%{owner}%")
    )
    return [event for event in _known_events(rows) if event.owner == owner]


async def list_between(start: int, end: int) -> list[Event]:
    """Return the events of all pages that were written at or after `start` and before `end` (ms), oldest first."""
    rows = await Sql("SELECT page FROM events WHERE at >= $1 AND at < $2 ORDER BY at, writer, seq", (start, end))
    return _known_events(rows)


def _known_events(pages: Rows) -> list[Event]:
    """Return the events of pages, without those of kinds that only a newer release knows, and without pages that were damaged."""
    found: list[Event] = []
    for (page,) in pages:
        with contextlib.suppress(msgspec.MsgspecError):
            found += decode_page(page)
            continue
        with contextlib.suppress(msgspec.MsgspecError):
            found += [
                Event(one.at, EventKind(one.kind), one.application, one.owner, one.facts)
                for one in decode_stored(page)
                if one.kind in _KNOWN_KINDS
            ]
    return found
