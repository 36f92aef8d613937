"""Connects to the host of an address that takes writes: each host has an attempt and a time limit of its own.

A host that hangs, or whose packets are lost, keeps nobody from the others. Which host was the primary is remembered for all connections
of the process. While statements hang, the other hosts are asked whether one of them was promoted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from countersign.store.engine.postgres_address import parse_address
from countersign.store.engine.postgres_clock import MEASURE, PostgresClock, steady_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    Connection = asyncpg.Connection[asyncpg.Record]

CONNECT_S: Final = 2.0
"""How long connecting to one host may take, in seconds."""
COMMAND_S: Final = 5.0
"""How long one statement may take, waits for locks included, before the connection is dropped, in seconds."""
NEXT_HOST_S: Final = 0.3
"""After how many seconds without an answer the next host is asked as well."""
OTHERS_S: Final = 0.3
"""While no primary is known: how long the other hosts may still answer after the first that takes writes did, in seconds."""
WATCH_S: Final = 0.4
"""How often it is looked whether statements hang, in seconds."""
HANGING_S: Final = 1.0
"""After how many seconds a statement counts as hanging."""

FAILURES: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises if it cannot connect."""

_READ_ONLY: Final = "SELECT current_setting('transaction_read_only')"
_TIMELINE: Final = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
"""The timeline in hexadecimal digits of fixed width: it grows with every promotion."""


class Client(Protocol):
    """Something that keeps a connection to one of the hosts."""

    host: int | None
    """Which host its connection leads to, or None."""

    def hangs_for(self) -> float:
        """Return for how many seconds it has waited for an answer; 0 if it waits for none."""

    def leave(self) -> None:
        """Break the connection; whatever waits on it fails at once."""


class PostgresHosts:
    """The hosts of one address, and which of them is the primary.

    The address may be a function, which is asked before each connection is made: user and password may change, the hosts do not.
    `pooled` says that a connection pooler in transaction mode stands between: then nothing is prepared, and no setting is sent.
    Raises ValueError for an address that cannot be read.
    """

    def __init__(
        self,
        address: str | Callable[[], str],
        *,
        pooled: bool = False,
        connect_s: float = CONNECT_S,
        command_s: float = COMMAND_S,
    ) -> None:
        self._address: Callable[[], str] = (lambda: str(address)) if isinstance(address, str) else address
        self._known = self._address()
        parsed = parse_address(self._known)
        self.where = parsed.where
        self.clock = PostgresClock()
        self.pooled = pooled
        self.connect_s = connect_s
        self.command_s = command_s
        self._urls = parsed.urls
        self._primary: int | None = 0 if len(parsed.urls) == 1 else None
        self._timeline = ""
        self._clients: list[Client] = []
        self._watching: asyncio.Task[None] | None = None

    def add(self, client: Client) -> None:
        """Have a client's connection broken once another host is the primary."""
        self._clients.append(client)

    def watch(self) -> None:
        """Begin to look after statements that hang."""
        if len(self._urls) > 1 and self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="postgres-hosts")

    async def close(self) -> None:
        """Stop looking."""
        task, self._watching = self._watching, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def doubt(self) -> None:
        """Ask every host at the next connection, because the primary did not answer."""
        if len(self._urls) > 1:
            self._primary = None

    def is_outdated(self, host: int | None) -> bool:
        """Say whether another host than this one is known to be the primary."""
        return self._primary is not None and host is not None and host != self._primary

    async def connect(self, settings: Mapping[str, str]) -> tuple[Connection, int]:
        """Return a connection to the primary, and which host that is. Raises one of FAILURES: that of the first host in the address.

        The host that was the primary is asked first. The others follow as soon as it has failed, or has not answered for a moment.
        If none is known, all are asked, and of several that take writes the one on the newest timeline is the primary.
        """
        if len(self._urls) == 1:
            connection, host = await self._open(0, settings), 0
        else:
            connection, host = await self._find_primary(settings)
        try:
            await self.measure(connection)
            if len(self._urls) > 1:
                self._switch(host, await self._timeline_of(connection))
        except BaseException:
            connection.terminate()
            raise
        return connection, host

    async def _find_primary(self, settings: Mapping[str, str]) -> tuple[Connection, int]:
        known = self._primary
        first = [] if known is None else [known]
        waiting = deque([*first, *(n for n in range(len(self._urls)) if n != known)])
        return await self._race(waiting, settings, known)

    async def _race(
        self, waiting: deque[int], settings: Mapping[str, str], known: int | None
    ) -> tuple[Connection, int]:
        """Return a connection to one of the hosts that wait: the first that takes writes if a primary is known, else the newest."""
        race = _Race(lambda host: self._open(host, settings), waiting, one_by_one=known is not None)
        chosen = -1
        try:
            opened = await race.run()
            chosen = await self._newest(opened)
            return opened[chosen], chosen
        finally:
            await race.end(but=chosen)

    async def _open(self, host: int, settings: Mapping[str, str]) -> Connection:
        self._read_address()
        name = settings.get("application_name", "countersign")
        async with asyncio.timeout(self.connect_s):
            connection: Connection = await asyncpg.connect(
                self._urls[host],
                timeout=self.connect_s,
                command_timeout=self.command_s,
                statement_cache_size=0 if self.pooled else 512,
                max_cached_statement_lifetime=0,
                max_cacheable_statement_size=0,
                # What is reported at the start is not believed: a pooler repeats what the server was when the pooler first met it.
                target_session_attrs=SessionAttribute.any if len(self._urls) > 1 else None,
                server_settings={"application_name": name} if self.pooled else dict(settings),
            )
            try:
                if len(self._urls) > 1 and await self._ask(connection, _READ_ONLY) != "off":
                    raise asyncpg.TargetServerAttributeNotMatched("This host takes no writes.")
            except BaseException:
                connection.terminate()
                raise
        return connection

    def _read_address(self) -> None:
        """Take the user and the password that count now."""
        found = self._address()
        if found != self._known:
            parsed = parse_address(found)
            if parsed.where == self.where:
                self._known, self._urls = found, parsed.urls

    async def measure(self, connection: Connection) -> None:
        """Measure the database's clock."""
        began = steady_ms()
        theirs = int(await self._ask(connection, MEASURE))
        self.clock.record(theirs, began, steady_ms())

    async def _timeline_of(self, connection: Connection) -> str:
        try:
            return await self._ask(connection, _TIMELINE)
        except asyncpg.PostgresError:  # a host that became a standby at this moment, or a role that may not ask
            return ""

    async def _ask(self, connection: Connection, sql: str) -> str:
        """Return the one value of a statement, as text."""
        async with asyncio.timeout(self.connect_s):
            if not self.pooled:
                return str(await connection.fetchval(sql))
            # A pooler may give each message outside of a transaction to another connection.
            async with connection.transaction():
                return str(await connection.fetchval(sql))

    async def _newest(self, opened: Mapping[int, Connection]) -> int:
        """Return which host is on the newest timeline; the former primary takes writes too if it came back unaware of the promotion."""
        if len(opened) == 1:
            return next(iter(opened))
        timelines = [(await self._timeline_of(opened[host]), -host) for host in sorted(opened)]
        return -max(timelines)[1]

    def _switch(self, host: int, timeline: str) -> None:
        """Remember which host is the primary; connections to any other are broken."""
        self._primary, self._timeline = host, timeline
        for client in self._clients:
            if self.is_outdated(client.host):
                client.leave()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            hanging = [each.host for each in self._clients if each.hangs_for() >= HANGING_S and each.host is not None]
            if hanging:
                with contextlib.suppress(*FAILURES):
                    await self._look_for_another(hanging[0])

    async def _look_for_another(self, hanging: int) -> None:
        """Ask the other hosts whether one takes writes by now; it is the primary then, and what hangs is given up."""
        others = deque(n for n in range(len(self._urls)) if n != hanging)
        connection, host = await self._race(others, {}, None)
        try:
            timeline = await self._timeline_of(connection)
        finally:
            connection.terminate()
        if timeline > self._timeline:
            self._switch(host, timeline)


class _Race:
    """Attempts to open connections to hosts, with `open_`, all at once or `one_by_one`: the next follows after a failure or a moment."""

    def __init__(
        self, open_: Callable[[int], Coroutine[None, None, Connection]], waiting: deque[int], *, one_by_one: bool
    ) -> None:
        self._open = open_
        self._waiting = waiting
        self._one_by_one = one_by_one
        self._running: dict[asyncio.Task[Connection], int] = {}
        self._opened: dict[int, Connection] = {}
        self._failures: dict[int, BaseException] = {}

    async def run(self) -> Mapping[int, Connection]:
        """Return what was opened: one connection at least. Raises the failure of the first host if there is none."""
        is_over = False
        while not is_over and (self._waiting or self._running):
            self._begin()
            patience = OTHERS_S if self._opened else NEXT_HOST_S if self._waiting else None
            done, _ = await asyncio.wait(self._running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._take(task)
            is_over = bool(self._opened) and (self._one_by_one or not done)
        if not self._opened:
            raise self._failures[min(self._failures)]
        return self._opened

    async def end(self, *, but: int) -> None:
        """Give up what still runs, and close every connection but that to one host."""
        for task in self._running:
            task.cancel()
        for ended in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(ended, asyncpg.Connection):
                ended.terminate()
        for host, connection in self._opened.items():
            if host != but:
                connection.terminate()

    def _begin(self) -> None:
        while self._waiting:
            host = self._waiting.popleft()
            self._running[asyncio.create_task(self._open(host))] = host
            if self._one_by_one:
                return

    def _take(self, task: asyncio.Task[Connection]) -> None:
        host, failure = self._running.pop(task), task.exception()
        if failure is None:
            self._opened[host] = task.result()
        else:
            self._failures[host] = failure
