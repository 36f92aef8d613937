"""Ordering: every page stands in one segment, by time, and a month is sealed when it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.flows.months import at, export, faults, new_log, order, owners, tell, write_months
from tests.flows.place import Place, query

from countersign.errors import UnavailableError
from countersign.flows.maintenance import order_events
from countersign.flows.maintenance.order_events import order_events as run_order
from countersign.flows.maintenance.seal_record import read_record
from countersign.store.engine.database import Write
from countersign.store.tables import event_order, event_seals

if TYPE_CHECKING:
    from collections.abc import Sequence


async def segments(place: Place) -> Sequence[event_order.Segment]:
    return await place.database.read(event_order.list_from, 1, 1_000)


async def sealed(place: Place) -> list[str]:
    return [row.month for row in await place.database.read(event_seals.list_all)]


async def test_a_page_stands_in_one_segment_alone(each_place: Place) -> None:
    """O4: and what nobody wrote anew is not ordered again."""
    log = new_log(each_place)
    for number in range(5):
        await tell(each_place, log, f"acc_{number}")
        if number % 2:
            assert await order(each_place) == 2
    assert await order(each_place) == 1
    assert await order(each_place) == 0
    found = [(one.after, one.until) for segment in await segments(each_place) for one in segment.ranges]
    assert found == [(0, 2), (2, 4), (4, 5)]
    assert await faults(each_place) == ""


async def test_several_processes_order_each_page_once(each_place: Place) -> None:
    """O4: at the same time, while others write."""
    logs = [new_log(each_place) for _ in range(4)]

    async def write(log_number: int) -> None:
        for number in range(8):
            await tell(each_place, logs[log_number], f"acc_{log_number}_{number}")

    async def keep_ordering() -> None:
        for _ in range(6):
            await run_order(each_place.database, new_log(each_place), each_place.keyring, each_place.clock())
            await asyncio.sleep(0)

    await asyncio.gather(*(write(number) for number in range(4)), *(keep_ordering() for _ in range(3)))
    await order(each_place)
    told = owners(await export(each_place))
    assert sorted(told) == sorted(f"acc_{log}_{number}" for log in range(4) for number in range(8))
    assert await faults(each_place) == ""


async def test_a_log_that_was_never_ordered_is_cut_by_time_into_months(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation that is updated: what was written for years is ordered from the oldest on, a bounded part at a time."""
    monkeypatch.setattr(order_events, "MOST_PAGES", 4)
    logs = [new_log(each_place) for _ in range(3)]
    for month in ("2026-01", "2026-02", "2026-05"):
        for day in (3, 4, 5):
            for number, log in enumerate(logs):
                await tell(each_place, log, f"acc_{month}-{day}-{number}", at(f"{month}-0{day}"))
    each_place.clock.now = at("2026-06-02")
    assert await order(each_place) == 27 + 3  # the three seals are events, too
    assert await sealed(each_place) == ["2026-01", "2026-02", "2026-05"]
    assert all(sum(one.until - one.after for one in segment.ranges) <= 4 for segment in await segments(each_place))
    told = owners(await export(each_place))
    days = [owner[:-2] for owner in told]
    assert days == sorted(days)
    assert len(set(told)) == len(told) == 27
    assert await faults(each_place) == ""


async def test_a_month_is_sealed_once_it_is_over_and_not_before(each_place: Place) -> None:
    """O4: the seal says with what it ended, and is signed."""
    await write_months(each_place, "2026-01")
    each_place.clock.now = at("2026-02-01") - 1
    await order(each_place)
    assert await sealed(each_place) == []
    each_place.clock.forward(1)
    await order(each_place)
    (row,) = await each_place.database.read(event_seals.list_all)
    record = read_record(each_place.keyring.verified_checkpoint(row.signed)[0])
    assert record is not None
    assert (record.month, record.pages, record.events) == ("2026-01", 6, 6)
    assert sorted(seq for seq, _ in record.heads.values()) == [3, 3]
    assert await faults(each_place) == ""


async def test_a_page_that_is_younger_than_a_month_never_belongs_to_it(each_place: Place) -> None:
    """A month is dropped as a whole, so it must hold nothing that is to be kept longer."""
    log = new_log(each_place)
    each_place.clock.now = at("2026-01-31")
    await tell(each_place, log, "acc_january")
    await order(each_place)
    each_place.clock.now = at("2026-02-02")
    await tell(each_place, log, "acc_february")
    await tell(each_place, log, "acc_late", at("2026-01-30"))
    await order(each_place)
    (row,) = await each_place.database.read(event_seals.list_all)
    record = read_record(each_place.keyring.verified_checkpoint(row.signed)[0])
    assert record is not None
    assert record.pages == 1
    assert owners(await export(each_place)) == ["acc_january", "acc_february", "acc_late"]


async def test_a_page_of_a_clock_that_is_ahead_waits_for_its_month(each_place: Place) -> None:
    """O4: of two machines one is already in February."""
    each_place.clock.now = at("2026-02-01") - 500
    fast, slow = new_log(each_place), new_log(each_place)
    await tell(each_place, fast, "acc_february", at("2026-02-01") + 200)
    await tell(each_place, slow, "acc_january")
    assert await order(each_place) == 1
    assert await order(each_place) == 0
    each_place.clock.forward(1_000)
    await order(each_place)
    assert await sealed(each_place) == ["2026-01"]
    assert [one.month for one in await segments(each_place)][:2] == ["2026-01", "2026-02"]
    assert await faults(each_place) == ""


@pytest.mark.parametrize("strange", [at("2040-01-01"), 1 << 62, -(1 << 62)])
async def test_a_page_with_a_strange_time_opens_no_strange_month(each_place: Place, strange: int) -> None:
    """O4: a month that is open until 2040 would be neither sealed nor dropped."""
    each_place.clock.now = at("2026-01-15")
    await tell(each_place, new_log(each_place), "acc_strange")
    await each_place.change("UPDATE events SET at = $1", strange)
    await order(each_place)
    assert (await segments(each_place))[0].month == ("2026-01" if strange > 0 else "1970-01")
    assert owners(await export(each_place)) == ["acc_strange"]


async def test_months_without_events_have_no_seal(place: Place) -> None:
    await write_months(place, "2026-01", "2026-04")
    place.clock.now = at("2026-09-01")
    await order(place)
    assert await sealed(place) == ["2026-01", "2026-04"]


async def test_a_month_whose_last_page_is_gone_is_not_sealed(place: Place) -> None:
    """O4: we do not sign what somebody cut."""
    await write_months(place, "2026-01")
    await place.change("DELETE FROM events WHERE seq = 3")
    place.clock.now = at("2026-02-01")
    with pytest.raises(UnavailableError, match="is missing"):
        await order(place)
    assert await sealed(place) == []


async def test_a_month_that_another_process_seals_meanwhile_is_sealed_once(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: it has begun the next month too, which must not end under the name of this one."""
    await write_months(each_place, "2026-01")
    each_place.clock.now = at("2026-02-01")
    await tell(each_place, new_log(each_place), "acc_february")
    seal, turns = order_events._seal_month, iter(range(100))

    async def seal_late(*words: Any) -> None:
        if next(turns) == 0:
            await order(each_place)
        await seal(*words)

    monkeypatch.setattr(order_events, "_seal_month", seal_late)
    await order(each_place)
    assert await sealed(each_place) == ["2026-01"]
    assert (await segments(each_place))[-1].month == "2026-02"
    assert await faults(each_place) == ""


async def test_a_chain_that_is_sealed_while_it_is_ordered_stays_sealed(each_place: Place) -> None:
    """O4: a seal says how many pages its month had."""
    log = new_log(each_place)
    await tell(each_place, log, "acc_1")
    await order(each_place)
    await tell(each_place, log, "acc_2")
    (chain,) = await each_place.database.read(event_order.list_unordered)
    last = await each_place.database.read(event_order.find_last)
    assert last is not None

    async def mark_sealed() -> None:
        await Write((event_order.update_sealed([(chain.writer, 1)]),))

    await each_place.database.run(mark_sealed)
    following = msgspec.structs.replace(last, number=2, ranges=(event_order.PageRange(chain.writer, 1, 2),))
    await each_place.database.run(event_order.add, following, [chain])
    rows = await each_place.database.read(query, "SELECT seq, sealed FROM event_positions")
    assert [tuple(row) for row in rows] == [(2, 1)]


async def test_two_that_seal_a_month_make_one_seal(each_place: Place) -> None:
    await write_months(each_place, "2026-01")
    each_place.clock.now = at("2026-02-01")
    await asyncio.gather(
        *(run_order(each_place.database, new_log(each_place), each_place.keyring, each_place.clock()) for _ in range(3))
    )
    assert await sealed(each_place) == ["2026-01"]
    told = await each_place.database.read(query, "SELECT count(*) FROM events WHERE page LIKE '%month.sealed%'")
    assert told[0][0] == 1
