"""Read the settings as a whole; every fault is named with its place and what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from countersign.config.example_secrets import example_faults
from countersign.config.families import (
    DETOUR_SETTINGS,
    PURPOSE_SETTINGS,
    SETTINGS,
    THEME_SETTINGS,
    kind_setting,
    provider_settings,
)
from countersign.config.purposes import apply_purposes
from countersign.config.routes import RouteReader
from countersign.config.settings import Settings
from countersign.config.sources import Document, Sources, Table, Written, find_document, gather
from countersign.config.theme import ThemeReader
from countersign.domain.delivery.route import WeightedProvider
from countersign.domain.policy import INBOX
from countersign.domain.shared.contact import Channel
from countersign.errors import SettingsError
from countersign.providers.registry import MODULES, ConfiguredProvider, find_kind
from countersign.setting import Setting, assemble, settings_of


def load(environ: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """Return the settings of a file and the environment, which wins.

    Arguments:
        environ: the environment; only names that begin with COUNTERSIGN_ count.
        config_file: the TOML file; without it the one that COUNTERSIGN_CONFIG names, or countersign.toml if it exists.

    Raises SettingsError, one line for each fault, with its place and what was expected; no secret is repeated.

    """
    return load_document(environ, find_document(environ, config_file))


def load_document(environ: Mapping[str, str], document: Document | None) -> Settings:
    """Return the settings of a settings file that was read before, and of the environment; files of secrets are read now. See `load`."""
    reader = _Reader(gather(environ, document))
    settings = reader.read()
    if settings is None or reader.faults:
        raise SettingsError("\n".join(reader.faults))
    return settings


class _Reader:
    """Reads one table after the other and gathers the faults, so that all of them are reported at once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.faults = sources.faults

    def read(self) -> Settings | None:
        """Return the settings; None, or worth nothing, if there are faults."""
        single = self._sources.single
        values = self._convert(SETTINGS, single)
        for setting in SETTINGS:
            if setting.name in single:
                values.setdefault(setting.name, setting.fallback)
        if set(values.get("risk.deny_lists", ())) - set(values.get("risk.lists", {})):
            self._fault("risk.deny_lists")
        families: dict[str, Any] = {
            "purposes": apply_purposes(self._family("purposes", PURPOSE_SETTINGS), self.faults),
            "providers": {},
            "routes": {},
            "detours": {},
        }
        settings: Settings | None = None
        try:
            settings = assemble(Settings, values, others=families)
        except SettingsError as error:
            self.faults.append(str(error))  # and the rest is looked at all the same
        development = values.get("environment") == "development"
        if not development:
            self.faults += example_faults(self._sources, self._settings_of_providers(), SETTINGS)
        families["providers"] = self._providers(settings.public_url if settings else "")
        routes = RouteReader(self._kinds(), self.faults, development=development)
        families["routes"] = self._routes(settings, values, routes)
        families["detours"] = routes.read_detours(self._family("detours", DETOUR_SETTINGS))
        own = {name.removeprefix("theme."): value for name, value in values.items() if name.startswith("theme.")}
        families["secret_files"] = self._secret_files()
        families["themes"] = ThemeReader(self.faults).read(own, self._family("themes", THEME_SETTINGS))
        return msgspec.structs.replace(settings, **families) if settings else None

    def _secret_files(self) -> dict[str, Path]:
        tables = {f"providers.{name}.": table for name, table in self._sources.families["providers"].items()}
        return {
            f"{prefix}{name}": written.file
            for prefix, table in ({"": self._sources.single} | tables).items()
            for name, written in table.items()
            if written.file is not None
        }

    def _convert(self, settings: Sequence[Setting], table: Table) -> dict[str, Any]:
        """Return the values of a table by name; one that makes no sense is left out, and its fault kept."""
        values: dict[str, Any] = {}
        for setting in settings:
            written = table.get(setting.name)
            if written is None:
                continue
            try:
                values[setting.name] = setting.convert(written.value)
            except ValueError:
                self.faults.append(_sentence(setting, written))
        return values

    def _fault(self, name: str) -> None:
        setting = next(setting for setting in SETTINGS if setting.name == name)
        self.faults.append(_sentence(setting, self._sources.single[name]))

    def _family(self, family: str, settings: Sequence[Setting]) -> dict[str, dict[str, Any]]:
        return {name: self._convert(settings, table) for name, table in self._sources.families[family].items()}

    def _kinds(self) -> dict[str, str]:
        tables = self._sources.families["providers"].items()
        return {name: str(table["kind"].value) if "kind" in table else "" for name, table in tables}

    def _settings_of_providers(self) -> dict[str, tuple[Setting, ...]]:
        return {name: provider_settings(kind) for name, kind in self._kinds().items() if kind in MODULES}

    def _providers(self, public_url: str) -> dict[str, ConfiguredProvider]:
        found: dict[str, ConfiguredProvider] = {}
        for name, table in self._sources.families["providers"].items():
            provider = self._provider(name, table, f"{public_url}/v1/receipts/{name}")
            if provider is not None:
                found[name] = provider
        return found

    def _provider(self, name: str, table: Table, callback: str) -> ConfiguredProvider | None:
        if name == INBOX:
            self.faults.append(
                "[providers.inbox]: the inbox is always there, in development and for test keys; choose another name."
            )
            return None
        before = len(self.faults)
        place = f" ({self._sources.places[f'providers.{name}']})" if f"providers.{name}" in self._sources.places else ""
        kind = self._convert((kind_setting(),), table).get("kind")
        if kind is None:
            if len(self.faults) == before:
                expects = kind_setting().expects
                self.faults.append(f"[providers.{name}] kind: expected one of {expects}; it is missing{place}.")
            return None
        try:
            struct = find_kind(kind).settings
            values = self._convert(settings_of(struct), table)
            if len(self.faults) > before:
                return None
            return ConfiguredProvider(name, kind, assemble(struct, values), callback)
        except SettingsError as error:  # it repeats no value
            self.faults += [
                f"[providers.{name}] ({kind}): {line.rstrip('.')}{place}." for line in str(error).splitlines()
            ]
            return None

    def _routes(
        self, settings: Settings | None, values: Mapping[str, Any], reader: RouteReader
    ) -> dict[Channel, tuple[WeightedProvider, ...]]:
        found: dict[Channel, tuple[WeightedProvider, ...]] = {}
        for channel in Channel:
            name = f"routes.{channel.value}"
            written = self._sources.single.get(name)
            where = name if written is None else f"{name} ({written.where})"
            names = getattr(settings.route_names, channel.value) if settings else values.get(name, ())
            providers = reader.read_route(names, channel, where)
            if providers:
                found[channel] = providers
        return found


def _sentence(setting: Setting, written: Written) -> str:
    got = "" if setting.secret else f", got {written.value!r}"
    return f"{setting.name} ({written.where}): expected {setting.expects}{got}."
