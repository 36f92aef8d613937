"""Contexts and settings of providers as the tests give them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from tests.providers.peers import NOW

from countersign.providers import ProviderContext
from countersign.setting import assemble, settings_of

T = TypeVar("T", bound=msgspec.Struct)


def context(callback: str = "", **changes: Any) -> ProviderContext:
    """Return the context of a provider that is called "ours"."""
    return ProviderContext(**{"name": "ours", "clock": lambda: NOW, "callback": callback, **changes})


def flat(struct: type[T], **values: Any) -> T:
    """Return the settings of a provider from values that stand in one table, as in the TOML file."""
    known = {setting.name for setting in settings_of(struct)}
    unknown = sorted(values.keys() - known)
    assert not unknown, f"{struct.__name__} has no setting called {', '.join(unknown)}"
    return assemble(struct, values)
