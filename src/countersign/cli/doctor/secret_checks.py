"""Checks of the files that hold secrets: whether anybody but the program's user reads them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.config.families import SETTINGS, provider_settings
from countersign.config.sources import CONFIG, DEFAULT_FILE, find_document, gather
from countersign.errors import SettingsError
from countersign.providers.registry import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from countersign.config.sources import Sources, Table
    from countersign.setting import Setting


def check_secret_files(environ: Mapping[str, str]) -> list[CheckResult]:
    """Return what is wrong with the settings file, if secrets stand in it, and with the files that settings name for secrets.

    A settings file that others read gives its secrets to every program of the machine. A file for one secret that everybody reads is
    worth a look alone: mounts of secrets in containers are like that, and nobody else is there.
    """
    path = Path(environ.get(CONFIG) or DEFAULT_FILE)
    try:
        sources = gather(environ, find_document(environ))
    except SettingsError:
        return []  # told already
    inside, named = _secrets(sources, path)
    found: list[CheckResult] = []
    mode = _mode(path)
    if inside and mode & (stat.S_IRWXG | stat.S_IRWXO):
        found.append(
            CheckResult(
                "settings file",
                CheckState.UNSAFE,
                f"{path} holds secrets ({', '.join(inside)}), and others may read it (mode {mode:04o}).",
                f"Run: chmod 600 {path}. Or put each secret in a file of its own, named by its setting with _file.",
            )
        )
    found += [
        CheckResult(
            "secret file",
            CheckState.ADVICE,
            f"{file} holds a secret ({name}), and every user of this machine may read it (mode {_mode(file):04o}).",
            f"Where others use this machine, run: chmod o= {file}",
        )
        for name, file in named
        if _mode(file) & stat.S_IRWXO and _mode(file.parent) & stat.S_IXOTH
    ]
    return found


def _secrets(sources: Sources, path: Path) -> tuple[list[str], list[tuple[str, Path]]]:
    """Return the settings whose secrets stand in the settings file, and those that a file of its own holds, with that file."""
    inside: list[str] = []
    named: list[tuple[str, Path]] = []
    for label, setting, table in _tables(sources):
        written = table.get(setting.name)
        if not setting.secret or written is None or written.value in {"", None}:
            continue
        if written.file is not None:
            named.append((f"{label}{setting.name}", written.file))
        elif f" in {path}, line " in written.where:
            inside.append(f"{label}{setting.name}")
    return inside, named


def _tables(sources: Sources) -> Iterator[tuple[str, Setting, Table]]:
    for setting in SETTINGS:
        yield "", setting, sources.single
    for name, table in sources.families["providers"].items():
        kind = str(table["kind"].value) if "kind" in table else ""
        for setting in provider_settings(kind) if kind in MODULES else ():
            yield f"providers.{name}.", setting, table


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
