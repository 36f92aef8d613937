"""How the cost grows: check and begin at 64 clients with ever more live challenges in the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.ledger import begin, check, fill, forget_begun, house_at
from bench.meter import Figure, middle

CLIENTS: Final = 64
BEGINS: Final = 10_000
"""Begins in one run, deleted after it: the table is to have the size it is measured at."""


async def grow(
    name: str, url: str, sizes: Sequence[int], rounds: int, seconds: float, server_pid: int | None
) -> list[Figure]:
    """Measure at each size, smallest first; the figures are named by database, act and size."""
    found: list[Figure] = []
    async with house_at(url) as core:
        await fill(core, 1_000)
        await check(core, CLIENTS, 1, 1_000, server_pid)
        await begin(core, CLIENTS, 1, server_pid)
        await forget_begun(core)
        filled = 1_000
        for size in sizes:
            await fill(core, size - filled, filled + 1)
            filled = size
            checks = [
                await check(core, CLIENTS, seconds, size, server_pid, f"{name} check, {size:,} live")
                for _ in range(rounds)
            ]
            begins = []
            for _ in range(rounds):
                begins.append(
                    await begin(core, CLIENTS, 60, server_pid, f"{name} begin, {size:,} live", BEGINS),
                )
                await forget_begun(core)
            found += [middle(checks), middle(begins)]
    return found
