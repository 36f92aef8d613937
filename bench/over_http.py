"""The whole API over HTTP, beside a bare echo under the same server and the same load; and what a worker weighs."""

from __future__ import annotations

import statistics
from typing import Final

import msgspec
from tests.peers.postgres import PostgresServer

from bench import load, servers
from bench.meter import Figure, memory_of, middle

CLIENTS: Final = 64
WARM_UP: Final = 2.0


class Weighed(msgspec.Struct, frozen=True):
    """One arrangement: the API's figure, the echo's, and the memory (MiB, proportional) of a worker idle and after the load."""

    name: str
    api: Figure
    echo: Figure
    idle: float
    after: float


async def beside_an_echo(
    name: str,
    workers: int,
    postgres: PostgresServer | None,
    rounds: int,
    seconds: float,
    *,
    delivers: bool = False,
) -> Weighed:
    """Measure the program and the echo in turns; with `delivers` the program's own worker runs inside."""
    url = None if postgres is None else postgres.url(postgres.create())
    api, bare = [], []
    with servers.countersign(url, workers, delivers=delivers) as program, servers.echo(workers) as echo:
        idle = statistics.mean(map(memory_of, program.workers))
        groups = {"server": program.pid} | ({} if postgres is None else {"PostgreSQL": postgres.pid})
        await load.drive("", program.port, load.pairs(program.key), CLIENTS, WARM_UP, groups)
        await load.drive("", echo.port, load.echoes, CLIENTS, WARM_UP / 2, {})
        for _ in range(rounds):
            api.append(await load.drive(name, program.port, load.pairs(program.key), CLIENTS, seconds, groups))
            bare.append(
                await load.drive(f"echo, {workers} w.", echo.port, load.echoes, CLIENTS, seconds, {"server": echo.pid})
            )
        after = statistics.mean(map(memory_of, program.workers))
    return Weighed(name, middle(api), middle(bare), idle, after)
