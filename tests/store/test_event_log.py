"""The event log: events become durable with their transaction, make one page, and the chain goes on from what is certain."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest

from countersign.domain.shared.event import FIRST_HASH, Event, EventKind, decode_page
from countersign.store.engine.database import Append, ConflictError, Insert, RejectedError, Sql, Take, Write
from countersign.store.engine.sqlite import SqliteDatabase
from countersign.store.ledger.event_log import Chain, Log, append_event, head_mac, page_hash
from countersign.store.tables import events
from countersign.store.tables.schema import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.store.engine.database import Database, Runner, Transaction


def link(value: bytes) -> bytes:
    return hmac.digest(b"a key of the tests", value, hashlib.sha256)


@pytest.fixture
def log() -> Log:
    """A log whose chains are named w1, w2, ..."""
    names = itertools.count(1)
    return Log(Chain(lambda: f"w{next(names)}", link))


def event(number: int) -> Event:
    return Event(number, EventKind.CHALLENGE_REFUSED, "app_1", f"ver_{number}", {})


async def pages(database: Database) -> dict[str, list[list[int]]]:
    """Return the times of the events of each page, by writer, after each hash and each head was compared."""

    async def all_pages() -> dict[str, list[list[int]]]:
        found: dict[str, list[list[int]]] = {}
        for head, mac in await events.list_heads():
            assert mac == head_mac(head, link)
            before = FIRST_HASH
            for row in await events.list_pages_after(head.writer, 0):
                assert row[4] == page_hash(head.writer, row, before, link)
                before = row[4]
                found.setdefault(head.writer, []).append([one.at for one in decode_page(row[3])])
            assert (head.seq, head.hash) == (len(found[head.writer]), before)
        assert sorted(found) == await events.list_writers()
        return found

    return await database.read(all_pages)


async def limits(database: Database) -> int:
    async def count() -> int:
        ((found,),) = await Sql("SELECT count(*) FROM limits")
        return int(found)

    return await database.read(count)


def runners(database: Database) -> tuple[Runner, ...]:
    """Return a runner of each kind: of the ledger, which goes without locks where it can, and of everything else."""
    return (*database.ledger_connections()[:1], database)


async def append_twice_and_write() -> str:
    await Append([event(1)])
    await Take(LIMITS, [(b"a",)])
    await Append([event(2), event(3)])
    await Write((Insert(LIMITS, [(b"a", 1)]),), last=True)
    return "done"


async def append_without_writing() -> None:
    await Append([event(4)])
    await Append([event(5)])


async def append_after_the_last_write() -> None:
    await Write((Insert(LIMITS, [(b"late", 1)]),), last=True)
    await Append([event(1)])


async def append_and_collide() -> None:
    await Append([event(6)])
    await Write((Insert(LIMITS, [(b"a", 2)]),), last=True)


async def append_and_be_refused() -> None:
    await Append([event(7)])
    await Write((Insert(LIMITS, [(b"b", 1 << 63)]),), last=True)


async def test_an_append_outside_of_the_log_is_a_mistake(database: Database) -> None:
    for run in (*(runner.run for runner in runners(database)), database.read):
        with pytest.raises(AssertionError, match=r"outside of Log\.run"):
            await run(append_event, event(1))
    assert await pages(database) == {}


async def test_an_append_after_the_last_write_is_a_mistake_and_nothing_stays(database: Database, log: Log) -> None:
    with pytest.raises(AssertionError, match="after the last write"):
        await log.run(database, append_after_the_last_write)
    assert await limits(database) == 0
    assert await pages(database) == {}


async def test_an_append_after_the_last_write_without_locks_is_a_mistake_though_the_write_is_durable(
    database: Database, log: Log
) -> None:
    """The one statement of the write has committed by then, so the log begins a new chain and stays whole."""
    with pytest.raises(AssertionError, match="after the last write"):
        await log.run(database.ledger_connections()[0], append_after_the_last_write)
    await log.run(database, append_without_writing)
    assert await pages(database) == {"w2": [[4, 5]]}


async def test_the_events_of_several_appends_make_one_page_with_the_write(database: Database) -> None:
    for number, runner in enumerate(runners(database)):
        log = Log(Chain(lambda number=number: f"r{number}", link))  # type: ignore[misc]
        assert await log.run(runner, append_twice_and_write) == "done"
        assert (await pages(database))[f"r{number}"] == [[1, 2, 3]]
        assert await limits(database) == 1
        await database.run(_clear)


async def _clear() -> None:
    await Sql("DELETE FROM limits")


async def test_events_without_a_write_make_one_page_of_their_own(database: Database, log: Log) -> None:
    for runner in runners(database):
        await log.run(runner, append_without_writing)
    assert await pages(database) == {"w1": [[4, 5]] * len(runners(database))}


@pytest.mark.parametrize(
    ("refused", "error"), [(append_and_collide, ConflictError), (append_and_be_refused, RejectedError)]
)
async def test_a_refused_transaction_keeps_the_chain(
    database: Database, log: Log, refused: Callable[[], Transaction[None]], error: type[Exception]
) -> None:
    await log.run(database, append_twice_and_write)
    for runner in runners(database):
        with pytest.raises(error):
            await log.run(runner, refused)
    await log.run(database, append_without_writing)
    assert await pages(database) == {"w1": [[1, 2, 3], [4, 5]]}


async def test_an_unknown_outcome_begins_a_new_chain(database: Database, log: Log) -> None:
    """O4: SQLite's thread goes on with a transaction whose task was canceled; it must not write to the chain that begins then."""
    began = threading.Event()

    async def slow() -> None:
        await Append([event(9)])
        began.set()
        if isinstance(database, SqliteDatabase):
            time.sleep(0.1)
        else:
            await Sql("SELECT pg_sleep(5)")
        await Write((Insert(LIMITS, [(b"slow", 1)]),), last=True)

    await log.run(database, append_without_writing)
    leaves = asyncio.create_task(log.run(database, slow))
    while not began.is_set():  # noqa: ASYNC110 - SQLite's thread sets it
        await asyncio.sleep(0.001)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    await log.run(database, append_without_writing)
    found = await pages(database)
    # SQLite's thread has finished the transaction all the same; PostgreSQL's connection was cut off before.
    became_durable = [[9]] if await limits(database) else []
    assert found == {"w1": [[4, 5], *became_durable], "w2": [[4, 5]]}
