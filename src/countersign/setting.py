"""Declare settings: a field of a struct, its type, its default, what is expected and what it means stand together.

    class LogSettings(msgspec.Struct, frozen=True):
        level: Annotated[Literal["debug", "info"], Described("The least severe lines that are logged.")] = "info"

    class Settings(msgspec.Struct, frozen=True):
        log: Annotated[LogSettings, Group("log.")] = LogSettings()

    settings_of(Settings)  # one row: log.level, expected "debug or info", default "info"

The readers of files and of the environment, the error texts and the reference in `docs/settings.md` are made from these rows.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from countersign.errors import SettingsError

_WORDS: Final = {"yes": True, "on": True, "no": False, "off": False}

T = TypeVar("T")


class Described(msgspec.Struct, frozen=True):
    """What people are told of a setting; it stands in the `Annotated` type of a field.

    Arguments:
        meaning: what it does, in one or two sentences.
        expects: what may be written, to follow "expected"; left out where the type says it (yes or no, words, a range).
        default: the default in words, where the value alone does not tell it.
        secret: whether no error and no page may show the value.
        reads: makes the value of what was written (a text, or a tuple of texts if the field is a tuple or a dict), and raises
            ValueError for what makes no sense. Without it msgspec converts to the type of the field.
        computed: makes the default of the settings that stand before it in the struct, by their names. It raises SettingsError
            if there is no default.

    """

    meaning: str
    expects: str = ""
    default: str = ""
    secret: bool = False
    reads: Callable[[Any], Any] | None = None
    computed: Callable[[Mapping[str, Any]], Any] | None = None


class Group(msgspec.Struct, frozen=True):
    """Marks a field whose type is a struct of settings: their names begin with `prefix` ("" for the names as they are)."""

    prefix: str = ""


class Setting(msgspec.Struct, frozen=True):
    """One setting: `name` as the TOML file has it, the `type` of what may be written there, and the texts for people.

    `fallback` is the default as a value, None if it is computed or there is none.
    """

    name: str
    type: Any
    default: str
    expects: str
    meaning: str
    secret: bool = False
    required: bool = False
    reads: Callable[[Any], Any] | None = None
    fallback: Any = None

    @property
    def variable(self) -> str:
        """Return the environment variable that sets it; the same name ended by _FILE reads it from a file."""
        return "COUNTERSIGN_" + self.name.replace(".", "_").upper()

    def convert(self, written: object) -> Any:  # noqa: ANN401 - of the type of its field
        """Return the value for what was written in the file (of any type) or the environment (always a text).

        A text is read as people write it: `a, b` as a list, `yes` and `off` as booleans, `12` as a number.
        Raises ValueError if it cannot be meant.
        """
        value = written
        if isinstance(written, str) and self.type is not str:
            word = written.strip()
            if get_origin(self.type) is tuple:
                value = [part.strip() for part in word.split(",") if part.strip()]
            elif self.type is bool:
                value = _WORDS.get(word.lower(), word)
        # Not strict for texts, since the environment has nothing else; but a number is never taken for a text.
        strict = isinstance(written, bool) or not isinstance(value, str | list)
        found = msgspec.convert(value, self.type, strict=strict)
        return found if self.reads is None else self.reads(found)


def settings_of(struct: type[msgspec.Struct], prefix: str = "") -> tuple[Setting, ...]:
    """Return the settings that a struct declares, those of its groups included, in the order of the fields."""
    return tuple(_rows(struct, prefix))


def assemble(
    struct: type[T], values: Mapping[str, Any], *, prefix: str = "", others: Mapping[str, Any] | None = None
) -> T:
    """Return the struct with these values.

    Arguments:
        struct: the class that declares the settings.
        values: converted values by the name of their setting; what is left out has its default.
        prefix: what the names of the settings begin with.
        others: values for fields that are no settings, by the name of the field.

    Raises SettingsError, one line for each setting that is required and left out, or what the class itself finds wrong.

    """
    found = {name: value for name, value in values.items() if name.startswith(prefix)}
    faults: list[str] = []
    made = _made(struct, prefix, found, faults, others or {})
    if faults:
        raise SettingsError("\n".join(faults))
    whole: T = made
    return whole


def convert_all(settings: tuple[Setting, ...], written: Mapping[str, object]) -> dict[str, Any]:
    """Return the values for what was written, by name; raises SettingsError that names what is unknown or makes no sense."""
    known = {setting.name: setting for setting in settings}
    values: dict[str, Any] = {}
    for name, value in written.items():
        setting = known.get(name)
        if setting is None:
            raise SettingsError(f"{name}: there is no such setting.")
        try:
            values[name] = setting.convert(value)
        except ValueError:
            raise SettingsError(f"{name}: expected {setting.expects}.") from None
    return values


def parts_of(annotation: Any) -> tuple[Any, Described | None, Group | None]:  # noqa: ANN401 - types have no type
    """Return the type of a field without its descriptions (bounds stay), and these."""
    if get_origin(annotation) is not Annotated:
        return annotation, None, None
    bare, *more = get_args(annotation)
    described = next((one for one in more if isinstance(one, Described)), None)
    group = next((one for one in more if isinstance(one, Group)), None)
    for one in more:
        if isinstance(one, msgspec.Meta):
            bare = Annotated[bare, one]
    return bare, described, group


def _rows(struct: type[msgspec.Struct], prefix: str) -> Iterator[Setting]:
    for field in msgspec.structs.fields(struct):
        kind, described, group = parts_of(field.type)
        if group is not None:
            yield from _rows(_without_none(kind), prefix + group.prefix)
        elif described is not None:
            written = _written(kind, described)
            yield Setting(
                name=prefix + field.name,
                type=written,
                default=described.default or ("required" if field.required else shown(field.default)),
                expects=described.expects or _expected(written),
                meaning=described.meaning,
                secret=described.secret,
                required=field.required and described.computed is None,
                reads=described.reads,
                fallback=None if field.default is msgspec.NODEFAULT else field.default,
            )


def _made(struct: type[Any], prefix: str, found: dict[str, Any], faults: list[str], others: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of the class `struct`
    values: dict[str, Any] = {}
    broken = len(faults)
    for field in msgspec.structs.fields(struct):
        kind, described, group = parts_of(field.type)
        name = prefix + field.name
        if group is not None:
            inner = prefix + group.prefix
            optional = type(None) in get_args(kind)
            if not optional or any(setting.name in found for setting in settings_of(_without_none(kind), inner)):
                values[field.name] = _made(_without_none(kind), inner, found, faults, {})
        elif field.name in others:
            values[field.name] = others[field.name]
        else:
            try:
                if name not in found:
                    found[name] = _default_of(field, name, described, found)
                values[field.name] = found[name]
            except SettingsError as error:
                faults.append(str(error))
    if len(faults) > broken:
        return None
    try:
        return struct(**values)
    except SettingsError as error:
        faults.append(str(error))
        return None


def _default_of(
    field: msgspec.structs.FieldInfo, name: str, described: Described | None, found: Mapping[str, Any]
) -> Any:  # noqa: ANN401
    """Return the default of a field; raises SettingsError if it has none."""
    if described is not None and described.computed is not None:
        return described.computed(found)
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    expects = "" if described is None else f": expected {described.expects or _expected(parts_of(field.type)[0])}"
    raise SettingsError(f"{name} is required{expects}.")


def shown(value: object) -> str:
    """Return a value as the reference shows a default: `yes`, `none`, `read, write`, `587`."""
    match value:
        case None | "" | () | msgspec.UNSET | msgspec.NODEFAULT:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case tuple():
            return ", ".join(shown(one) for one in value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _without_none(kind: Any) -> Any:  # noqa: ANN401
    """Return a type without its None; the bounds of an `Annotated` type stay."""
    if get_origin(kind) is Annotated:
        bare, *more = get_args(kind)
        return Annotated[(_without_none(bare), *more)]
    if get_origin(kind) not in {Union, types.UnionType}:
        return kind
    return next(one for one in get_args(kind) if one is not type(None))


def _written(kind: Any, described: Described) -> Any:  # noqa: ANN401
    """Return the type of what people write for a field of this type."""
    kind = _without_none(kind)
    if described.reads is None:
        return kind
    return tuple[str, ...] if get_origin(kind) in {tuple, dict} else str


def _expected(kind: Any) -> str:  # noqa: ANN401
    """Return what a type expects, in words; "" if the type does not say enough."""
    bare, *more = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if bare is bool:
        return "yes or no"
    if bare is str and not more:
        return "text"
    words: list[str] = []
    if get_origin(bare) is Literal:
        words = [str(word) for word in get_args(bare)]
    elif isinstance(bare, type) and issubclass(bare, Enum):
        words = [str(member.value) for member in bare]
    if words:
        return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]
    for meta in more:
        if isinstance(meta, msgspec.Meta) and meta.ge is not None:
            return f"{meta.ge} to {meta.le}" if meta.le is not None else f"at least {meta.ge}"
    return ""
