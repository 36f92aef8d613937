"""Declaring settings: what a field says is what the reader, the errors and the reference say."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from countersign.errors import SettingsError
from countersign.setting import Described, Group, Setting, assemble, convert_all, settings_of


class Colour(StrEnum):
    """Words of a setting."""

    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A group."""

    level: Annotated[Literal["low", "high"], Described("The level.")] = "low"
    word: Annotated[str, Described("A word.", expects="a word", secret=True)]

    def __post_init__(self) -> None:
        if self.word == "bad":
            raise SettingsError("word must not be bad.")


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    """All forms of settings."""

    home: Annotated[Path, Described("A folder.", expects="a folder", reads=Path)] = Path("here")
    file: Annotated[
        Path,
        Described(
            "A file.", expects="a file", default="HOME/file", reads=Path, computed=lambda found: found["home"] / "file"
        ),
    ]
    count: Annotated[int, msgspec.Meta(ge=1, le=9), Described("A number.")] = 3
    least: Annotated[int | None, msgspec.Meta(ge=2), Described("Another number.")] = None
    open: Annotated[bool, Described("Whether it is open.")] = False
    names: Annotated[tuple[str, ...], Described("Names.", expects="a list")] = ("a", "b")
    colours: Annotated[Colour, Described("A colour.")] = Colour.RED
    inner: Annotated[Inner, Group("inner.")]
    flat: Annotated[Inner | None, Group("flat_")] = None
    note: str = "no setting"


ROWS = {setting.name: setting for setting in settings_of(Outer)}


def test_the_rows_are_the_fields_in_their_order_with_those_of_groups() -> None:
    assert list(ROWS) == [
        "home", "file", "count", "least", "open", "names", "colours", "inner.level", "inner.word", "flat_level", "flat_word",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expects", "default"),
    [
        ("home", "a folder", "here"),
        ("file", "a file", "HOME/file"),
        ("count", "1 to 9", "3"),
        ("least", "at least 2", "none"),
        ("open", "yes or no", "no"),
        ("names", "a list", "a, b"),
        ("colours", "red or blue", "red"),
        ("inner.level", "low or high", "low"),
        ("inner.word", "a word", "required"),
    ],
)
def test_what_is_expected_and_the_default_come_from_the_field(name: str, expects: str, default: str) -> None:
    assert (ROWS[name].expects, ROWS[name].default) == (expects, default)


def test_a_setting_knows_its_variable() -> None:
    assert ROWS["inner.level"].variable == "COUNTERSIGN_INNER_LEVEL"


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("home", "there", Path("there")),
        ("count", "7", 7),
        ("count", 7, 7),
        ("least", "5", 5),
        ("open", "On", True),
        ("open", True, True),
        ("names", "x, y,", ("x", "y")),
        ("names", ["x"], ("x",)),
        ("colours", "blue", Colour.BLUE),
    ],
)
def test_a_value_is_read_as_people_write_it(name: str, written: object, value: object) -> None:
    assert ROWS[name].convert(written) == value


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("count", "0"),
        ("count", "many"),
        ("count", True),
        ("least", "null"),
        ("open", "perhaps"),
        ("home", 3),
        ("names", 3),
    ],
)
def test_a_value_that_makes_no_sense_is_an_error(name: str, written: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        ROWS[name].convert(written)


def test_what_is_left_out_has_its_default_and_groups_are_made() -> None:
    made = assemble(Outer, {"home": Path("x"), "inner.word": "w"})
    assert made == Outer(home=Path("x"), file=Path("x/file"), inner=Inner(word="w"))
    assert assemble(Outer, {"inner.word": "w", "flat_word": "v"}).flat == Inner(word="v")


def test_a_field_that_is_no_setting_is_given_apart() -> None:
    assert assemble(Outer, {"inner.word": "w"}, others={"note": "given"}).note == "given"


def test_every_fault_is_told_at_once_and_those_of_a_class_too() -> None:
    with pytest.raises(SettingsError) as caught:
        assemble(Outer, {"flat_word": "bad"})
    assert str(caught.value).splitlines() == ["inner.word is required: expected a word.", "word must not be bad."]


@pytest.mark.parametrize(
    ("written", "said"),
    [({"colour": "red"}, "colour: there is no such setting."), ({"count": "no"}, "count: expected 1 to 9.")],
)
def test_a_table_that_is_wrong_is_an_error_that_names_the_setting(written: dict[str, Any], said: str) -> None:
    rows: tuple[Setting, ...] = settings_of(Outer)
    with pytest.raises(SettingsError, match=said):
        convert_all(rows, written)
    assert convert_all(rows, {"count": "2", "inner.level": "high"}) == {"count": 2, "inner.level": "high"}
