"""Implements Database on PostgreSQL: connections that reconnect, whole batches in few round trips, and a time limit for every wait."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

import asyncpg

from countersign.errors import OverloadedError, UnavailableError
from countersign.store.engine.database import ConflictError, RejectedError, Rows, Runner, Transaction
from countersign.store.engine.postgres_notify import PostgresNotifier
from countersign.store.engine.postgres_sql import StatementCache
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
"""How long connecting may take, in seconds."""
COMMAND_S: Final = 5.0
"""How long one statement may take, waits for locks included, before the connection is dropped, in seconds."""
IDLE_S: Final = 2.0
"""How long a transaction waits for a free connection of the pool, in seconds."""
MAX_WAITING: Final = 256
"""How many transactions may wait for a connection of the pool; any more are refused with OverloadedError."""
RETRIES: Final = 3
"""How many times a transaction that collided with another is tried again."""

BEGIN_WRITE: Final = "BEGIN"
BEGIN_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# A plan made while a table was empty is a sequential scan and would stay one; here every statement can use an index.
_SETTINGS: Final = {
    "application_name": "countersign",
    "enable_seqscan": "off",
    "jit": "off",
    # Whatever the default of the server or the role is: a crash of the server must not give a guess back, or take an approval back.
    "synchronous_commit": "on",
    # A client that vanishes in the middle of a transaction must not hold its locks until TCP notices, hours later.
    "idle_in_transaction_session_timeout": "30s",
}
_LEDGER_SETTINGS: Final = {
    **_SETTINGS,
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # There is one sensible plan. Planning each batch again costs more than running it.
    "plan_cache_mode": "force_generic_plan",
}

_REFUSED_CLASSES: Final = ("22", "23")
_OUTAGE_CLASSES: Final = ("08", "28", "53", "57", "58", "XX", "3D")
_READ_ONLY: Final = "25006"
_LOCK_WAIT: Final = "55P03"
_COLLIDED: Final = ("40001", "40P01")
_UNMIGRATED: Final = ("42P01", "42703", "3F000")
# 0A000: the rows of a prepared statement have changed their type. 26000: it is gone. A new connection prepares it again.
_STALE: Final = ("0A000", "26000")


# 22012, division by zero: a row of a guarded write has changed since it was read (see postgres_sql.guarded_write).
_CHANGED: Final = "22012"


class _ReconnectingConnection:
    """A connection that is made when it is needed, and again when it was lost; it runs one transaction at a time."""

    def __init__(self, address: Callable[[], str], settings: dict[str, str], where: str) -> None:
        self._address = address
        self._settings = settings
        self._where = where
        self._connection: Connection | None = None
        self._free = asyncio.Lock()
        self._statements = StatementCache()

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that writes; see Runner.

        It is run without locks first: rows are read with their versions, and one guarded statement writes everything and commits by itself.
        That saves two round trips and the writing of locks. If another transaction was quicker, or if the transaction needs locks, it is
        run again from its start with locks.
        """
        async with self._free:
            try:
                return await self._once_without_locks(transaction(*args, **kwargs))
            except (CollidedError, NeedsLocksError):
                pass
        return await self.run_locked(BEGIN_WRITE, lambda: transaction(*args, **kwargs))

    async def run_locked(self, begin: str, start: Callable[[], Transaction[T]]) -> T:
        """Run a transaction between BEGIN and COMMIT, and again from its start if it collided with another."""
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
                    f"A transaction collided with others {RETRIES + 1} times in a row and was given up. Nothing was done."
                ) from error

    async def connect(self) -> Connection:
        """Return the connection, a new one if it was lost; raises UnavailableError, whose message says what to check."""
        connection = self._connection
        if connection is not None and not connection.is_closed():
            return connection
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await asyncpg.connect(
                    self._address(),  # with the password that counts now
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
                " COUNTERSIGN_DATABASE_URL names it with the right user, password and database, and that it accepts more connections."
            ) from error
        self._connection = connection
        return connection

    async def close(self) -> None:
        """Wait for the transaction under way, then close the connection."""
        async with self._free:
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    await connection.close(timeout=CONNECT_S)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    connection.terminate()

    async def _once(self, begin: str, transaction: Transaction[T]) -> T:
        try:
            connection = await self._begin(begin)
            locked = LockedTransaction(connection, self._statements, locks=begin is BEGIN_WRITE)
            result = await self._drive(locked, transaction)
            await self._commit(connection, locked)
        except UnavailableError:
            self._drop()
            raise
        except Exception:
            await self._roll_back()
            raise
        except BaseException:
            # Cancelled in the middle of a statement: nobody knows what the server has done, so the connection is dropped.
            self._drop()
            raise
        finally:
            transaction.close()
        return result

    async def _once_without_locks(self, transaction: Transaction[T]) -> T:
        try:
            connection = await self.connect()
        except BaseException:
            transaction.close()
            raise
        guarded = GuardedTransaction(connection, self._statements)
        try:
            result = await self._drive(guarded, transaction)
        except UnavailableError as error:
            self._drop()
            if guarded.written or isinstance(error.__cause__, TimeoutError):
                raise
            # The connection had died unnoticed, and nothing was written: the transaction runs again on a new one.
            raise NeedsLocksError from error
        except Exception:
            raise
        except BaseException:
            # Cancelled in the middle of a statement: nobody knows what the server has done, so the connection is dropped.
            self._drop()
            raise
        finally:
            transaction.close()
        return result

    async def _drive(self, performer: LockedTransaction | GuardedTransaction, transaction: Transaction[T]) -> T:
        """Run a transaction to its end: send it the rows of each statement that it awaits."""
        rows: Rows | None = None
        while True:
            try:
                statement = transaction.send(rows)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                rows = await performer.perform(statement)
            except Exception as error:
                raise self._meaning(error, performer) from error

    async def _begin(self, begin: str) -> Connection:
        connection = await self.connect()
        try:
            await connection.execute(begin, timeout=CONNECT_S)
        except Exception as error:
            # The connection had died unnoticed (the server was restarted). Nothing has been done yet, so a new one may begin again.
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
                    f"PostgreSQL at {self._where} went away during a commit ({_short(error)}): whether it was carried out is unknown."
                ) from error
            raise meaning from error

    async def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed() or not connection.is_in_transaction():
            return
        try:
            await connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - whatever the error, a connection that cannot roll back is of no use
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _meaning(self, error: Exception, transaction: LockedTransaction | GuardedTransaction | None) -> Exception:
        """Return the error that a caller gets for an error of the driver."""
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

    The ledger has `ledger_connections` of its own. Up to `pool` more are made as `run` and `read` need them. One more listens for
    notifications. `address` is asked before each connection is made, for passwords change.
    """

    def __init__(self, address: str | Callable[[], str], *, ledger_connections: int = 2, pool: int = 8) -> None:
        parts = urlsplit(address if isinstance(address, str) else address())
        url: Callable[[], str] = (lambda: str(address)) if isinstance(address, str) else address
        self._where = f"{parts.hostname or 'its socket'}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._ledger_connections = [
            _ReconnectingConnection(url, _LEDGER_SETTINGS, self._where) for _ in range(ledger_connections)
        ]
        self._pool = [_ReconnectingConnection(url, _SETTINGS, self._where) for _ in range(pool)]
        self._idle: list[_ReconnectingConnection] = list(self._pool)
        self._returned = asyncio.Condition()
        self._waiting = 0
        self._notifier = PostgresNotifier(_ReconnectingConnection(url, _SETTINGS, self._where).connect)

    async def open(self) -> None:
        """Connect for the ledger, and begin to listen; raises UnavailableError, whose message says what to check."""
        connected = await asyncio.gather(
            *(connection.connect() for connection in self._ledger_connections), return_exceptions=True
        )
        for failure in connected:
            if isinstance(failure, BaseException):
                await self.close()
                raise failure
        self._notifier.open()

    async def close(self) -> None:
        """Finish the transactions under way, and close every connection."""
        await self._notifier.close()
        await asyncio.gather(*(connection.close() for connection in (*self._ledger_connections, *self._pool)))

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that writes, on a connection of the pool; see Runner."""
        async with self._pooled() as connection:
            return await connection.run_locked(BEGIN_WRITE, lambda: transaction(*args, **kwargs))

    async def read(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that only reads, on one snapshot; it never waits for a writer."""
        async with self._pooled() as connection:
            return await connection.run_locked(BEGIN_READ, lambda: transaction(*args, **kwargs))

    def ledger_connections(self) -> Sequence[Runner]:
        """Return the connections of the ledger."""
        return self._ledger_connections

    def notify(self) -> None:
        """Notify this process at once, and the others by NOTIFY, that a delivery is due."""
        self._notifier.notify()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever any process notifies."""
        self._notifier.listen(wake)

    @contextlib.asynccontextmanager
    async def _pooled(self) -> AsyncIterator[_ReconnectingConnection]:
        """Lend a connection of the pool; raises OverloadedError or UnavailableError if none becomes free."""
        if not self._idle:
            await self._wait_for_idle()
        connection = self._idle.pop()
        try:
            yield connection
        finally:
            self._idle.append(connection)
            if self._waiting:
                async with self._returned:
                    self._returned.notify()

    async def _wait_for_idle(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise OverloadedError("Too many transactions are waiting for a connection to PostgreSQL. Nothing was done.")
        self._waiting += 1
        try:
            async with asyncio.timeout(IDLE_S), self._returned:
                await self._returned.wait_for(lambda: bool(self._idle))
        except TimeoutError as error:
            raise UnavailableError(
                f"All {len(self._pool)} connections to PostgreSQL at {self._where} have been busy for {IDLE_S:g} seconds. Nothing was done."
            ) from error
        finally:
            self._waiting -= 1


def _short(error: BaseException) -> str:
    """Return an error without values: its type, and its SQLSTATE if PostgreSQL sent it."""
    state: Any = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
