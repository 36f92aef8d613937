"""A stranger keeps a row or a table locked: only what needs the row waits or fails, and everything else is carried out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.flows.place import place_at
from tests.store.test_ledger import Add

from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import verify_events
from countersign.store.engine.database import Sql
from countersign.store.engine.postgres import PostgresDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.postgres


@contextlib.asynccontextmanager
async def holding(url: str, sql: str, *args: object) -> AsyncIterator[None]:
    """Hold the locks of a statement, as somebody's psql does."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(sql, *args)
    try:
        yield
    finally:
        await transaction.rollback()
        await connection.close()


async def test_a_locked_row_fails_alone_and_the_rest_of_the_batch_is_carried_out(
    postgres_url: str, tmp_path: Path
) -> None:
    """O8: a psql holds one row of 200 that a batch writes."""
    async with place_at(postgres_url, tmp_path) as place:
        keys = [b"%d" % number for number in range(200)]
        await asyncio.gather(*(place.core.ledger.submit(Add(key)) for key in keys))
        async with holding(postgres_url, "SELECT 1 FROM standings WHERE key = $1 FOR UPDATE", keys[77]):
            began = time.monotonic()
            given = await asyncio.gather(*(place.core.ledger.submit(Add(key)) for key in keys), return_exceptions=True)
            took = time.monotonic() - began
        failed = [number for number, one in enumerate(given) if one != 1]
        assert failed == [77]
        error = given[77]
        assert isinstance(error, UnavailableError)
        assert error.outcome_known
        assert took < 2
        assert await place.core.ledger.submit(Add(keys[77])) == 1, "once it is free it can be written again"
        assert (await verify_events(place.database, place.keyring)).findings == ()


async def test_while_one_row_is_locked_the_process_goes_on(postgres_url: str, tmp_path: Path) -> None:
    """O8: one person's retries cost the others little."""
    async with place_at(postgres_url, tmp_path) as place:
        stuck = await place.begun("stuck@example.org")
        done = 0
        over = asyncio.Event()

        async def insist() -> None:
            while not over.is_set():
                with contextlib.suppress(UnavailableError):
                    await place.answer(stuck, place.wrong(stuck))

        async def others() -> None:
            nonlocal done
            while not over.is_set():
                await place.begun(f"p{done}@example.org")
                done += 1

        async with holding(postgres_url, "SELECT 1 FROM challenges WHERE id = $1 FOR UPDATE", stuck.id):
            tasks = [asyncio.create_task(work()) for work in (insist, others, others, others)]
            await asyncio.sleep(1.5)
            over.set()
            await asyncio.gather(*tasks)
        assert done > 15
        assert (await place.stored(stuck)).guesses == 0, "503 meant that nothing was done"


async def test_a_table_that_is_locked_for_a_moment_costs_nobody_a_503(postgres_url: str, tmp_path: Path) -> None:
    """O8: as a migration does, which locks a whole table for as long as it takes to add a column."""
    async with place_at(postgres_url, tmp_path) as place:
        await place.core.ledger.submit(Add(b"a"))
        async with holding(postgres_url, "LOCK TABLE standings IN ACCESS EXCLUSIVE MODE"):
            asked = asyncio.create_task(place.core.ledger.submit(Add(b"a")))
            await asyncio.sleep(0.7)
            assert not asked.done()
        assert await asked == 1


async def test_a_locked_row_does_not_take_the_pool(postgres_url: str) -> None:
    """O8: what is not of the ledger waits for two seconds, and not until its connection is dropped."""
    database = PostgresDatabase(postgres_url, ledger_connections=1, pool=1)

    async def shown() -> str:
        return str((await Sql("SELECT current_setting('lock_timeout')"))[0][0])

    await database.open()
    try:
        assert await database.run(shown) == "2s"
        assert await database.ledger_connections()[0].run(shown) == "200ms"
    finally:
        await database.close()
