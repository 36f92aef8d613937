"""Implements Database on PostgreSQL: connections of the ledger, a pool for everything else, and a bell; every wait has a time limit."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from countersign.errors import OverloadedError, SettingsError, UnavailableError
from countersign.store.engine import postgres_hosts
from countersign.store.engine.postgres_connection import (
    BEGIN_READ,
    BEGIN_WRITE,
    LEDGER_SETTINGS,
    SETTINGS,
    ReconnectingConnection,
)
from countersign.store.engine.postgres_hosts import PostgresHosts
from countersign.store.engine.postgres_notify import PollingNotifier, PostgresNotifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from countersign.store.engine.database import Runner, Transaction

T = TypeVar("T")
P = ParamSpec("P")

CONNECT_S: Final = postgres_hosts.CONNECT_S
COMMAND_S: Final = postgres_hosts.COMMAND_S
IDLE_S: Final = 2.0
"""How long a transaction waits for a free connection of the pool, in seconds."""
MAX_WAITING: Final = 256
"""How many transactions may wait for a connection of the pool; any more are refused with OverloadedError."""


class PostgresDatabase:
    """A store of rows on PostgreSQL, for any number of processes.

    The ledger has `ledger_connections` of its own. Up to `pool` more are made as `run` and `read` need them. One more listens for
    notifications. `address` may be a function, which is asked before each connection is made: passwords change. `pooled` says that it
    leads to a connection pooler in transaction mode. Notifications then go past it by `notify_url`, or, if that is empty, are replaced
    by polling. Raises SettingsError for an address that cannot be read.
    """

    def __init__(
        self,
        address: str | Callable[[], str],
        *,
        ledger_connections: int = 2,
        pool: int = 8,
        pooled: bool = False,
        notify_url: str = "",
    ) -> None:
        self._hosts = _hosts_of(address, pooled=pooled)
        self._where = self._hosts.where
        self._ledger_connections = [
            ReconnectingConnection(self._hosts, LEDGER_SETTINGS, impatient=True) for _ in range(ledger_connections)
        ]
        self._pool = [ReconnectingConnection(self._hosts, SETTINGS) for _ in range(pool)]
        self._idle: list[ReconnectingConnection] = list(self._pool)
        self._returned = asyncio.Condition()
        self._waiting = 0
        self._notifier: PostgresNotifier | PollingNotifier
        if pooled and not notify_url:
            self._notifier = PollingNotifier()
        else:
            heard = _hosts_of(notify_url, pooled=False) if pooled else self._hosts
            self._notifier = PostgresNotifier(ReconnectingConnection(heard, SETTINGS).connect)

    async def open(self) -> None:
        """Connect for the ledger, and begin to listen; raises UnavailableError, whose message says what to check."""
        connected = await asyncio.gather(
            *(connection.connect() for connection in self._ledger_connections), return_exceptions=True
        )
        for failure in connected:
            if isinstance(failure, BaseException):
                await self.close()
                raise failure
        self._hosts.watch()
        self._notifier.open()

    async def close(self) -> None:
        """Finish the transactions under way, and close every connection."""
        await self._notifier.close()
        await self._hosts.close()
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

    def now(self) -> int:
        """Return the time by the database's clock (ms); before the first connection, by this machine's."""
        return self._hosts.clock.now()

    def notify(self) -> None:
        """Notify this process's worker at once, or else one of another process by NOTIFY, that a delivery is due."""
        self._notifier.notify()

    def pass_on(self) -> None:
        """Notify a worker of another process."""
        self._notifier.pass_on()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` when a delivery is due."""
        self._notifier.listen(wake)

    @contextlib.asynccontextmanager
    async def _pooled(self) -> AsyncIterator[ReconnectingConnection]:
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


def _hosts_of(address: str | Callable[[], str], *, pooled: bool) -> PostgresHosts:
    try:
        return PostgresHosts(address, pooled=pooled, connect_s=CONNECT_S, command_s=COMMAND_S)
    except ValueError as error:
        raise SettingsError(f"{error} (COUNTERSIGN_DATABASE_URL)") from None
