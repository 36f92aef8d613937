"""Export: every event once and in order, from any cursor on, whoever else writes, and whatever was dropped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.flows.months import (
    at,
    drop,
    export,
    new_log,
    opened,
    order,
    owners,
    read_on,
    tell,
    write_months,
)
from tests.flows.place import Place, query

from countersign.domain.shared.event import Event, EventKind
from countersign.errors import SettingsError, UnavailableError
from countersign.flows.maintenance import export_events, order_events
from countersign.flows.maintenance.export_events import Cursor, check_cursor, read_cursor
from countersign.store.engine.database import Append

if TYPE_CHECKING:
    from pathlib import Path

    from countersign.store.engine.database import Database


async def tell_many(owner: str, count: int) -> None:
    await Append([Event(1, EventKind.ACCOUNT_UPDATED, "app_own", f"{owner}_{n}", {}) for n in range(count)])


async def test_every_event_is_exported_once_from_any_cursor_on(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: also from within a page, a segment, and from their ends."""
    monkeypatch.setattr(order_events, "MOST_PAGES", 3)
    monkeypatch.setattr(export_events, "PAGES_AT_ONCE", 2)
    log = new_log(each_place)
    for number in range(7):
        await log.run(each_place.database, tell_many, f"acc_{number}", number % 3 + 1)
        await tell(each_place, new_log(each_place), f"acc_{number}_other", number)
    whole = await export(each_place)
    told = owners(whole)
    assert len(told) == len(set(told)) == 7 + 13
    assert len({one.id for one in whole}) == len({one.cursor for one in whole}) == len(whole)
    for place, one in enumerate(whole):
        assert owners(await export(each_place, one.cursor)) == told[place + 1 :]


async def test_a_chain_keeps_its_order_though_times_go_back(place: Place) -> None:
    log = new_log(place)
    for number, when in enumerate((500, 100, 900, 300)):
        await tell(place, log, f"acc_{number}", when)
    assert owners(await export(place)) == ["acc_0", "acc_1", "acc_2", "acc_3"]


async def test_nothing_is_lost_or_told_twice_while_several_writers_append(each_place: Place) -> None:
    """O4: pages of different writers are committed in any order, and may bear times of before."""
    place, seen = each_place, list[str]()
    stop = asyncio.Event()

    async def write(number: int) -> None:
        log = new_log(place)
        for turn in range(12):
            # Times that go back: an expiry, or a transaction that took long.
            await tell(place, log, f"acc_{number}_{turn}", place.clock() - number * turn)
            await asyncio.sleep(0)

    async def follow() -> None:
        cursor = ""
        while True:
            last = stop.is_set()
            # Each time from the last cursor, as a new process would.
            for one in await export(place, cursor):
                seen.append(one.event.owner)
                cursor = one.cursor
            if last:
                return

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(6)))
    stop.set()
    await following
    assert sorted(seen) == sorted(f"acc_{number}_{turn}" for number in range(6) for turn in range(12))


async def test_an_export_goes_on_where_it_was_when_the_database_comes_back(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: after an outage at any of its statements."""
    await write_months(each_place, "2026-01", "2026-02")
    monkeypatch.setattr(export_events, "PAGES_AT_ONCE", 1)
    whole = await export(each_place)
    following = await opened(each_place)
    database = following._database
    got: list[str] = []
    failing = Failing(database)
    following._database = failing  # type: ignore[assignment]
    for _ in range(200):
        failing.left = 4
        try:
            async for page in following.read_on():
                got += [one.id for one in page]
        except UnavailableError:
            continue
        break
    assert got == [one.id for one in whole]


class Failing:
    """A database whose reads fail after some."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.left = 0

    async def read(self, *args: object) -> object:
        if self.left == 0:
            raise UnavailableError("away")
        self.left -= 1
        return await self._database.read(*args)  # type: ignore[arg-type]

    async def run(self, *_: object) -> object:
        raise UnavailableError("read only")


async def test_a_database_that_takes_no_writes_is_exported_as_far_as_it_is_ordered(each_place: Place) -> None:
    """O4: a standby, or a user who may only read."""
    log = new_log(each_place)
    await tell(each_place, log, "acc_1")
    await order(each_place)
    await tell(each_place, log, "acc_2")
    following = await opened(each_place)
    failing = Failing(following._database)
    failing.left = 100
    writable, following._database = following._database, failing  # type: ignore[assignment]
    assert owners(await read_on(following)) == ["acc_1"]
    assert following.unordered
    await order(each_place)
    assert owners(await read_on(following)) == ["acc_2"]
    del writable


async def test_a_cursor_into_months_that_were_dropped_is_refused_with_where_to_go_on(each_place: Place) -> None:
    """O4: a gap is told, never passed over."""
    await write_months(each_place, "2026-01", "2026-02", "2026-03")
    each_place.clock.now = at("2026-04-01")
    await order(each_place)
    whole = await export(each_place)
    await drop(each_place, 1)
    left = await export(each_place)
    gone = len(whole) - (len(left) - 2)  # the drops of two months are events, too
    begins = ""
    for one in whole[: gone - 1]:
        with pytest.raises(SettingsError, match="were dropped, up to the end of 2026-02") as told:
            await export(each_place, one.cursor)
        begins = str(told.value).rpartition(" ")[2]
    for cursor in (begins, whole[gone - 1].cursor):
        assert await export(each_place, cursor) == left, "nothing is missing after the last one"
    assert await export(each_place, whole[gone].cursor) == left[1:]


async def test_what_is_dropped_while_it_is_read_is_told_so(each_place: Place) -> None:
    await write_months(each_place, "2026-01", "2026-02", "2026-03")
    each_place.clock.now = at("2026-04-01")
    await order(each_place)
    following = await opened(each_place)
    pages = following.read_on()
    await anext(pages)
    await drop(each_place, 1)
    with pytest.raises(SettingsError, match="were dropped"):
        async for _ in pages:
            pass


async def test_a_page_that_is_missing_or_damaged_is_counted_and_the_rest_is_exported(each_place: Place) -> None:
    """O4: what somebody removed from the log stops no monitoring, and does not go unnoticed."""
    log = new_log(each_place)
    for number in range(6):
        await tell(each_place, log, f"acc_{number}")
    await order(each_place)
    await each_place.change("DELETE FROM events WHERE seq = 2")
    await each_place.change("UPDATE events SET page = '[]' WHERE seq = 4")
    following = await opened(each_place)
    assert owners(await read_on(following)) == ["acc_0", "acc_2", "acc_4", "acc_5"]
    assert following.missing == 2


@pytest.mark.parametrize("time", [1 << 62, -(1 << 62)])
async def test_a_time_that_is_none_does_not_end_an_export(each_place: Place, time: int) -> None:
    """O4: who can write to the database cannot keep the rest from the archive."""
    log = new_log(each_place)
    for owner in ("acc_1", "acc_2"):
        await tell(each_place, log, owner)
    await order(each_place)
    ((page,),) = await each_place.database.read(query, "SELECT page FROM events WHERE page LIKE '%acc_1%'")
    changed = page.replace(str(each_place.clock.now), str(time))
    assert changed != page
    await each_place.change("UPDATE events SET page = $1 WHERE page LIKE '%acc_1%'", changed)
    made = await opened(each_place)
    assert owners(await read_on(made)) == ["acc_2"]
    assert made.missing == 1


async def test_an_order_that_was_changed_is_not_followed(each_place: Place) -> None:
    """O4: who can write to the database cannot have the export leave out pages by taking them from a segment."""
    await write_months(each_place, "2026-01")
    await each_place.change("UPDATE event_segments SET ranges = '[]' WHERE number = 2")
    with pytest.raises(SettingsError, match="Segment 2 of the event log is not what was written"):
        await export(each_place)


async def test_a_cursor_of_another_log_is_refused(each_place: Place, tmp_path: Path) -> None:
    del tmp_path
    await write_months(each_place, "2026-01")
    exported = await export(each_place)
    cursor = read_cursor(exported[-1].cursor)
    for wrong, why in (
        (Cursor(cursor.segment, 0, b"12345678"), "of another log"),
        (Cursor(cursor.segment + 5, 0, cursor.tag), "later state of the log"),
        (Cursor(1, 1, b"12345678"), "of another log"),
    ):
        with pytest.raises(SettingsError, match=why):
            await check_cursor(each_place.database, wrong)
    for text in ("x", "", "AAAA", "ä", "A" * 28, exported[0].cursor[:-4]):
        with pytest.raises(SettingsError, match="no cursor"):
            read_cursor(text)


async def test_a_kind_of_a_newer_release_is_exported_as_it_is(each_place: Place) -> None:
    """O7."""
    await tell(each_place, new_log(each_place), "acc_1")
    await each_place.change("UPDATE events SET page = replace(page, 'account.updated', 'moon.landed')")
    assert [one.event.kind for one in await export(each_place)] == ["moon.landed"]


async def test_few_pages_are_in_memory_at_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_events, "PAGES_AT_ONCE", 4)
    log = new_log(place)
    for number in range(30):
        await tell(place, log, f"acc_{number}")
    await order(place)
    taken: list[int] = []
    take = export_events._take_pages

    async def counted(pages: list[tuple[int, str, int, int]]) -> object:
        taken.append(len(pages))
        return await take(pages)

    monkeypatch.setattr(export_events, "_take_pages", counted)
    assert len(await export(place)) == 30
    assert max(taken) == 4
    assert len(await place.database.read(query, "SELECT 1 FROM event_segments")) == 1
