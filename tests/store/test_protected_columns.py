"""Every column of bytes is declared as sealed, hashed, or neither, so that a change of keys forgets none."""

from __future__ import annotations

from collections import Counter

from countersign.store.tables.protected_columns import (
    HASHED_COLUMNS,
    NESTED_COLUMNS,
    OTHER_BYTES,
    PROTECTED_TABLES,
    SEALED_COLUMNS,
)
from countersign.store.tables.schema import ALL_TABLES


def test_every_column_of_bytes_is_declared_once() -> None:
    """K2: a new one must say whether a reseal renews it."""
    declared = Counter(
        [(one.table.name, one.column) for one in (*SEALED_COLUMNS, *HASHED_COLUMNS)]
        + [(table.name, column) for table, column in (*NESTED_COLUMNS, *OTHER_BYTES)]
    )
    stored = {(table.name, name) for table in ALL_TABLES for name, kind in table.columns if kind == "bytes"}
    assert set(declared) == stored
    assert set(declared.values()) == {1}


def test_what_is_bound_and_looked_up_is_there() -> None:
    """K2: the columns that declarations name exist."""
    for sealed in SEALED_COLUMNS:
        assert sealed.bound_by in dict(sealed.table.columns), sealed
    for hashed in HASHED_COLUMNS:
        named = {hashed.scope, hashed.only[0] if hashed.only else ""} - {""}
        assert named <= set(dict(hashed.table.columns)), hashed


def test_identifiers_are_renewed_first() -> None:
    """K2: so that the contact of a renewed row is never free under its new form while it is taken under the old one."""
    assert next(iter(PROTECTED_TABLES)) == "identifiers"
