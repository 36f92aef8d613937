"""Migrates PostgreSQL while programs serve: step by step, no lock waited for or held for long, and each step done once.

How far a revision has come stands in the database. So whoever runs the migration again after a crash goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from countersign.errors import UnavailableError
from countersign.store.engine.migration_steps import Step, StepKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    Connection = asyncpg.Connection[asyncpg.Record]

LOCK: Final = 0x0C0DE51617
"""The advisory lock of PostgreSQL that lets one process at a time migrate a database."""
LOCK_S: Final = 60.0
"""How long a migration waits for another one, and how long a step tries to get its lock, in seconds."""
LOCK_MS: Final = (100, 100, 100, 200, 200, 400)
"""How long a step waits for a lock at each try, in milliseconds; the last for all that follow. Whoever needs the table waits behind it."""
UNBOUNDED_S: Final = 7 * 86_400.0
"""How long a statement may work once it has its lock, in seconds; the driver takes None for the bound of the connection."""
PAGES: Final = 128
"""Pages of a table whose rows one batch fills: 1 MiB."""
WALKS: Final = 3
"""How often a table is walked through at most, for rows that others moved in the meantime."""

PROGRESS: Final = "migrating"
"""The fact that says which revision is being applied, and how many of its steps are done."""
COMPATIBLE_SINCE: Final = "compatible_since"
"""The fact that names a revision of the schema, and after it the one that a program must know to live with it."""

_TRY_AGAIN: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
_SAVE: Final = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


class RevisionSteps(msgspec.Struct, frozen=True):
    """A revision: the one before it, its steps, and the oldest revision whose programs can live with it.

    `contracts` is true if it takes something away, so that programs that need it must know before.
    """

    revision: str
    before: str
    steps: Sequence[Step]
    compatible_since: str
    contracts: bool = False


async def wait_for_turn(connection: Connection) -> None:
    """Take the lock of migrations for this session. Raises UnavailableError if another process has it for too long.

    It asks again and again, and does not wait in the server: an index that is built concurrently waits for every statement that runs.
    """
    until = asyncio.get_running_loop().time() + LOCK_S
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        if asyncio.get_running_loop().time() > until:
            raise UnavailableError("Another process is migrating the database, and goes on. Wait until it has done so.")
        await asyncio.sleep(0.1)


async def apply_revision(connection: Connection, revision: RevisionSteps) -> None:
    """Carry out what is left of a revision. Raises UnavailableError if a lock cannot be had; what was done until then stays done."""
    done = await _steps_done(connection, revision.revision)
    if revision.contracts:  # programs that cannot live with what comes are not ready from now on
        await save_compatibility(connection, revision.before, revision.compatible_since)
    for number, step in enumerate(revision.steps):
        if number < done:
            continue
        progress = f"{revision.revision} {number + 1}".encode()
        try:
            await _until_unlocked(connection, step, progress)
        except _TRY_AGAIN as error:
            raise UnavailableError(
                f"Step {number + 1} of {len(revision.steps)} of revision {revision.revision} found its table in use for"
                f" {LOCK_S:g} seconds. What was done before it stays. End long transactions, and run `countersign migrate` again."
            ) from error
    async with connection.transaction():
        await connection.execute("UPDATE alembic_version SET version_num = $1", revision.revision)
        await connection.execute("DELETE FROM facts WHERE name = $1", PROGRESS)
        await save_compatibility(connection, revision.revision, revision.compatible_since)


async def save_compatibility(connection: Connection, revision: str, compatible_since: str) -> None:
    """Write down which revision a program must know to live with the schema of `revision`."""
    await connection.execute(_SAVE, COMPATIBLE_SINCE, f"{revision} {compatible_since}".encode())


async def _until_unlocked(connection: Connection, step: Step, progress: bytes) -> None:
    """Carry out a step, again and again while others hold a lock that it needs."""
    until = asyncio.get_running_loop().time() + LOCK_S
    for attempt in itertools.count():
        wait = LOCK_MS[min(attempt, len(LOCK_MS) - 1)]
        try:
            match step.kind:
                case StepKind.TRANSACTION:
                    await _in_transaction(connection, step.sql, wait, progress)
                case StepKind.CONCURRENTLY:
                    await _build_index(connection, step)
                case StepKind.IN_BATCHES:
                    await _fill(connection, step, wait)
        except _TRY_AGAIN:
            if asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - spreads tries; protects nothing
        else:
            break
    await connection.execute(_SAVE, PROGRESS, progress)


async def _in_transaction(connection: Connection, sql: str, wait: int, progress: bytes = b"") -> int:
    """Run a statement in a transaction that waits for a lock for `wait` ms at most. Returns how many rows it changed.

    `progress` is written in the same transaction: a statement that counts something must never run twice.
    """
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {wait}")
        outcome = await connection.execute(sql, timeout=UNBOUNDED_S)
        if progress:
            await connection.execute(_SAVE, PROGRESS, progress)
    count = outcome.rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


async def _build_index(connection: Connection, step: Step) -> None:
    """Build an index while others read and write. One that a crash left half-built is removed first."""
    is_valid = await connection.fetchval(
        "SELECT indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname = $1 AND pg_table_is_visible(oid)",
        step.name,
    )
    if is_valid is False:
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {step.name}", timeout=UNBOUNDED_S)
    await connection.execute(step.sql, timeout=UNBOUNDED_S)


async def _fill(connection: Connection, step: Step, wait: int) -> None:
    """Change the rows that are left, a few pages of the table in each transaction."""
    for _ in range(WALKS):
        changed = 0
        pages = await connection.fetchval(
            "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint", step.name
        )
        for first in range(0, pages + 1, PAGES):
            within = f"ctid >= '({first},0)'::tid AND ctid < '({first + PAGES},0)'::tid"
            changed += await _in_transaction(connection, f"{step.sql} WHERE ({step.rows}) AND {within}", wait)
        if not changed:
            return


async def _steps_done(connection: Connection, revision: str) -> int:
    """Return how many steps of a revision were done by a migration that did not come to its end."""
    found = await connection.fetchval("SELECT value FROM facts WHERE name = $1", PROGRESS)
    if found is None:
        return 0
    begun, _, steps = bytes(found).decode().partition(" ")
    return int(steps) if begun == revision else 0
