"""Appends events to the event log: each writer links its pages into a hash chain of its own, so no transaction waits for another's."""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Generic, ParamSpec, TypeAlias, TypeVar

import structlog

from countersign.domain.shared.event import Event, encode_page, hash_input
from countersign.errors import UnavailableError
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
from countersign.store.tables.event_schema import EVENTS, WRITERS
from countersign.store.tables.events import Head

Link: TypeAlias = Callable[[bytes], bytes]
"""A keyed hash (32 bytes). Somebody who can only write to the database cannot compute it."""

P = ParamSpec("P")
T = TypeVar("T")

FIND_S: Final = 2.0
"""For how many seconds the page of a transaction is looked for whose answer was lost."""
FIND_PAUSE_S: Final = 0.1
"""The pause before it is looked for again, in seconds."""

_log: Final = structlog.get_logger("countersign.ledger")


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

    `name` returns a new name for each chain; `link` is the keyed hash. `on_durable` is told each head that has become durable.
    """

    def __init__(self, name: Callable[[], str], link: Link, on_durable: Callable[[Head], None] | None = None) -> None:
        self._name = name
        self._link = link
        self._on_durable = on_durable
        self.head = Head(name())

    def append(self, head: Head, events: Sequence[Event]) -> tuple[tuple[Change, ...], Head]:
        """Return the changes that append `events` as one page after `head`, and the head that results; the chain itself stays as it is."""
        if not events:
            return (), head
        at, seq, page = events[-1].at, head.seq + 1, encode_page(events)
        hash_ = self._link(hash_input(head.hash, head.writer, seq, at, len(events), page))
        after = Head(head.writer, seq, hash_)
        return self._changes(after, at, len(events), page), after

    def close(self, head: Head, at: int) -> tuple[Change, ...]:
        """Return the changes that append an empty page after `head`. Whatever would append another in its place fails from then on."""
        seq, page = head.seq + 1, encode_page(())
        hash_ = self._link(hash_input(head.hash, head.writer, seq, at, 0, page))
        return self._changes(Head(head.writer, seq, hash_), at, 0, page)

    def _changes(self, after: Head, at: int, count: int, page: str) -> tuple[Change, ...]:
        entry = Insert(EVENTS, [(after.writer, after.seq, at, count, page, after.hash)])
        return entry, Upsert(WRITERS, [(after.writer, after.seq, after.hash, head_mac(after, self._link))])

    def advance(self, head: Head) -> None:
        """Continue from `head`, whose transaction is durable."""
        if self._on_durable is not None and head != self.head:
            self._on_durable(head)
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

        All events of the transaction make one page. Raises what `Runner.run` raises. If the answer to the commit was lost, its page is
        looked up: it is there, and the result is returned; or it is not and never will be, and UnavailableError says that nothing was
        done. Only where neither can be found out, `outcome_known` of the error is false.
        """
        async with self._turn:
            # Taken here, once: a transaction of SQLite that runs on after this task was canceled must not see the chain that begins then.
            before = self._chain.head
            attempt = _Attempt[T]()

            def linked() -> Transaction[tuple[T, Head]]:
                attempt.begin()
                return _link_events(self._chain, before, lambda: transaction(*args, **kwargs), attempt)

            linked.__name__ = transaction.__name__  # traces and tests know a transaction by its name
            try:
                result, head = await runner.run(linked)
            except (ConflictError, RejectedError):
                raise  # rolled back for certain: the chain ends where it ended
            except BaseException as error:
                # Also when this task is cancelled in the middle: whether the transaction became durable is not known.
                self._chain.restart()
                if not isinstance(error, UnavailableError) or error.outcome_known:
                    raise
                result, head = await self._find_outcome(runner, before, attempt, error)
            self._chain.advance(head)
            return result

    async def _find_outcome(
        self, runner: Runner, before: Head, attempt: _Attempt[T], error: UnavailableError
    ) -> tuple[T, Head]:
        """Return the result of a transaction whose answer was lost, with the page that it appended, or raise what became of it."""
        page, result = attempt.head, attempt.result
        if page is None or result is None:
            raise error
        closing = self._chain.close(before, time.time_ns() // 1_000_000)
        try:
            async with asyncio.timeout(FIND_S):
                found = await _find_page_at_last(runner, page, closing)
        except TimeoutError:
            _log.warning("answer_lost", outcome="unknown")
            raise error from error.__cause__
        _log.warning("answer_lost", outcome="carried_out" if found else "not_carried_out")
        if found:
            return result[0], page
        raise UnavailableError("The database went away. It is back, and nothing was done. Try again.") from error


class _Attempt(Generic[T]):
    """What one run of a transaction had come to when its answer was lost: the page that it appends, and its result in a tuple."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.result: tuple[T] | None = None

    def begin(self) -> None:
        """Forget the run before."""
        self.head = self.result = None

    def finish(self, transaction: Transaction[T]) -> None:
        """Take the result of a transaction whose last write is under way. Nothing follows a last write but its result."""
        try:
            transaction.send(())
        except StopIteration as end:
            self.result = (end.value,)
        except Exception:  # noqa: BLE001 - without a result the outcome stays unknown, and the first error is told
            return


async def _find_page_at_last(runner: Runner, page: Head, closing: tuple[Change, ...]) -> bool:
    """Return what `_find_page` does, once the database is there again."""
    while True:
        try:
            return await runner.run(_find_page, page, closing)
        except (
            ConflictError,
            UnavailableError,
        ):  # the lost transaction is still under way, or the database is still away
            await asyncio.sleep(FIND_PAUSE_S)


async def _find_page(page: Head, closing: tuple[Change, ...]) -> bool:
    """Return True if a page is in the log. Otherwise write another in its place, so that a late transaction cannot write it any more.

    The server may still hold the statement whose answer was lost, and carry it out whenever it goes on.
    """
    rows = await Sql("SELECT hash FROM events WHERE writer = $1 AND seq = $2", (page.writer, page.seq))
    if rows:
        return bytes(rows[0][0]) == page.hash
    await Write(closing, last=True)
    return False


@types.coroutine
def _link_events(
    chain: Chain, head: Head, start: Callable[[], Transaction[T]], attempt: _Attempt[T]
) -> Generator[Any, Rows, tuple[T, Head]]:
    """Pass a transaction's statements on, and add its events to the last write; return its result and the chain's new head.

    `attempt` is told how far it has come.
    """
    before = head
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
                attempt.result = (result,)
                if events and not written_last:
                    changes, head = chain.append(head, events)
                    attempt.head = head
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
                attempt.head = None if head == before else head
            try:
                rows = yield statement
            except GeneratorExit:
                if written_last:
                    attempt.finish(transaction)
                raise
    finally:
        transaction.close()


async def append_event(event: Event) -> None:
    """Append one event that changes nothing else; run it with `Log.run`."""
    await Append([event])
