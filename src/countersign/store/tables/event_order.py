"""Reads and writes the order of the event log: segments, each of which holds pages of some chains and follows the one before it.

Each writer's pages have an order of their own; those of different writers have none. A segment gives them one for good: it takes up
what was written since the one before it, and a page belongs to one segment alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from countersign.store.engine.database import Change, Insert, Row, Sql, Update, Upsert, Write
from countersign.store.tables.event_schema import EVENT_POSITIONS, EVENT_SEGMENTS

RANGES_AT_ONCE: Final = 50
"""Ranges that one statement counts or deletes."""

_SEALED: Final = EVENT_POSITIONS.only(("sealed",))
_ORDERED: Final = EVENT_POSITIONS.only(("seq",))


class PageRange(msgspec.Struct, frozen=True, array_like=True):
    """Pages of one chain: those after page `after`, up to page `until`."""

    writer: str
    after: int
    until: int


class Segment(msgspec.Struct, frozen=True):
    """A part of the log: its number from 1 on, its month, when it was made (ms), how many events it has, its pages, and a keyed hash.

    The hash covers all of it and the hash of the segment before, so no segment can be changed or put between two others.
    """

    number: int
    month: str
    at: int
    count: int
    ranges: tuple[PageRange, ...]
    hash: bytes


class UnorderedChain(msgspec.Struct, frozen=True):
    """A chain with pages in no segment yet: those after `after`.

    `next_at` is when the first of them was written (ms), None if it is gone.
    """

    writer: str
    after: int
    until: int
    next_at: int | None


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[PageRange, ...]).decode


def segment_hash(segment: Segment, before: bytes, link: Callable[[bytes], bytes]) -> bytes:
    """Return the hash that a segment must have after one with the hash `before`; `link` is the keyed hash of the log."""
    ranges = _encode(segment.ranges).decode()
    fields = f"{segment.number}\0{segment.month}\0{segment.at}\0{segment.count}\0{ranges}\0"
    return link(b"segment\0" + before + fields.encode())


async def find_last() -> Segment | None:
    """Return the newest segment, or None."""
    rows = await Sql(f"SELECT {EVENT_SEGMENTS.names} FROM event_segments ORDER BY number DESC LIMIT 1")
    return _segment(rows[0]) if rows else None


async def find(number: int) -> Segment | None:
    """Return the segment of this number, or None."""
    rows = await Sql(f"SELECT {EVENT_SEGMENTS.names} FROM event_segments WHERE number = $1", (number,))
    return _segment(rows[0]) if rows else None


async def list_from(number: int, limit: int) -> list[Segment]:
    """Return at most `limit` segments from this number on, in order."""
    rows = await Sql(
        f"SELECT {EVENT_SEGMENTS.names} FROM event_segments WHERE number >= $1 ORDER BY number LIMIT $2",
        (number, limit),
    )
    return [_segment(row) for row in rows]


async def list_unordered() -> list[UnorderedChain]:
    """Return the chains with pages in no segment yet."""
    rows = await Sql(
        "SELECT w.writer, coalesce(p.seq, 0), w.seq, e.at FROM writers w"
        " LEFT JOIN event_positions p ON p.writer = w.writer"
        " LEFT JOIN events e ON e.writer = w.writer AND e.seq = coalesce(p.seq, 0) + 1"
        " WHERE w.seq > coalesce(p.seq, 0) ORDER BY w.writer"
    )
    return [UnorderedChain(*row) for row in rows]


async def list_times(writer: str, after: int, until: int, limit: int) -> list[tuple[int, int]]:
    """Return the number and the time (ms) of the pages of a chain after `after`, up to `until`, at most `limit`."""
    rows = await Sql(
        "SELECT seq, at FROM events WHERE writer = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
        (writer, after, until, limit),
    )
    return [(seq, at) for seq, at in rows]


async def list_counts(pages: PageRange) -> list[tuple[int, int, int]]:
    """Return the number, the time (ms) and the number of events of each page of a range, in order."""
    rows = await Sql(
        "SELECT seq, at, count FROM events WHERE writer = $1 AND seq > $2 AND seq <= $3 ORDER BY seq",
        (pages.writer, pages.after, pages.until),
    )
    return [(seq, at, count) for seq, at, count in rows]


async def add(segment: Segment, chains: Sequence[UnorderedChain]) -> None:
    """Add a segment; `chains` are those that it takes pages of, each with `until` as its last one.

    Raises ConflictError if there is a segment of this number.
    """
    row = (segment.number, segment.month, segment.at, segment.count, _encode(segment.ranges).decode(), segment.hash)
    begun = [(chain.writer, chain.until, 0) for chain in chains if chain.after == 0]
    # What is sealed stays as it is: another process may seal a month at this moment.
    moved = [(chain.writer, chain.until) for chain in chains if chain.after > 0]
    changes: list[Change] = [Insert(EVENT_SEGMENTS, [row])]
    changes += [Upsert(EVENT_POSITIONS, begun)] if begun else []
    changes += [Update(_ORDERED, moved)] if moved else []
    await Write(tuple(changes), last=True)


async def list_unsealed() -> list[tuple[str, int, int, bytes | None]]:
    """Return each chain that is part of segments beyond its last seal: writer, sealed up to, page, and the hash of this page."""
    rows = await Sql(
        "SELECT p.writer, p.sealed, p.seq, e.hash FROM event_positions p"
        " LEFT JOIN events e ON e.writer = p.writer AND e.seq = p.seq WHERE p.seq > p.sealed ORDER BY p.writer"
    )
    return [(writer, sealed, seq, None if hash_ is None else bytes(hash_)) for writer, sealed, seq, hash_ in rows]


def update_sealed(pages: Sequence[tuple[str, int]]) -> Change:
    """Return the change that marks each of these chains as sealed up to a page."""
    return Update(_SEALED, list(pages))


async def list_positions() -> dict[str, int]:
    """Return up to which page each chain is part of segments."""
    rows = await Sql("SELECT writer, seq FROM event_positions ORDER BY writer")
    positions: dict[str, int] = {row[0]: row[1] for row in rows}
    return positions


async def count_between(after: int, until: int) -> int:
    """Return how many events the segments after number `after` have, up to number `until`."""
    rows = await Sql(
        "SELECT coalesce(sum(count), 0) FROM event_segments WHERE number > $1 AND number <= $2", (after, until)
    )
    return int(rows[0][0])


async def count_events(ranges: Sequence[PageRange]) -> int:
    """Return how many events the pages of these ranges have."""
    found = 0
    for condition, args in _conditions(ranges):
        rows = await Sql(f"SELECT coalesce(sum(count), 0) FROM events WHERE {condition}", args)
        found += int(rows[0][0])
    return found


async def delete_segment(segment: Segment, *, keep_row: bool) -> int:
    """Delete the pages of a segment, and the segment itself unless `keep_row`; return how many pages were deleted."""
    deleted = 0
    for condition, args in _conditions(segment.ranges):
        deleted += len(await Sql(f"DELETE FROM events WHERE {condition} RETURNING 1", args))
    if not keep_row:
        await Sql("DELETE FROM event_segments WHERE number = $1", (segment.number,))
    return deleted


def _conditions(ranges: Sequence[PageRange]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Yield the condition and the arguments of statements about all pages of these ranges, some ranges at a time."""
    for start in range(0, len(ranges), RANGES_AT_ONCE):
        some = ranges[start : start + RANGES_AT_ONCE]
        condition = " OR ".join(
            f"(writer = ${3 * n + 1} AND seq > ${3 * n + 2} AND seq <= ${3 * n + 3})" for n in range(len(some))
        )
        yield condition, tuple(value for one in some for value in (one.writer, one.after, one.until))


def _segment(row: Row) -> Segment:
    number, month, at, count, ranges, hash_ = row
    return Segment(number, month, at, count, _decode(ranges), bytes(hash_))
