"""The primary of two PostgreSQLs dies or hangs, its standby is promoted: the program goes on, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from tests.flows.place import place_at, query
from tests.peers.postgres import MissingPostgresError, PostgresServer
from tests.rounds import rounds

from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.verifications.results import Done
from countersign.store.engine.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.flows.place import Place

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(180)]

CLIENTS = 12
PROMOTED_AFTER = 1.3
"""Seconds from the fault until somebody has promoted the standby."""
RECOVERED = 5.0
"""Seconds from the promotion until everything works again."""


class Witness:
    """What clients were told: the challenges that were granted, the wrong guesses that were counted, and when."""

    def __init__(self) -> None:
        self.begun: dict[str, int] = {}
        self.unknown = 0
        self.not_done: list[str] = []
        self.last = 0.0

    async def ask(self, place: Place, name: str) -> None:
        """Begin, and guess wrong twice."""
        try:
            outcome = await place.begin(f"{name}@example.org")
        except UnavailableError as error:
            self._told(error, name)
            return
        assert isinstance(outcome, Done)
        challenge = outcome.challenge
        self.begun[challenge.id] = 0
        self.last = time.monotonic()
        for _ in range(2):
            try:
                answered = await place.answer(challenge, place.wrong(challenge))
            except UnavailableError as error:
                self._told(error, "")
                return
            assert answered.challenge.guesses > self.begun[challenge.id]  # type: ignore[union-attr]
            self.begun[challenge.id] = answered.challenge.guesses  # type: ignore[union-attr]

    def _told(self, error: UnavailableError, name: str) -> None:
        if not error.outcome_known:
            self.unknown += 1
        elif name:
            self.not_done.append(name)


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[PostgresServer, PostgresServer, str]]:
    """Give a primary with a synchronous standby, and the address of a migrated database on both."""
    try:
        primary = await asyncio.to_thread(PostgresServer, synchronous_commit="on")
    except MissingPostgresError as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    standby = None
    try:
        name = await asyncio.to_thread(primary.create)
        await asyncio.to_thread(migrate, primary.url(name))
        standby = await asyncio.to_thread(lambda: PostgresServer(standby_of=primary))
        await asyncio.to_thread(primary.configure, "synchronous_standby_names", "standby")
        url = primary.url(name).replace(f":{primary.port}", f":{primary.port},127.0.0.1:{standby.port}")
        yield primary, standby, url
    finally:
        if standby is not None:
            await asyncio.to_thread(standby.remove)
        await asyncio.to_thread(primary.remove)


@pytest.mark.parametrize("fault", ["killed", "hangs"])
async def test_the_program_goes_on_with_the_standby_that_was_promoted(tmp_path: Path, fault: str) -> None:
    """O8: within five seconds of the promotion; every challenge and guess that was acknowledged is there."""
    for number in range(rounds(5)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with pair() as (primary, standby, url), place_at(url, folder) as place:
            took, witness = await fail_over(primary, standby, place, fault)
            print(  # noqa: T201 - shown with -s or -rP
                f"\n{fault}: back {took:.2f} s after the promotion, {len(witness.begun)} acknowledged,"
                f" {len(witness.not_done)} told that nothing was done, {witness.unknown} unknown"
            )
            assert took < RECOVERED
            await hold_to_account(place, witness)


async def fail_over(
    primary: PostgresServer, standby: PostgresServer, place: Place, fault: str
) -> tuple[float, Witness]:
    """Have clients ask all the time while the primary fails; return how long it took to recover, and what they were told."""
    witness, over = Witness(), asyncio.Event()

    async def client(number: int) -> None:
        asked = 0
        while not over.is_set():
            await witness.ask(place, f"c{number}-{asked}")
            asked += 1
            await asyncio.sleep(0.01)

    clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    try:
        await asyncio.sleep(1.0)
        before = len(witness.begun)
        assert before > CLIENTS
        await asyncio.to_thread(primary.kill if fault == "killed" else primary.pause)
        await asyncio.sleep(PROMOTED_AFTER)
        await asyncio.to_thread(standby.promote)
        promoted = time.monotonic()
        # The old one is gone, so nobody is left to wait for.
        await asyncio.to_thread(standby.configure, "synchronous_standby_names", "")
        async with asyncio.timeout(30):
            while witness.last <= promoted:  # noqa: ASYNC110 - clients go on by themselves
                await asyncio.sleep(0.01)
        took = witness.last - promoted
        await asyncio.sleep(1.0)
        over.set()
        await asyncio.wait_for(asyncio.gather(*clients), 30)
    finally:
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        if fault == "hangs":
            await asyncio.to_thread(primary.resume)
    return took, witness


async def hold_to_account(place: Place, witness: Witness) -> None:
    """Compare what clients were told with what the promoted server holds."""
    rows = await place.database.read(query, "SELECT id, guesses FROM challenges")
    stored: dict[str, int] = dict(rows)  # type: ignore[arg-type]
    lost = [id_ for id_, guesses in witness.begun.items() if stored.get(id_, -1) < guesses]
    assert lost == []
    # Whoever heard that nothing was done has no challenge: each name asked once.
    surplus = len(stored) - len(witness.begun)
    assert surplus <= witness.unknown, "somebody was told that nothing was done, and it was"
    assert (await verify_events(place.database, place.keyring)).findings == ()
