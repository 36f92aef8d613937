"""kill -9 of what serves, again and again at random moments under load: what was promised is kept, and nothing is approved twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.durability.crowd import Crowd, exhaust_some, hold_to_account, sent_by, settle
from tests.durability.installation import Installation, Started, installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.rounds import rounds

ROUNDS = rounds(50, 10)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_killing_the_process_on_sqlite_loses_nothing_and_approves_nothing_twice(
    tmp_path: Path, sender: Sender
) -> None:
    """D1, C3, C5: web and the worker inside it die together, and each fifth time their server too; SQLite with synchronous=FULL."""
    with installed(tmp_path, config=webhook_config(sender.url, SECRET)) as installation:
        crowd = Crowd(installation)
        began = time.monotonic()
        started = await asyncio.to_thread(installation.serve)
        async with crowd.busy():
            for number in itertools.count():
                if number >= ROUNDS and crowd.broken > ROUNDS and _approved(crowd) > ROUNDS:
                    break  # enough kills, enough of them were felt, and enough went well between them
                await asyncio.sleep(random.uniform(0.05, 0.45))
                if number % 5 == 4:
                    await asyncio.to_thread(started.kill)
                    started = await asyncio.to_thread(installation.serve)
                else:
                    assert _kill_one(started)
                    await asyncio.to_thread(started.wait_for, installation.port)
        await settle(installation)
        figures = await hold_to_account(crowd, installation, sent_by(sender, installation))
        await exhaust_some(crowd, installation)
        assert await asyncio.to_thread(started.stop) == 0
        await _the_accounting_bites(crowd, installation, sent_by(sender, installation))
    print(f"\n{ROUNDS} rounds in {time.monotonic() - began:.0f} s: {figures}")  # noqa: T201 - shown with -s or -rP
    assert crowd.broken > ROUNDS
    assert figures["approved"] > ROUNDS


@pytest.mark.postgres
async def test_killing_web_processes_on_postgresql_loses_nothing_and_approves_nothing_twice(
    tmp_path: Path, sender: Sender, durable_url: str
) -> None:
    """D1, C3, C5: two processes serve and deliver; one of them dies each round, and now and then all at once; fsync is on."""
    with installed(tmp_path, durable_url, config=webhook_config(sender.url, SECRET)) as installation:
        crowd = Crowd(installation)
        began = time.monotonic()
        started = await asyncio.to_thread(installation.serve, "--workers", "2")
        killed = 0
        async with crowd.busy():
            while killed < ROUNDS or crowd.broken <= ROUNDS or _approved(crowd) <= ROUNDS:
                await asyncio.sleep(random.uniform(0.1, 0.6))
                if killed % 10 == 9:
                    await asyncio.to_thread(started.kill)
                    started = await asyncio.to_thread(installation.serve, "--workers", "2")
                    killed += 1
                else:
                    killed += _kill_one(started)
        await asyncio.to_thread(started.wait_for, installation.port)
        await settle(installation)
        figures = await hold_to_account(crowd, installation, sent_by(sender, installation))
        await exhaust_some(crowd, installation)
        assert await asyncio.to_thread(started.stop) == 0
    print(f"\n{ROUNDS} rounds in {time.monotonic() - began:.0f} s: {figures}")  # noqa: T201 - shown with -s or -rP
    assert crowd.broken > ROUNDS
    assert figures["approved"] > ROUNDS


async def _the_accounting_bites(crowd: Crowd, installation: Installation, sent: Counter[str]) -> None:
    """Falsify the outcome in each way that a crash could: the accounting above must find it, or it would have found nothing."""
    case = next(case for case in crowd.cases if case.approvals)
    for falsehood in (
        f"UPDATE challenges SET guesses = guesses - 1 WHERE id = '{case.id}'",  # noqa: S608 - an id of ours
        f"UPDATE challenges SET state = 'pending' WHERE id = '{case.id}'",  # noqa: S608
        f"DELETE FROM challenges WHERE id = '{case.id}'",  # noqa: S608
    ):
        await installation.change(falsehood)
        with pytest.raises(AssertionError):
            await hold_to_account(crowd, installation, sent)
    crowd.cases.remove(case)
    lost = next(case for case in crowd.cases if f"{case.id}.1.0" in sent and not case.right_sent)
    with pytest.raises((AssertionError, KeyError)):
        await hold_to_account(crowd, installation, Counter({key: n for key, n in sent.items() if lost.id not in key}))


def _approved(crowd: Crowd) -> int:
    """Return how many challenges somebody was told are approved."""
    return sum(1 for case in crowd.cases if case.approvals)


def _kill_one(started: Started) -> bool:
    """Kill -9 of one of the processes that serve; False if the last ones that died have not been replaced yet."""
    alive = started.children()
    if alive:
        os.kill(random.choice(alive), signal.SIGKILL)
    return bool(alive)
