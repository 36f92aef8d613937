"""Export the event log: every event once, in the order of segments, from a cursor on, a few pages in memory at a time."""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.shared.event import FIRST_HASH, StoredEvent, decode_stored
from countersign.errors import SettingsError, UnavailableError
from countersign.flows.maintenance.order_events import order_events
from countersign.store.engine.database import Rows, Take
from countersign.store.tables import event_order, event_seals
from countersign.store.tables.event_order import Segment, segment_hash
from countersign.store.tables.event_schema import EVENTS
from countersign.store.tables.event_seals import DROP

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from countersign.keys import Keyring
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log

PAGES_AT_ONCE: Final = 100
SEGMENTS_AT_ONCE: Final = 20
ORDER_AGAIN_S: Final = 30.0
"""Seconds after which a database that takes no writes is asked again to order pages."""

_CURSOR: Final = struct.Struct(">BQI8s")
_VERSION: Final = 1
_LAST_TIME: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""
_LAST_SEGMENT: Final = (1 << 63) - 1
"""The greatest number that a column of the database holds."""


class Cursor(msgspec.Struct, frozen=True):
    """A place in the log: the next event is number `skip` (from 0 on) of the segment `segment`.

    `tag` is the beginning of the hash of that segment, or of the one before it if none of it was read: a cursor fits one log alone.
    """

    segment: int
    skip: int
    tag: bytes

    def __str__(self) -> str:
        """Return the text of the cursor."""
        packed = _CURSOR.pack(_VERSION, self.segment, self.skip, self.tag)
        return base64.urlsafe_b64encode(packed).decode()


class ExportedEvent(msgspec.Struct, frozen=True):
    """An event, its id, which never changes, and the cursor after it."""

    id: str
    cursor: str
    event: StoredEvent


class _PageIndex(msgspec.Struct, frozen=True):
    """The pages of a segment in their order: (time, writer, number, number of events), and how many are missing."""

    pages: list[tuple[int, str, int, int]]
    missing: int


def read_cursor(text: str) -> Cursor:
    """Return the cursor that a text names. Raises SettingsError if it is none."""
    try:
        version, segment, skip, tag = _CURSOR.unpack(base64.b64decode(text.strip(), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, struct.error):
        version = segment = skip = 0
        tag = b""
    if version != _VERSION or not 0 < segment <= _LAST_SEGMENT:
        raise SettingsError("That is no cursor of an export. Take `cursor` of the last line that you have, as it is.")
    return Cursor(segment, skip, tag)


async def check_cursor(database: Database, cursor: Cursor | None) -> tuple[Cursor, bytes]:
    """Return where an export begins that follows `cursor`, and the hash of the segment before; without one, where the log begins.

    Raises SettingsError for a cursor of another log, or one into months that were dropped.
    """
    return await database.read(_check_cursor, cursor)


class EventExport:
    """An export that goes on from its `cursor` whenever `read_on` is called.

    With a `log` the pages that no segment has yet are ordered first; a database that takes no writes leaves that to a worker.
    `missing` counts pages that should be there.
    """

    def __init__(self, database: Database, log: Log | None, keyring: Keyring, clock: Callable[[], int]) -> None:
        self._database = database
        self._log = log
        self._keyring = keyring
        self._clock = clock
        self._before = FIRST_HASH
        self._order_from = 0.0
        self.cursor = Cursor(1, 0, FIRST_HASH[:8])
        self.missing = 0
        self.unordered = False

    async def start(self, cursor: Cursor | None) -> None:
        """Begin after `cursor`, or at the beginning; see `check_cursor`."""
        self.cursor, self._before = await check_cursor(self._database, cursor)

    async def read_on(self) -> AsyncGenerator[list[ExportedEvent], None]:
        """Yield the events that there are by now, a page at a time. Raises UnavailableError if the database is down.

        Raises SettingsError if the order of the log is not what was written, or if what comes next was dropped meanwhile.
        """
        while True:
            more = await self._order()
            while segments := await self._database.read(event_order.list_from, self.cursor.segment, SEGMENTS_AT_ONCE):
                for segment in segments:
                    await self._judge(segment)
                    async for events in self._read(segment):
                        yield events
                    self._go_to(_next_segment(segment), segment)
            if not more:
                return

    async def _order(self) -> bool:
        """Order some pages. Returns whether there may be more."""
        if self._log is None or time.monotonic() < self._order_from:
            return False
        try:
            report = await order_events(
                self._database, self._log, self._keyring, self._clock(), at_most=SEGMENTS_AT_ONCE
            )
        except UnavailableError:
            self._order_from = time.monotonic() + ORDER_AGAIN_S
            self.unordered = True
            return False
        self.unordered = False
        return report.more

    async def _judge(self, segment: Segment) -> None:
        hashes = self._keyring.hashes
        expected = (
            segment_hash(segment, self._before, partial(hashes.link_of, place))
            for place in reversed(hashes.positions())
        )
        if segment.number == self.cursor.segment and any(hmac.compare_digest(one, segment.hash) for one in expected):
            return
        await check_cursor(self._database, self.cursor)  # it may have been dropped
        raise SettingsError(
            f"Segment {segment.number} of the event log is not what was written: its order was changed. Run `countersign events verify`."
        )

    async def _read(self, segment: Segment) -> AsyncGenerator[list[ExportedEvent], None]:
        index = await self._database.read(_read_index, segment)
        if index.missing:
            await check_cursor(self._database, self.cursor)
            self.missing += index.missing
        done, total = 0, sum(count for *_, count in index.pages)
        skip = self.cursor.skip
        for start in range(0, len(index.pages), PAGES_AT_ONCE):
            some = index.pages[start : start + PAGES_AT_ONCE]
            if done + sum(count for *_, count in some) <= skip:
                done += sum(count for *_, count in some)
                continue
            stored = {(row[0], row[1]): row for row in await self._database.read(_take_pages, some)}
            for _, writer, seq, count in some:
                row = stored.get((writer, seq))
                first, done = done, done + count
                if count == 0 or done <= skip:
                    continue
                events = self._events(row[4] if row else "", count)
                if not events:
                    await check_cursor(self._database, self.cursor)
                    self.missing += 1
                    continue
                page = [
                    ExportedEvent(f"{writer}.{seq}.{n}", str(_after(segment, first + n + 1, total)), event)
                    for n, event in enumerate(events)
                    if first + n >= skip
                ]
                yield page
                self._go_to(_after(segment, done, total), segment)

    def _go_to(self, cursor: Cursor, segment: Segment) -> None:
        if cursor.segment != segment.number:
            self._before = segment.hash
        self.cursor = cursor

    @staticmethod
    def _events(page: str, count: int) -> list[StoredEvent]:
        """Return the events of a page, or none if it is not what was written."""
        try:
            events = decode_stored(page)
        except msgspec.MsgspecError:
            return []
        # Somebody may have written a time that is none, to have every export end there.
        return events if len(events) == count and all(0 <= one.at <= _LAST_TIME for one in events) else []


def _after(segment: Segment, done: int, total: int) -> Cursor:
    return Cursor(segment.number, done, segment.hash[:8]) if done < total else _next_segment(segment)


def _next_segment(segment: Segment) -> Cursor:
    return Cursor(segment.number + 1, 0, segment.hash[:8])


async def _check_cursor(cursor: Cursor | None) -> tuple[Cursor, bytes]:
    dropped = await event_seals.find_last(DROP)
    first = 1 if dropped is None else dropped.segment + 1
    if cursor is not None and cursor.segment < first and dropped is not None:
        begins = Cursor(first, 0, await _hash_of(first - 1, 8))
        raise SettingsError(
            f"The events after this cursor were dropped, up to the end of {dropped.month}. What is left begins at --after {begins}"
        )
    number = first if cursor is None else cursor.segment
    before = await _hash_of(number - 1, len(FIRST_HASH))
    if cursor is None:
        return Cursor(number, 0, before[:8]), before
    if not before:
        raise SettingsError(
            "This cursor is of a later state of the log than this database has. Was the database restored from a backup?"
        )
    tag = before[:8] if cursor.skip == 0 else await _hash_of(number, 8)
    if not hmac.compare_digest(tag, cursor.tag):
        raise SettingsError(
            "This cursor is of another log, or of one that was restored from a backup and went on otherwise."
        )
    return cursor, before


async def _hash_of(number: int, size: int) -> bytes:
    """Return the beginning of the hash of a segment; nothing if it is not there."""
    if number == 0:
        return FIRST_HASH[:size]
    segment = await event_order.find(number)
    return b"" if segment is None else segment.hash[:size]


async def _read_index(segment: Segment) -> _PageIndex:
    pages: list[tuple[int, str, int, int]] = []
    expected = 0
    for one in segment.ranges:
        expected += one.until - one.after
        latest = 0
        for seq, at, count in await event_order.list_counts(one):
            # By time; the pages of a chain keep their order, though an event may be recorded later than it happened.
            latest = max(latest, at)
            pages.append((latest, one.writer, seq, count))
    return _PageIndex(sorted(pages), expected - len(pages))


async def _take_pages(pages: Sequence[tuple[int, str, int, int]]) -> Rows:
    return await Take(EVENTS, [(writer, seq) for _, writer, seq, _ in pages])
