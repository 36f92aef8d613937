"""Somebody with the database's password makes months of the log disappear, and says that the retention did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.clock import FixedClock
from tests.flows.months import at, drop, faults, order, write_months
from tests.flows.place import Place

from countersign.domain.shared.month import LogRetention
from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import write_checkpoint
from countersign.flows.maintenance.drop_months import drop_months
from countersign.flows.maintenance.order_events import order_events
from countersign.flows.maintenance.seal_record import read_record, sign_record
from countersign.keys import Keyring, new_file
from countersign.store.engine.database import Write
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.tables import event_seals

if TYPE_CHECKING:
    from pathlib import Path

    from countersign.store.tables.event_seals import SealRow


def keys_of_the_thief(folder: Path) -> Keyring:
    new_file(folder / "thief.json", 0)
    return Keyring(folder / "thief.json", FixedClock(at("2026-05-01")))


async def insert(row: SealRow) -> None:
    await Write((event_seals.insert(row),))


async def test_a_month_that_a_thief_drops_with_records_of_their_own_is_found(each_place: Place, tmp_path: Path) -> None:
    """O4: with our own code, and keys that are not ours."""
    place = each_place
    await write_months(place, "2026-01", "2026-02")
    place.clock.now = at("2026-05-01")
    for table in ("event_segments", "event_positions", "event_seals"):
        await place.change(f"DELETE FROM {table}")  # noqa: S608 - names are ours
    thief = keys_of_the_thief(tmp_path)
    log = Log(Chain(lambda: "wri_thief", thief.link))
    await order_events(place.database, log, thief, place.clock())
    assert await drop_months(place.database, log, thief, LogRetention(1, unexported=True), place.clock()) > 0
    found = await faults(place)
    assert "seals:1 seal 1 is not what was signed" in found
    assert "are missing" in found


async def test_a_sealed_month_that_a_thief_drops_is_found(each_place: Place, tmp_path: Path) -> None:
    """O4: the seal is ours, and the drop is not; nor is a copy of the seal one."""
    place = each_place
    await write_months(place, "2026-01", "2026-02")
    place.clock.now = at("2026-03-01")
    await order(place)
    seal = await place.database.read(event_seals.find_last, "seal")
    assert seal is not None
    record = read_record(place.keyring.verified_checkpoint(seal.signed)[0])
    assert record is not None
    await place.change("DELETE FROM events WHERE at < $1", at("2026-02-01"))
    forged = sign_record(keys_of_the_thief(tmp_path), msgspec.structs.replace(record, number=3, kind="drop", seal=1))
    copied = msgspec.structs.replace(seal, number=3, kind="drop")
    for row in (forged, copied):
        await place.database.run(insert, row)
        found = await faults(place)
        assert "seals:3 seal 3 is not what was signed" in found
        assert "are missing" in found
        await place.change("DELETE FROM event_seals WHERE number = 3")


async def test_a_seal_of_a_thief_makes_us_drop_nothing(each_place: Place, tmp_path: Path) -> None:
    """O4: else our own housekeeper would sign that young pages were dropped."""
    place = each_place
    await write_months(place, "2026-03", "2026-04")
    place.clock.now = at("2026-05-01")
    await order(place)
    seals = await place.database.read(event_seals.list_all)
    records = [read_record(place.keyring.verified_checkpoint(one.signed)[0]) for one in seals]
    assert records[0] is not None
    assert records[1] is not None
    older = msgspec.structs.replace(records[1], number=1, month="2020-01", before="")
    await place.change("DELETE FROM event_seals")
    for row in (
        sign_record(keys_of_the_thief(tmp_path), older),
        msgspec.structs.replace(seals[1], number=1, month="2020-01"),
    ):
        await place.database.run(insert, row)
        with pytest.raises(UnavailableError, match="are not what was written, so no month is dropped"):
            await drop(place, 1)
        await place.change("DELETE FROM event_seals")
    assert await place.count("events") == 12 + 2


async def test_our_checkpoint_vouches_for_no_seal_of_a_thief(each_place: Place, tmp_path: Path) -> None:
    """O4, K1: what a checkpoint names counts, even if its key was retired since."""
    place = each_place
    await write_months(place, "2026-01")
    place.clock.now = at("2026-02-01")
    await order(place)
    assert await write_checkpoint(place.core, {})
    seal = await place.database.read(event_seals.find_last, "seal")
    assert seal is not None
    record = read_record(place.keyring.verified_checkpoint(seal.signed)[0])
    assert record is not None
    forged = sign_record(keys_of_the_thief(tmp_path), msgspec.structs.replace(record, number=2, kind="drop", seal=1))
    await place.database.run(insert, forged)
    assert await write_checkpoint(place.core, {})
    assert "seals:2 seal 2 is not what was signed" in await faults(place)
    await place.change("DELETE FROM event_seals WHERE number = 2")
    assert await faults(place) == "", "no checkpoint names the forged one"
