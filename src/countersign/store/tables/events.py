"""The event log: each writer adds to a chain of its own, so that no batch waits for another's."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

import msgspec

from countersign.domain.shared.event import FIRST_HASH, Event, decode_page, encode_page, hash_input
from countersign.store.engine.database import (
    Append,
    Change,
    ConflictError,
    Insert,
    RejectedError,
    Row,
    Rows,
    Runner,
    Sql,
    Transaction,
    Upsert,
    Write,
)
from countersign.store.tables.schema import EVENTS, WRITERS

Link: TypeAlias = Callable[[bytes], bytes]
"""A keyed hash (32 bytes): who can write to the database alone cannot make one."""

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE: Final = 500


class Head(msgspec.Struct, frozen=True):
    """Where a writer's chain ends: how many pages it has and the hash of the last."""

    writer: str
    seq: int = 0
    hash: bytes = FIRST_HASH


def head_mac(head: Head, link: Link) -> bytes:
    """Return the seal of a head, which keeps a chain from being cut and its head set back."""
    return link(b"head\0%b\0%d\0%b" % (head.writer.encode(), head.seq, head.hash))


class Chain:
    """One writer's chain. `link` is pure: a transaction may be tried again; `advance` once it is durable."""

    def __init__(self, name: Callable[[], str], link: Link) -> None:
        self._name = name
        self._link = link
        self.head = Head(name())

    def link(self, events: Sequence[Event]) -> tuple[tuple[Change, ...], Head]:
        """Return the changes that append `events`, and the head they make."""
        head = self.head
        if not events:
            return (), head
        at, seq, page = events[-1].at, head.seq + 1, encode_page(events)
        hash_ = self._link(hash_input(head.hash, head.writer, seq, at, len(events), page))
        after = Head(head.writer, seq, hash_)
        entry = Insert(EVENTS, [(head.writer, seq, at, len(events), page, hash_)])
        return (entry, Upsert(WRITERS, [(head.writer, seq, hash_, head_mac(after, self._link))])), after

    def advance(self, head: Head) -> None:
        """Go on from `head`, whose transaction is durable."""
        self.head = head

    def restart(self) -> None:
        """Begin a new chain: whether the last transaction became durable is not known."""
        self.head = Head(self._name())


class Log:
    """One writer's chain, and the transactions that append to it: one at a time.

    async def rename(account: str, name: str) -> None:
        ...
        await Append([Event(...)])
        await Write(changes, last=True)

    await log.run(database, rename, account, name)
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._turn = asyncio.Lock()

    async def run(
        self, runner: Runner, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Carry out a transaction that awaits `Append`; its events and its other changes become durable together.

        Raises what `Runner.run` raises.
        """

        def linked() -> Transaction[tuple[T, Head]]:
            return _linked(self._chain, lambda: transaction(*args, **kwargs))

        linked.__name__ = transaction.__name__  # what a trace or a test knows a transaction by
        async with self._turn:
            try:
                result, head = await runner.run(linked)
            except (ConflictError, RejectedError):
                raise  # rolled back for certain: the chain ends where it ended
            except BaseException:
                # Also when this task is cancelled in the middle: whether the transaction became durable is not known.
                self._chain.restart()
                raise
            self._chain.advance(head)
            return result


@types.coroutine
def _linked(chain: Chain, start: Callable[[], Transaction[T]]) -> Generator[Any, Rows, tuple[T, Head]]:
    """Hand on a transaction's statements, with its events as part of the last write; return its result and the chain's new head."""
    events: list[Event] = []
    head, written = chain.head, False
    rows: Rows | None = None
    steps = start()
    try:
        while True:
            try:
                statement = steps.send(rows)
            except StopIteration as end:
                result: T = end.value
                if events and not written:
                    linked, head = chain.link(events)
                    yield Write(linked, last=True)
                return result, head
            if isinstance(statement, Append):
                assert not written, "events are appended after the last write"  # noqa: S101 - a transaction written wrongly
                events.extend(statement.events)
                rows = ()
                continue
            if isinstance(statement, Write) and statement.last:
                linked, head = chain.link(events)
                statement, written = Write((*statement.changes, *linked), last=True), True
            rows = yield statement
    finally:
        steps.close()


async def append_event(event: Event) -> None:
    """Record one event that changes nothing else."""
    await Append([event])


async def heads() -> list[tuple[Head, bytes]]:
    """Return where every writer's chain says that it ends, with the seal of that word."""
    rows = await Sql("SELECT writer, seq, hash, mac FROM writers ORDER BY writer")
    return [(Head(writer, seq, bytes(hash_)), bytes(mac)) for writer, seq, hash_, mac in rows]


async def writers_seen() -> list[str]:
    """Return the writers that have pages."""
    rows = await Sql("SELECT DISTINCT writer FROM events ORDER BY writer")
    return [row[0] for row in rows]


async def pages_after(writer: str, seq: int) -> Rows:
    """Return the next pages of a chain, 500 at most: (seq, at, count, page, hash)."""
    return await Sql(
        "SELECT seq, at, count, page, hash FROM events WHERE writer = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        (writer, seq, _AT_ONCE),
    )


async def between(start: int, end: int) -> list[Event]:
    """Return the events of all pages written from `start` to before `end` (ms), oldest first."""
    rows = await Sql("SELECT page FROM events WHERE at >= $1 AND at < $2 ORDER BY at, writer, seq", (start, end))
    return [event for (page,) in rows for event in decode_page(page)]


def relink(writer: str, row: Row, before: bytes, link: Link) -> bytes:
    """Return the hash that a page ought to have, from what stands in its row now."""
    seq, at, count, page, _ = row
    return link(hash_input(before, writer, seq, at, count, page))
