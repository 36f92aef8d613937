"""Reads and writes the health of providers: statistics by channel and country, and circuit breakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, merged
from countersign.domain.shared.contact import Channel
from countersign.store.engine.database import Change, Row, Sql, Take, Upsert, Write
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import BREAKERS, PACES

BREAKER_ROWS: Final = RowMapper(BREAKERS, CircuitBreaker)

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(ProviderStats).decode


async def find_stats() -> dict[ProviderKey, ProviderStats]:
    """Return the statistics of every provider, by channel and country."""
    rows = await Sql(f"SELECT {PACES.names} FROM paces ORDER BY provider, channel, country")
    return dict(map(_stats, rows))


async def add_stats(observed: Mapping[ProviderKey, ProviderStats], now: int) -> dict[ProviderKey, ProviderStats]:
    """Add what was observed to the statistics; return all statistics as they are then."""
    keys = sorted((where.provider, where.channel.value, where.country) for where in observed)
    known = dict(map(_stats, (await Take(PACES, keys))))
    total = {where: merged(known.get(where, ProviderStats()), stats) for where, stats in observed.items()}
    rows = [
        (where.provider, where.channel.value, where.country, _encode(stats).decode(), now)
        for where, stats in sorted(total.items())
    ]
    await Write((Upsert(PACES, rows),))
    return await find_stats()


async def find_breakers() -> dict[str, CircuitBreaker]:
    """Return the circuit breakers, by provider, of every provider that has failed since it last accepted a message."""
    rows = await Sql(f"SELECT {BREAKERS.names} FROM breakers WHERE failures > 0 OR until IS NOT NULL")
    return {row[0]: BREAKER_ROWS.from_row(row) for row in rows}


async def lock_breakers(names: Sequence[str]) -> dict[str, CircuitBreaker]:
    """Return the circuit breakers of these providers, by provider, locked until the transaction ends.

    A provider that never failed has a new circuit breaker.
    """
    rows = (await Take(BREAKERS, [(name,) for name in sorted(set(names))])) if names else ()
    found = {row[0]: BREAKER_ROWS.from_row(row) for row in rows}
    return {name: found.get(name, CircuitBreaker(name)) for name in names}


def upsert_breakers(breakers: Sequence[CircuitBreaker]) -> tuple[Change, ...]:
    """Return the change that writes circuit breakers; `lock_breakers` comes before it in the same transaction."""
    rows = sorted([BREAKER_ROWS.to_row(breaker) for breaker in breakers])
    return (Upsert(BREAKERS, rows),) if rows else ()


def _stats(row: Row) -> tuple[ProviderKey, ProviderStats]:
    provider, channel, country, figures, _ = row
    return ProviderKey(provider, Channel(channel), country), _decode(figures)
