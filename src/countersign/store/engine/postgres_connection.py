"""A connection to PostgreSQL that is made when it is needed, and again when it was lost; it runs one transaction at a time."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import asyncpg

from countersign.errors import UnavailableError
from countersign.store.engine.database import ConflictError, RejectedError, RowLockedError, Rows, Transaction
from countersign.store.engine.postgres_hosts import FAILURES, PostgresHosts
from countersign.store.engine.postgres_sql import StatementCache
from countersign.store.engine.postgres_transactions import (
    CollidedError,
    GuardedTransaction,
    LockedTransaction,
    NeedsLocksError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Connection = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")
P = ParamSpec("P")

RETRIES: Final = 3
"""How many times a transaction that collided with another is tried again."""
POOL_LOCK_WAIT_MS: Final = 2_000
"""How long a transaction of the pool waits for a lock, in milliseconds."""
LOCK_WAIT_MS: Final = 200
"""How long a batch of the ledger waits for a lock, in milliseconds: many people wait with it."""
SHORT_LOCK_WAIT_MS: Final = 50
"""How long a part of a batch waits after the batch waited in vain."""
CANCEL_S: Final = 1.0
"""How long it is waited for the end of a statement that was cancelled, in seconds."""
SHORT_FOR_S: Final = 1.0
"""For how many seconds after a wait in vain the shorter wait holds."""

BEGIN_WRITE: Final = "BEGIN"
BEGIN_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# A plan made while a table was empty is a sequential scan and would stay one; here every statement can use an index.
SETTINGS: Final = {
    "application_name": "countersign",
    "enable_seqscan": "off",
    "jit": "off",
    # Whatever the default of the server or the role is: a crash of the server must not give a guess back, or take an approval back.
    "synchronous_commit": "on",
    # A client that vanishes in the middle of a transaction must not hold its locks until TCP notices, hours later.
    "idle_in_transaction_session_timeout": "30s",
    # A row that a stranger keeps locked must not take every connection of the pool.
    "lock_timeout": f"{POOL_LOCK_WAIT_MS}ms",
}
LEDGER_SETTINGS: Final = {
    **SETTINGS,
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # There is one sensible plan. Planning each batch again costs more than running it.
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": f"{LOCK_WAIT_MS}ms",
}

_REFUSED_CLASSES: Final = ("22", "23")
_OUTAGE_CLASSES: Final = ("08", "28", "53", "57", "58", "XX", "3D")
_READ_ONLY: Final = "25006"
_NO_RIGHT: Final = "42501"
_STANDBY: Final = "55000"
_REFUSED_BY_STANDBY: Final = "SELECT pg_current_wal_lsn()"
"""A statement that a standby refuses (with _STANDBY), and that costs a primary nothing."""
_LOCK_WAIT: Final = "55P03"
_COLLIDED: Final = ("40001", "40P01")
_UNMIGRATED: Final = ("42P01", "42703", "3F000")
# 0A000: the rows of a prepared statement have changed their type. 26000: it is gone. A new connection prepares it again.
_STALE: Final = ("0A000", "26000")
# 22012, division by zero: a row of a guarded write has changed since it was read (see postgres_sql.guarded_write).
_CHANGED: Final = "22012"
# The connection broke, or the server ended it: even while a commit waited for a standby, after it was carried out here.
_BROKEN: Final = ("08", "57P0")


class ReconnectingConnection:
    """A connection to the primary of some hosts; `settings` are those of its session.

    If `impatient`, a lock that is not granted soon is a RowLockedError, because many callers wait for the same transaction.
    """

    def __init__(self, hosts: PostgresHosts, settings: dict[str, str], *, impatient: bool = False) -> None:
        self.host: int | None = None
        self._hosts = hosts
        self._settings = settings
        self._impatient = impatient
        self._connection: Connection | None = None
        self._free = asyncio.Lock()
        self._statements = StatementCache()
        self._lock_wait = LOCK_WAIT_MS
        self._short_until = 0.0
        self._asked_at: float | None = None
        self._closing: set[asyncio.Task[None]] = set()
        hosts.add(self)

    def hangs_for(self) -> float:
        """Return for how many seconds it has waited for an answer; 0 if it waits for none."""
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at

    def leave(self) -> None:
        """Break the connection; whatever waits on it fails at once."""
        self._drop()

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that writes; see Runner.

        It is run without locks first: rows are read with their versions, and one guarded statement writes everything and commits by itself.
        That saves two round trips and the writing of locks. If another transaction was quicker, or if the transaction needs locks, it is
        run again from its start with locks. So it is through a pooler, which keeps one connection for us only between BEGIN and COMMIT.
        """
        if not self._hosts.pooled:
            async with self._free:
                try:
                    return await self._without_locks(lambda: transaction(*args, **kwargs))
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
            connection, self.host = await self._hosts.connect(self._settings)
        except FAILURES as error:
            raise UnavailableError(
                f"PostgreSQL at {self._hosts.where} cannot be reached ({_short(error)}): check that it runs, that"
                " COUNTERSIGN_DATABASE_URL names it with the right user, password and database, and that it accepts more connections."
            ) from error
        self._connection = connection
        self._lock_wait = LOCK_WAIT_MS
        return connection

    async def close(self) -> None:
        """Wait for the transaction under way, then close the connection."""
        async with self._free:
            connection, self._connection = self._connection, None
            if connection is not None:
                await _close(connection, self._hosts.connect_s)
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def _without_locks(self, start: Callable[[], Transaction[T]]) -> T:
        """Run a transaction without locks, and again while a whole table is locked, as a migration may do for a moment."""
        until = time.monotonic() + self._hosts.command_s
        while True:
            try:
                return await self._once_without_locks(start())
            except _TableLockedError as error:
                if time.monotonic() >= until:
                    raise UnavailableError(
                        f"PostgreSQL at {self._hosts.where} keeps a whole table locked (SQLSTATE {_LOCK_WAIT}): look at its log."
                        " Nothing was done."
                    ) from error

    async def _once(self, begin: str, transaction: Transaction[T]) -> T:
        try:
            connection = await self._begin(begin)
            locked = LockedTransaction(connection, self._statements, locks=begin is BEGIN_WRITE)
            if self._hosts.clock.is_due:
                await self._measure_clock(connection)
            result = await self._drive(locked, transaction)
            await self._commit(connection, locked)
        except UnavailableError as error:
            self._give_up(error)
            raise
        except Exception:
            await self._roll_back()
            raise
        except BaseException:
            # Cancelled in the middle of a statement: nobody knows what the server has done, so the connection is dropped.
            self._drop()
            raise
        finally:
            self._asked_at = None
            transaction.close()
        return result

    async def _once_without_locks(self, transaction: Transaction[T]) -> T:
        try:
            connection = await self.connect()
            await self._tune(connection)
        except BaseException:
            transaction.close()
            raise
        guarded = GuardedTransaction(connection, self._statements)
        try:
            result = await self._drive(guarded, transaction)
        except UnavailableError as error:
            self._give_up(error)
            if guarded.written:
                raise self._lost(error, error.__cause__) from error.__cause__
            if isinstance(error.__cause__, TimeoutError):
                raise
            # The connection had died unnoticed, and nothing was written: the transaction runs again on a new one.
            raise NeedsLocksError from error
        except RowLockedError as error:
            if not guarded.written:  # a read that locks nothing waits for nothing but the lock of a table
                raise _TableLockedError from error
            raise
        except Exception:
            raise
        except BaseException:
            # Cancelled in the middle of a statement: nobody knows what the server has done, so the connection is dropped.
            self._drop()
            raise
        finally:
            self._asked_at = None
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
            self._asked_at = time.monotonic()
            try:
                rows = await performer.perform(statement)
            except Exception as error:
                raise self._meaning(error, performer) from error

    async def _begin(self, begin: str) -> Connection:
        connection = await self.connect()
        timeout = self._hosts.connect_s
        self._asked_at = time.monotonic()
        try:
            await connection.execute(self._begin_statement(begin), timeout=timeout)
        except Exception as error:
            # The connection had died unnoticed (the server was restarted). Nothing has been done yet, so a new one may begin again.
            self._drop()
            if isinstance(error, TimeoutError):
                raise self._meaning(error, None) from error
            connection = await self.connect()
            try:
                await connection.execute(self._begin_statement(begin), timeout=timeout)
            except Exception as again:
                raise self._meaning(again, None) from again
        return connection

    def _begin_statement(self, begin: str) -> str:
        """Return what begins a transaction, with the settings that hold in it alone; through a pooler those are all.

        A pooler keeps our connection while its server becomes a standby, which would answer reads with what was.
        """
        settings: dict[str, str] = {}
        if self._hosts.pooled:
            settings = {name: value for name, value in self._settings.items() if name != "application_name"}
        if self._impatient and (self._hosts.pooled or self._wanted_lock_wait() != self._lock_wait):
            settings["lock_timeout"] = f"{self._wanted_lock_wait()}ms"
        set_up = [f"SET LOCAL {name} = '{value}'" for name, value in settings.items()]
        return "; ".join([begin, *set_up, *([_REFUSED_BY_STANDBY] if self._hosts.pooled else [])])

    def _wanted_lock_wait(self) -> int:
        return SHORT_LOCK_WAIT_MS if time.monotonic() < self._short_until else LOCK_WAIT_MS

    async def _tune(self, connection: Connection) -> None:
        """Have the session wait for locks as long as it should by now."""
        wanted = self._wanted_lock_wait()
        if not self._impatient or wanted == self._lock_wait:
            return
        try:
            await connection.execute(f"SET lock_timeout = '{wanted}ms'", timeout=self._hosts.connect_s)
        except Exception as error:
            self._drop()
            raise self._meaning(error, None) from error
        self._lock_wait = wanted

    async def _measure_clock(self, connection: Connection) -> None:
        try:
            await self._hosts.measure(connection)
        except Exception as error:
            raise self._meaning(error, None) from error

    async def _commit(self, connection: Connection, transaction: LockedTransaction) -> None:
        self._asked_at = time.monotonic()
        try:
            await connection.execute("COMMIT")
        except Exception as error:
            meaning = self._meaning(error, transaction)
            raise (self._lost(meaning, error) if isinstance(meaning, UnavailableError) else meaning) from error

    async def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed() or not connection.is_in_transaction():
            return
        try:
            await connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - whatever the error, a connection that cannot roll back is of no use
            self._drop()

    def _give_up(self, error: UnavailableError) -> None:
        """Drop the connection. A statement that took too long is cancelled first: else the server would go on, and keep its locks."""
        connection = self._connection
        if connection is None or not isinstance(error.__cause__, TimeoutError):
            self._drop()
            return
        self._connection, self.host = None, None
        task = asyncio.create_task(_close(connection, CANCEL_S))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _drop(self) -> None:
        connection, self._connection, self.host = self._connection, None, None
        if connection is not None:
            connection.terminate()

    def _lost(self, error: UnavailableError, cause: BaseException | None) -> UnavailableError:
        """Return the error for an answer that did not come: unknown, unless the server said that it did not carry the write out."""
        state = getattr(cause, "sqlstate", None) or ""
        if isinstance(cause, asyncpg.PostgresError) and not state.startswith(_BROKEN):
            return error
        what = "does not answer" if isinstance(cause, TimeoutError) else "went away"
        return UnavailableError(
            f"PostgreSQL at {self._hosts.where} {what} during a commit ({_short(cause or error)}): whether it was carried out is unknown.",
            outcome_known=False,
        )

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
            self._hosts.doubt()
            return UnavailableError(
                f"PostgreSQL at {self._hosts.where} does not answer ({_short(error)}): check that it runs."
            )
        return error

    def _meaning_of_state(self, error: asyncpg.PostgresError) -> Exception:
        state, where = error.sqlstate or "", self._hosts.where
        if state in _COLLIDED or state == _CHANGED:
            return CollidedError()
        if state in _STALE:
            self._drop()
            return CollidedError()
        if state.startswith(_REFUSED_CLASSES):
            return RejectedError(f"The database refuses a value (SQLSTATE {state}).")
        if state in _UNMIGRATED:
            return UnavailableError(f"The database at {where} lacks a table or column: run `countersign migrate`.")
        if state == _NO_RIGHT:
            return UnavailableError(
                f"The user of PostgreSQL at {where} lacks a right that this needs (SQLSTATE {state}), such as that to write: grant it, or"
                " name another user in COUNTERSIGN_DATABASE_URL. Nothing was done."
            )
        if state == _LOCK_WAIT and self._impatient:
            self._short_until = time.monotonic() + SHORT_FOR_S
            return RowLockedError("Another session keeps a record locked. Nothing was done.")
        if state.startswith(_BROKEN) or state in {_READ_ONLY, _STANDBY}:
            self._hosts.doubt()
        if state.startswith(_OUTAGE_CLASSES) or state in {_READ_ONLY, _STANDBY, _LOCK_WAIT}:
            return UnavailableError(f"PostgreSQL at {where} is unavailable ({_short(error)}): look at its log.")
        return error


async def _close(connection: Connection, within: float) -> None:
    """Close a connection. The driver first waits until a statement that it has cancelled has ended, but not for longer than `within`."""
    try:
        await connection.close(timeout=within)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()


class _TableLockedError(Exception):
    """A whole table is locked by somebody else."""


def _short(error: BaseException) -> str:
    """Return an error without values: its type, and its SQLSTATE if PostgreSQL sent it."""
    state: Any = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
