"""Declares what a transaction is made of: tables, the statements it awaits, and the protocol of a database that runs it.

A transaction is a coroutine function. It awaits statements, receives their rows, and returns a result. It is written once and knows no
driver. PostgreSQL awaits each statement; SQLite runs the whole coroutine in one visit to its writer thread. A transaction awaits
statements and other transactions, and nothing else. It may be run again from its start, so it must have no other effect.

    async def spend(key: str) -> int:
        rows = await Take(COUNTS, [(key,)])
        ...
        await Write((Update(COUNTS, [(key, left)]),), last=True)
        return left

    left = await database.run(spend, "k")
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

import msgspec

from countersign.domain.shared.event import Event

Row: TypeAlias = Sequence[Any]
Rows: TypeAlias = Sequence[Row]
ColumnKind: TypeAlias = Literal["text", "int", "bytes"]
"""The kinds of columns; `int` has 64 bits and a sign."""

T = TypeVar("T")
P = ParamSpec("P")


class Table(msgspec.Struct, frozen=True):
    """A table: its name, the columns of its key, the columns that never change once written, and those that do.

    Each column is (name, kind). A whole row is a tuple of the key, the fixed and the moving values, in this order. The row of an Update is
    the key and the moving values. Where a column may be NULL, its value may be None.
    """

    name: str
    key: tuple[tuple[str, ColumnKind], ...]
    fixed: tuple[tuple[str, ColumnKind], ...] = ()
    moving: tuple[tuple[str, ColumnKind], ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, ColumnKind], ...]:
        """Return all columns in the order of a row."""
        return self.key + self.fixed + self.moving

    @property
    def names(self) -> str:
        """Return the names of all columns, for a SELECT."""
        return ", ".join(name for name, _ in self.columns)

    def only(self, moving: Sequence[str]) -> Table:
        """Return the table with these of its moving columns alone: an Update of it leaves the others as they are."""
        kinds = dict(self.moving)
        return Table(self.name, self.key, (), tuple((name, kinds[name]) for name in moving))


class AwaitableStatement(msgspec.Struct, frozen=True):
    """A statement that a transaction awaits: awaiting it passes it to the driver, which answers with rows."""

    def __await__(self) -> Generator[Any, Rows, Rows]:
        """Pass this statement to the driver, and return its rows."""
        return (yield self)


class Sql(AwaitableStatement, frozen=True):
    """A statement in SQL with `$1`-style parameters; its rows, if any, come back."""

    sql: str
    args: tuple[Any, ...] = ()


class Take(AwaitableStatement, frozen=True):
    """The whole rows with these keys, which nobody else changes until the transaction ends. An absent key has no row.

    Each key is a tuple of the table's key columns; the rows come in the order of their keys. The database locks them in this order.
    Where the transaction has one last Write and no other, the ledger's connections of PostgreSQL only read them: should one have changed
    by the time of the write, the transaction is tried again. In a `read` nothing is locked.
    """

    table: Table
    keys: Sequence[Row]


class Seek(AwaitableStatement, frozen=True):
    """The whole rows, not locked, whose `column` has one of `values` and for which `condition` (our SQL, or empty) holds."""

    table: Table
    column: str
    values: Sequence[Any]
    condition: str = ""


class Claim(AwaitableStatement, frozen=True):
    """At most `limit` whole rows for which `condition` (our SQL with `$1`...) holds, locked, in the order of the column `order_by`.

    Rows that another transaction has locked are skipped.
    """

    table: Table
    condition: str
    args: tuple[Any, ...]
    order_by: str
    limit: int


class ClaimShares(AwaitableStatement, frozen=True):
    """Whole rows of several groups, locked: of each at most as many as its share, in the order of the column `order_by`.

    A group are the rows whose `column` has its value, and for which `condition` (our SQL with `$1`...) holds; `shares` has the most rows of
    each. Rows that another transaction has locked are skipped. The rows of a group come one after the other.
    """

    table: Table
    column: str
    shares: Sequence[tuple[str, int]]
    condition: str
    args: tuple[Any, ...]
    order_by: str


class Insert(msgspec.Struct, frozen=True):
    """New rows, each whole. If a key exists, the write raises ConflictError, and the transaction is rolled back."""

    table: Table
    rows: Rows


class Update(msgspec.Struct, frozen=True):
    """The moving columns of existing rows; each row is the key, then the moving values. A key that is absent is left out."""

    table: Table
    rows: Rows


class Upsert(msgspec.Struct, frozen=True):
    """Whole rows that are inserted, or whose moving columns are replaced if their key exists. Each key stands once.

    After a Take of the same table in the same transaction no update of others is lost: if another transaction has written a key that the
    Take found absent, this one is tried again from its start.
    """

    table: Table
    rows: Rows


Change: TypeAlias = Insert | Update | Upsert
"""An operation on rows. It does nothing until a Write carries it out."""


class Write(AwaitableStatement, frozen=True):
    """Changes to different rows, carried out together in no particular order.

    `last` promises that no statement follows.
    """

    changes: tuple[Change, ...]
    last: bool = False


APPENDED_OUTSIDE: Final = "events are appended outside of Log.run"


class Append(AwaitableStatement, frozen=True):
    """Events to append to the event log, in a transaction that `ledger.event_log.Log.run` runs.

    They become durable with the last Write of the transaction, or by a write of their own at its end. All events of one transaction make
    one page. It raises AssertionError outside of `Log.run`, and after the last Write.
    """

    events: Sequence[Event]


Statement: TypeAlias = Sql | Take | Seek | Claim | ClaimShares | Write | Append

Transaction: TypeAlias = Coroutine[Any, Any, T]
"""A transaction that has been started; its result is a T."""


class ConflictError(Exception):
    """Another transaction wrote a row with this key meanwhile; this transaction has changed nothing."""


class RowLockedError(ConflictError):
    """Another session keeps a row locked that this transaction writes; this transaction has changed nothing."""


class RejectedError(Exception):
    """The database refuses a value (SQLSTATE class 22, or class 23 except a conflict of keys); this transaction has changed nothing."""


class Runner(Protocol):
    """Runs transactions, one at a time."""

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that writes: on return all of it is durable.

        Raises ConflictError or RejectedError if nothing of it was done, and UnavailableError if the database failed. If the answer to a
        commit was lost, `outcome_known` of UnavailableError is false. A connection of the ledger raises RowLockedError, a ConflictError,
        if a lock is not granted soon. After a deadlock or a serialisation failure the transaction is tried again from its start, up to
        three times. An exception of the transaction itself rolls it back and passes through.
        """


class Database(Runner, Protocol):
    """A store of rows: PostgreSQL or SQLite."""

    async def read(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one transaction that only reads, on one snapshot; it never waits for a writer."""

    def ledger_connections(self) -> Sequence[Runner]:
        """Return the runners of the ledger's batches: connections of their own, each to be used by one task."""

    def now(self) -> int:
        """Return the time by the database's clock (ms), by which all processes agree on leases and on what is due."""

    def notify(self) -> None:
        """Notify one worker that a delivery is due: this process's own, or else one of another process.

        It does not wait, and frequent notifications are merged.
        """

    def pass_on(self) -> None:
        """Notify a worker of another process, because this one has more due deliveries than it can take."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` when a delivery is due. A notification may be lost, so the caller must poll as well."""

    async def open(self) -> None:
        """Connect; raises UnavailableError, whose message says what to check."""

    async def close(self) -> None:
        """Finish the transactions under way, and close every connection."""
