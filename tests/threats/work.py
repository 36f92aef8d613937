"""Counts the work that an answer costs: statements to the database, password hashes, and seals. Everything is passed on and done."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from countersign.keys import Keyring
from countersign.passwords import Passwords
from countersign.store.engine.database import Claim, ClaimShares, Seek, Sql, Take, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from countersign.passwords import Verified
    from countersign.store.engine.database import Database, Row, Runner, Statement, Transaction

T = TypeVar("T")
P = ParamSpec("P")


class Work:
    """What was done since it was last taken."""

    def __init__(self) -> None:
        self._done: list[str] = []

    def add(self, what: str) -> None:
        """Count one piece of work."""
        self._done.append(what)

    def take(self) -> list[str]:
        """Return what was done, and begin anew. Threads and the ledger's task order it, so it is sorted."""
        done, self._done = sorted(self._done), []
        return done


class CountedRunner:
    """A runner that counts the statements of each transaction, and passes them on."""

    def __init__(self, inner: Runner, work: Work) -> None:
        self._inner = inner
        self._work = work

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that writes."""
        return await self._inner.run(self._counted(lambda: transaction(*args, **kwargs)))

    def _counted(self, start: Callable[[], Transaction[T]]) -> Callable[[], Transaction[T]]:
        @types.coroutine
        def counted() -> Generator[Any, Any, T]:
            transaction = start()
            answer: Any = None
            try:
                while True:
                    try:
                        statement = transaction.send(answer)
                    except StopIteration as end:
                        result: T = end.value
                        return result
                    self._work.add(_shown(statement))
                    answer = yield statement
            finally:
                transaction.close()

        return counted


class CountedDatabase(CountedRunner):
    """A database that counts, and passes on to a real one."""

    def __init__(self, inner: Database, work: Work) -> None:
        super().__init__(inner, work)
        self._database = inner

    async def read(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that only reads."""
        return await self._database.read(self._counted(lambda: transaction(*args, **kwargs)))

    def ledger_connections(self) -> Sequence[Runner]:
        """Return the runners of the ledger, which count too."""
        return [CountedRunner(one, self._work) for one in self._database.ledger_connections()]

    def now(self) -> int:
        """Return the time by the database's clock."""
        return self._database.now()

    def pass_on(self) -> None:
        """Notify a worker elsewhere."""
        self._database.pass_on()

    def notify(self) -> None:
        """Notify whoever delivers."""
        self._work.add("notify")
        self._database.notify()

    def listen(self, wake: Callable[[], None]) -> None:
        """Hear of notifications."""
        self._database.listen(wake)

    async def open(self) -> None:
        """Connect."""
        await self._database.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._database.close()


class CountedPasswords(Passwords):
    """Passwords whose hashes are counted."""

    def __init__(self, slots: int, work: Work) -> None:
        super().__init__(slots)
        self._work = work

    async def hash(self, password: str) -> str:
        """Hash a password."""
        self._work.add("hash")
        return await super().hash(password)

    async def verify(self, password: str, hashed: str | None) -> Verified:
        """Compare a password with a hash."""
        self._work.add("hash")
        return await super().verify(password, hashed)


class CountedKeyring(Keyring):
    """Keys whose seals are counted."""

    def __init__(self, path: Path, clock: Callable[[], int], work: Work) -> None:
        super().__init__(path, clock)
        self._work = work

    def seal(self, text: str, bound_to: str) -> bytes:
        """Seal a text."""
        self._work.add("seal")
        return super().seal(text, bound_to)


def _shown(statement: Statement) -> str:
    """Return a statement without its values."""
    match statement:
        case Sql(sql=sql):
            return sql
        case Take(table=table, keys=keys):
            return f"Take {table.name} x{len(keys)}"
        case Seek(table=table, column=column, values=values):
            return f"Seek {table.name}.{column} x{len(values)}"
        case Claim(table=table) | ClaimShares(table=table):
            return f"Claim {table.name}"
        case Write(changes=changes):
            rows: list[tuple[str, Sequence[Row]]] = [
                (f"{type(one).__name__} {one.table.name}", one.rows) for one in changes
            ]
            return "Write " + ", ".join(sorted(f"{name} x{len(each)}" for name, each in rows))
        case _:
            return type(statement).__name__
