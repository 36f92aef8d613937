"""The worker: messages leave as they fall due, and stopping it loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.flows.place import Carrier, Place

from countersign import worker as module
from countersign.domain.delivery.delivery import LEASE, Accepted, DeliveryState, Message
from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.maintenance.sweep import SweepReport
from countersign.store.engine.database import ConflictError, RejectedError, Transaction
from countersign.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from countersign.domain.verifications.challenge import Challenge


class Gate(Carrier):
    """A carrier that keeps every message waiting until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def send(self, message: Message) -> Accepted:
        """Wait for the gate, then accept."""
        self.sent.append(message)
        await self.open.wait()
        return Accepted(message.key)


@contextlib.asynccontextmanager
async def working(place: Place, carrier: Carrier | None = None) -> AsyncIterator[Worker]:
    post = place.delivery if carrier is None else msgspec.structs.replace(place.delivery, providers={"inbox": carrier})
    worker = Worker(post, 30)
    place.database.listen(worker.wake)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(task, 15)


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.005)


async def states(place: Place, challenges: list[Challenge]) -> set[DeliveryState]:
    return {one.state for challenge in challenges for one in await place.deliveries(challenge)}


async def begun(place: Place, many: int, name: str = "p") -> list[Challenge]:
    return list(await asyncio.gather(*(place.begun(f"{name}{number}@example.org") for number in range(many))))


async def test_what_is_owed_leaves_and_is_written_down(each_place: Place) -> None:
    place = each_place
    async with working(place) as worker:
        challenges = await begun(place, 20)
        worker.wake()
        await eventually(lambda: len(place.inbox.sent) == 20)
        alive = [worker.alive]
    assert [*alive, worker.alive] == [True, False]
    assert await states(place, challenges) == {DeliveryState.ACCEPTED}
    assert (await verify_events(place.database, place.keyring)).findings == ()


async def test_stopping_writes_down_what_was_under_way(each_place: Place) -> None:
    """O1: finish what is in flight; what was sent is never sent again for want of a note."""
    place = each_place
    context = Gate()
    async with working(place, context) as worker:
        challenges = await begun(place, 10)
        worker.wake()
        await eventually(lambda: len(context.sent) == 10)
        worker.stop()
        await asyncio.sleep(0.02)
        context.open.set()
    assert await states(place, challenges) == {DeliveryState.ACCEPTED}


async def test_what_does_not_finish_in_time_is_given_back(each_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """O1: give claims back."""
    monkeypatch.setattr(module, "GRACE", 0.05)
    place, context = each_place, Gate()
    async with working(place, context) as worker:
        challenges = await begun(place, 10)
        worker.wake()
        await eventually(lambda: len(context.sent) == 10)
    assert await states(place, challenges) == {DeliveryState.QUEUED}
    assert await place.deliver() == 10, "another takes them at once"


async def test_a_stopping_worker_takes_nothing_new(place: Place) -> None:
    async with working(place) as worker:
        worker.stop()
        await asyncio.sleep(0)
        (challenge,) = await begun(place, 1)
    assert await states(place, [challenge]) == {DeliveryState.QUEUED}


@pytest.mark.parametrize(
    "trouble", [UnavailableError("gone"), ConflictError("there already"), RejectedError("no such value")]
)
async def test_trouble_with_one_note_does_not_end_note_taking(
    place: Place, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """D1: a worker that sends and cannot write would send for ever."""
    monkeypatch.setattr(module, "POLL", 0.02)
    run, troubled = place.database.run, [trouble]

    async def run_once_troubled(steps: Callable[..., Transaction[Any]], /, *args: Any, **kwargs: Any) -> Any:
        if steps.__name__ == "_record" and troubled:
            raise troubled.pop()
        return await run(steps, *args, **kwargs)

    monkeypatch.setattr(place.database, "run", run_once_troubled)
    async with working(place) as worker:
        first = await begun(place, 3)
        worker.wake()
        await eventually(lambda: len(place.inbox.sent) == 3 and not troubled)
        second = await begun(place, 3, "q")
        worker.wake()
        await eventually(lambda: len(place.inbox.sent) == 6)
    assert await states(place, second) == {DeliveryState.ACCEPTED}
    assert await states(place, first) == {DeliveryState.ACCEPTED}


async def test_a_lost_wake_up_is_made_up_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.05)
    async with working(place):
        await asyncio.sleep(0.01)
        await begun(place, 1)
        await eventually(lambda: len(place.inbox.sent) == 1)


async def test_more_than_there_is_room_for_is_carried_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOTS", 4)
    challenges = await begun(place, 50)
    async with working(place):
        await eventually(lambda: len(place.inbox.sent) == 50)
    assert len({message.key for message in place.inbox.sent}) == 50
    assert await states(place, challenges) == {DeliveryState.ACCEPTED}


async def test_stopping_signs_where_the_log_ends(place: Place) -> None:
    """O4: what is written between two checkpoints is covered when the program ends."""
    async with working(place) as worker:
        await begun(place, 3)
        worker.wake()
        await eventually(lambda: len(place.inbox.sent) == 3)
    assert await place.count("checkpoints") == 1
    report = await verify_events(place.database, place.keyring)
    assert (report.findings, report.checkpoints) == ((), 1)
    assert report.last_checkpoint


@pytest.mark.parametrize("table", ["deliveries", "challenges"])
async def test_a_message_that_cannot_be_read_holds_up_no_other(each_place: Place, table: str) -> None:
    """D1: a newer program may have written it, and may send it; this one leaves it for as long as a lease."""
    place = each_place
    strange = await place.begun("strange@example.org")
    column = "id" if table == "challenges" else "owner"
    await place.change(f"UPDATE {table} SET channel = 'pigeon' WHERE {column} = $1", strange.id)  # noqa: S608 - names are ours
    async with working(place) as worker:
        await begun(place, 3)
        worker.wake()
        await eventually(lambda: len(place.inbox.sent) == 3)
        alive = worker.alive
    assert alive
    await place.change(f"UPDATE {table} SET channel = 'email' WHERE {column} = $1", strange.id)  # noqa: S608 - names are ours
    (left,) = await place.deliveries(strange)
    assert (left.state, left.due_at) == (DeliveryState.QUEUED, place.clock() + LEASE)


async def test_a_renewal_that_broke_is_not_the_last(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """D1: else what is slow would be taken for a dead worker's, and sent twice."""
    renewed = asyncio.Event()
    times = 0

    async def breaks_once(*_: object) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise ValueError
        renewed.set()

    monkeypatch.setattr(module, "RENEW_EVERY", 0.01)
    monkeypatch.setattr(module, "renew_leases", breaks_once)
    async with working(place):
        await asyncio.wait_for(renewed.wait(), 5)
    assert times > 1


async def test_a_sweep_that_broke_is_not_the_last(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """O3: whatever went wrong with one."""
    swept = asyncio.Event()
    times = 0

    async def breaks_once(*_: object) -> SweepReport:
        nonlocal times
        times += 1
        if times == 1:
            raise ValueError
        swept.set()
        return SweepReport(0, 0)

    monkeypatch.setattr(module, "SWEEP_EVERY", 0.01)
    monkeypatch.setattr(module, "sweep", breaks_once)
    async with working(place):
        await asyncio.wait_for(swept.wait(), 5)
    assert times > 1


async def test_of_two_workers_one_keeps_house(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """O8: the other delivers, and takes over when the first stops."""
    kept: list[str] = []
    monkeypatch.setattr(module, "SWEEP_EVERY", 0.02)
    keep = Worker._keep_house

    async def noted(worker: Worker, *, checkpoint: bool) -> None:
        kept.append(worker._name)
        await keep(worker, checkpoint=checkpoint)

    monkeypatch.setattr(Worker, "_keep_house", noted)
    async with working(place) as second:
        await eventually(lambda: len(kept) > 2)
        async with working(place) as other:
            before = len(kept)
            await eventually(lambda: len(kept) > before + 5)
            assert set(kept) == {second._name}
            second.stop()
            await eventually(lambda: kept[-1] == other._name)


async def test_a_chore_that_fails_keeps_none_of_the_others_from_running(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: conversions that are not counted would look like SMS pumping, and no checkpoint would be signed."""
    ran: set[str] = set()

    async def broken(*_: object) -> SweepReport:
        raise UnavailableError("it took too long")

    def noted(name: str) -> Callable[..., Any]:
        async def chore(*_: object) -> int:
            ran.add(name)
            return 0

        return chore

    monkeypatch.setattr(module, "SWEEP_EVERY", 0.02)
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 0.02)
    monkeypatch.setattr(module, "sweep", broken)
    monkeypatch.setattr(module, "record_conversions", noted("conversions"))
    monkeypatch.setattr(module, "write_checkpoint", noted("checkpoint"))
    async with working(place):
        await eventually(lambda: ran == {"conversions", "checkpoint"})
