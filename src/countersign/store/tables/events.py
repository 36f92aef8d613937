"""The event log: each writer adds to a chain of its own, so that no batch waits for another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, Final, ParamSpec, TypeAlias, TypeVar

import msgspec

from countersign.domain.shared.event import START, Event, linked_bytes, read, written
from countersign.store.engine.database import Change, Insert, Query, Row, Rows, Runner, Steps, Upsert, Write
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
    hash: bytes = START


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
        at, seq, page = events[-1].at, head.seq + 1, written(events)
        hash_ = self._link(linked_bytes(head.hash, head.writer, seq, at, len(events), page))
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
    """A chain for acts outside the ledger, which take turns: one transaction at a time."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._turn = asyncio.Lock()

    async def run(
        self,
        runner: Runner,
        steps: Callable[Concatenate[Chain, P], Steps[tuple[T, Head]]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Carry out a transaction that appends to the chain; it returns its result and the head that `Chain.link` gave."""
        async with self._turn:
            try:
                result, head = await runner.run(steps, self._chain, *args, **kwargs)
            except BaseException:
                # Also when we are told to stop in the middle: whether it became durable is not known.
                self._chain.restart()
                raise
            self._chain.advance(head)
            return result


def append(chain: Chain, event: Event) -> Steps[tuple[None, Head]]:
    """Record one event that changes nothing else."""
    linked, head = chain.link([event])
    yield Write(linked)
    return None, head


def heads() -> Steps[list[tuple[Head, bytes]]]:
    """Return where every writer's chain says that it ends, with the seal of that word."""
    rows = yield Query("SELECT writer, seq, hash, mac FROM writers ORDER BY writer")
    return [(Head(writer, seq, bytes(hash_)), bytes(mac)) for writer, seq, hash_, mac in rows]


def writers_seen() -> Steps[list[str]]:
    """Return the writers that have pages."""
    rows = yield Query("SELECT DISTINCT writer FROM events ORDER BY writer")
    return [row[0] for row in rows]


def pages_after(writer: str, seq: int) -> Steps[Rows]:
    """Return the next pages of a chain, 500 at most: (seq, at, count, page, hash)."""
    return (
        yield Query(
            "SELECT seq, at, count, page, hash FROM events WHERE writer = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            (writer, seq, _AT_ONCE),
        )
    )


def between(start: int, end: int) -> Steps[list[Event]]:
    """Return the events of all pages written from `start` to before `end` (ms), oldest first."""
    rows = yield Query("SELECT page FROM events WHERE at >= $1 AND at < $2 ORDER BY at, writer, seq", (start, end))
    return [event for (page,) in rows for event in read(page)]


def relink(writer: str, row: Row, before: bytes, link: Link) -> bytes:
    """Return the hash that a page ought to have, from what stands in its row now."""
    seq, at, count, page, _ = row
    return link(linked_bytes(before, writer, seq, at, count, page))
