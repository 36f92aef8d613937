"""Appends events to the event log: each writer links its pages into a hash chain of its own, so no transaction waits for another's."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

from countersign.domain.shared.event import Event, encode_page, hash_input
from countersign.store.engine.database import (
    Append,
    Change,
    ConflictError,
    Insert,
    RejectedError,
    Row,
    Rows,
    Runner,
    Transaction,
    Upsert,
    Write,
)
from countersign.store.tables.events import Head
from countersign.store.tables.schema import EVENTS, WRITERS

Link: TypeAlias = Callable[[bytes], bytes]
"""A keyed hash (32 bytes). Somebody who can only write to the database cannot compute it."""

P = ParamSpec("P")
T = TypeVar("T")


def head_mac(head: Head, link: Link) -> bytes:
    """Return the code that authenticates a head. Without it, a chain could be cut and its head set back."""
    return link(b"head\0%b\0%d\0%b" % (head.writer.encode(), head.seq, head.hash))


def page_hash(writer: str, row: Row, before: bytes, link: Link) -> bytes:
    """Return the hash that a page must have, computed from its row as it is stored now.

    `row` is a row of `tables.events.list_pages_after`, `before` the hash of the page before it.
    """
    seq, at, count, page, _ = row
    return link(hash_input(before, writer, seq, at, count, page))


class Chain:
    """The hash chain of one writer, which ends at `head`.

    `name` returns a new name for each chain; `link` is the keyed hash.
    """

    def __init__(self, name: Callable[[], str], link: Link) -> None:
        self._name = name
        self._link = link
        self.head = Head(name())

    def append(self, head: Head, events: Sequence[Event]) -> tuple[tuple[Change, ...], Head]:
        """Return the changes that append `events` as one page after `head`, and the head that results; the chain itself stays as it is."""
        if not events:
            return (), head
        at, seq, page = events[-1].at, head.seq + 1, encode_page(events)
        hash_ = self._link(hash_input(head.hash, head.writer, seq, at, len(events), page))
        after = Head(head.writer, seq, hash_)
        entry = Insert(EVENTS, [(head.writer, seq, at, len(events), page, hash_)])
        return (entry, Upsert(WRITERS, [(head.writer, seq, hash_, head_mac(after, self._link))])), after

    def advance(self, head: Head) -> None:
        """Continue from `head`, whose transaction is durable."""
        self.head = head

    def restart(self) -> None:
        """Begin a new chain, because nobody knows whether the last transaction became durable."""
        self.head = Head(self._name())


class Log:
    """Runs the transactions that append to one chain, one at a time.

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
        """Run a transaction that awaits `Append`; its events and its other changes become durable together.

        All events of the transaction make one page. Raises what `Runner.run` raises.
        """
        async with self._turn:
            # Taken here, once: a transaction of SQLite that runs on after this task was canceled must not see the chain that begins then.
            before = self._chain.head

            def linked() -> Transaction[tuple[T, Head]]:
                return _link_events(self._chain, before, lambda: transaction(*args, **kwargs))

            linked.__name__ = transaction.__name__  # traces and tests know a transaction by its name
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
def _link_events(chain: Chain, head: Head, start: Callable[[], Transaction[T]]) -> Generator[Any, Rows, tuple[T, Head]]:
    """Pass a transaction's statements on, and add its events to the last write; return its result and the chain's new head."""
    events: list[Event] = []
    written_last = False
    rows: Rows | None = None
    transaction = start()
    try:
        while True:
            try:
                statement = transaction.send(rows)
            except StopIteration as end:
                result: T = end.value
                if events and not written_last:
                    changes, head = chain.append(head, events)
                    yield Write(changes, last=True)
                return result, head
            if isinstance(statement, Append):
                assert not written_last, "events are appended after the last write"  # noqa: S101 - a transaction written wrongly
                events.extend(statement.events)
                rows = ()
                continue
            if isinstance(statement, Write) and statement.last:
                changes, head = chain.append(head, events)
                statement, written_last = Write((*statement.changes, *changes), last=True), True
            rows = yield statement
    finally:
        transaction.close()


async def append_event(event: Event) -> None:
    """Append one event that changes nothing else; run it with `Log.run`."""
    await Append([event])
