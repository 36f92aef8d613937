"""PostgreSQL as a Database: connections that mend themselves, whole batches in few round trips, bounded waits throughout."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

import asyncpg

from countersign.errors import OverloadedError, UnavailableError
from countersign.store.engine import postgres_sql
from countersign.store.engine.database import ConflictError, RejectedError, Rows, Runner, Transaction
from countersign.store.engine.postgres_notify import PostgresNotifier
from countersign.store.engine.postgres_transactions import (
    CollidedError,
    GuardedTransaction,
    LockedTransaction,
    NeedsLocksError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    Connection = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")
P = ParamSpec("P")

CONNECT_S: Final = 2.0
"""How long a connection may take to come about, in seconds."""
COMMAND_S: Final = 5.0
"""How long one statement may take, locks included, before the connection is given up, in seconds."""
IDLE_S: Final = 2.0
"""How long a transaction waits for a free connection of the pool, in seconds."""
WAITING: Final = 256
"""Transactions that may wait for a connection of the pool; more are refused as overload."""
RETRIES: Final = 3
"""How often a transaction that collided with another is tried again."""

WRITE: Final = "BEGIN"
READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# A plan made while a table was empty is a sequential scan and stays: here every statement goes by an index.
_EVERYWHERE: Final = {
    "application_name": "countersign",
    "enable_seqscan": "off",
    "jit": "off",
    # Whatever the server's or the role's default: a guess that a crash of the server gives back would be one more comparison, an approval
    # that it takes back a second one.
    "synchronous_commit": "on",
    # A machine that vanishes in the middle of a transaction must not hold its locks until TCP notices, hours later.
    "idle_in_transaction_session_timeout": "30s",
}
_LANE: Final = {
    **_EVERYWHERE,
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # The only sensible plan is known beforehand; making it anew for each batch costs more than carrying it out.
    "plan_cache_mode": "force_generic_plan",
}

_REFUSED_CLASSES: Final = ("22", "23")
_OUTAGE_CLASSES: Final = ("08", "28", "53", "57", "58", "XX", "3D")
_READ_ONLY: Final = "25006"
_LOCK_WAIT: Final = "55P03"
_COLLIDED: Final = ("40001", "40P01")
_UNMIGRATED: Final = ("42P01", "42703", "3F000")
# 0A000: a prepared statement's rows have changed their type; 26000: it is gone. Both mend themselves when prepared anew.
_STALE: Final = ("0A000", "26000")


# 22012, division by zero: how a guarded write says that a row has changed since it was read (see bulk.guarded_write).
_CHANGED: Final = "22012"


class _Line:
    """One connection, made when needed and again when lost, that carries out one transaction at a time."""

    def __init__(self, url: str, settings: dict[str, str], where: str) -> None:
        self._url = url
        self._settings = settings
        self._where = where
        self._connection: Connection | None = None
        self._free = asyncio.Lock()
        self._writes: dict[postgres_sql.Shape, str] = {}
        self._takes: dict[tuple[str, bool], str] = {}
        self._looks: dict[str, str] = {}
        self._guarded: dict[postgres_sql.Shape, str] = {}

    async def run(self, steps: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that writes; see Runner.

        First without locks: rows are read with their versions, and one guarded statement writes all and commits by itself. That saves two
        round trips and the writing of locks. Where somebody else was quicker, or the steps need more, again from their start with locks.
        """
        async with self._free:
            try:
                return await self._unlocked(steps(*args, **kwargs))
            except (CollidedError, NeedsLocksError):
                pass
        return await self.carry_out(WRITE, lambda: steps(*args, **kwargs))

    async def carry_out(self, begin: str, start: Callable[[], Transaction[T]]) -> T:
        """Carry out a transaction, and again from its start if it collided with another."""
        async with self._free:
            for attempt in range(1, RETRIES + 1):
                try:
                    return await self._once(begin, start())
                except CollidedError:
                    await asyncio.sleep(secrets.randbelow(10 << attempt) / 1_000)
            try:
                return await self._once(begin, start())
            except CollidedError as error:
                raise UnavailableError(
                    f"A transaction collided with others {RETRIES + 1} times in a row and was given up; nothing was done."
                ) from error

    async def connect(self) -> Connection:
        """Return the connection, made anew if it is lost; raises UnavailableError with what to check."""
        connection = self._connection
        if connection is not None and not connection.is_closed():
            return connection
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await asyncpg.connect(
                    self._url,
                    timeout=CONNECT_S,
                    command_timeout=COMMAND_S,
                    statement_cache_size=512,
                    max_cached_statement_lifetime=0,
                    max_cacheable_statement_size=0,
                    server_settings=self._settings,
                )
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            raise UnavailableError(
                f"PostgreSQL at {self._where} cannot be reached ({_short(error)}): check that it runs, that"
                " COUNTERSIGN_DATABASE_URL names it with the right user, password and database, and that it has a connection free."
            ) from error
        self._connection = connection
        return connection

    async def close(self) -> None:
        """Wait for the transaction that runs, then close the connection."""
        async with self._free:
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    await connection.close(timeout=CONNECT_S)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    connection.terminate()

    async def _once(self, begin: str, steps: Transaction[T]) -> T:
        try:
            connection = await self._begun(begin)
            transaction = LockedTransaction(connection, self._takes, self._writes, locks=begin is WRITE)
            result = await self._drive(transaction, steps)
            await self._commit(connection, transaction)
        except UnavailableError:
            self._drop()
            raise
        except Exception:
            await self._roll_back()
            raise
        except BaseException:
            # Cancelled in the middle: nobody knows what the server has done of the statement, so the connection goes.
            self._drop()
            raise
        finally:
            steps.close()
        return result

    async def _unlocked(self, steps: Transaction[T]) -> T:
        try:
            connection = await self.connect()
        except BaseException:
            steps.close()
            raise
        transaction = GuardedTransaction(connection, self._looks, self._guarded)
        try:
            result = await self._drive(transaction, steps)
        except UnavailableError as error:
            self._drop()
            if transaction.written or isinstance(error.__cause__, TimeoutError):
                raise
            # The connection had died unnoticed, and nothing was written: once more on a new one.
            raise NeedsLocksError from error
        except BaseException as error:
            if not isinstance(error, Exception):
                # Cancelled in the middle: nobody knows what the server has done of the statement, so the connection goes.
                self._drop()
            raise
        finally:
            steps.close()
        return result

    async def _drive(self, transaction: LockedTransaction | GuardedTransaction, steps: Transaction[T]) -> T:
        rows: Rows | None = None
        while True:
            try:
                statement = steps.send(rows)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                rows = await transaction.perform(statement)
            except Exception as error:
                raise self._meaning(error, transaction) from error

    async def _begun(self, begin: str) -> Connection:
        connection = await self.connect()
        try:
            await connection.execute(begin, timeout=CONNECT_S)
        except Exception as error:
            # The connection had died unnoticed (the server was restarted): nothing has been done yet, so once more on a new one.
            self._drop()
            if isinstance(error, TimeoutError):
                raise self._meaning(error, None) from error
            connection = await self.connect()
            try:
                await connection.execute(begin, timeout=CONNECT_S)
            except Exception as again:
                raise self._meaning(again, None) from again
        return connection

    async def _commit(self, connection: Connection, transaction: LockedTransaction) -> None:
        try:
            await connection.execute("COMMIT")
        except Exception as error:
            meaning = self._meaning(error, transaction)
            if isinstance(meaning, UnavailableError):
                raise UnavailableError(
                    f"PostgreSQL at {self._where} went away during a commit ({_short(error)}): whether it was carried out is not known."
                ) from error
            raise meaning from error

    async def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed() or not connection.is_in_transaction():
            return
        try:
            await connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - whatever it was, a connection that cannot roll back is of no more use
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _meaning(self, error: Exception, transaction: LockedTransaction | GuardedTransaction | None) -> Exception:
        """Return what an error of the driver means to a caller."""
        if isinstance(error, asyncpg.UniqueViolationError):
            if isinstance(transaction, GuardedTransaction):
                return CollidedError()
            if transaction is not None and error.constraint_name in transaction.believed_absent:
                return CollidedError()
            return ConflictError("A row with this key exists.")
        if isinstance(error, asyncpg.OutdatedSchemaCacheError):
            self._drop()
            return CollidedError()
        if isinstance(error, asyncpg.PostgresError):
            return self._meaning_of_state(error)
        if isinstance(error, asyncpg.DataError):
            return RejectedError("A value does not fit its column.")
        if isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
            return UnavailableError(
                f"PostgreSQL at {self._where} does not answer ({_short(error)}): check that it runs."
            )
        return error

    def _meaning_of_state(self, error: asyncpg.PostgresError) -> Exception:
        state = error.sqlstate or ""
        if state in _COLLIDED or state == _CHANGED:
            return CollidedError()
        if state in _STALE:
            self._drop()
            return CollidedError()
        if state.startswith(_REFUSED_CLASSES):
            return RejectedError(f"The database refuses a value (SQLSTATE {state}).")
        if state in _UNMIGRATED:
            return UnavailableError(
                f"The database at {self._where} lacks a table or column: run `countersign migrate`."
            )
        if state.startswith(_OUTAGE_CLASSES) or state in {_READ_ONLY, _LOCK_WAIT}:
            return UnavailableError(f"PostgreSQL at {self._where} is unavailable ({_short(error)}): look at its log.")
        return error


class PostgresDatabase:
    """A store of rows on a PostgreSQL server, for any number of processes.

    `lanes` connections are the ledger's own; up to `pool` more are made as `run` and `read` need them; one listens for announcements.
    """

    def __init__(self, url: str, *, lanes: int = 2, pool: int = 8) -> None:
        parts = urlsplit(url)
        self._where = f"{parts.hostname or 'its socket'}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._lanes = [_Line(url, _LANE, self._where) for _ in range(lanes)]
        self._pool = [_Line(url, _EVERYWHERE, self._where) for _ in range(pool)]
        self._idle: list[_Line] = list(self._pool)
        self._returned = asyncio.Condition()
        self._waiting = 0
        self._bell = PostgresNotifier(_Line(url, _EVERYWHERE, self._where).connect)

    async def open(self) -> None:
        """Connect the lanes and begin to listen; raises UnavailableError with what to check."""
        connected = await asyncio.gather(*(lane.connect() for lane in self._lanes), return_exceptions=True)
        for failure in connected:
            if isinstance(failure, BaseException):
                await self.close()
                raise failure
        self._bell.open()

    async def close(self) -> None:
        """Finish what runs and close every connection."""
        await self._bell.close()
        await asyncio.gather(*(line.close() for line in (*self._lanes, *self._pool)))

    async def run(self, steps: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that writes, on a connection of the pool; see Runner."""
        async with self._line() as line:
            return await line.carry_out(WRITE, lambda: steps(*args, **kwargs))

    async def read(self, steps: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that only reads, on one snapshot; it never waits for a writer."""
        async with self._line() as line:
            return await line.carry_out(READ, lambda: steps(*args, **kwargs))

    def lanes(self) -> Sequence[Runner]:
        """Return the ledger's connections."""
        return self._lanes

    def announce(self) -> None:
        """Say to every process that a delivery is due; at once here, by NOTIFY elsewhere."""
        self._bell.ring()

    def hear(self, wake: Callable[[], None]) -> None:
        """Call `wake` when any process announced."""
        self._bell.hear(wake)

    @contextlib.asynccontextmanager
    async def _line(self) -> AsyncIterator[_Line]:
        if not self._idle:
            await self._one_returned()
        line = self._idle.pop()
        try:
            yield line
        finally:
            self._idle.append(line)
            if self._waiting:
                async with self._returned:
                    self._returned.notify()

    async def _one_returned(self) -> None:
        if self._waiting >= WAITING:
            raise OverloadedError("Too many transactions wait for a connection to PostgreSQL; nothing was done.")
        self._waiting += 1
        try:
            async with asyncio.timeout(IDLE_S), self._returned:
                await self._returned.wait_for(lambda: bool(self._idle))
        except TimeoutError as error:
            raise UnavailableError(
                f"All {len(self._pool)} connections to PostgreSQL at {self._where} have been busy for {IDLE_S:g} seconds; nothing was done."
            ) from error
        finally:
            self._waiting -= 1


def _short(error: BaseException) -> str:
    """Return an error without values: its kind and, from PostgreSQL, its state."""
    state: Any = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
