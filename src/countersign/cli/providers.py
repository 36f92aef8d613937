"""`countersign providers`: how each provider performs in each country, and which are left out of routes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from countersign.cli.output import (
    config_option,
    json_option,
    moment,
    print_json,
    print_table,
    remark,
    settings_of,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.config import Settings
    from countersign.domain.delivery.circuit_breaker import CircuitBreaker
    from countersign.domain.delivery.latency import ProviderKey, ProviderStats


class ProviderRow(msgspec.Struct, frozen=True):
    """The performance of one provider in one country. Times are in ms, or None while too little is known."""

    provider: str
    channel: str
    country: str
    taken: int
    delivered: int
    undelivered: int
    overdue: int
    conversion: float | None
    answer_p95: int | None
    receipt_p50: int | None
    receipt_p95: int | None


@click.group()
def providers() -> None:
    """See how providers perform, and which are left out of routes."""


@providers.command("list", epilog="Counts cover all time; times and conversion cover the last one or two thousand.")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show the statistics of each provider by channel and country, and which are left out of routes."""
    settings, _ = settings_of(config)
    paces, breakers = wait_for(_known(settings))
    lines = [_line(where, pace) for where, pace in sorted(paces.items())]
    left_out = [one for one in breakers.values() if one.tripped]
    if as_json:
        print_json({"providers": lines, "left_out": left_out})
        return
    print_table(
        ("Provider", "Channel", "Country", "Taken", "Delivered", "Undelivered", "No receipt", "Conversion", "Answer p95", "Receipt p50", "p95"),
        [
            (
                line.provider,
                line.channel,
                line.country or "-",
                str(line.taken),
                str(line.delivered),
                str(line.undelivered),
                str(line.overdue),
                "-" if line.conversion is None else f"{line.conversion:.0%}",
                *("-" if one is None else f"{one / 1_000:.1f} s" for one in (line.answer_p95, line.receipt_p50, line.receipt_p95)),
            )
            for line in lines
        ],
    )  # fmt: skip
    for one in left_out:
        remark(
            f"{one.provider} is left out until {moment(one.until or 0)}: {one.failures} failures, the last {one.reason}."
        )
    if not lines:
        remark("No provider has taken a message yet.")


@providers.command()
@click.argument("name")
@config_option
def restore(name: str, config: Path | None) -> None:
    """Put a provider that is left out back into routes at once."""
    settings, _ = settings_of(config)
    if wait_for(_restored(settings, name)):
        click.echo(f"{name} is back in its routes.")
    else:
        remark(f"{name} is not left out.")


async def _known(settings: Settings) -> tuple[Mapping[ProviderKey, ProviderStats], Mapping[str, CircuitBreaker]]:
    from countersign.store.tables import provider_health
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await ground.database.read(provider_health.find_stats), await ground.database.read(
            provider_health.find_breakers
        )


async def _restored(settings: Settings, name: str) -> bool:
    from countersign.flows.delivery.reset_breaker import reset_breaker
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await reset_breaker(ground.database, ground.log(), name, ground.clock())


def _line(where: ProviderKey, pace: ProviderStats) -> ProviderRow:
    from countersign.domain.delivery.latency import USUAL, quantile

    return ProviderRow(
        where.provider,
        where.channel.value,
        where.country,
        pace.taken,
        pace.delivered,
        pace.undelivered,
        pace.overdue,
        pace.conversion,
        quantile(pace.answers, USUAL),
        quantile(pace.receipts, 0.5),
        quantile(pace.receipts, USUAL),
    )
