"""What is known of carriers, as rows: how each does in each country, and which are left out of routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, merged
from countersign.domain.shared.contact import Channel
from countersign.store.engine.database import Change, Row, Sql, Take, Upsert, Write
from countersign.store.tables.schema import BREAKERS, PACES

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(ProviderStats).decode


async def find_stats() -> dict[ProviderKey, ProviderStats]:
    """Return how every provider does, by channel and country."""
    rows = await Sql(f"SELECT {PACES.names} FROM paces ORDER BY provider, channel, country")
    return dict(map(_pace, rows))


async def add_stats(lessons: Mapping[ProviderKey, ProviderStats], now: int) -> dict[ProviderKey, ProviderStats]:
    """Add to what is known; return all that is known then."""
    keys = sorted((where.provider, where.channel.value, where.country) for where in lessons)
    known = dict(map(_pace, (await Take(PACES, keys))))
    total = {where: merged(known.get(where, ProviderStats()), lesson) for where, lesson in lessons.items()}
    rows = [
        (where.provider, where.channel.value, where.country, _encode(pace).decode(), now)
        for where, pace in sorted(total.items())
    ]
    await Write((Upsert(PACES, rows),))
    return await find_stats()


async def find_breakers() -> dict[str, CircuitBreaker]:
    """Return what is known of every provider that failed since it last took a message."""
    rows = await Sql(f"SELECT {BREAKERS.names} FROM breakers WHERE failures > 0 OR until IS NOT NULL")
    return {row[0]: _breaker(row) for row in rows}


async def lock_breakers(names: Sequence[str]) -> dict[str, CircuitBreaker]:
    """Return what is known of some providers, so that nobody else changes it meanwhile; one of which nothing is known is a clean one."""
    rows = (await Take(BREAKERS, [(name,) for name in sorted(set(names))])) if names else ()
    found = {row[0]: _breaker(row) for row in rows}
    return {name: found.get(name, CircuitBreaker(name)) for name in names}


def upsert_breakers(changed: Sequence[CircuitBreaker]) -> tuple[Change, ...]:
    """Return the change that keeps breakers."""
    rows = [
        (one.provider, one.failures, one.trips, one.until, int(one.probing), one.reason, one.changed_at)
        for one in changed
    ]
    return (Upsert(BREAKERS, sorted(rows)),) if rows else ()


def _pace(row: Row) -> tuple[ProviderKey, ProviderStats]:
    provider, channel, country, figures, _ = row
    return ProviderKey(provider, Channel(channel), country), _decode(figures)


def _breaker(row: Row) -> CircuitBreaker:
    provider, failures, trips, until, probing, reason, changed_at = row
    return CircuitBreaker(provider, failures, trips, until, bool(probing), reason, changed_at)
