"""Order the event log: put the pages of all writers into segments, one after the other, and seal each month that is over.

A month ends at a boundary between segments. What is written late, or bears an earlier time, belongs to the month in which it is
ordered, so a month never holds a page that is younger than its end.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.shared.event import FIRST_HASH, Event, EventKind
from countersign.domain.shared.month import month_end, month_of, next_month
from countersign.errors import UnavailableError
from countersign.flows.maintenance.seal_record import SealRecord, hash_text, record_digest, sign_record
from countersign.store.engine.database import Append, ConflictError, Write
from countersign.store.tables import event_order, event_seals
from countersign.store.tables.event_order import PageRange, Segment, UnorderedChain, segment_hash
from countersign.store.tables.event_seals import SEAL, SealRow

if TYPE_CHECKING:
    from countersign.keys import Keyring
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Link, Log

MOST_PAGES: Final = 2_000
"""Pages of one segment: what one transaction orders, one step exports, and one transaction deletes."""

AHEAD: Final = 3_600_000
"""Milliseconds by which the clock of a writer may be ahead of this one. What is of the next month waits for it."""

_PAGES_AT_ONCE: Final = 200


class OrderReport(msgspec.Struct, frozen=True):
    """How many pages were ordered, and whether there may be more."""

    pages: int
    more: bool


class _Step(msgspec.Struct, frozen=True):
    """What one step did: how many pages it ordered, or that the month must be sealed before the next one."""

    pages: int = 0
    month_over: bool = False


class _Sealable(msgspec.Struct, frozen=True):
    """A month that is over: its last segment, the newest record, and the chains that have grown: (writer, page before, page, hash)."""

    month: str
    last: Segment
    before: SealRow | None
    grown: list[tuple[str, int, int, bytes | None]]
    events: int


async def order_events(
    database: Database, log: Log, keyring: Keyring, now: int, *, at_most: int | None = None
) -> OrderReport:
    """Order all pages that were written until `now` (ms), and seal the months that are over.

    `at_most` bounds the number of steps, each of which makes a segment or seals a month. Any number of processes may do so at once.
    Raises UnavailableError if the database is down or takes no writes.
    """
    ordered = steps = 0
    while await database.read(_has_work, now):
        if steps == at_most:
            return OrderReport(ordered, more=True)
        steps += 1
        try:
            step = await database.run(_order_some, now, keyring.link)
            if step.month_over:
                await _seal_month(database, log, keyring, now)
        except ConflictError:  # another process was faster; what it left is looked at again
            continue
        if not step.pages and not step.month_over:
            break  # what is left waits for the end of the month
        ordered += step.pages
    return OrderReport(ordered, more=False)


async def _has_work(now: int) -> bool:
    """Say whether there are pages to order, or a month to seal. Reading alone hinders no writer."""
    if await event_order.list_unordered():
        return True
    last = await event_order.find_last()
    if last is None or now < month_end(last.month):
        return False
    seal = await event_seals.find_last(SEAL)
    return seal is None or (last.number > seal.segment and now >= month_end(max(last.month, next_month(seal.month))))


async def _order_some(now: int, link: Link) -> _Step:
    # First the last segment, then the chains: should another process add a segment in between, ours has its number, and is refused.
    last = await event_order.find_last()
    seal = await event_seals.find_last(SEAL)
    chains = await event_order.list_unordered()
    is_open = last is not None and (seal is None or last.number > seal.segment)
    if not chains and not is_open:
        return _Step()
    month = last.month if last is not None and is_open else _month_begun(chains, now)
    if seal is not None:
        month = max(month, next_month(seal.month))
    end = month_end(month)
    is_over, may_be_over = now >= end, now >= end - AHEAD
    taken = chains
    if may_be_over or sum(chain.until - chain.after for chain in chains) > MOST_PAGES:
        taken = await _oldest(chains, now, end if may_be_over else None)
    if not taken:
        return _Step(month_over=is_over)
    ranges = tuple(PageRange(chain.writer, chain.after, chain.until) for chain in taken)
    events = await event_order.count_events(ranges)
    segment = Segment(1 if last is None else last.number + 1, month, now, events, ranges, b"")
    hash_ = segment_hash(segment, FIRST_HASH if last is None else last.hash, link)
    await event_order.add(msgspec.structs.replace(segment, hash=hash_), taken)
    return _Step(sum(chain.until - chain.after for chain in taken))


async def _oldest(chains: list[UnorderedChain], now: int, end: int | None) -> list[UnorderedChain]:
    """Return the chains with the oldest pages among all, `until` being the last one taken; of no chain a page at or after `end` (ms)."""
    by_writer = {chain.writer: chain for chain in chains}
    waiting = [(_next_at(chain, now), chain.writer, chain.after + 1) for chain in chains]
    heapq.heapify(waiting)
    known: dict[str, list[tuple[int, int]]] = {}
    taken: dict[str, int] = {}
    pages = 0
    while waiting and pages < MOST_PAGES:
        at, writer, seq = heapq.heappop(waiting)
        if end is not None and at >= end:
            continue
        taken[writer], pages = seq, pages + 1
        if seq < by_writer[writer].until:
            if not known.get(writer):
                found = await event_order.list_times(writer, seq, by_writer[writer].until, _PAGES_AT_ONCE)
                known[writer] = found[::-1] or [(by_writer[writer].until, now)]
            following, following_at = known[writer].pop()
            heapq.heappush(waiting, (following_at, writer, following))
    return [msgspec.structs.replace(by_writer[writer], until=seq) for writer, seq in sorted(taken.items())]


def _month_begun(chains: list[UnorderedChain], now: int) -> str:
    """Return the month of the oldest page; not one to come, which would be open until then, for a clock that was ahead."""
    return month_of(max(0, min(now, *(_next_at(chain, now) for chain in chains))))


def _next_at(chain: UnorderedChain, now: int) -> int:
    return now if chain.next_at is None else chain.next_at


async def _seal_month(database: Database, log: Log, keyring: Keyring, now: int) -> None:
    """Sign what a month ended with. Raises UnavailableError if pages are missing, and ConflictError if another process was faster."""
    found = await database.read(_read_sealable, now)
    if found is None:
        return
    month = found.month
    heads: dict[str, tuple[int, str]] = {}
    for writer, _, seq, hash_ in found.grown:
        if hash_ is None:
            raise UnavailableError(
                f"The month {month} of the event log cannot be sealed: page {seq} of {writer} is missing. Run `countersign events verify`."
            )
        heads[writer] = (seq, hash_text(hash_))
    number, before = (1, "") if found.before is None else (found.before.number + 1, record_digest(found.before.signed))
    pages = sum(seq - sealed for _, sealed, seq, _ in found.grown)
    record = SealRecord(
        number,
        SEAL,
        month,
        now,
        before,
        found.last.number,
        hash_text(found.last.hash),
        heads=heads,
        pages=pages,
        events=found.events,
    )
    facts: dict[str, str | int] = {"pages": pages, "events": found.events}
    event = Event(now, EventKind.MONTH_SEALED, "", month, facts)
    await log.run(database, _write_seal, sign_record(keyring, record), [(one[0], one[2]) for one in found.grown], event)


async def _read_sealable(now: int) -> _Sealable | None:
    last = await event_order.find_last()
    seal = await event_seals.find_last(SEAL)
    if last is None or (seal is not None and seal.segment >= last.number):
        return None
    # Judged here, in one snapshot: another process may have sealed a month, and begun the next one, since this one looked.
    month = last.month if seal is None else max(last.month, next_month(seal.month))
    if now < month_end(month):
        return None
    events = await event_order.count_between(0 if seal is None else seal.segment, last.number)
    return _Sealable(month, last, await event_seals.find_last(), await event_order.list_unsealed(), events)


async def _write_seal(row: SealRow, pages: list[tuple[str, int]], event: Event) -> None:
    last = await event_order.find_last()
    if last is None or last.number != row.segment:
        raise ConflictError
    await Append([event])
    await Write((event_seals.insert(row), event_order.update_sealed(pages)), last=True)
