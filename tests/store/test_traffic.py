"""Counts of traffic on both databases: added up whoever adds, folded without loss, forgotten in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.clock import NOON

from countersign.domain.delivery.sms_traffic import DAY, HOUR, MINUTE, RANGE_RETENTION, RETENTION, TrafficSlot
from countersign.store.engine.database import Rows, Sql
from countersign.store.tables import sms_traffic

if TYPE_CHECKING:
    from countersign.store.engine.database import Database
    from countersign.store.tables.sms_traffic import Key

APP = "app_shop"


async def all_counts() -> Rows:
    return await Sql("SELECT place, at, sent, spent, converted FROM traffic WHERE at > 0 ORDER BY place, at")


def counted(place: str, at: int, sent: int, converted: int) -> dict[Key, TrafficSlot]:
    """Return what is to be added."""
    return {(APP, place, at): TrafficSlot(at, sent, sent * 7, converted)}


async def test_counts_of_many_at_once_add_up(database: Database) -> None:
    at = NOON - NOON % HOUR
    both = {**counted("DE", at, 1, 0), **counted("+49170", at, 1, 1)}
    await asyncio.gather(*(database.run(sms_traffic.add_counts, both) for _ in range(20)))
    found = await database.read(all_counts)
    assert [tuple(row) for row in found] == [("+49170", at, 20, 140, 20), ("DE", at, 20, 140, 0)]


async def test_folding_keeps_every_count_however_many_fold(database: Database) -> None:
    hour = NOON - NOON % HOUR - 6 * HOUR
    for minutes in range(0, 60, 5):
        await database.run(sms_traffic.add_counts, counted("DE", hour + minutes * MINUTE, 10, 3))
    recent = NOON - 10 * MINUTE
    await database.run(sms_traffic.add_counts, counted("DE", recent, 5, 1))
    await asyncio.gather(*(database.run(sms_traffic.roll_up, NOON) for _ in range(4)))
    await database.run(sms_traffic.roll_up, NOON)
    found = await database.read(all_counts)
    assert [tuple(row) for row in found] == [("DE", hour, 120, 840, 36), ("DE", recent, 5, 35, 1)]


async def test_ranges_are_forgotten_sooner_than_prefixes(database: Database) -> None:
    for age in (HOUR, RANGE_RETENTION + HOUR, RETENTION + DAY + HOUR):
        await database.run(sms_traffic.add_counts, counted("+49170", NOON - age, 1, 0))
        await database.run(sms_traffic.add_counts, counted("#abc", NOON - age, 1, 0))
    assert await database.run(sms_traffic.delete_old_counts, NOON, 100) == 3
    left = [(row[0], NOON - row[1]) for row in await database.read(all_counts)]
    assert left == [("#abc", HOUR), ("+49170", RANGE_RETENTION + HOUR), ("+49170", HOUR)]


async def test_a_block_is_known_while_it_lengthens_the_next(database: Database) -> None:
    block = sms_traffic.Block(APP, "+49170", NOON, "prefix", "+49170", "DE", "allowance", "why", 3, False, NOON + HOUR)
    await database.run(_begin, block)
    standing = (await database.read(sms_traffic.find_histories, APP, ["+49170", "DE"], NOON + DAY))["+49170"]
    assert standing.hold == block.hold
    other = (await database.read(sms_traffic.find_histories, "app_other", ["+49170"], NOON + DAY))["+49170"]
    assert other.hold is None
    assert await database.run(sms_traffic.delete_ended_blocks, NOON + DAY, 10) == 0
    assert await database.run(sms_traffic.delete_ended_blocks, NOON + 9 * DAY, 10) == 1


async def _begin(block: sms_traffic.Block) -> None:
    from countersign.store.engine.database import Write

    await Write(sms_traffic.upsert_blocks([block]))
