"""The ledger alone: begin and check, in one process, on either database."""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.load import WrongAnswerError
from bench.meter import Figure, cpu_of_tree, figure
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import Application, ApplicationMode
from countersign.domain.shared.contact import Channel, Contact, ContactKind
from countersign.domain.verifications.challenge import Challenge, ChallengeState, Refusal, Terms
from countersign.domain.verifications.purpose import Policy
from countersign.flows.context import CoreContext, own_application
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.check import CheckCommand
from countersign.flows.verifications.results import Done, Refused
from countersign.geolocation import GeoDatabase
from countersign.keys import Keyring, new_file
from countersign.links import links_of
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Insert, Row, Sql, Write
from countersign.store.engine.migrate import migrate
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.ledger.ledger import Ledger
from countersign.store.tables import challenges
from countersign.store.tables.schema import CHALLENGES

APPLICATION: Final = Application("app_bench", 0, "bench", ApplicationMode.TEST, "Bench", "shop.example", (), b"")

GUESSES: Final = 1_000_000
"""How many answers the challenges that are filled in take: none of them may end under a benchmark."""


@asynccontextmanager
async def house_at(url: str, rules: InstallationPolicy | None = None) -> AsyncIterator[CoreContext]:
    """Open a migrated database with a ledger on it, and nothing else."""
    await asyncio.to_thread(migrate, url)
    database = open_database(url)
    await database.open()
    with tempfile.TemporaryDirectory() as folder:
        new_file(Path(folder) / "secret.keys", 0)
        keyring = Keyring(Path(folder) / "secret.keys", now)
        ledger = Ledger(
            database.ledger_connections(),
            log=lambda: Log(chain_of(keyring)),
            clock=now,
            deliveries_due=database.notify,
            observe_batch=lambda _size, _waited, _took: None,
        )
        ledger.open()
        yield CoreContext(
            database,
            ledger,
            keyring,
            rules or InstallationPolicy(),
            links_of("https://bench.example"),
            own_application("Bench", "bench.example"),
            GeoDatabase(),
            now,
            secrets.token_bytes,
        )
        await ledger.close()
    await database.close()


def chain_of(keyring: Keyring) -> Chain:
    """Return a new writer's chain of events."""
    return Chain(lambda: f"w{secrets.token_hex(6)}", keyring.link)


async def fill(core: CoreContext, count: int, first: int = 1) -> None:
    """Put `count` live challenges into the table, the n-th under `live_id(n)`, in transactions of 5,000 rows."""
    kid = core.keyring.primary.kid
    began = now()
    terms = Terms("sign_in", Policy(guesses=GUESSES, binds=True), b"x" * 60, "a***@example.org", ContactKind.MAIL, kid)
    for start in range(first, first + count, 5_000):
        rows = [_live(n, terms, began) for n in range(start, min(start + 5_000, first + count))]
        await core.database.run(_insert, rows)


def live_id(n: int) -> str:
    """Return the id of the n-th challenge that `fill` made."""
    return f"ver_{n:026d}"


async def forget_begun(core: CoreContext) -> None:
    """Delete the challenges that were begun since, so that as many are live as were filled in: ids begin with the time."""

    async def delete() -> None:
        await Sql("DELETE FROM challenges WHERE id > $1", (live_id(10**20),))

    await core.database.run(delete)


async def check(
    core: CoreContext, clients: int, seconds: float, live: int, server_pid: int | None, name: str = "check"
) -> Figure:
    """Answer wrong, each client one after the other, at challenges picked by chance."""
    chance = random.Random(clients)

    async def one() -> None:
        typed = CheckCommand(live_id(chance.randint(1, live)), APPLICATION.id, "0000000", core.keyring)
        outcome = await core.ledger.submit(typed)
        if not isinstance(outcome, Refused) or outcome.refusal is not Refusal.WRONG_CODE:
            raise WrongAnswerError(f"A check was not counted: {outcome}")

    return await _drive(name, one, clients, seconds, server_pid)


async def begin(
    core: CoreContext, clients: int, seconds: float, server_pid: int | None, name: str = "begin", most: int = 1 << 60
) -> Figure:
    """Begin, each client one after the other, each time for another address, `most` in all."""
    numbers = iter(range(1 << 60))
    run = secrets.token_hex(4)

    async def one() -> None:
        to = Contact(ContactKind.MAIL, f"ada-{run}-{next(numbers)}@example.org")
        outcome = await begin_challenge(core, APPLICATION, BeginRequest(to))
        if not isinstance(outcome, Done):
            raise WrongAnswerError(f"A begin was refused: {outcome}")

    return await _drive(name, one, clients, seconds, server_pid, most)


def now() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


async def _drive(
    name: str,
    one: Callable[[], Awaitable[None]],
    clients: int,
    seconds: float,
    server_pid: int | None,
    most: int = 1 << 60,
) -> Figure:
    latencies: list[float] = []
    await one()
    spent, server = time.process_time(), cpu_of_tree(server_pid) if server_pid else 0.0
    start = time.perf_counter()
    end = start + seconds

    async def client() -> None:
        while (began := time.perf_counter()) < end and len(latencies) + clients <= most:
            await one()
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - start
    cpu = {"Python": time.process_time() - spent}
    if server_pid:
        cpu["PostgreSQL"] = cpu_of_tree(server_pid) - server
    return figure(name, clients, took, latencies, cpu)


def _live(n: int, terms: Terms, began: int) -> Row:
    expires = began + 3_600_000
    key = n.to_bytes(16)
    return challenges.to_row(
        Challenge(live_id(n), APPLICATION.id, key, key, terms, began, expires, ChallengeState.PENDING, Channel.EMAIL)
    )


async def _insert(rows: list[Row]) -> None:
    await Write((Insert(CHALLENGES, rows),))
