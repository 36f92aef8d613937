"""The event log: each writer adds to a chain of its own, so that no batch waits for another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, Final, ParamSpec, TypeAlias, TypeVar

import msgspec

from countersign.domain.event import START, Event, EventKind, linked_bytes, written_facts
from countersign.store.database import Change, Insert, Query, Row, Rows, Runner, Steps, Upsert
from countersign.store.tables import EVENTS, WRITERS

Link: TypeAlias = Callable[[bytes], bytes]
"""A keyed hash (32 bytes): who can write to the database alone cannot make one."""

P = ParamSpec("P")
T = TypeVar("T")

_PAGE: Final = 2_000


class Head(msgspec.Struct, frozen=True):
    """Where a writer's chain ends: how many entries it has and the hash of the last."""

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
        rows: list[Row] = []
        writer, seq, before = head.writer, head.seq, head.hash
        for event in events:
            seq += 1
            facts = written_facts(event)
            before = self._link(linked_bytes(before, writer, seq, event.at, event.kind.value, event.application, event.owner, facts))
            rows.append((writer, seq, event.at, event.kind.value, event.application, event.owner, facts, before))
        head = Head(writer, seq, before)
        return (Insert(EVENTS, rows), Upsert(WRITERS, [(writer, seq, before, head_mac(head, self._link))])), head

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

    async def run(self, runner: Runner, steps: Callable[Concatenate[Chain, P], Steps[tuple[T, Head]]], /, *args: P.args, **kwargs: P.kwargs) -> T:
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


def heads() -> Steps[list[tuple[Head, bytes]]]:
    """Return where every writer's chain says that it ends, with the seal of that word."""
    rows = yield Query("SELECT writer, seq, hash, mac FROM writers ORDER BY writer")
    return [(Head(writer, seq, bytes(hash_)), bytes(mac)) for writer, seq, hash_, mac in rows]


def writers_seen() -> Steps[list[str]]:
    """Return the writers that have entries."""
    rows = yield Query("SELECT DISTINCT writer FROM events ORDER BY writer")
    return [row[0] for row in rows]


def entries_after(writer: str, seq: int) -> Steps[Rows]:
    """Return the next entries of a chain, 2,000 at most: (seq, at, kind, application, owner, facts, hash)."""
    return (
        yield Query(
            "SELECT seq, at, kind, application, owner, facts, hash FROM events WHERE writer = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            (writer, seq, _PAGE),
        )
    )


def of_owner(owner: str) -> Steps[list[Event]]:
    """Return what is recorded of a challenge (or another record), oldest first."""
    rows = yield Query(
        "SELECT at, kind, application, owner, facts FROM events WHERE owner = $1 ORDER BY at, writer, seq", (owner,)
    )
    return [Event(at, EventKind(kind), application, own, msgspec.json.decode(facts, type=dict[str, str | int])) for at, kind, application, own, facts in rows]


def relink(writer: str, row: Row, before: bytes, link: Link) -> bytes:
    """Return the hash that an entry ought to have, from what stands in its row now."""
    seq, at, kind, application, owner, facts, _ = row
    return link(linked_bytes(before, writer, seq, at, kind, application, owner, facts))
