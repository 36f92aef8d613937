"""Where settings come from: a TOML file, then the environment, each value with its place, so that a fault can be named."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from countersign.config.setting import Setting
from countersign.config.table import FAMILIES, SETTINGS
from countersign.errors import SettingsError

PREFIX: Final = "COUNTERSIGN_"
CONFIG: Final = f"{PREFIX}CONFIG"
"""Names the file; not a setting itself."""
DEFAULT_FILE: Final = Path("countersign.toml")

_FROM_FILE: Final = "_file"
_MAX_FILE: Final = 64 * 1024
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_BY_VARIABLE: Final = {setting.variable: setting.name for setting in SETTINGS}


class Given(msgspec.Struct, frozen=True):
    """A value that somebody set, and where."""

    value: Any
    where: str

    def __repr__(self) -> str:
        """Hide the value."""
        return f"Given({self.where})"


class Sources(msgspec.Struct):
    """All that was set: single settings by name, families by kind and name, and what was wrong, one sentence each."""

    single: dict[str, Given] = {}
    families: dict[str, dict[str, dict[str, Given]]] = msgspec.field(
        default_factory=lambda: {kind: {} for kind in FAMILIES}
    )
    faults: list[str] = []


def gather(environ: Mapping[str, str], config_file: Path | None) -> Sources:
    """Return what the file and the environment set; the environment wins.

    The file is `config_file`, or else what COUNTERSIGN_CONFIG names, or else countersign.toml where there is one.
    Raises SettingsError if the file cannot be read.
    """
    sources = Sources()
    path = config_file or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    if path is not None or DEFAULT_FILE.is_file():
        _of_file(sources, path or DEFAULT_FILE)
    _of_environment(sources, environ)
    return sources


def _of_file(sources: Sources, path: Path) -> None:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is no TOML: {error}.") from error

    single: dict[str, Given] = {}
    groups = {setting.name.partition(".")[0] for setting in SETTINGS if "." in setting.name}
    for key, value in document.items():
        if key in FAMILIES:
            _family_of_file(sources, key, value, path)
        elif key in groups and isinstance(value, dict):
            single |= {f"{key}.{name}": Given(inner, f"[{key}] {name} in {path}") for name, inner in value.items()}
        else:
            single[key] = Given(value, f"{key} in {path}")
    sources.single |= _known(single, SETTINGS, sources.faults)


def _family_of_file(sources: Sources, kind: str, tables: object, path: Path) -> None:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        sources.faults.append(f"{kind} in {path}: expected tables such as [{kind}.NAME].")
        return
    for name, table in tables.items():
        if _NAME.fullmatch(name) is None:
            sources.faults.append(
                f"[{kind}.{name}] in {path}: a name is a lower-case word of letters, digits and underscores."
            )
            continue
        given = {key: Given(value, f"[{kind}.{name}] {key} in {path}") for key, value in table.items()}
        sources.families[kind].setdefault(name, {}).update(_known(given, FAMILIES[kind], sources.faults))


def _of_environment(sources: Sources, environ: Mapping[str, str]) -> None:
    single: dict[str, Given] = {}
    families: dict[tuple[str, str], dict[str, Given]] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == CONFIG:
            continue
        given = Given(environ[variable], variable)
        if variable in _BY_VARIABLE:
            single[_BY_VARIABLE[variable]] = given
        elif variable.removesuffix("_FILE") in _BY_VARIABLE:
            single[_BY_VARIABLE[variable.removesuffix("_FILE")] + _FROM_FILE] = given
        elif (placed := _placed(variable)) is not None:
            kind, name, key = placed
            families.setdefault((kind, name), {})[key] = given
        else:
            sources.faults.append(f"{variable}: there is no such setting{_nearest(variable, _BY_VARIABLE)}.")
    sources.single |= _known(single, SETTINGS, sources.faults)
    for (kind, name), table in families.items():
        sources.families[kind].setdefault(name, {}).update(_known(table, FAMILIES[kind], sources.faults))


def _placed(variable: str) -> tuple[str, str, str] | None:
    """Return (family, name, key) of COUNTERSIGN_PROVIDERS_MAIL_FROM_ADDRESS and the like; the longest key that fits is meant."""
    kind, _, rest = variable.removeprefix(PREFIX).lower().partition("_")
    for setting in sorted(FAMILIES.get(kind, ()), key=lambda setting: -len(setting.name)):
        for key in (setting.name, setting.name + _FROM_FILE):
            name = rest.removesuffix(f"_{key}")
            if name != rest and _NAME.fullmatch(name):
                return kind, name, key
    return None


def _known(given: Mapping[str, Given], settings: Sequence[Setting], faults: list[str]) -> dict[str, Given]:
    """Return the values of settings that exist, those named by a file read from it."""
    names = [setting.name for setting in settings]
    known: dict[str, Given] = {}
    for key, value in given.items():
        meant = key.removesuffix(_FROM_FILE)
        if key in names:
            known[key] = value
        elif meant in names:
            if meant in given:
                faults.append(f"{value.where}: {given[meant].where} is set as well; keep one of the two.")
            elif (read := _read(value, faults)) is not None:
                known[meant] = read
        else:
            faults.append(f"{value.where}: there is no such setting{_nearest(key, names)}.")
    return known


def _read(given: Given, faults: list[str]) -> Given | None:
    try:
        with Path(str(given.value)).open(encoding="utf-8") as file:
            text = file.read(_MAX_FILE)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        faults.append(
            f"{given.where}: the file {given.value} cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})."
        )
        return None
    return Given(text.rstrip("\r\n"), f"the file {given.value}, named by {given.where}")


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
