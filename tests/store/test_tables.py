"""Tables and structs hold the same, and the names of functions say whether they build a change, act, or read."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import types
import typing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.store import tables
from countersign.store.engine.database import Insert, Seek, Sql, Table, Update, Write
from countersign.store.tables.row_mapper import RowMapper, json_conversion
from countersign.store.tables.schema import ALL_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countersign.store.engine.database import Database, Row

MODULES = [
    importlib.import_module(f"{tables.__name__}.{module.name}") for module in pkgutil.iter_modules(tables.__path__)
]
MAPPERS: dict[str, RowMapper[Any]] = {
    value.table.name: value for module in MODULES for value in vars(module).values() if isinstance(value, RowMapper)
}
WITHOUT_STRUCT = {
    "answers",  # its key is not part of the struct
    "checkpoints",  # one signed text
    "event_positions",  # made and read beside segments
    "event_seals",  # one signed text
    "event_segments",  # its ranges are JSON that is hashed as it stands
    "events",  # a page is made and read as a whole
    "facts",  # a name and a value
    "grants",  # one sealed value
    "identifiers",  # the columns of a contact
    "limits",  # a key and a time
    "paces",  # statistics as JSON, by three columns
    "pushed_requests",  # one sealed value
    "single_uses",  # a key and a time
    "standings",  # its key is not part of the struct
    "traffic",  # counts that the database adds up
    "visits",  # one sealed value
    "writers",  # made and read beside events
}

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
"""What both databases take: NUL and halves of surrogates they refuse."""


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of a type: structs by their fields, all else as annotated."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{name: strategy(hints[name]) for name in hint.__struct_fields__})
    if origin in {typing.Union, types.UnionType}:
        return st.one_of([strategy(one) for one in args])
    if origin is tuple and args[1:] == (...,):
        return st.lists(strategy(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(strategy, args))
    if origin is dict:
        return st.dictionaries(strategy(args[0]), strategy(args[1]), max_size=3)
    if hint is str:
        return TEXT
    if hint is int:
        return st.integers(-(2**63), 2**63 - 1)
    return st.from_type(hint)


def values_of(mapper: RowMapper[Any], most: int = 25) -> list[Any]:
    """Return values of a mapper's struct."""
    found: list[Any] = []

    @settings(max_examples=most, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy(mapper.struct))
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def test_every_table_has_a_mapper_unless_no_struct_mirrors_it() -> None:
    assert {table.name for table in ALL_TABLES} == MAPPERS.keys() | WITHOUT_STRUCT
    assert not MAPPERS.keys() & WITHOUT_STRUCT


@pytest.mark.parametrize("name", sorted(MAPPERS))
def test_a_mapper_covers_every_column_of_its_table(name: str) -> None:
    mapper = MAPPERS[name]
    for value in values_of(mapper, 5):
        assert len(mapper.to_row(value)) == len(mapper.table.columns)
        assert len(mapper.to_update_row(value)) == len(mapper.table.key + mapper.table.moving)


@pytest.mark.parametrize("name", sorted(MAPPERS))
def test_a_struct_comes_back_from_its_row_as_it_was(name: str) -> None:
    mapper = MAPPERS[name]
    for value in values_of(mapper, 100):
        assert mapper.from_row(mapper.to_row(value)) == value


async def test_every_struct_comes_back_from_the_database_as_it_was(database: Database) -> None:
    async def there_and_back(mapper: RowMapper[Any], value: Any) -> tuple[list[Any], list[Any]]:
        table, row = mapper.table, mapper.to_row(value)
        (key, _), *_ = table.key
        await Write((Insert(table, [row]),))
        inserted = await Seek(table, key, [row[0]])
        if table.moving:
            await Write((Update(table, [mapper.to_update_row(value)]),))
        updated = await Seek(table, key, [row[0]])
        await Sql(f"DELETE FROM {table.name}")  # noqa: S608 - a name of ours
        return list(map(mapper.from_row, inserted)), list(map(mapper.from_row, updated))

    for mapper in MAPPERS.values():
        for value in values_of(mapper, 8):
            assert await database.run(there_and_back, mapper, value) == ([value], [value])


class Colour(Enum):
    """A kind of thing."""

    RED = "red"


class Thing(msgspec.Struct, frozen=True):
    """A struct of the tests."""

    id: str
    colour: Colour | None
    names: tuple[str, ...]
    new: bool = False


THINGS = Table("things", key=(("id", "text"),), fixed=(("new", "int"),), moving=(("colour", "text"), ("names", "text")))


def test_a_field_is_stored_as_its_type_says() -> None:
    rows = RowMapper(THINGS, Thing)
    thing = Thing("a", Colour.RED, ("x", "y"), new=True)
    assert rows.to_row(thing) == ("a", 1, "red", '["x","y"]')
    assert rows.to_update_row(thing) == ("a", "red", '["x","y"]')
    assert rows.from_row(("a", 0, None, "[]")) == Thing("a", None, ())


def test_json_may_have_its_keys_sorted() -> None:
    table = Table("notes", key=(("id", "text"),), fixed=(("facts", "bytes"),))

    class Note(msgspec.Struct):
        id: str
        facts: dict[str, str]

    rows = RowMapper(table, Note, conversions={"facts": json_conversion(dict[str, str], "bytes", sort_keys=True)})
    assert rows.to_row(Note("a", {"b": "1", "a": "2"})) == ("a", b'{"a":"2","b":"1"}')


@pytest.mark.parametrize("row", [("a", 1, "green", "[]"), ("a", 1, None, "["), ("a", 1, None, "[1]")])
def test_a_row_of_a_newer_program_is_a_value_error(row: Row) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        RowMapper(THINGS, Thing).from_row(row)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (Table("things", key=(("id", "text"),), moving=(("colour", "text"), ("names", "text"))), "new"),
        (Table("things", THINGS.key, THINGS.fixed, (*THINGS.moving, ("size", "int"))), "size"),
        (Table("things", THINGS.key, (("new", "text"),), THINGS.moving), "things.new"),
        (Table("things", THINGS.key, THINGS.fixed, (("colour", "text"), ("names", "int"))), "things.names"),
    ],
)
def test_a_table_and_a_struct_that_do_not_fit_are_told_on_import(table: Table, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        RowMapper(table, Thing)


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Return the public functions of the modules of tables."""
    for module in MODULES:
        for node in ast.parse(Path(str(module.__file__)).read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
                yield f"{module.__name__.rpartition('.')[2]}.{node.name}", node


FUNCTIONS = dict(functions())
BUILDERS = ("insert", "update", "upsert")
READERS = ("find", "list", "count", "get", "lock")


def verb(name: str) -> str:
    return name.rpartition(".")[2].partition("_")[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_what_is_named_so_builds_a_change(name: str) -> None:
    node = FUNCTIONS[name]
    returned = ast.unparse(node.returns) if node.returns else ""
    builds = isinstance(node, ast.FunctionDef) and returned in {"Change", "tuple[Change, ...]"}
    assert builds is (verb(name) in BUILDERS)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if verb(name) in READERS])
def test_what_is_named_as_reading_changes_nothing(name: str) -> None:
    node = FUNCTIONS[name]
    assert isinstance(node, ast.AsyncFunctionDef)
    text = ast.unparse(node)
    for word in ("INSERT ", "UPDATE ", "DELETE ", "Write(", "Append("):
        assert word not in text
