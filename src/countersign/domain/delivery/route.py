"""Routes: the ordered providers of a channel, and other routes for destinations with certain prefixes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec

MAX_WEIGHTED: Final = 8
"""Providers of a weighted route: each draw takes four bytes of a 32-byte digest."""


MAX_WEIGHT: Final = 1_000


class WeightedProvider(msgspec.Struct, frozen=True):
    """A provider of a route. With `weight` 0 it keeps the position in which it is written."""

    name: str
    weight: int = 0


class PrefixRoute(msgspec.Struct, frozen=True):
    """The route of destinations that begin with `prefix`."""

    prefix: str
    providers: tuple[WeightedProvider, ...]


def parse_provider(text: str) -> WeightedProvider:
    """Return the provider written as `name` or `name=weight`. Raises ValueError unless the weight is 1 to 1000.

    >>> parse_provider("twilio=3")
    WeightedProvider(name='twilio', weight=3)
    """
    name, equals, weight = (part.strip() for part in text.partition("="))
    if not equals:
        return WeightedProvider(name)
    if not re.fullmatch(r"[1-9][0-9]{0,3}", weight) or int(weight) > MAX_WEIGHT:
        raise ValueError("weight")
    return WeightedProvider(name, int(weight))


def unweighted(*names: str) -> tuple[WeightedProvider, ...]:
    """Return the providers of a route without weights."""
    return tuple(WeightedProvider(name) for name in names)


def format_provider(provider: WeightedProvider) -> str:
    """Return a provider as the settings write it."""
    return f"{provider.name}={provider.weight}" if provider.weight else provider.name


def is_valid_route(providers: Sequence[WeightedProvider]) -> bool:
    """Return True if no provider is named twice, and either all or none have weights."""
    weighted = [provider for provider in providers if provider.weight]
    names = {provider.name for provider in providers}
    return len(names) == len(providers) and (not weighted or len(weighted) == len(providers) <= MAX_WEIGHTED)


def order_providers(providers: Sequence[WeightedProvider], seed: str) -> tuple[str, ...]:
    """Return the names in the order of the route, or drawn by weight. The same `seed` always gives the same order."""
    if not any(provider.weight for provider in providers):
        return tuple(provider.name for provider in providers)
    digest = hashlib.sha256(seed.encode()).digest()
    left, found = list(providers), list[str]()
    while left:
        start = 4 * len(found)
        place = int.from_bytes(digest[start : start + 4]) % sum(provider.weight for provider in left)
        for provider in left:
            if place < provider.weight:
                found.append(provider.name)
                left.remove(provider)
                break
            place -= provider.weight
    return tuple(found)


def find_prefix_route(prefix_routes: Sequence[PrefixRoute], to: str) -> tuple[WeightedProvider, ...] | None:
    """Return the providers of the longest prefix that `to` begins with, or None."""
    fitting = [one for one in prefix_routes if to.startswith(one.prefix)]
    return max(fitting, key=lambda one: len(one.prefix)).providers if fitting else None
