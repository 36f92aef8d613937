"""Both databases keep the same promises: what Runner and Database say, said again as tests."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from countersign.errors import UnavailableError
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import (
    ConflictError,
    Insert,
    RejectedError,
    Row,
    Rows,
    Seek,
    Sql,
    Take,
    Update,
    Upsert,
    Write,
)
from countersign.store.tables.schema import APPLICATIONS, CHALLENGES, DELIVERIES, FACTS, LIMITS, STANDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.store.engine.database import Change, Database, Table


async def write(*changes: Change) -> None:
    await Write(changes)


async def take(table: Table, keys: Sequence[Row]) -> Rows:
    return await Take(table, keys)


async def query(sql: str, *args: object) -> Rows:
    return await Sql(sql, args)


async def count(table: Table) -> int:
    ((found,),) = await Sql(f"SELECT count(*) FROM {table.name}")  # noqa: S608 - a name of ours
    return int(found)


def challenge(number: int, *, dedup_key: bytes = b"", state: str = "pending", guesses: int = 5) -> Row:
    own = b"twin" + number.to_bytes(4, "big")
    fixed = (f"ver_{number:06d}", "app_1", dedup_key or own, b"standing", b"terms\x00\xff", 1, 2)
    return (*fixed, state, "sms", guesses, 1, 1, 1, None)


def moved(row: Row) -> Row:
    """Return the key and the moving columns of a challenge's row: what an update needs."""
    return (row[0], *row[7:])


async def test_rows_come_back_as_they_were_written_in_the_order_of_their_keys(database: Database) -> None:
    rows = [challenge(2), challenge(1)]
    await database.run(write, Insert(CHALLENGES, rows))
    found = await database.run(take, CHALLENGES, [("ver_000002",), ("ver_000009",), ("ver_000001",), ("ver_000002",)])
    assert list(found) == [challenge(1), challenge(2)]


async def test_keys_of_two_columns_are_taken_and_changed(database: Database) -> None:
    rows = [
        (owner, n, "sms", "route", 1, 1, "US", "+1415", "queued", 0, 0, 0, 7, None, 1, None, "app_1", 0, "q")
        for owner in ("b", "a")
        for n in (2, 1)
    ]
    await database.run(write, Insert(DELIVERIES, rows))
    await database.run(write, Update(DELIVERIES, [("a", 2, "dropped", 1, 2, 3, None, "ended", 9, 10, "app_2", 4, "r")]))
    found = await database.run(take, DELIVERIES, [("b", 1), ("a", 2), ("a", 3)])
    assert list(found) == [
        ("a", 2, "sms", "route", 1, 1, "US", "+1415", "dropped", 1, 2, 3, None, "ended", 9, 10, "app_2", 4, "r"),
        ("b", 1, "sms", "route", 1, 1, "US", "+1415", "queued", 0, 0, 0, 7, None, 1, None, "app_1", 0, "q"),
    ]


async def test_changes_to_several_tables_are_one_write(database: Database) -> None:
    await database.run(write, Insert(CHALLENGES, [challenge(1)]), Insert(LIMITS, [(b"k", 1)]), Upsert(FACTS, []))
    await database.run(
        write,
        Insert(CHALLENGES, [challenge(2)]),
        Update(LIMITS, [(b"k", 2)]),
        Upsert(STANDINGS, [(b"s", 1, 2, 3, 0, 0, 0)]),
    )
    assert list(await database.run(take, LIMITS, [(b"k",)])) == [(b"k", 2)]
    assert list(await database.run(take, STANDINGS, [(b"s",)])) == [(b"s", 1, 2, 3, 0, 0, 0)]
    assert await database.read(count, CHALLENGES) == 2


async def test_an_update_leaves_what_is_fixed_and_rows_that_are_not_there(database: Database) -> None:
    await database.run(write, Insert(CHALLENGES, [challenge(1)]))
    await database.run(write, Update(CHALLENGES, [moved(challenge(1, guesses=4)), moved(challenge(2))]))
    assert list(await database.run(take, CHALLENGES, [("ver_000001",), ("ver_000002",)])) == [challenge(1, guesses=4)]


async def test_an_upsert_writes_whether_or_not_the_key_exists(database: Database) -> None:
    await database.run(write, Upsert(LIMITS, [(b"b", 1)]))
    await database.run(write, Upsert(LIMITS, [(b"c", 3), (b"b", 2), (b"a", 1)]))
    assert list(await database.run(take, LIMITS, [(b"a",), (b"b",), (b"c",)])) == [(b"a", 1), (b"b", 2), (b"c", 3)]


async def test_an_upsert_after_a_take_writes_whether_or_not_the_key_exists(database: Database) -> None:
    async def steps() -> None:
        rows = await Take(LIMITS, [(b"a",), (b"b",)])
        found = {bytes(key): int(tat) for key, tat in rows}
        await Write((Upsert(LIMITS, [(key, found.get(key, 0) + 1) for key in (b"b", b"a", b"c")]),))

    await database.run(write, Insert(LIMITS, [(b"a", 10)]))
    await database.run(steps)
    assert list(await database.run(take, LIMITS, [(b"a",), (b"b",), (b"c",)])) == [(b"a", 11), (b"b", 1), (b"c", 1)]


async def test_an_empty_take_and_an_empty_write_do_nothing(database: Database) -> None:
    assert list(await database.run(take, LIMITS, [])) == []
    await database.run(write)
    await database.run(write, Insert(LIMITS, []), Update(FACTS, []))
    assert await database.read(count, LIMITS) == 0


async def test_text_keeps_every_character_and_orders_by_code_point(database: Database) -> None:
    names = ["Z", "a", "é", "ß", "日本", "😀", "a'b\"c\\d,{e}", "", "$1 ?2", "e\u0301"]
    await database.run(write, Upsert(FACTS, [(name, name.encode()) for name in names]))
    found = await database.run(take, FACTS, [(name,) for name in names])
    assert list(found) == [(name, name.encode()) for name in sorted(names)]


async def test_integers_have_64_bits(database: Database) -> None:
    await database.run(write, Insert(LIMITS, [(b"big", 2**63 - 1), (b"small", -(2**63))]))
    assert list(await database.run(take, LIMITS, [(b"big",), (b"small",)])) == [
        (b"big", 2**63 - 1),
        (b"small", -(2**63)),
    ]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(Insert(FACTS, [("ok", b""), ("nul\0", b"")]), id="a NUL in a key"),
        pytest.param(Insert(CHALLENGES, [challenge(1, state="nul\0")]), id="a NUL in a text"),
        pytest.param(Insert(FACTS, [("\ud800", b"")]), id="half a surrogate"),
        pytest.param(Insert(LIMITS, [(b"k", 2**63)]), id="an integer of 65 bits"),
        pytest.param(Insert(LIMITS, [(b"k", None)]), id="NULL where it is not meant"),
        pytest.param(Insert(LIMITS, [(b"k", "text")]), id="a text for an integer"),
    ],
)
async def test_a_value_that_does_not_fit_is_rejected_and_nothing_stays(database: Database, change: Change) -> None:
    async def steps() -> None:
        await Write((Upsert(STANDINGS, [(b"before", 1, 1, 1, 0, 0, 0)]),))
        await Write((change,))

    with pytest.raises(RejectedError):
        await database.run(steps)
    assert await database.read(count, STANDINGS) == 0
    await database.run(write, Insert(LIMITS, [(b"after", 1)]))


async def test_a_nul_in_a_querys_argument_is_rejected(database: Database) -> None:
    with pytest.raises(RejectedError):
        await database.run(query, "SELECT value FROM facts WHERE name = $1", "nul\0")


async def test_a_key_that_exists_is_a_conflict_and_nothing_stays(database: Database) -> None:
    await database.run(write, Insert(LIMITS, [(b"k", 1)]))
    before = await database.read(count, FACTS)
    with pytest.raises(ConflictError):
        await database.run(write, Insert(FACTS, [("a", b"")]), Insert(LIMITS, [(b"j", 1), (b"k", 2)]))
    assert await database.read(count, FACTS) == before
    assert list(await database.run(take, LIMITS, [(b"j",), (b"k",)])) == [(b"k", 1)]


async def test_two_pending_twins_are_a_conflict_and_an_ended_one_is_none(database: Database) -> None:
    await database.run(write, Insert(CHALLENGES, [challenge(1, dedup_key=b"t", state="expired")]))
    await database.run(write, Insert(CHALLENGES, [challenge(2, dedup_key=b"t")]))
    with pytest.raises(ConflictError):
        await database.run(write, Insert(CHALLENGES, [challenge(3, dedup_key=b"t")]))


async def test_a_conflict_of_another_key_than_the_primary_one_is_not_tried_again(database: Database) -> None:
    runs = 0

    async def steps() -> None:
        nonlocal runs
        runs += 1
        await Take(CHALLENGES, [("ver_000002",)])
        await Write((Upsert(CHALLENGES, [challenge(2, dedup_key=b"t")]),))

    await database.run(write, Insert(CHALLENGES, [challenge(1, dedup_key=b"t")]))
    with pytest.raises(ConflictError):
        await database.run(steps)
    assert runs == 1


async def test_an_exception_of_the_transaction_itself_rolls_back_and_passes_through(database: Database) -> None:
    class OurError(Exception):
        pass

    async def steps() -> None:
        await Write((Insert(LIMITS, [(b"k", 1)]),))
        raise OurError

    for runner in (database, *database.ledger_connections()):
        with pytest.raises(OurError):
            await runner.run(steps)
    assert await database.read(count, LIMITS) == 0


async def test_a_transaction_is_closed_when_its_statement_fails(database: Database) -> None:
    closed = False

    async def steps() -> None:
        nonlocal closed
        try:
            await Write((Insert(LIMITS, [(b"k", None)]),))
        finally:
            closed = True

    with pytest.raises(RejectedError):
        await database.run(steps)
    assert closed


async def test_two_runners_that_race_for_the_same_rows_lose_no_update(database: Database) -> None:
    keys = [(b"present",), (b"absent",)]
    runners = [*database.ledger_connections(), database, database]

    async def spend() -> None:
        rows = await Take(LIMITS, keys)
        found = {bytes(key): int(tat) for key, tat in rows}
        await Write((Upsert(LIMITS, [(key, found.get(key, 0) + 1) for (key,) in keys]),))

    async def race(n: int) -> None:
        for _ in range(20):
            await runners[n % len(runners)].run(spend)

    await database.run(write, Insert(LIMITS, [(b"present", 0)]))
    await asyncio.gather(*(race(n) for n in range(8)))
    assert list(await database.run(take, LIMITS, keys)) == [(b"absent", 160), (b"present", 160)]


async def test_takes_in_any_order_never_deadlock(database: Database) -> None:
    keys = [n.to_bytes(2, "big") for n in range(40)]
    await database.run(write, Insert(LIMITS, [(key, 0) for key in keys]))
    runs = 0

    async def spend(wanted: list[bytes]) -> None:
        nonlocal runs
        runs += 1
        found = await Take(LIMITS, [(key,) for key in wanted])
        await Write((Update(LIMITS, [(key, tat + 1) for key, tat in found]),))

    async def race(n: int) -> None:
        order = keys if n % 2 else keys[::-1]
        for _ in range(10):
            await database.run(spend, order)

    await asyncio.gather(*(race(n) for n in range(8)))
    assert list(await database.run(take, LIMITS, [(key,) for key in keys])) == [(key, 80) for key in keys]
    assert runs == 80, "a deadlock was mended by trying again"


async def test_upserts_in_any_order_never_deadlock(database: Database) -> None:
    runs = 0

    async def fill(rows: Rows) -> None:
        nonlocal runs
        runs += 1
        await Write((Upsert(LIMITS, rows),))

    rows = [(n.to_bytes(2, "big"), n) for n in range(500)]
    await asyncio.gather(*(database.run(fill, rows if n % 2 else rows[::-1]) for n in range(8)))
    assert await database.read(count, LIMITS) == 500
    assert runs == 8


async def test_ten_thousand_rows_are_written_and_taken_at_once(database: Database) -> None:
    rows = [challenge(n) for n in range(10_000)]
    await database.run(
        write, Insert(CHALLENGES, rows), Insert(LIMITS, [(n.to_bytes(4, "big"), n) for n in range(10_000)])
    )
    await database.run(write, Update(CHALLENGES, [moved(challenge(n, guesses=1)) for n in range(10_000)]))
    found = await database.run(take, CHALLENGES, [(row[0],) for row in rows])
    assert list(found) == [challenge(n, guesses=1) for n in range(10_000)]


async def test_a_read_sees_one_snapshot_and_waits_for_no_writer(database: Database, database_url: str) -> None:
    await database.run(write, Insert(LIMITS, [(b"a", 1)]))

    async def look() -> tuple[int, int]:
        first = await count(LIMITS)
        begun.set()
        if database_url.startswith("sqlite"):
            time.sleep(0.3)  # SQLite's readers are threads
        else:
            await Sql("SELECT pg_sleep(0.3)")
        second = await count(LIMITS)
        return first, second

    begun = threading.Event()
    looking = asyncio.create_task(database.read(look))
    assert await asyncio.to_thread(begun.wait, 10)
    await database.run(write, Insert(LIMITS, [(b"b", 1)]))
    assert not looking.done()
    assert await looking == (1, 1)
    assert await database.read(count, LIMITS) == 2


async def test_a_read_takes_rows_without_locking_them(database: Database) -> None:
    await database.run(write, Insert(LIMITS, [(b"a", 1)]))

    async def look() -> Rows:
        rows = await Take(LIMITS, [(b"a",)])
        await Seek(LIMITS, "key", [b"a"])
        return rows

    assert list(await database.read(look)) == [(b"a", 1)]


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(UnavailableError):
        await database.read(write, Insert(LIMITS, [(b"k", 1)]))
    assert await database.read(count, LIMITS) == 0


async def test_whoever_hears_is_woken(database: Database) -> None:
    heard = asyncio.Event()
    database.listen(heard.set)
    database.notify()
    await asyncio.wait_for(heard.wait(), 2)


async def test_a_second_database_sees_what_the_first_has_written(database: Database, database_url: str) -> None:
    other = open_database(database_url)
    await other.open()
    try:
        await database.run(write, Insert(LIMITS, [(b"k", 1)]))
        assert await other.read(count, LIMITS) == 1
        await asyncio.gather(
            *(
                one.run(write, Insert(LIMITS, [(name + bytes([n]), 1)]))
                for n in range(20)
                for one, name in ((database, b"a"), (other, b"b"))
            )
        )
        assert await other.read(count, LIMITS) == 41
    finally:
        await other.close()


async def test_what_was_written_is_there_after_closing_and_opening(database: Database, database_url: str) -> None:
    await database.run(write, Insert(LIMITS, [(b"k", 1)]))
    await database.close()
    again = open_database(database_url)
    await again.open()
    try:
        assert await again.read(count, LIMITS) == 1
    finally:
        await again.close()


async def test_a_cancelled_caller_leaves_the_database_usable(database: Database) -> None:
    async def slow() -> None:
        for n in range(20_000):
            await Write((Upsert(LIMITS, [(b"k", n)]),))

    for runner in (database, *database.ledger_connections()):
        running = asyncio.ensure_future(runner.run(slow))
        await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await runner.run(write, Upsert(LIMITS, [(b"k", 1)]))
    assert list(await database.run(take, LIMITS, [(b"k",)])) == [(b"k", 1)]


async def test_an_application_may_have_no_old_key(database: Database) -> None:
    row = (
        "app_1",
        1,
        "shop",
        "test",
        "Shop",
        "shop.example",
        "[]",
        b"hash",
        None,
        None,
        None,
        "[]",
        "[]",
        "",
        "",
        0,
        None,
    )
    await database.run(write, Insert(APPLICATIONS, [row]))
    found = await database.read(query, f"SELECT {APPLICATIONS.names} FROM applications WHERE key_hash = $1", b"hash")  # noqa: S608
    assert list(found) == [row]
