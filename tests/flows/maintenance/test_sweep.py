"""Sweep: what ran out is recorded, and what was kept long enough is forgotten."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.clock import DAY, MINUTE, NOON, FixedClock
from tests.flows.place import Place, place_at

from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import Action, ChallengeState
from countersign.errors import UnavailableError
from countersign.flows.maintenance import sweep as module
from countersign.flows.maintenance.sweep import SweepReport, sweep
from countersign.flows.verifications.idempotency import IdempotencyKey
from countersign.store.engine.database import Insert, Write
from countersign.store.tables import challenges, deletion, sms_traffic
from countersign.store.tables.schema import LIMITS

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_ran_out_is_recorded_as_of_the_time_it_did(each_place: Place, clock: FixedClock) -> None:
    """C2: and nothing else is touched."""
    place = each_place
    old = await place.begun()
    approved = await place.begun(action=Action(hash="1"))
    await place.answer(approved, place.code(approved))
    clock.forward(9 * MINUTE)
    young = await place.begun("eve@example.org")
    clock.forward(2 * MINUTE)
    assert await sweep(place.core, 30) == SweepReport(expired=1, deleted=0)
    stored = await place.stored(old)
    assert (stored.state, stored.ended_at) == (ChallengeState.EXPIRED, NOON + 10 * MINUTE)
    assert (await place.kinds(old))[EventKind.CHALLENGE_EXPIRED] == 1
    assert (await place.stored(approved)).state is ChallengeState.APPROVED
    assert (await place.stored(young)).state is ChallengeState.PENDING
    assert await sweep(place.core, 30) == SweepReport(expired=0, deleted=0)


async def test_a_sweep_goes_on_until_nothing_is_left(
    place: Place, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    for number in range(10):
        await place.begun(f"p{number}@example.org")
    clock.forward(10 * MINUTE)
    assert await sweep(place.core, 30) == SweepReport(expired=10, deleted=0)
    clock.forward(31 * DAY)
    assert await sweep(place.core, 30) == SweepReport(expired=0, deleted=10)


async def test_after_the_days_of_retention_a_challenge_is_gone_with_all_that_hung_on_it(
    each_place: Place, clock: FixedClock
) -> None:
    """O3: counted from its end at the latest; the log of events stays, and holds no contact."""
    place = each_place
    await place.begun()
    await place.deliver()
    clock.forward(10 * MINUTE)
    await sweep(place.core, 7)
    clock.forward(7 * DAY)
    assert (await sweep(place.core, 7)).deleted == 0
    clock.forward(1)
    assert (await sweep(place.core, 7)).deleted == 1
    for table in ("challenges", "deliveries", "attempts"):
        assert await place.count(table) == 0, table
    assert await place.count("events") > 0


async def test_counters_are_kept_as_long_as_they_count(database_url: str, tmp_path: Path) -> None:
    """C6: a limit that is full again goes, a row of failures stays."""
    async with place_at(database_url, tmp_path, rules=InstallationPolicy()) as place:
        failed = await place.begun(ip="203.0.113.9", once=IdempotencyKey(("app_shop", b"k"), b"r"))
        await place.answer(failed, place.wrong(failed))
        right = await place.begun("eve@example.org")
        await place.answer(right, place.wrong(right))
        await place.answer(right, place.code(right))
        assert (
            await place.count("limits") == 6
        )  # of the contact, of both networks around the requester, and of both names
        place.clock.forward(DAY - 1)
        await sweep(place.core, 30)
        assert await place.count("answers") == 1
        place.clock.forward(2 * DAY)
        await sweep(place.core, 30)
        assert (await place.count("limits"), await place.count("answers"), await place.count("standings")) == (0, 0, 1)


async def test_a_record_that_cannot_be_read_keeps_no_other_from_its_end(each_place: Place, clock: FixedClock) -> None:
    """O3: a newer program may have written it; the others expire, and are forgotten in time."""
    place = each_place
    strange = await place.begun("strange@example.org")
    other = await place.begun()
    await place.change("UPDATE challenges SET channel = 'pigeon' WHERE id = $1", strange.id)
    clock.forward(10 * MINUTE)
    assert await sweep(place.core, 30) == SweepReport(expired=1, deleted=0)
    assert (await place.stored(other)).state is ChallengeState.EXPIRED
    clock.forward(31 * DAY)
    assert await sweep(place.core, 30) == SweepReport(expired=0, deleted=1)


async def test_a_deletion_that_fails_keeps_none_of_the_others_from_running(
    place: Place, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: the failure is raised in the end, and everything else was done."""

    async def broken(_before: int, _limit: int) -> int:
        raise UnavailableError("it took too long")

    await place.begun()
    clock.forward(10 * MINUTE)
    monkeypatch.setattr(challenges, "delete_ended", broken)
    monkeypatch.setattr(sms_traffic, "roll_up", broken)
    await place.begin("ada@example.org", once=IdempotencyKey(("app_shop", b"k"), b"r"))
    clock.forward(2 * DAY)
    with pytest.raises(UnavailableError):
        await sweep(place.core, 1)
    assert await place.count("answers") == 0
    assert await place.count("challenges WHERE state = 'expired'") == 2


async def test_a_large_table_of_counters_is_walked_in_parts(each_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """O8: no statement looks at more than a slice, and in the end all that no longer counts is gone."""
    place = each_place
    monkeypatch.setattr(deletion, "SLICE", 7)
    monkeypatch.setattr(module, "STEPS", 4)
    keys = [(hashlib.sha256(b"%d" % n).digest(), 1 if n % 2 else 1 << 50) for n in range(100)]

    async def fill() -> None:
        await Write((Insert(LIMITS, keys),))

    await place.database.run(fill)
    await sweep(place.core, 30)
    left = await place.count("limits")
    assert 50 < left < 100, "one sweep looks at a part"
    for _ in range(80):
        await sweep(place.core, 30)
    assert await place.count("limits") == 50


@pytest.mark.postgres
async def test_two_sweeps_at_once_share_the_work(postgres_url: str, tmp_path: Path, clock: FixedClock) -> None:
    """O8: neither waits for rows of the other, and none is counted twice."""
    async with place_at(postgres_url, tmp_path, clock=clock) as place:
        for start in range(0, 300, 100):
            await asyncio.gather(*(place.begun(f"p{start + n}@example.org") for n in range(100)))
        clock.forward(10 * MINUTE)
        await sweep(place.core, 30)
        clock.forward(31 * DAY)
        first, second = await asyncio.gather(sweep(place.core, 30), sweep(place.core, 30))
        assert first.deleted + second.deleted == 300
        assert [await place.count(table) for table in ("challenges", "deliveries")] == [0, 0]
