"""The audit of seals and of the order: a log that begins later than at its first page is whole only if a signed drop says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from tests.flows.months import at, drop, faults, new_log, order, tell, write_months
from tests.flows.place import Place, place_at, query

from countersign.flows.maintenance.audit import verify_events, write_checkpoint
from countersign.flows.maintenance.seal_record import read_record, record_digest, sign_record
from countersign.keys import close_keys, retire_key, rotate_file
from countersign.store.engine.database import Write
from countersign.store.tables import event_seals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture
async def cut(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Place, str, str]]:
    """A place whose January and February were dropped, with a checkpoint of each time: before the cut, and after it."""
    async with place_at(database_url, tmp_path) as place:
        known: dict[str, int] = {}
        await write_months(place, "2026-01")
        old = await write_checkpoint(place.core, known)
        await write_months(place, "2026-02", "2026-03")
        place.clock.now = at("2026-04-01")
        await order(place)
        await drop(place)
        await order(place)
        new = await write_checkpoint(place.core, known)
        assert old is not None
        assert new is not None
        assert await faults(place) == ""
        yield place, old, new


async def test_a_cut_page_and_a_changed_page_are_found_after_a_drop(cut: tuple[Place, str, str]) -> None:
    """O4."""
    place, _, _ = cut
    (writer, seq), *_ = await place.database.read(
        query, "SELECT writer, min(seq) FROM events WHERE page LIKE '%acc_2026-03%' GROUP BY writer HAVING min(seq) > 1"
    )
    await place.change(
        "UPDATE events SET page = replace(page, 'name', 'mail') WHERE writer = $1 AND seq = $2", writer, seq
    )
    assert f"{writer}:{seq} the page, or the one before it, is not what was written" in await faults(place)
    await place.change("DELETE FROM events WHERE writer = $1 AND seq = $2", writer, seq)
    assert f"{writer}:{seq} pages {seq} to {seq} are missing" in await faults(place)


async def test_pages_that_were_deleted_without_a_drop_are_found(cut: tuple[Place, str, str]) -> None:
    """O4: of a month that is sealed, too."""
    place, _, _ = cut
    await place.change("DELETE FROM events WHERE at < $1", at("2026-03-31"))
    assert "are missing" in await faults(place)


async def test_a_drop_of_another_month_than_the_oldest_is_found(each_place: Place) -> None:
    """O4: though our own key signed it."""
    await write_months(each_place, "2026-01", "2026-02", "2026-03")
    each_place.clock.now = at("2026-04-01")
    await order(each_place)
    rows = await each_place.database.read(event_seals.list_all)
    second = read_record(each_place.keyring.verified_checkpoint(rows[1].signed)[0])
    assert second is not None
    record = msgspec.structs.replace(
        second, number=len(rows) + 1, kind=event_seals.DROP, before=record_digest(rows[-1].signed), seal=second.number
    )
    row = sign_record(each_place.keyring, record)

    async def add() -> None:
        await Write((event_seals.insert(row),))

    await each_place.database.run(add)
    assert "drops a month that is not the oldest one" in await faults(each_place)


@pytest.mark.parametrize("number", [1, 3, 5])
async def test_a_seal_or_a_drop_that_was_removed_is_found(cut: tuple[Place, str, str], number: int) -> None:
    """O4: the first one, one in the middle, and the last one, which a checkpoint names."""
    place, _, _ = cut
    await place.change("DELETE FROM event_seals WHERE number = $1", number)
    found = await faults(place)
    assert "seals:" in found
    assert ("does not follow" in found) if number < 5 else ("seals up to 5 were there" in found)


@pytest.mark.parametrize(
    "column", ["segment = segment + 1", "month = '2026-09'", "kind = 'drop'", "at = at + 1", "signed = 'x'"]
)
async def test_a_seal_that_was_changed_is_found(cut: tuple[Place, str, str], column: str) -> None:
    """O4: what stands in a row must be what was signed."""
    place, _, _ = cut
    await place.change(f"UPDATE event_seals SET {column} WHERE number = 3")  # noqa: S608 - ours
    assert "seals:3 seal 3 is not what was signed" in await faults(place)


async def test_the_end_that_was_cut_off_is_found_by_a_checkpoint_that_is_newer_than_the_cut(
    cut: tuple[Place, str, str],
) -> None:
    """O4: with everything that the database itself says set back."""
    place, _, new = cut
    assert (await verify_events(place.database, place.keyring, new)).findings == ()
    for table in ("events", "writers", "checkpoints", "event_segments", "event_positions", "event_seals"):
        await place.change(f"DELETE FROM {table}")  # noqa: S608 - names are ours
    found = await faults(place, new)
    assert "were there when a checkpoint was signed, and are not now" in found
    assert "seals up to 5 were there" in found


async def test_a_checkpoint_that_is_older_than_the_cut_says_so(cut: tuple[Place, str, str]) -> None:
    """O4: it is no finding, but it proves nothing of what is left."""
    place, old, new = cut
    report = await verify_events(place.database, place.keyring, old)
    assert report.findings == ()
    (remark,) = report.remarks
    assert "is older than the cut" in remark
    assert "2026-02" in remark
    assert (await verify_events(place.database, place.keyring, new)).remarks == ()


async def test_an_old_checkpoint_of_another_history_is_found_after_a_drop(cut: tuple[Place, str, str]) -> None:
    """O4: its number stands in the chain of checkpoints, though its pages are gone."""
    place, old, _ = cut
    await place.change(
        "UPDATE checkpoints SET signed = (SELECT signed FROM checkpoints WHERE number = 2) WHERE number = 1"
    )
    assert "checkpoint 1, which was kept, is not in the log" in await faults(place, old)


async def test_a_segment_that_was_changed_removed_or_added_is_found(cut: tuple[Place, str, str]) -> None:
    """O4: else an export could be made to leave out pages."""
    place, _, _ = cut
    ((last,),) = await place.database.read(query, "SELECT max(number) FROM event_segments")
    for change in (
        "UPDATE event_segments SET ranges = '[]' WHERE number = $1",
        "UPDATE event_segments SET month = '2026-01' WHERE number = $1",
        "DELETE FROM event_segments WHERE number = $1",
    ):
        await place.change(change, last - 1)
        assert "segments:" in await faults(place), change


async def test_positions_that_were_set_ahead_or_back_are_found(cut: tuple[Place, str, str]) -> None:
    """O4: pages beyond a position that was set ahead would never be exported."""
    place, _, _ = cut
    await place.change("UPDATE event_positions SET seq = seq + 1")
    assert "its pages stand in segments up to" in await faults(place)


async def test_the_last_dropped_segment_must_be_there(cut: tuple[Place, str, str]) -> None:
    place, _, _ = cut
    await place.change("DELETE FROM event_segments WHERE number = (SELECT min(number) FROM event_segments)")
    assert "the last one that was dropped, is not there" in await faults(place)


async def test_seals_of_a_key_that_was_retired_count_while_a_checkpoint_names_them(each_place: Place) -> None:
    """K1, O4: and a checkpoint names none that only a retired key has signed."""
    place = each_place
    await write_months(place, "2026-01")
    place.clock.now = at("2026-02-01")
    await order(place)
    known: dict[str, int] = {}
    old = place.keyring.primary.kid
    assert await write_checkpoint(place.core, known)
    rotate_file(place.key_file, place.clock(), 0)
    place.keyring.read_again()
    place.clock.forward(1)
    retire_key(place.key_file, old, place.clock())
    close_keys(place.key_file, lambda _: [old], place.clock())
    place.keyring.read_again()
    place.clock.now = at("2026-02-20")
    await tell(place, new_log(place), "acc_later")
    assert await write_checkpoint(place.core, known)
    assert await faults(place) == ""
    await drop(place, 1)
    place.clock.now = at("2026-03-20")
    await order(place)
    await drop(place, 1)
    assert await faults(place) == ""
