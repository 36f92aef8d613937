"""Who carries what: the providers that a route or a detour names, each held against what it can carry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from countersign.domain.delivery.route import PrefixRoute, WeightedProvider, is_valid_route, parse_provider
from countersign.domain.policy import INBOX
from countersign.domain.shared.contact import Channel
from countersign.providers.registry import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from countersign.config.sources import Given


_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,13}", re.ASCII)


def read_carriers(
    names: Sequence[str],
    channel: Channel,
    where: str,
    providers: Mapping[str, Mapping[str, Given]],
    faults: list[str],
    *,
    development: bool,
) -> tuple[WeightedProvider, ...]:
    """Return the providers of a route; what is wrong with it is added to `faults`, beginning with `where`."""
    try:
        carriers = tuple(parse_provider(name) for name in names)
    except ValueError:
        faults.append(f"{where}: a weight is a number from 1 to 1000, as in first=3, second=1.")
        return ()
    for carrier in carriers:
        wrong = _wrong(carrier.name, channel, providers, development=development)
        if wrong and not any(fault.startswith(f"[providers.{carrier.name}]") for fault in faults):
            faults.append(f"{where}: {wrong}")
    if len({carrier.name for carrier in carriers}) != len(carriers):
        faults.append(f"{where}: names a provider twice.")
    elif not is_valid_route(carriers):
        faults.append(f"{where}: either every provider has a weight, and there are at most eight, or none has.")
    return carriers


def read_detours(
    tables: Mapping[str, Mapping[str, Any]],
    providers: Mapping[str, Mapping[str, Given]],
    faults: list[str],
    *,
    development: bool,
) -> dict[Channel, tuple[PrefixRoute, ...]]:
    """Return the detours of each channel; what is wrong with them is added to `faults`."""
    found: dict[Channel, list[PrefixRoute]] = {}
    for name, table in tables.items():
        channel, prefixes, names = (table.get(key) for key in ("channel", "prefixes", "providers"))
        if channel is None or not prefixes or not names:
            faults.append(f"[detours.{name}]: channel, prefixes and providers are required.")
            continue
        if channel is Channel.EMAIL or not all(_PREFIX.fullmatch(prefix) for prefix in prefixes):
            faults.append(f"[detours.{name}] prefixes: expected the beginnings of numbers, such as +49.")
        carriers = read_carriers(names, channel, f"[detours.{name}]", providers, faults, development=development)
        found.setdefault(channel, []).extend(PrefixRoute(prefix, carriers) for prefix in prefixes)
    for channel, detours in found.items():
        if len({one.prefix for one in detours}) != len(detours):
            faults.append(f"[detours]: {channel.value} has two detours for the same prefix.")
    return {channel: tuple(detours) for channel, detours in found.items()}


def _wrong(name: str, channel: Channel, providers: Mapping[str, Mapping[str, Given]], *, development: bool) -> str:
    if name == INBOX:
        return (
            ""
            if development
            else "the inbox is for development and test keys alone; name a provider that really sends."
        )
    table = providers.get(name)
    if table is None:
        return f"there is no provider {name!r}; add [providers.{name}]."
    given = table.get("kind")
    kind = KINDS.get(str(given.value)) if given is not None else None
    if kind is not None and channel not in kind.channels:
        return f"{name} is {kind.what} and cannot carry {channel.value}."
    return ""
