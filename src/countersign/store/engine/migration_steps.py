"""The steps of a revision on PostgreSQL: what needs a lock is short, indexes are built beside the traffic, rows are filled in batches."""

from __future__ import annotations

import re
import sqlite3
from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
_TABLE: Final = re.compile(r"CREATE TABLE (\w+)")
_INDEX: Final = re.compile(r"CREATE (UNIQUE )?INDEX (\w+) ON (\w+) (.*)", re.DOTALL)
_UPDATE: Final = re.compile(r"UPDATE (\w+) SET")
_VERSION: Final = "UPDATE alembic_version"


class StepKind(Enum):
    """How a step is carried out."""

    TRANSACTION = "one transaction"
    CONCURRENTLY = "concurrently"
    IN_BATCHES = "in batches"


class Step(msgspec.Struct, frozen=True):
    """One statement, and how it is carried out.

    `name` is the index that is built concurrently, or the table whose rows are filled; `rows` is the condition that a row meets until
    it is filled.
    """

    kind: StepKind
    sql: str
    name: str = ""
    rows: str = ""


def split_steps(script: str, in_batches: Mapping[str, str]) -> list[Step]:
    """Return the steps of one revision.

    Args:
        script: its SQL.
        in_batches: of each statement that changes very many rows, the condition that a row meets until it was changed.
    """
    made: set[str] = set()
    steps: list[Step] = []
    for statement in split_statements(script):
        sql = _COMMENT.sub("", statement).strip().rstrip(";")
        if not sql or sql.startswith(_VERSION):
            continue
        if (table := _TABLE.match(sql)) is not None:
            made.add(table[1])
        index, update = _INDEX.fullmatch(sql), _UPDATE.match(sql)
        if index is not None and index[3] not in made:
            unique, name, on, rest = index.groups()
            sql = f"CREATE {unique or ''}INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on} {rest}"
            steps.append(Step(StepKind.CONCURRENTLY, sql, name))
        elif update is not None and sql in in_batches:
            steps.append(Step(StepKind.IN_BATCHES, sql, update[1], in_batches[sql]))
        else:
            steps.append(Step(StepKind.TRANSACTION, sql))
    return steps


def split_statements(script: str) -> Iterator[str]:
    """Return the statements of a script one by one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
