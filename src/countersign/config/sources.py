"""Gather settings from a TOML file and then the environment, each value with its place, so that a fault can be named."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from countersign.config.families import (
    DETOUR_SETTINGS,
    FAMILIES,
    PURPOSE_SETTINGS,
    SETTINGS,
    THEME_SETTINGS,
    every_provider_setting,
    provider_settings,
)
from countersign.config.lines import Lines, find_lines
from countersign.errors import SettingsError
from countersign.providers.registry import MODULES
from countersign.setting import Setting

PREFIX: Final = "COUNTERSIGN_"
CONFIG: Final = f"{PREFIX}CONFIG"
"""Names the settings file; not a setting itself."""
DEFAULT_FILE: Final = Path("countersign.toml")

_FROM_FILE: Final = "_file"
_MAX_FILE: Final = 64 * 1024
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_BY_VARIABLE: Final = {setting.variable: setting.name for setting in SETTINGS}


class Written(msgspec.Struct, frozen=True):
    """A value that somebody wrote, and where: `port in countersign.toml, line 3`, or `COUNTERSIGN_PORT`.

    `file` is the file that holds the value alone, for a setting whose name ends in `_file`.
    """

    value: Any
    where: str
    file: Path | None = None

    def __repr__(self) -> str:
        """Hide the value."""
        return f"Written({self.where})"


class Document(msgspec.Struct, frozen=True):
    """The text of a settings file, and its path. The repr shows nothing of the text."""

    path: Path
    text: str

    def __repr__(self) -> str:
        """Hide the text: secrets may stand in it."""
        return f"Document({self.path})"


Table = dict[str, Written]
"""What was written, by the name of the setting."""


class Sources(msgspec.Struct):
    """All that was written: single settings, the tables of each family by name, and what was wrong, one sentence each.

    `places` are the lines of the settings file on which tables of families begin, by names such as `providers.mail`.
    """

    single: Table = {}
    families: dict[str, dict[str, Table]] = msgspec.field(default_factory=lambda: {family: {} for family in FAMILIES})
    faults: list[str] = []
    places: dict[str, str] = {}


def find_document(environ: Mapping[str, str], config_file: Path | None = None) -> Document | None:
    """Return the settings file: `config_file`, or the one that COUNTERSIGN_CONFIG names, or countersign.toml if it exists.

    Raises SettingsError if the file cannot be read.
    """
    path = config_file or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    if path is None and not DEFAULT_FILE.is_file():
        return None
    path = path or DEFAULT_FILE
    try:
        return Document(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The settings file {path} is no TOML: {error}.") from error


def gather(environ: Mapping[str, str], document: Document | None) -> Sources:
    """Return what the settings file and the environment set; the environment wins. Raises SettingsError if the file is no TOML."""
    from_file, from_environment = Sources(), Sources()
    if document is not None:
        _read_document(from_file, document)
    _read_environment(from_environment, environ, from_file.families["providers"])
    sources = Sources(faults=from_file.faults + from_environment.faults, places=from_file.places)
    for source in (from_file, from_environment):
        sources.single |= _known(source.single, SETTINGS, sources.faults)
    for family in FAMILIES:
        for name in from_file.families[family] | from_environment.families[family]:
            parts = [source.families[family].get(name, {}) for source in (from_file, from_environment)]
            settings, owner = _settings_of_table(family, {**parts[0], **parts[1]})
            table = sources.families[family].setdefault(name, {})
            for part in parts:
                table.update(_known(part, settings, sources.faults, owner))
    return sources


def _settings_of_table(family: str, table: Table) -> tuple[Sequence[Setting], str]:
    """Return the settings that a table of a family may have, and the kind of provider they belong to ("" for none)."""
    if family == "purposes":
        return PURPOSE_SETTINGS, ""
    if family == "detours":
        return DETOUR_SETTINGS, ""
    if family == "themes":
        return THEME_SETTINGS, ""
    kind = str(table["kind"].value) if "kind" in table else ""
    return (provider_settings(kind), kind) if kind in MODULES else (every_provider_setting(), "")


def _read_document(sources: Sources, document: Document) -> None:
    path = document.path
    try:
        parsed = tomllib.loads(document.text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The settings file {path} is no TOML: {error}.") from error
    lines = find_lines(document.text)
    groups = {setting.name.partition(".")[0] for setting in SETTINGS if "." in setting.name}
    for key, value in parsed.items():
        if key in FAMILIES:
            _read_family(sources, key, value, path, lines)
        elif key in groups and isinstance(value, dict):
            sources.single |= {
                f"{key}.{name}": Written(inner, f"[{key}] {name} in {path}, line {lines.of(key, name)}")
                for name, inner in value.items()
            }
        else:
            sources.single[key] = Written(value, f"{key} in {path}, line {lines.of(key)}")


def _read_family(sources: Sources, family: str, tables: object, path: Path, lines: Lines) -> None:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        sources.faults.append(f"{family} in {path}, line {lines.of(family)}: expected tables such as [{family}.NAME].")
        return
    for name, table in tables.items():
        if _NAME.fullmatch(name) is None:
            sources.faults.append(
                f"[{family}.{name}] in {path}, line {lines.of(family, name)}: a name is a lower-case word of letters, digits and"
                " underscores."
            )
            continue
        sources.places[f"{family}.{name}"] = f"{path}, line {lines.of(family, name)}"
        sources.families[family][name] = {
            key: Written(value, f"[{family}.{name}] {key} in {path}, line {lines.of(family, name, key)}")
            for key, value in table.items()
        }


def _read_environment(sources: Sources, environ: Mapping[str, str], providers: Iterable[str]) -> None:
    names = {*providers, *_providers_with_a_kind(environ)}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == CONFIG:
            continue
        written = Written(environ[variable], variable)
        if variable in _BY_VARIABLE:
            sources.single[_BY_VARIABLE[variable]] = written
        elif variable.removesuffix("_FILE") in _BY_VARIABLE:
            sources.single[_BY_VARIABLE[variable.removesuffix("_FILE")] + _FROM_FILE] = written
        elif (found := _find_in_family(variable, names)) is not None:
            family, name, key = found
            sources.families[family].setdefault(name, {})[key] = written
        else:
            sources.faults.append(f"{variable}: there is no such setting{_nearest(variable, _BY_VARIABLE)}.")


def _providers_with_a_kind(environ: Mapping[str, str]) -> set[str]:
    """Return the names of providers whose kind is set in the environment: `my_mail` by COUNTERSIGN_PROVIDERS_MY_MAIL_KIND."""
    start, end = f"{PREFIX}PROVIDERS_", "_KIND"
    names = {
        variable[len(start) : -len(end)].lower()
        for variable in environ
        if variable.startswith(start) and variable.endswith(end)
    }
    return {name for name in names if _NAME.fullmatch(name)}


def _find_in_family(variable: str, providers: Iterable[str]) -> tuple[str, str, str] | None:
    """Return (family, name, key) for a variable such as COUNTERSIGN_PROVIDERS_MAIL_FROM_ADDRESS; None if it is no setting.

    Where names and keys end is not written, since both may have underscores. A provider is found by its name, the longest that
    fits; everything else by its key, the longest that fits.
    """
    family, _, rest = variable.removeprefix(PREFIX).lower().partition("_")
    if family not in FAMILIES:
        return None
    if family == "providers":
        for name in sorted(providers, key=len, reverse=True):
            if rest.startswith(f"{name}_"):
                return family, name, rest.removeprefix(f"{name}_")
    settings, _ = _settings_of_table(family, {})
    for setting in sorted(settings, key=lambda setting: -len(setting.name)):
        for key in (setting.name, setting.name + _FROM_FILE):
            name = rest.removesuffix(f"_{key}")
            if name != rest and _NAME.fullmatch(name):
                return family, name, key
    return None


def _known(written: Table, settings: Sequence[Setting], faults: list[str], owner: str = "") -> Table:
    """Return the values of settings that exist; those named by a file are read from it. `owner` is the kind of a provider."""
    names = [setting.name for setting in settings]
    known: Table = {}
    for key, value in written.items():
        meant = key.removesuffix(_FROM_FILE)
        if key in names:
            known[key] = value
        elif meant in names:
            if meant in written:
                faults.append(f"{value.where}: {written[meant].where} is set as well; keep one of the two.")
            elif (read := _read_secret(value, faults)) is not None:
                known[meant] = read
        else:
            of = f" of {owner}" if owner else ""
            faults.append(f"{value.where}: there is no such setting{of}{_nearest(key, names)}.")
    return known


def _read_secret(written: Written, faults: list[str]) -> Written | None:
    try:
        path = Path(str(written.value))
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_FILE)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        faults.append(f"{written.where}: the file {written.value} cannot be read ({why}).")
        return None
    return Written(text.rstrip("\r\n"), f"the file {written.value}, named by {written.where}", path)


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
