"""Four workers on one PostgreSQL, one of them killed every other second: of very many messages none is lost."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import pytest
from tests.durability.installation import installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.rounds import rounds

from countersign.config import load
from countersign.domain.shared.contact import Contact, ContactKind
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.results import Done
from countersign.wiring import close_runtime, open_runtime

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.installation import Installation, Started

MESSAGES = rounds(100_000, 20)
WORKERS = 4
EVERY = (3.0, 6.0)
"""Seconds between two deaths."""
PATIENCE = 480.0

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.peers, pytest.mark.timeout(900)]


async def test_killing_workers_among_very_many_messages_loses_none_and_repeats_only_what_was_in_hand(
    tmp_path: Path, sender: Sender, durable_url: str
) -> None:
    """D1, D2: a message comes twice only where its worker died between the sender's taking it and writing that down."""
    with installed(tmp_path, durable_url, config=webhook_config(sender.url, SECRET)) as installation:
        owed = await pile_up(installation)
        assert len(owed) == MESSAGES
        began = time.monotonic()
        workers = [installation.work() for _ in range(WORKERS)]
        deaths = 0
        while not await all_sent(installation):
            assert time.monotonic() - began < PATIENCE
            await asyncio.sleep(random.uniform(*EVERY))
            dying = random.randrange(WORKERS)
            await asyncio.to_thread(workers[dying].kill)
            workers[dying] = installation.work()
            deaths += 1
        took = time.monotonic() - began
        ends = await stopped(workers)
        came = sender.keys
        states = dict(await installation.rows("SELECT state, count(*) FROM deliveries GROUP BY state"))
    assert ends == [0] * WORKERS
    assert states == {"accepted": MESSAGES}
    assert {key.split(".")[0] for key in came} == owed, "lost, or sent unasked"
    repeated = sum(count - 1 for count in came.values())
    print(f"\n{MESSAGES} messages, {deaths} deaths, {repeated} repeated, {MESSAGES / took:.0f} a second")  # noqa: T201
    assert deaths > 3
    assert all(key.endswith(".1.0") for key in came), "a repeat bears the same name, by which a sender can tell it"
    assert repeated <= deaths * 64, "no more than a dead worker can have had in hand"


async def pile_up(installation: Installation) -> set[str]:
    """Owe all messages, before any worker runs; return the ids of their verifications."""
    settings = load(installation.program.environ, installation.place / "countersign.toml")
    runtime = await open_runtime(settings)
    try:
        application = await runtime.applications.authenticate(installation.key)
        assert application is not None
        numbers = iter(range(MESSAGES))
        owed: set[str] = set()

        async def client() -> None:
            for number in numbers:
                asked = BeginRequest(Contact(ContactKind.PHONE, f"+49170{number:07}"))
                outcome = await begin_challenge(runtime.core, application, asked)
                assert isinstance(outcome, Done)
                owed.add(outcome.challenge.id)

        await asyncio.gather(*(client() for _ in range(256)))
        return owed
    finally:
        await close_runtime(runtime)


async def all_sent(installation: Installation) -> bool:
    """Say whether nothing is owed any more."""
    rows = await installation.rows("SELECT 1 FROM deliveries WHERE due_at IS NOT NULL LIMIT 1")
    return not rows


async def stopped(workers: list[Started]) -> list[int]:
    """Stop the workers once all have begun to work, else SIGTERM meets one that is still starting."""
    await asyncio.sleep(4)
    return [await asyncio.to_thread(worker.stop) for worker in workers]
