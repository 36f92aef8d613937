"""Both databases claim rows alike: the oldest first, so many of each group, and none that somebody holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.store.engine.database import Claim, ClaimShares, Insert, Row, Rows, Seek, Sql, Take, Write
from countersign.store.tables.schema import DELIVERIES

if TYPE_CHECKING:
    from countersign.store.engine.database import Change, Database


async def write(*changes: Change) -> None:
    await Write(changes)


async def query(sql: str, *args: object) -> Rows:
    return await Sql(sql, args)


def owed(number: int) -> Row:
    """Return a delivery that is due at its number."""
    return (
        f"o{number}",
        1,
        "sms",
        "route",
        1,
        1,
        "US",
        "+1415",
        "queued",
        0,
        0,
        0,
        number,
        None,
        1,
        None,
        "app_1",
        0,
        "",
    )


async def test_rows_are_claimed_and_sought_in_both_dialects(database: Database) -> None:
    await database.run(write, Insert(DELIVERIES, [owed(n) for n in range(4)]))

    async def steps() -> tuple[Rows, Rows, Rows]:
        claimed = await Claim(DELIVERIES, "due_at <= $1 AND state = $2", (2, "queued"), "due_at", 2)
        sought = await Seek(DELIVERIES, "owner", ["o3", "o1", "nobody"], "due_at > 1")
        nothing = await Seek(DELIVERIES, "owner", [])
        return claimed, sought, nothing

    claimed, sought, nothing = await database.run(steps)
    assert [list(claimed), list(sought), list(nothing)] == [[owed(0), owed(1)], [owed(3)], []]


async def test_shares_are_claimed_in_both_dialects_and_what_is_locked_is_passed_over(database: Database) -> None:
    """D10: of each group as many as its share, the oldest first."""
    rows = [owed(n) for n in range(9)]
    place = [name for name, _ in DELIVERIES.columns].index("queue")
    grouped = [(*row[:place], "abc"[n % 3], *row[place + 1 :]) for n, row in enumerate(rows)]
    await database.run(write, Insert(DELIVERIES, grouped))
    shares = [("a", 2), ("b", 1), ("nobody", 5)]

    async def claim() -> Rows:
        return await ClaimShares(DELIVERIES, "queue", shares, "due_at IS NOT NULL AND due_at <= $1", (7,), "due_at")

    assert sorted(row[0] for row in await database.run(claim)) == ["o0", "o1", "o3"]

    async def twice() -> tuple[Rows, Rows]:
        await Take(DELIVERIES, [("o0", 1)])
        return await claim(), await ClaimShares(DELIVERIES, "queue", [], "due_at <= $1", (7,), "due_at")

    mine, none = await database.run(twice)
    assert [row[0] for row in mine if row[place] == "a"] == ["o0", "o3"]
    assert list(none) == []


async def test_a_query_locks_and_returns_rows_in_both_dialects(database: Database) -> None:
    await database.run(write, Insert(DELIVERIES, [owed(n) for n in range(3)]))
    claimed = await database.run(
        query,
        "SELECT owner FROM deliveries WHERE due_at <= $1 AND state = $2 ORDER BY due_at FOR UPDATE SKIP LOCKED",
        1,
        "queued",
    )
    assert list(claimed) == [("o0",), ("o1",)]
    gone = await database.run(query, "DELETE FROM deliveries WHERE due_at < $1 RETURNING owner, number", 1)
    assert list(gone) == [("o0", 1)]
