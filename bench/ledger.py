"""The ledger alone: begin and check, in one process, on either database."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.meter import Figure, cpu_of_tree, figure
from countersign.domain.application import Application, Mode
from countersign.domain.challenge import Challenge, State, Terms
from countersign.domain.contact import Channel, Contact, Kind
from countersign.domain.purpose import Policy
from countersign.domain.rules import Rules
from countersign.flows.answer import Answer
from countersign.flows.begin import Asked, begin_challenge
from countersign.flows.house import House
from countersign.keys import Keyring, new_file
from countersign.store import challenges
from countersign.store.connect import open_database
from countersign.store.database import Insert, Steps, Write
from countersign.store.events import Chain
from countersign.store.ledger import Ledger
from countersign.store.migrate import migrate
from countersign.store.tables import CHALLENGES

APPLICATION: Final = Application("app_bench", 0, "bench", Mode.TEST, "Bench", "shop.example", (), b"")


@asynccontextmanager
async def house_at(url: str) -> AsyncIterator[House]:
    """Open a migrated database with a ledger on it, and nothing else."""
    migrate(url)
    database = open_database(url)
    await database.open()
    with tempfile.TemporaryDirectory() as folder:
        new_file(Path(folder) / "secret.keys", 0)
        keyring = Keyring(Path(folder) / "secret.keys", _now)
        ledger = Ledger(
            database.lanes(),
            chain=lambda: Chain(lambda: f"w{secrets.token_hex(6)}", keyring.link),
            clock=_now,
            owed=lambda: None,
            observe=lambda _size, _waited, _took: None,
        )
        ledger.open()
        yield House(database, ledger, keyring, Rules(), _now, secrets.token_bytes)
        await ledger.close()
    await database.close()


async def fill(house: House, count: int, first: int = 1) -> None:
    """Put `count` live challenges into the table, whose guesses do not run out, in transactions of 5,000 rows."""
    kid = house.keyring.primary.kid
    now = _now()
    terms = Terms("sign_in", Policy(guesses=1_000_000), b"x" * 60, "a***@example.org", Kind.MAIL, kid)
    for start in range(first, first + count, 5_000):
        rows = [
            challenges.new_row(
                Challenge(
                    live_id(n),
                    APPLICATION.id,
                    n.to_bytes(16),
                    n.to_bytes(16),
                    terms,
                    now,
                    now + 3_600_000,
                    State.PENDING,
                    Channel.EMAIL,
                )
            )
            for n in range(start, min(start + 5_000, first + count))
        ]

        def insert(batch: list[tuple[object, ...]] = rows) -> Steps[None]:  # type: ignore[assignment]
            yield Write((Insert(CHALLENGES, batch),))

        await house.database.run(insert)


def live_id(n: int) -> str:
    """Return the id of the n-th challenge that `fill` made."""
    return f"ver_{n:026d}"


async def check(house: House, clients: int, seconds: float, live: int, server_pid: int | None) -> Figure:
    """Answer wrong, each client one after the other, at challenges picked by chance."""
    standing = random.Random(clients)  # noqa: S311 - load

    async def one() -> None:
        await house.ledger.submit(Answer(live_id(standing.randint(1, live)), APPLICATION.id, "0000000", house.keyring))

    return await _drive("check", one, clients, seconds, server_pid)


async def begin(house: House, clients: int, seconds: float, server_pid: int | None) -> Figure:
    """Begin, each client one after the other, each time for another address."""
    numbers = iter(range(1 << 60))
    run = secrets.token_hex(4)

    async def one() -> None:
        await begin_challenge(house, APPLICATION, Asked(Contact(Kind.MAIL, f"ada-{run}-{next(numbers)}@example.org")))

    return await _drive("begin", one, clients, seconds, server_pid)


async def _drive(
    name: str, one: Callable[[], Awaitable[None]], clients: int, seconds: float, server_pid: int | None
) -> Figure:
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        while (began := time.perf_counter()) < end:
            await one()
            latencies.append(time.perf_counter() - began)

    await one()
    spent, server = time.process_time(), cpu_of_tree(server_pid) if server_pid else 0.0
    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - began
    cpu = {"Python": time.process_time() - spent}
    if server_pid:
        cpu["PostgreSQL"] = cpu_of_tree(server_pid) - server
    return figure(name, clients, took, latencies, cpu)


def _now() -> int:
    return time.time_ns() // 1_000_000


assert os.name == "posix"  # noqa: S101 - /proc tells the CPU
