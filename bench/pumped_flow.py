"""A pumping attack through the real flows on SQLite, with honest people beside it and a clock that is moved."""

from __future__ import annotations

import heapq
import random
from pathlib import Path
from typing import Final

import msgspec
from tests.clock import FixedClock
from tests.flows.place import SHOP, place_at

from bench.pumping import BEGAN, Message, Outcome
from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.sms_traffic import HOUR
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.verifications.challenge import Challenge
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.maintenance.sweep import sweep
from countersign.store.engine.migrate import migrate

LIVE: Final = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
SETTLED_EVERY: Final = 10_000
"""Milliseconds between sweeps, as in the worker."""


def small_day(chance: random.Random) -> list[Message]:
    """Return two hours: 120 honest messages an hour to a German prefix, and 15 a minute that are pumped to an Estonian one."""
    found: list[Message] = []
    for honest, hourly in ((True, 120), (False, 900)):
        at = float(BEGAN)
        while (at := at + chance.expovariate(hourly) * HOUR) < BEGAN + 2 * HOUR:
            comes = honest and chance.random() < 0.8
            number = f"+49170{chance.randrange(10**7):07d}" if honest else f"+37254{chance.randrange(10**6):06d}"
            answered = int(chance.uniform(5_000, 90_000)) if comes else None
            found.append(Message(int(at), number, number[:6], "", honest, answered))
    return sorted(found)


async def through_the_flows(folder: Path, seed: int = 1) -> Outcome:
    """Replay the two hours: begin, claim, hand over, answer, settle and sweep, as the server and its worker do."""
    url = f"sqlite:///{folder / 'pumped.db'}"
    migrate(url)
    clock, outcome = FixedClock(BEGAN), Outcome()
    messages = small_day(random.Random(seed))
    async with place_at(url, folder, clock=clock, live=("carrier",)) as place:
        coming: list[tuple[int, int, Challenge]] = []
        swept = BEGAN
        for n, message in enumerate(messages):
            while coming and coming[0][0] <= message.at:
                clock.now, _, challenge = heapq.heappop(coming)
                await place.answer(challenge, place.code(challenge), LIVE)
            clock.now = message.at
            if message.at - swept >= SETTLED_EVERY:
                await sweep(place.core, 30)
                await record_conversions(place.delivery)
                swept = message.at
            begun = await place.begun(message.number, application=LIVE, subject=f"s{n}")
            await place.deliver()
            refused = (await place.deliveries(begun))[0].reason is Reason.HELD_BACK
            if message.honest:
                outcome.honest += 1
                outcome.refused += refused
            else:
                outcome.asked += 1
                outcome.sent += not refused
            if message.answered_in is not None and not refused:
                heapq.heappush(coming, (message.at + message.answered_in, n, begun))
        outcome.holds = await place.count("blocks")
    return outcome
