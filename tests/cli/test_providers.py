"""What is known of providers, at the command line."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from countersign.clock import system_clock
from countersign.config import load
from countersign.domain.delivery.circuit_breaker import CircuitBreaker
from countersign.domain.delivery.latency import ProviderKey, ProviderStats, bucket
from countersign.domain.shared.contact import Channel
from countersign.store.engine.database import Write
from countersign.store.tables import provider_health
from countersign.wiring import installation_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


async def keep(breaker: CircuitBreaker) -> None:
    await Write(provider_health.upsert_breakers([breaker]))


async def known(home: Path) -> None:
    """Have a provider that did well, and one that is left out."""
    settings = load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": str(home)})
    pace = ProviderStats(40, 36, 2, 2, 40, 30, {bucket(200): 40}, {bucket(3_000): 36})
    async with installation_of(settings) as ground:
        await ground.database.run(provider_health.add_stats, {ProviderKey("first", Channel.SMS, "DE"): pace}, 1)
        await ground.database.run(keep, CircuitBreaker("second", 3, 1, system_clock() + 60_000, reason="timed_out"))


def test_how_each_provider_does_is_shown_with_who_is_left_out_and_why(run: Run, tmp_path: Path) -> None:
    asyncio.run(known(tmp_path / ".countersign"))
    ended = run("providers", "list")
    assert ended.exit_code == 0, ended.output
    assert "first\tsms\tDE\t40\t36\t2\t2\t75%" in ended.stdout
    assert "second is left out until" in ended.stderr
    assert "timed_out" in ended.stderr
    told = json.loads(run("providers", "list", "--json").stdout)
    assert (told["providers"][0]["conversion"], told["left_out"][0]["provider"]) == (0.75, "second")


def test_an_operator_ends_a_rest_and_the_log_says_so(run: Run, tmp_path: Path) -> None:
    asyncio.run(known(tmp_path / ".countersign"))
    assert "second is back in its routes" in run("providers", "restore", "second").stdout
    assert json.loads(run("providers", "list", "--json").stdout)["left_out"] == []
    assert "is not left out" in run("providers", "restore", "second").stderr
    assert "is not left out" in run("providers", "restore", "nobody").stderr
    assert run("events", "verify").exit_code == 0


def test_before_the_first_message_it_says_so(run: Run) -> None:
    assert "No provider has taken a message yet" in run("providers", "list").stderr
