"""A database in which keyed hashes are renewed as they are met, while the index that made them is being replaced.

A stored hash cannot be computed back from its renewed form. So each statement is looked at before it runs. If it names a hash that may be
stored in an earlier form, the transaction is rolled back, the rows with that form are renewed, and the transaction is run again. Rows
that come back are renewed on the way. So flows never meet an earlier form, and a row is found under either.

While no index is being replaced, every call is passed on as it is.
"""

from __future__ import annotations

import re
import types
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import msgspec

from countersign.store.engine.committed import note_commit
from countersign.store.engine.database import (
    Change,
    Claim,
    ClaimShares,
    ConflictError,
    Database,
    Insert,
    Row,
    Rows,
    Runner,
    Seek,
    Sql,
    Statement,
    Table,
    Take,
    Transaction,
    Write,
)
from countersign.store.tables import protected_columns
from countersign.store.tables.protected_columns import (
    CONTACT_TABLES,
    HASHED_COLUMNS,
    HASHED_OF,
    HashedColumn,
    position,
)
from countersign.store.tables.schema import IDENTIFIERS

T = TypeVar("T")
P = ParamSpec("P")

MAX_ROUNDS: Final = 50
"""How often one transaction is run again because of hashes that it had not named before."""

MAX_SETTLED: Final = 200_000
"""Hashes of which is remembered that no row has an earlier form of them."""

_TABLES: Final = frozenset(one.table.name for one in HASHED_COLUMNS)
_SCOPES: Final = frozenset(one.scope for one in HASHED_COLUMNS if one.scope)
_WORDS: Final = re.compile(r"[a-z_]+")
_UNIQUE_DELETE: Final = f"DELETE FROM {IDENTIFIERS.name} "


class HashRenewal(Protocol):
    """What the keys know of hashes."""

    def replacing(self) -> bool:
        """Say whether an index is being replaced."""

    def earlier_forms(self, hash_: bytes) -> tuple[bytes, ...]:
        """Return the forms under which a hash may still be stored."""

    def renew(self, stored: bytes) -> bytes:
        """Return the form of a stored hash under the newest index."""

    def renewed_row(self, table: Table, row: Row) -> Row:
        """Return a row with its hashes and sealed values under the newest index and key."""


class Probe(msgspec.Struct, frozen=True):
    """A hash to look for in a column, in its earlier forms; `scope` is the value that the column before it has, if it has one."""

    column: HashedColumn
    hash: bytes
    forms: tuple[bytes, ...]
    scope: str = ""

    @property
    def key(self) -> tuple[str, str, bytes, str]:
        """Return what tells one probe from another."""
        return self.column.table.name, self.column.column, self.hash, self.scope


class NamedHash(msgspec.Struct, frozen=True):
    """A hash that a statement names, in which table, and what the column before it may be there."""

    table: str
    hash: bytes
    scopes: tuple[str, ...] = ()


class EarlierFormsError(Exception):
    """A statement names hashes that may be stored in an earlier form; the transaction is rolled back, and run again later."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        super().__init__(len(probes))
        self.probes = probes


class RenewingRunner:
    """Runs transactions by another runner, and renews what they meet."""

    def __init__(self, runner: Runner, database: Database, renewal: HashRenewal, settled: SettledProbes) -> None:
        self._runner = runner
        self._database = database
        self._renewal = renewal
        self._settled = settled

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what `Runner.run` does."""
        return await self._run(self._runner.run, transaction, *args, **kwargs)

    async def _run(
        self,
        run: Callable[..., Any],
        transaction: Callable[P, Transaction[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        if not self._renewal.replacing():
            passed: T = await run(transaction, *args, **kwargs)
            return passed

        def watched() -> Transaction[T]:
            return _watch(self._renewal, self._settled, transaction(*args, **kwargs))

        watched.__name__ = getattr(transaction, "__name__", "transaction")  # traces and tests know a transaction by it
        for _ in range(MAX_ROUNDS):
            try:
                result: T = await run(watched)
            except EarlierFormsError as found:
                await self._renew(found.probes)
                self._settled.add(found.probes)
            else:
                return result
        raise ConflictError("too many hashes were met")

    async def _renew(self, probes: Sequence[Probe]) -> None:
        for table, before, after in await self._database.read(_find_earlier, self._renewal, probes):
            try:
                await self._database.run(protected_columns.replace_row, table, before, after)
            except ConflictError:
                continue  # somebody else wrote it anew at this moment, and the new one is found


class RenewingDatabase(RenewingRunner):
    """A Database that renews keyed hashes as they are met."""

    def __init__(self, database: Database, renewal: HashRenewal) -> None:
        super().__init__(database, database, renewal, SettledProbes())

    async def run(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what `Runner.run` does."""
        result = await super().run(transaction, *args, **kwargs)
        note_commit()
        return result

    async def read(self, transaction: Callable[P, Transaction[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what `Database.read` does."""
        return await self._run(self._database.read, transaction, *args, **kwargs)

    def ledger_connections(self) -> Sequence[Runner]:
        """Do what `Database.ledger_connections` does."""
        return [
            RenewingRunner(each, self._database, self._renewal, self._settled)
            for each in self._database.ledger_connections()
        ]

    def now(self) -> int:
        """Do what `Database.now` does."""
        return self._database.now()

    def pass_on(self) -> None:
        """Do what `Database.pass_on` does."""
        self._database.pass_on()

    def notify(self) -> None:
        """Do what `Database.notify` does."""
        self._database.notify()

    def listen(self, wake: Callable[[], None]) -> None:
        """Do what `Database.listen` does."""
        self._database.listen(wake)

    async def open(self) -> None:
        """Do what `Database.open` does."""
        await self._database.open()

    async def close(self) -> None:
        """Do what `Database.close` does."""
        await self._database.close()


class SettledProbes:
    """Remembers for which hashes the earlier forms were looked for already. It forgets the oldest ones."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, bytes, str], None] = OrderedDict()

    def __contains__(self, probe: Probe) -> bool:
        """Say whether a probe needs no further look."""
        return probe.key in self._known

    def add(self, probes: Iterable[Probe]) -> None:
        """Remember probes."""
        for probe in probes:
            self._known[probe.key] = None
        while len(self._known) > MAX_SETTLED:
            self._known.popitem(last=False)


@types.coroutine
def _watch(renewal: HashRenewal, settled: SettledProbes, started: Transaction[T]) -> Generator[Any, Rows, T]:
    """Pass a transaction's statements on, unless earlier forms must be renewed before; renew the rows that come back."""
    rows: Rows | None = None
    try:
        while True:
            try:
                statement = started.send(rows)
            except StopIteration as end:
                result: T = end.value
                return result
            probes = [probe for probe in _probes(renewal, statement) if probe not in settled]
            if probes:
                raise EarlierFormsError(probes)
            if isinstance(statement, Sql) and statement.sql.startswith(_UNIQUE_DELETE):
                for earlier in _in_earlier_forms(renewal, statement):  # noqa: UP028 - a list cannot be sent rows
                    yield earlier
            rows = yield _with_earlier_identifiers(renewal, statement)
            rows = _renewed(renewal, statement, rows)
    finally:
        started.close()


async def _find_earlier(renewal: HashRenewal, probes: Sequence[Probe]) -> list[tuple[Table, Row, Row]]:
    """Return the rows with earlier forms, each as it is and as it must be."""
    found: dict[tuple[str, Row], tuple[Table, Row, Row]] = {}
    for column in dict.fromkeys(probe.column for probe in probes):
        table, of_column = column.table, [probe for probe in probes if probe.column == column]
        if column.scope:
            rows: Rows = await _find_scoped(column, of_column)
        else:
            condition = "state = 'pending'" if (table.name, column.column) == ("challenges", "twin") else ""
            rows = await Seek(table, column.column, sorted({f for p in of_column for f in p.forms}), condition)
        for row in rows:
            before = tuple(row)
            after = tuple(renewal.renewed_row(table, before))
            if after != before:
                found[table.name, before[: len(table.key)]] = (table, before, after)
    return list(found.values())


async def _find_scoped(column: HashedColumn, probes: Sequence[Probe]) -> list[Row]:
    table = column.table
    rows: list[Row] = []
    for probe in probes:
        for form in probe.forms:
            rows += await Sql(
                f"SELECT {table.names} FROM {table.name} WHERE {column.scope} = $1 AND {column.column} = $2",
                (probe.scope, form),
            )
    return rows


def _probes(renewal: HashRenewal, statement: Statement) -> list[Probe]:
    """Return what to look for before a statement runs."""
    probes: dict[tuple[str, str, bytes, str], Probe] = {}
    for named in _named_by(statement):
        forms = renewal.earlier_forms(named.hash)
        if not forms:
            continue
        for table in sorted(CONTACT_TABLES) if named.table in CONTACT_TABLES else (named.table,):
            for column in HASHED_OF[table]:
                if column.searched:
                    for scope in named.scopes if column.scope else ("",):
                        probe = Probe(column, named.hash, forms, scope)
                        probes[probe.key] = probe
    return list(probes.values())


def _named_by(statement: Statement) -> list[NamedHash]:
    """Return the hashes that a statement names."""
    if isinstance(statement, Sql):
        scopes = tuple(value for value in statement.args if isinstance(value, str))
        hashes = [value for value in statement.args if isinstance(value, bytes)]
        return [NamedHash(table, hash_, scopes) for table in _tables_of(statement.sql) for hash_ in hashes]
    if isinstance(statement, Take):
        return _named_in(statement.table, statement.keys)
    if isinstance(statement, Seek):
        return _named_in(statement.table, [(value,) for value in statement.values])
    if isinstance(statement, Write):
        return [named for change in statement.changes for named in _named_in(change.table, change.rows)]
    return []


def _named_in(table: Table, rows: Rows) -> list[NamedHash]:
    """Return the hashes in rows or keys of a table, each with what the column before it may be."""
    if table.name not in _TABLES:
        return []
    found = []
    for row in rows:
        scopes = {value for value, (name, _) in zip(row, table.columns, strict=False) if name in _SCOPES}
        hashes = [value for value in row if isinstance(value, bytes)]
        found += [NamedHash(table.name, hash_, tuple(sorted(scopes))) for hash_ in hashes]
    return found


@lru_cache(maxsize=1_024)
def _tables_of(sql: str) -> frozenset[str]:
    return _TABLES.intersection(_WORDS.findall(sql))


@lru_cache(maxsize=1_024)
def _read_by(sql: str) -> Table | None:
    """Return the table whose whole rows a SELECT reads; None if it reads anything else."""
    for column in HASHED_COLUMNS:
        if sql.startswith(f"SELECT {column.table.names} FROM {column.table.name}"):
            return column.table
    return None


def _renewed(renewal: HashRenewal, statement: Statement, rows: Rows) -> Rows:
    """Return the rows that came back with their hashes renewed; what is sealed stays as it is."""
    if isinstance(statement, Sql):
        table = _read_by(statement.sql)
    else:
        table = statement.table if isinstance(statement, Take | Seek | Claim | ClaimShares) else None
    if table is None or table.name not in _TABLES:
        return rows
    places = [(position(table, one.column), one) for one in HASHED_OF[table.name]]
    found = []
    for row in rows:
        values = list(row)
        for place, column in places:
            if values[place] and column.holds_hash(row):
                values[place] = renewal.renew(bytes(values[place]))
        found.append(tuple(values))
    return found


def _with_earlier_identifiers(renewal: HashRenewal, statement: Statement) -> Statement:
    """Add the earlier forms to identifiers that are inserted, so that a program that has not read the new index cannot claim them too."""
    if not isinstance(statement, Write):
        return statement
    changes: list[Change] = []
    for change in statement.changes:
        if isinstance(change, Insert) and change.table.name == IDENTIFIERS.name:
            rows = [(form, *row[1:]) for row in change.rows for form in (row[0], *renewal.earlier_forms(row[0]))]
            changes.append(Insert(change.table, rows))
        else:
            changes.append(change)
    return Write(tuple(changes), last=statement.last)


def _in_earlier_forms(renewal: HashRenewal, statement: Sql) -> list[Sql]:
    forms = [renewal.earlier_forms(value) if isinstance(value, bytes) else () for value in statement.args]
    return [
        Sql(statement.sql, tuple(form if n == place else value for n, value in enumerate(statement.args)))
        for place, earlier in enumerate(forms)
        for form in earlier
    ]
