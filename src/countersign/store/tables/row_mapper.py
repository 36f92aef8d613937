"""Converts structs to rows of a table and back, as the table and the struct declare them.

    SESSION_ROWS = RowMapper(SESSIONS, Session)
    session = SESSION_ROWS.from_row(row)
    Insert(SESSIONS, [SESSION_ROWS.to_row(session)])

A new column is one line in the table and one line in the struct. How a field is stored follows from its type:

=================  ====================================
type of the field  column
=================  ====================================
str, int, bytes    the value itself
bool               `int`, 0 or 1
enumeration        `text`, the value of the member
any other          JSON, as `text` or as `bytes`
=================  ====================================

An optional field is NULL where it is None.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from countersign.store.engine.database import ColumnKind, Row, Table

S = TypeVar("S", bound=msgspec.Struct)

_PLAIN: Final[dict[Any, ColumnKind]] = {str: "text", int: "int", bytes: "bytes"}

Names: TypeAlias = dict[str, Any]
"""What the written functions call, by the name that it has in them."""


class Conversion(msgspec.Struct, frozen=True):
    """How a field becomes a column (`encode`) and a column the field (`decode`), as Python expressions.

    `{value}` stands for the value, any other name in braces for one of `functions`: `"{dumps}({value})"`.
    """

    encode: str = "{value}"
    decode: str = "{value}"
    functions: Mapping[str, Callable[..., Any]] = {}

    def optional(self) -> Conversion:
        """Return the conversion that leaves None as it is."""
        unless_none = "None if {value} is None else "
        return Conversion(f"{unless_none}{self.encode}", f"{unless_none}{self.decode}", self.functions)


class Parts(msgspec.Struct, frozen=True):
    """A field whose own fields are columns of these names; `build` makes the value of the field from theirs."""

    columns: tuple[str, ...]
    build: Callable[..., Any]


class RowMapper(Generic[S]):
    """Converts values of one struct to rows of one table and back.

    `columns` names the column of each field that has another name; `conversions` says how a field is stored whose type does not
    say it; `parts` says which fields take several columns; `derived` are columns that are written for statements to search by and not read
    back, each with the property that it is made of. Raises TypeError if a column has no field, if a field has no column, or
    if a type does not fit the kind of its column.

    The three functions are written from the declarations and compiled, as `dataclasses` does it, so they are as quick as by hand.
    """

    to_row: Callable[[S], tuple[Any, ...]]
    """Return the whole row of a value."""
    to_update_row: Callable[[S], tuple[Any, ...]]
    """Return the row that an Update takes: the key and the moving columns."""
    from_row: Callable[[Row], S]
    """Return the value that a whole row holds; raises ValueError or MsgspecError if this program cannot read it."""

    def __init__(
        self,
        table: Table,
        struct: type[S],
        *,
        columns: Mapping[str, str] | None = None,
        conversions: Mapping[str, Conversion] | None = None,
        parts: Mapping[str, Parts] | None = None,
        derived: Mapping[str, str] | None = None,
    ) -> None:
        self.table: Final = table
        self.struct: Final = struct
        fields = _fields(table, struct, columns or {}, parts or {}, derived or {})
        place = {name: f"c{n}" for n, (name, _) in enumerate(table.columns)}
        kinds, hints = dict(table.columns), typing.get_type_hints(struct)
        names: Names = {"struct": struct}
        encoded: dict[str, str] = {column: f"value.{name}" for column, name in (derived or {}).items()}
        decoded: list[str] = []
        for name, column in fields.items():
            if isinstance(column, Parts):
                names[f"{name}_build"] = column.build
                encoded.update({part: f"value.{name}.{part}" for part in column.columns})
                decoded.append(f"{name}_build({', '.join(place[part] for part in column.columns)})")
                continue
            conversion = (conversions or {}).get(name) or _conversion(
                f"{table.name}.{column}", hints[name], kinds[column]
            )
            functions = {function: f"{name}_{function}" for function in conversion.functions}
            names.update({functions[function]: called for function, called in conversion.functions.items()})
            encoded[column] = conversion.encode.format(value=f"value.{name}", **functions)
            decoded.append(conversion.decode.format(value=place[column], **functions))
        row, update_row = (
            "".join(f"{encoded[name]}, " for name, _ in some) for some in (table.columns, table.key + table.moving)
        )
        source = (
            f"def to_row(value):\n    return ({row})\n"
            f"def to_update_row(value):\n    return ({update_row})\n"
            f"def from_row(row):\n    ({', '.join(place.values())},) = row\n    return struct({', '.join(decoded)})\n"
        )
        exec(compile(source, f"<rows of {table.name}>", "exec"), names)  # noqa: S102 - of names in our own modules; no input enters
        self.to_row = names["to_row"]
        self.to_update_row = names["to_update_row"]
        self.from_row = names["from_row"]


def json_conversion(type_: Any, kind: ColumnKind, *, sort_keys: bool = False) -> Conversion:  # noqa: ANN401 - a type of any form
    """Return the conversion of values of this type to JSON, in a column of this kind, and back."""
    functions = {
        "dumps": msgspec.json.Encoder(order="deterministic" if sort_keys else None).encode,
        "loads": msgspec.json.Decoder(type_).decode,
    }
    encode = "{dumps}({value})" if kind == "bytes" else "{dumps}({value}).decode()"
    return Conversion(encode, "{loads}({value})", functions)


def _fields(
    table: Table,
    struct: type[msgspec.Struct],
    columns: Mapping[str, str],
    parts: Mapping[str, Parts],
    derived: Mapping[str, str],
) -> dict[str, str | Parts]:
    """Return the column of each field, in the order of the fields; raises TypeError unless every column has one field."""
    fields = {name: parts.get(name) or columns.get(name, name) for name in struct.__struct_fields__}
    mapped: list[str] = list(derived)
    for column in fields.values():
        mapped.extend(column.columns if isinstance(column, Parts) else [column])
    expected = [name for name, _ in table.columns]
    if sorted(mapped) != sorted(expected):
        difference = ", ".join(sorted(set(mapped) ^ set(expected)))
        raise TypeError(f"{struct.__name__} and the table {table.name} do not have the same columns: {difference}")
    return fields


def _conversion(column: str, hint: Any, kind: ColumnKind) -> Conversion:  # noqa: ANN401 - a type of any form
    """Return how a field of this type is stored in a column of this kind; raises TypeError if it cannot be."""
    type_, is_optional = _without_none(hint)
    if type_ in _PLAIN:
        fits, conversion = kind == _PLAIN[type_], Conversion()
    elif type_ is bool:
        fits, conversion = kind == "int", Conversion("int({value})", "bool({value})")
    elif isinstance(type_, type) and issubclass(type_, Enum):
        fits, conversion = kind == "text", Conversion("{value}.value", "{member}({value})", {"member": type_})
    else:
        fits, conversion = kind != "int", json_conversion(type_, kind)
    if not fits:
        raise TypeError(f"The column {column} is of the kind {kind}, which does not fit a field of the type {hint}.")
    return conversion.optional() if is_optional and type_ not in _PLAIN else conversion


def _without_none(hint: Any) -> tuple[Any, bool]:  # noqa: ANN401 - a type of any form
    """Return the type without None, and whether None was part of it."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [type_ for type_ in typing.get_args(hint) if type_ is not types.NoneType]
        if len(rest) == 1:
            return rest[0], True
    return hint, False
