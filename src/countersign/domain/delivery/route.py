"""A route: who carries a channel and in which order, and where a destination's prefix has one of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

MAX_WEIGHTED: Final = 8
"""Providers of one weighted route: each draw takes four bytes of a digest of 32."""


class WeightedProvider(msgspec.Struct, frozen=True):
    """One provider of a route; `weight` 0 means that it stands where it is written."""

    name: str
    weight: int = 0


class PrefixRoute(msgspec.Struct, frozen=True):
    """A route of its own for destinations that begin with `prefix`."""

    prefix: str
    carriers: tuple[WeightedProvider, ...]


def parse_provider(text: str) -> WeightedProvider:
    """Return the provider that `name` or `name=weight` stands for; raises ValueError unless the weight is 1 to 1000."""
    name, equals, weight = (part.strip() for part in text.partition("="))
    if not equals:
        return WeightedProvider(name)
    if not (weight.isascii() and weight.isdigit() and 1 <= int(weight[:5]) <= 1_000):  # noqa: PLR2004
        raise ValueError("weight")
    return WeightedProvider(name, int(weight))


def unweighted(*names: str) -> tuple[WeightedProvider, ...]:
    """Return the providers of a route without weights."""
    return tuple(WeightedProvider(name) for name in names)


def format_provider(carrier: WeightedProvider) -> str:
    """Return a provider as the settings write it."""
    return f"{carrier.name}={carrier.weight}" if carrier.weight else carrier.name


def is_valid_route(carriers: Sequence[WeightedProvider]) -> bool:
    """Say whether no provider is named twice, and either all or none have weights."""
    weighted = [carrier for carrier in carriers if carrier.weight]
    names = {carrier.name for carrier in carriers}
    return len(names) == len(carriers) and (not weighted or len(weighted) == len(carriers) <= MAX_WEIGHTED)


def order_providers(carriers: Sequence[WeightedProvider], draw: str) -> tuple[str, ...]:
    """Return the names in the order they are tried: as written, or drawn by weight; the same `draw` always has the same order."""
    if not any(carrier.weight for carrier in carriers):
        return tuple(carrier.name for carrier in carriers)
    digest = hashlib.sha256(draw.encode()).digest()
    left, found = list(carriers), list[str]()
    while left:
        start = 4 * len(found)
        place = int.from_bytes(digest[start : start + 4]) % sum(carrier.weight for carrier in left)
        for carrier in left:
            if place < carrier.weight:
                found.append(carrier.name)
                left.remove(carrier)
                break
            place -= carrier.weight
    return tuple(found)


def find_prefix_route(detours: Sequence[PrefixRoute], to: str) -> tuple[WeightedProvider, ...] | None:
    """Return the providers of the longest prefix that `to` begins with, None if there is none."""
    fitting = [one for one in detours if to.startswith(one.prefix)]
    return max(fitting, key=lambda one: len(one.prefix)).carriers if fitting else None
