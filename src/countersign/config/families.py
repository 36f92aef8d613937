"""The tables of settings that there may be many of: `[purposes.NAME]`, `[providers.NAME]`, `[detours.NAME]` and `[themes.NAME]`."""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from countersign.config.purposes import PurposeSettings
from countersign.config.routes import DetourSettings
from countersign.config.settings import Settings
from countersign.config.theme import NamedThemeSettings
from countersign.providers.registry import MODULES, find_kind
from countersign.setting import Setting, settings_of

SETTINGS: Final = settings_of(Settings)
"""The settings that there is one of."""

PURPOSE_SETTINGS: Final = settings_of(PurposeSettings)
DETOUR_SETTINGS: Final = settings_of(DetourSettings)
THEME_SETTINGS: Final = settings_of(NamedThemeSettings)
FAMILIES: Final = ("purposes", "providers", "detours", "themes")
"""In the environment: COUNTERSIGN_PURPOSES_NAME_SETTING, COUNTERSIGN_PROVIDERS_NAME_SETTING and so on."""


def meaning_of(name: str) -> str:
    """Return what a single setting means, for the help of the option that overrides it."""
    return next(f"{setting.meaning} (Setting `{name}`.)" for setting in SETTINGS if setting.name == name)


def kind_setting() -> Setting:
    """Return the setting that every `[providers.NAME]` begins with."""
    return Setting(
        name="kind",
        type=Literal[*MODULES],
        default="none",
        expects=", ".join(MODULES),
        meaning="Which provider it is. Required.",
    )


def provider_settings(kind: str) -> tuple[Setting, ...]:
    """Return the settings of a kind of provider, `kind` first. It loads the library of that kind."""
    return (kind_setting(), *settings_of(find_kind(kind).settings))


@cache
def every_provider_setting() -> tuple[Setting, ...]:
    """Return the settings of all kinds of providers, one of each name: for a table whose kind is missing or wrong.

    It loads the libraries of all of them, so nothing asks for it unless there is a fault to explain.
    """
    found: dict[str, Setting] = {"kind": kind_setting()}
    for kind in MODULES:
        for setting in provider_settings(kind):
            found.setdefault(setting.name, setting)
    return tuple(found.values())
