"""Retention: whole months go, from the oldest on, only once they are sealed and, by default, kept elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.flows.months import at, confirm, drop, export, faults, new_log, order, owners, tell, write_months
from tests.flows.place import Place, query

from countersign.domain.shared.month import LogRetention
from countersign.errors import UnavailableError
from countersign.flows.maintenance import drop_months as drops
from countersign.flows.maintenance import order_events
from countersign.flows.maintenance.audit import verify_events, write_checkpoint
from countersign.flows.maintenance.drop_months import find_confirmed, list_months, months_due
from countersign.flows.maintenance.export_events import read_cursor
from countersign.store.engine.database import Write
from countersign.store.tables import activity, event_order, event_seals, events

if TYPE_CHECKING:
    from countersign.flows.maintenance.seal_record import SealRecord
    from countersign.store.tables.event_order import Segment

THREE = ("2026-01", "2026-02", "2026-03")


async def owners_left(place: Place) -> list[str]:
    rows = await place.database.read(query, "SELECT page FROM events")
    return sorted({page.split('"acc_')[1][:7] for (page,) in rows if '"acc_' in page})


async def test_everything_is_kept_unless_a_retention_is_set(each_place: Place) -> None:
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2046-01-01")
    await order(each_place)
    assert await drop(each_place, 0) == 0
    assert await owners_left(each_place) == [*THREE]


async def test_months_older_than_the_retention_are_dropped_and_the_rest_verifies(each_place: Place) -> None:
    """O4: a log that begins at a month's end is whole, and says so."""
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-04-01")
    await order(each_place)
    assert await write_checkpoint(each_place.core, {})
    assert await drop(each_place, 1) == 6 + 6 + 1  # the seal of January stands in February
    assert await owners_left(each_place) == ["2026-03"]
    report = await verify_events(each_place.database, each_place.keyring)
    assert report.findings == ()
    assert (report.sealed_until, report.dropped_until) == ("2026-03", "2026-02")
    assert await write_checkpoint(each_place.core, {})
    assert await faults(each_place) == ""
    assert await drop(each_place, 1) == 0


async def test_the_log_goes_on_after_a_drop(each_place: Place) -> None:
    """O4: chains too that had nothing but dropped pages."""
    log = new_log(each_place)
    each_place.clock.now = at("2026-01-05")
    await tell(each_place, log, "acc_before")
    await order(each_place)
    each_place.clock.now = at("2026-07-01")
    await order(each_place)
    await drop(each_place)
    await tell(each_place, log, "acc_after")
    await order(each_place)
    assert await faults(each_place) == ""
    assert owners(await export(each_place)) == ["acc_after"]


async def test_a_month_that_no_export_was_confirmed_of_is_kept(each_place: Place) -> None:
    """O4: by default nothing is dropped that is not kept elsewhere."""
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    assert await drop(each_place, unexported=False) == 0
    exported = await export(each_place)
    middle = next(one for one in exported if one.event.owner.startswith("acc_2026-02"))
    assert await confirm(each_place, middle.cursor)
    assert await drop(each_place, unexported=False) == 6
    assert await owners_left(each_place) == ["2026-02", "2026-03"]
    assert await confirm(each_place, exported[-1].cursor)
    assert not await confirm(each_place, middle.cursor), "a confirmation is not taken back by an older one"
    assert await drop(each_place, unexported=False) == 7 + 7
    assert await faults(each_place) == ""


async def test_the_last_event_of_a_month_must_have_been_exported_too(place: Place) -> None:
    await write_months(place, "2026-01")
    place.clock.now = at("2026-05-01")
    await order(place)
    january = [one for one in await export(place) if one.event.at < at("2026-02-01")]
    await confirm(place, january[-2].cursor)
    assert await drop(place, unexported=False) == 0
    await confirm(place, january[-1].cursor)
    assert await drop(place, unexported=False) == 6


async def test_a_confirmation_that_was_written_by_hand_counts_for_nothing(each_place: Place) -> None:
    """O4: who can write to the database cannot have us drop what nobody exported."""
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    assert await confirm(each_place, (await export(each_place))[-1].cursor)
    forged = b'{"segment":999,"at":0,"by":"ada","mac":"' + b"A" * 43 + b'="}'
    for value in (forged, b"not JSON"):
        await each_place.change("UPDATE facts SET value = $1 WHERE name = 'events_exported'", value)
        assert await find_confirmed(each_place.database, each_place.keyring) == 0
        assert await drop(each_place, unexported=False) == 0


async def test_a_month_that_another_process_drops_meanwhile_is_dropped_once(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: a second drop of it would break the chain of records for good."""
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    judge, turns = drops._verified_seal, iter(range(100))

    async def judge_slowly(*words: Any) -> SealRecord:
        record = await judge(*words)
        if next(turns) == 0:
            await drop(each_place, 3)
        return record

    monkeypatch.setattr(drops, "_verified_seal", judge_slowly)
    await drop(each_place, 3)
    rows = await each_place.database.read(event_seals.list_all)
    assert [row.month for row in rows if row.kind == event_seals.DROP] == ["2026-01"]
    assert await faults(each_place) == ""
    assert await drop(each_place, 1) > 0


@pytest.mark.parametrize("signed", ["", "of a seal"])
async def test_a_drop_that_was_written_by_hand_deletes_nothing(each_place: Place, signed: str) -> None:
    """O4: who can write to the database cannot have us delete, as if we had dropped a month."""
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    last = (await each_place.database.read(event_seals.list_all))[-1]
    forged = msgspec.structs.replace(last, number=last.number + 1, kind=event_seals.DROP)
    if not signed:
        forged = msgspec.structs.replace(forged, signed="e30.e30.AAAA")

    async def forge() -> None:
        await Write((event_seals.insert(forged),))

    await each_place.database.run(forge)
    with pytest.raises(UnavailableError, match="not what was written"):
        await drop(each_place, 0)
    assert await owners_left(each_place) == [*THREE]


async def test_nothing_is_dropped_while_seals_are_not_what_was_written(each_place: Place) -> None:
    """O4: not even a month whose own seal is; the rest may have been written to have it dropped."""
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    await each_place.change("UPDATE event_seals SET month = '2025-02' WHERE month = '2026-02'")
    with pytest.raises(UnavailableError, match="not what was written"):
        await drop(each_place)
    assert await owners_left(each_place) == [*THREE]


async def test_of_two_confirmations_at_once_the_further_one_stays(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_months(each_place, *THREE)
    exported = await export(each_place)
    find, turns = drops.find_confirmed, iter(range(100))

    async def find_early(*words: Any) -> int:
        known = await find(*words)
        if next(turns) == 0:
            assert await confirm(each_place, exported[-1].cursor)
        return known

    monkeypatch.setattr(drops, "find_confirmed", find_early)
    assert not await confirm(each_place, exported[5].cursor)
    assert await find(each_place.database, each_place.keyring) == read_cursor(exported[-1].cursor).segment - 1
    told = await each_place.database.read(query, "SELECT count(*) FROM events WHERE page LIKE '%export.confirmed%'")
    assert told[0][0] == 1


async def test_a_drop_that_was_cut_short_is_finished_by_the_next_turn(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: in between, a verification finds nothing, and an export begins where the log does."""
    monkeypatch.setattr(order_events, "MOST_PAGES", 2)
    logs = [new_log(each_place) for _ in range(2)]
    for month in THREE:
        for number in range(6):
            await tell(each_place, logs[number % 2], f"acc_{month}_{number}", at(f"{month}-0{number + 1}"))
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    delete, calls = event_order.delete_segment, iter(range(100))

    async def ended_at_the_third(segment: Segment, *, keep_row: bool) -> int:
        if next(calls) == 2:
            raise UnavailableError("gone")
        return await delete(segment, keep_row=keep_row)

    monkeypatch.setattr(event_order, "delete_segment", ended_at_the_third)
    with pytest.raises(UnavailableError):
        await drop(each_place, 3)
    rows = await each_place.database.read(query, "SELECT count(*) FROM events WHERE at < $1", at("2026-02-01"))
    assert rows[0][0] == 2
    assert await faults(each_place) == ""
    assert {owner[4:11] for owner in owners(await export(each_place))} == {"2026-02", "2026-03"}
    assert await drop(each_place, 3) == 2
    assert await faults(each_place) == ""


async def test_what_is_dropped_and_confirmed_is_in_the_log_with_who_did_it(each_place: Place) -> None:
    """O10: months, numbers and names."""
    await write_months(each_place, "2026-01")
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    await confirm(each_place, (await export(each_place))[-1].cursor)
    await drop(each_place)
    told = {one.event.kind: one.event for one in await export(each_place)}
    assert told["month.sealed"].owner == told["month.dropped"].owner == "2026-01"
    assert told["month.dropped"].facts == {"pages": 6, "events": 6, "by": "retention"}
    assert told["export.confirmed"].facts["by"] == "ada"


async def test_months_are_listed_with_what_became_of_them(each_place: Place) -> None:
    await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-05-01")
    await order(each_place)
    await drop(each_place, 3)
    listed = await list_months(each_place.database, each_place.keyring)
    assert [(one.month, one.events, one.exported, one.dropped_at is None) for one in listed] == [
        ("2026-01", 6, False, False),
        ("2026-02", 6 + 1, False, True),
        ("2026-03", 6 + 1, False, True),
    ]
    due = months_due(listed, LogRetention(1), each_place.clock())
    assert [one.month for one in due] == ["2026-02", "2026-03"]


async def test_what_people_read_of_themselves_does_not_break_when_old_pages_are_gone(each_place: Place) -> None:
    """O9: their export has what is left; the activity page has a table of its own."""
    told = await write_months(each_place, *THREE)
    each_place.clock.now = at("2026-04-01")
    await order(each_place)
    await drop(each_place)
    assert await each_place.database.read(events.list_of_owner, told[0], 0) == []
    assert len(await each_place.database.read(events.list_of_owner, told[-1], 0)) == 1
    assert await each_place.database.read(activity.list_all, told[0]) == []
    assert len(await each_place.database.read(events.list_between, 0, at("2026-03-31"))) == 6 + 1


async def test_a_reader_of_the_log_passes_over_kinds_of_a_newer_release(each_place: Place) -> None:
    """O7: as two releases serve one database."""
    await tell(each_place, new_log(each_place), "acc_1")
    await each_place.change("UPDATE events SET page = replace(page, 'account.updated', 'moon.landed')")
    assert await each_place.database.read(events.list_between, 0, 1 << 62) == []
