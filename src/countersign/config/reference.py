"""Write the reference of all settings, `docs/settings.md`, from where they are declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countersign.config.families import DETOUR_SETTINGS, PURPOSE_SETTINGS, SETTINGS, THEME_SETTINGS, provider_settings
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.providers.registry import MODULES, find_kind
from countersign.setting import Setting

_OPENING: Final = """\
# Settings

<!-- Written by `python tools/settings_reference.py` from where the settings are declared. Change them there, not here. -->

[countersign.example.toml](../countersign.example.toml) shows them all; copy it. Settings come from `countersign.toml` in the working
folder (or `--config`, or `COUNTERSIGN_CONFIG`), then from the environment, which wins. `log.level` in the table is `level` below
`[log]` in the file, and `COUNTERSIGN_LOG_LEVEL` in the environment. Any name followed by `_file` (`_FILE`) is read from that file: use
it for secrets. An unknown or bad setting stops the start. All faults are reported together, each with its place and what was expected.
"""
_FAMILIES: Final = """
## Tables with names

There may be many of each. In the environment: `COUNTERSIGN_PURPOSES_SIGN_IN_GUESSES`, `COUNTERSIGN_PROVIDERS_MAIL_HOST`. A name is a
lower-case word of letters, digits and underscores.
"""
_PURPOSES: Final = """
### Purposes

`[purposes.NAME]`; the built-in ones are {}. They keep their own values for what is not set; a new purpose has the defaults.

{}

A policy whose odds of guessing are better than 1 in 1,000 (guesses over codes) stops the start. A change holds for challenges that
begin after it.
"""
_DETOURS: Final = """
### Detours

`[detours.NAME]` gives numbers that begin alike a route of their own. A resend goes the way that the first message went.

{}
"""
_THEMES: Final = """
### Themes

`[themes.NAME]` gives the pages and mail of some applications a look of their own; [themes.md](themes.md) shows how. It has the settings of
`[theme]`, which it inherits, and one more:

{}
"""
_PROVIDERS: Final = """
## Providers

`[providers.NAME]`; routes and receipts use the name. `kind` is always required: {}. What each kind needs besides its settings:
[providers.md](providers.md).
"""


def write_reference() -> str:
    """Return the reference of all settings in Markdown. It loads the libraries of all providers."""
    purposes = ", ".join(f"`{name}`" for name in DEFAULT_POLICIES)
    parts = [
        _OPENING,
        f"\n{_table(SETTINGS)}\n",
        _FAMILIES,
        _PURPOSES.format(purposes, _table(PURPOSE_SETTINGS)),
        _DETOURS.format(_table(DETOUR_SETTINGS)),
        _THEMES.format(_table([setting for setting in THEME_SETTINGS if setting.name == "applications"])),
        _PROVIDERS.format(", ".join(f"`{kind}`" for kind in MODULES)),
        *map(_provider, MODULES),
    ]
    return "".join(parts)


def row(setting: Setting) -> str:
    """Return the row of a setting in its table."""
    return f"| `{setting.name}` | {setting.expects} | {setting.default} | {setting.meaning} |"


def _provider(name: str) -> str:
    kind = find_kind(name)
    channels = ", ".join(channel.value for channel in kind.channels)
    return f'\n### {name}\n\n`kind = "{name}"`: {kind.summary}. Carries: {channels}.\n\n{_table(provider_settings(name)[1:])}\n'


def _table(settings: Sequence[Setting]) -> str:
    rows = ["| setting | expected | default | meaning |", "|---|---|---|---|", *map(row, settings)]
    return "\n".join(rows)
