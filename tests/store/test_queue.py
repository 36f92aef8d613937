"""The queue as the database sees it: found by an index, whatever is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.place import query

from countersign.domain.delivery.delivery import Delivery, new_delivery
from countersign.domain.delivery.fair_share import DueQueue
from countersign.domain.shared.contact import Channel
from countersign.store.engine.database import Write
from countersign.store.tables import deliveries, queue
from countersign.store.tables.queue import QueueState

if TYPE_CHECKING:
    from countersign.store.engine.database import Database


def owed(number: int, provider: str, application: str, at: int, channel: Channel = Channel.EMAIL) -> Delivery:
    return new_delivery("ver_1", number, channel, (provider,), at, application=application)


async def write(owed: list[Delivery]) -> None:
    await Write(deliveries.insert(owed), last=True)


async def test_queues_are_found_with_what_is_due(database: Database) -> None:
    """D10."""
    assert await database.read(queue.find_due, 10, 5) == []
    await database.run(write, [owed(n, "mail", "app_a", n) for n in range(1, 9)])
    await database.run(write, [owed(20, "twilio", "app_a", 7, Channel.SMS), owed(21, "mail", "app_b", 99)])
    assert await database.read(queue.find_due, 10, 5) == [
        DueQueue("mail email app_a", "mail", "email", "app_a", 5, 1),
        DueQueue("twilio sms app_a", "twilio", "sms", "app_a", 1, 7),
    ]
    assert await database.read(queue.list_queues, 10) == [
        QueueState("mail", "email", "app_a", 8, 0, 1),
        QueueState("mail", "email", "app_b", 0, 1, None),
        QueueState("twilio", "sms", "app_a", 1, 0, 7),
    ]
    assert sorted(await database.read(queue.count_due_by_application, 10)) == [("app_a", 9, 9)]
    rows = await database.run(queue.claim_shares, {"mail email app_a": 2, "twilio sms app_a": 1}, 10)
    assert [deliveries.from_row(row).number for row in rows] == [1, 2, 20]


async def test_the_queues_are_looked_up_in_an_index(postgres_url: str) -> None:
    """D10: a flood does not make the look of every worker slow."""
    from countersign.store.engine.connect import open_database

    database = open_database(postgres_url)
    await database.open()
    try:
        await database.run(write, [owed(n, "mail", f"app_{n % 3}", n) for n in range(1, 3_001)])
        statement = queue.find_due(5_000, 64).send(None)
        plan = await database.run(query, f"EXPLAIN {statement.sql}", *statement.args)
    finally:
        await database.close()
    lines = " ".join(str(row[0]) for row in plan)
    assert "Seq Scan on deliveries" not in lines
    assert "deliveries_queue_due_at" in lines
