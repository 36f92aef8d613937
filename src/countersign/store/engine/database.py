"""Statements, transactions, and the protocol of a database.

A transaction is a coroutine function. It awaits statements, receives their rows, and returns a result, so it is written once and
knows no driver. PostgreSQL awaits each statement. SQLite runs the whole coroutine in one visit to its writer thread. A transaction
awaits statements and other transactions, and nothing else.

    async def spend(key: str) -> int:
        rows = await Take(COUNTS, [(key,)])
        ...
        await Write((Update(COUNTS, [(key, left)]),), last=True)
        return left

    left = await database.run(spend, "k")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

import msgspec

from countersign.domain.shared.event import Event

Row: TypeAlias = Sequence[Any]
Rows: TypeAlias = Sequence[Row]
ColumnKind: TypeAlias = Literal["text", "int", "bytes"]

T = TypeVar("T")
P = ParamSpec("P")


class Table(msgspec.Struct, frozen=True):
    """A table by name: its key, the columns that never change once written, and those that do.

    A row is a tuple of key, fixed and moving values in this order; an update's row is key and moving alone. Each column is (name, kind);
    `int` is 64 bits. A column may be NULL wherever its value is None.
    """

    name: str
    key: tuple[tuple[str, ColumnKind], ...]
    fixed: tuple[tuple[str, ColumnKind], ...] = ()
    moving: tuple[tuple[str, ColumnKind], ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, ColumnKind], ...]:
        """Return all columns in the order of a row."""
        return self.key + self.fixed + self.moving

    def only(self, moving: Sequence[str]) -> Table:
        """Return the table with these of its moving columns alone: an update by it leaves the others as they are."""
        kinds = dict(self.moving)
        return Table(self.name, self.key, (), tuple((name, kinds[name]) for name in moving))

    @property
    def names(self) -> str:
        """Return the names of all columns, for a SELECT."""
        return ", ".join(name for name, _ in self.columns)


class AwaitableStatement(msgspec.Struct, frozen=True):
    """What a transaction awaits. Awaiting hands the statement to the driver, which answers with its rows."""

    def __await__(self) -> Generator[Any, Rows, Rows]:
        """Hand this statement to the driver; return the rows."""
        return (yield self)


class Sql(AwaitableStatement, frozen=True):
    """A statement written by hand with `$1`-style parameters; its rows (if any) come back."""

    sql: str
    args: tuple[Any, ...] = ()


class Take(AwaitableStatement, frozen=True):
    """Whole rows by key that nobody else changes until the transaction ends; absent keys have no row.

    Each key is a tuple of the table's key columns. The rows are locked, in the order of their keys; or, where the transaction
    has one last Write and no other, they are read, and the write is refused and tried again should one have changed. In a `read`
    nothing is locked.
    """

    table: Table
    keys: Sequence[Row]


class Seek(AwaitableStatement, frozen=True):
    """Whole rows, not locked, whose column `by` has one of `values`, and for which `condition` (SQL of ours, or empty) holds."""

    table: Table
    by: str
    values: Sequence[Any]
    condition: str = ""


class Claim(AwaitableStatement, frozen=True):
    """Whole rows for which `condition` holds (SQL of ours with `$1`...), locked, those that others hold passed over.

    At most `most` rows, in the order of the column `by`.
    """

    table: Table
    condition: str
    args: tuple[Any, ...]
    by: str
    most: int


class Insert(msgspec.Struct, frozen=True):
    """New rows; a key that exists raises ConflictError and the transaction is rolled back."""

    table: Table
    rows: Rows


class Update(msgspec.Struct, frozen=True):
    """The moving columns of rows that exist (each row: key, then moving)."""

    table: Table
    rows: Rows


class Upsert(msgspec.Struct, frozen=True):
    """Rows that are written whether or not their key exists (moving columns replaced).

    After a Take of the same table in the same transaction it loses no update of others either: had one of them written a key that the
    Take found absent, the transaction is tried again from its start. Each key stands once.
    """

    table: Table
    rows: Rows


Change: TypeAlias = Insert | Update | Upsert


class Write(AwaitableStatement, frozen=True):
    """Changes to different rows, carried out together in no particular order.

    `last` promises that no statement follows.
    """

    changes: tuple[Change, ...]
    last: bool = False


APPENDED_OUTSIDE: Final = "events are appended outside of Log.run"


class Append(AwaitableStatement, frozen=True):
    """Events to append to the log, in the transaction that `tables.events.Log.run` carries out.

    They become durable with the transaction's last write, or by a write of their own at its end. All events of one transaction make
    one page. Outside of `Log.run` it raises AssertionError.
    """

    events: Sequence[Event]


Statement: TypeAlias = Sql | Take | Seek | Claim | Write | Append

Transaction: TypeAlias = Coroutine[Any, Any, T]
"""A transaction under way."""


class ConflictError(Exception):
    """A row with this key was written by somebody else in the meantime; nothing of the transaction stays."""


class RejectedError(Exception):
    """The database refuses a value (SQLSTATE class 22 or 23 but a conflict of keys); nothing of the transaction stays."""


class Runner(Protocol):
    """Runs transactions, one at a time."""

    async def run(self, steps: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that writes: all of it is durable on return, or none of it is.

        Raises ConflictError, RejectedError, or UnavailableError (the outcome of a commit that was cut off is unknown and reported
        so). A deadlock or serialisation failure is tried again, up to three times, from the start of the generator.
        An exception that the generator itself raises rolls back and passes through.
        """


class Database(Runner, Protocol):
    """A store of rows: PostgreSQL or SQLite."""

    async def read(self, steps: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out one transaction that only reads, on one snapshot; it never waits for a writer."""

    def lanes(self) -> Sequence[Runner]:
        """Return the runners that the ledger's batches go through: connections of their own, each used by one task."""

    def announce(self) -> None:
        """Say to every process that a delivery is due; at once, without waiting, merged when it is said often."""

    def hear(self, wake: Callable[[], None]) -> None:
        """Call `wake` when any process announced; a lost announcement is made up for by polling."""

    async def open(self) -> None:
        """Connect; raises UnavailableError with what to check."""

    async def close(self) -> None:
        """Finish what runs and let go."""


Opener: TypeAlias = Callable[[], Awaitable[Database]]
