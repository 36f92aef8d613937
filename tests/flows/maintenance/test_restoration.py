"""A database that was set back to an earlier state, by a raw copy or otherwise: it is noticed at the next start, once, and only then."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from tests.clock import FixedClock
from tests.flows.place import Place, place_at
from tests.peers.databases import EACH_DATABASE
from tests.store.snapshots import Snapshots, snapshots_of

from countersign.database_mark import SIZE, DatabaseMark
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.maintenance.restoration import declare_restored, notice_restoration
from countersign.store.ledger import event_log
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.tables import events, lineage, restoration, sessions
from countersign.store.tables.lineage import Lineage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAMES = iter(f"wri_{number}" for number in range(1_000_000))


class Machine:
    """A machine with a mark of its own that serves a place."""

    def __init__(self, place: Place, path: Path) -> None:
        self.place = place
        self.mark = DatabaseMark(path, place.clock)
        record = self.mark.record
        self.log = Log(
            Chain(lambda: next(NAMES), place.keyring.link, lambda head: record(head.writer, head.seq, head.hash))
        )

    async def starts(self) -> Lineage:
        """Look at the database, as every start does, and finish what that leads to."""
        found = await notice_restoration(self.place.database, self.mark, self.log, self.place.clock())
        await self.place.database.run(lineage.finish)
        return found

    async def writes(self) -> None:
        """Have one more page become durable."""
        event = Event(self.place.clock(), EventKind.KEYS_ROTATED, "", "k1")
        await self.log.run(self.place.database, event_log.append_event, event)


@pytest.fixture(params=EACH_DATABASE)
def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> Snapshots:
    """Give a database of which raw copies can be taken: on SQLite, then on PostgreSQL."""
    return snapshots_of(request, tmp_path)


@contextlib.asynccontextmanager
async def machine_at(url: str, folder: Path, name: str = "one.mark") -> AsyncIterator[Machine]:
    """Give a machine at a database that it keeps open for a while."""
    async with place_at(url, folder, clock=FixedClock()) as place:
        yield Machine(place, folder / name)


async def restorations(machine: Machine) -> list[Event]:
    """Return what the log says of restorations."""
    found = await machine.place.database.read(events.list_between, 0, 1 << 62)
    return [one for one in found if one.kind is EventKind.DATABASE_RESTORED]


async def count_ends(machine: Machine) -> int:
    """Return how often the log says that the database was restored."""
    return len(await restorations(machine))


async def test_an_earlier_copy_is_noticed_once(snapshots: Snapshots, tmp_path: Path) -> None:
    """O11: whoever copied it, and however: this machine has seen a page that it lacks."""
    async with machine_at(snapshots.url, tmp_path) as machine:
        first = await machine.starts()
        await machine.writes()
        assert (await machine.starts()).generation == first.generation
    earlier = snapshots.copy()
    async with machine_at(snapshots.url, tmp_path) as machine:
        await machine.starts()
        await machine.writes()
    async with machine_at(earlier, tmp_path) as machine:
        noticed = await machine.starts()
        assert (noticed.noticed_by, noticed.earlier) == ("mark", (first.generation,))
        assert await count_ends(machine) == 1
        assert (await machine.starts()).generation == noticed.generation
        assert await count_ends(machine) == 1


async def test_a_copy_is_noticed_though_the_clock_was_set_back(snapshots: Snapshots, tmp_path: Path) -> None:
    """O11: what this machine has seen bears an earlier time than all that the copy has."""
    async with machine_at(snapshots.url, tmp_path) as machine:
        await machine.starts()
        await machine.writes()
    earlier = snapshots.copy()
    async with machine_at(snapshots.url, tmp_path) as machine:
        machine.place.clock.forward(-86_400_000)
        await machine.starts()
        await machine.writes()
    async with machine_at(earlier, tmp_path) as machine:
        assert (await machine.starts()).noticed_by == "mark"


async def test_a_page_of_another_history_is_no_page_that_was_seen(snapshots: Snapshots, tmp_path: Path) -> None:
    """O11: the chain is as long, but its page is not the one that this machine has seen."""
    async with machine_at(snapshots.url, tmp_path) as machine:
        await machine.starts()
        await machine.writes()
        await machine.place.change("UPDATE events SET hash = $1", bytes(32))
        assert (await machine.starts()).noticed_by == "mark"


async def test_what_was_made_since_all_has_ended_stays(sqlite_url: str, tmp_path: Path) -> None:
    """O11: an operator makes new integration codes before the first server starts, and each command looks at the database."""
    async with machine_at(sqlite_url, tmp_path) as machine:
        place = machine.place
        await machine.starts()
        await declare_restored(place.database, place.clock())
        await notice_restoration(place.database, machine.mark, machine.log, place.clock())
        await place.change(
            "INSERT INTO sessions (mark, id, account, device, created_at, user_agent, ip, place, proofs, last_seen_at, expires_at, epoch)"
            " VALUES ($1, 'ses_1', 'acc_1', $1, 0, '', '', '', '[]', 0, 9999999999999, 0)",
            b"m",
        )
        found = await notice_restoration(place.database, machine.mark, machine.log, place.clock())
        assert (found.unfinished, found.told) == (True, True)
        slower = restoration.ENDINGS["sessions"]
        assert await place.database.run(restoration.end_slice, slower, None, place.clock(), 0) is None
        assert await place.database.read(sessions.find_by_id, "acc_1", "ses_1", 0) is not None


async def test_a_restoration_before_the_one_before_was_finished_takes_back_as_much(
    sqlite_url: str, tmp_path: Path
) -> None:
    """O11: what could be undone at the earlier backup still has to be taken back."""
    async with machine_at(sqlite_url, tmp_path) as machine:
        place = machine.place
        first = place.clock()
        await declare_restored(place.database, first)
        place.clock.forward(8 * 86_400_000)
        await declare_restored(place.database, place.clock())
        found = await place.database.read(lineage.find)
        assert found is not None
        assert found.backup_at == first
        await place.database.run(lineage.finish)
        await declare_restored(place.database, place.clock())
        found = await place.database.read(lineage.find)
        assert found is not None
        assert found.backup_at == place.clock()


async def test_a_machine_that_starts_later_ends_nothing_again(snapshots: Snapshots, tmp_path: Path) -> None:
    """Several machines keep a mark each: what one of them has noticed, the others find in the database."""
    async with machine_at(snapshots.url, tmp_path) as machine:
        await machine.starts()
        await machine.writes()
    earlier = snapshots.copy()
    for name in ("one.mark", "two.mark"):
        async with machine_at(snapshots.url, tmp_path, name) as machine:
            await machine.starts()
            await machine.writes()
    found = []
    for name in ("one.mark", "two.mark", "new.mark"):
        async with machine_at(earlier, tmp_path, name) as machine:
            found.append((await machine.starts()).generation)
            await machine.writes()
            assert await count_ends(machine) == 1
    assert len(set(found)) == 1


async def test_of_two_that_start_at_once_one_notices(snapshots: Snapshots, tmp_path: Path) -> None:
    import asyncio

    async with machine_at(snapshots.url, tmp_path) as machine:
        await asyncio.gather(*(Machine(machine.place, tmp_path / f"{n}.mark").starts() for n in range(4)))
        await declare_restored(machine.place.database, machine.place.clock())
        ended = await asyncio.gather(*(Machine(machine.place, tmp_path / f"{n}.mark").starts() for n in range(4)))
        assert len({one.generation for one in ended}) == 1
        assert await count_ends(machine) == 1


@pytest.mark.parametrize("what", ["nothing", "half", "another", "unwritable", "cut", "late"])
async def test_what_is_no_restoration_ends_nothing(sqlite_url: str, tmp_path: Path, what: str) -> None:
    """A mark that is lost, damaged or of another database, and a log whose beginning was cut since, but for a page that came late."""
    path = tmp_path / "one.mark"
    async with machine_at(sqlite_url, tmp_path) as machine:
        await machine.starts()
        await machine.writes()
        written = path.read_bytes()
        assert len(written) == SIZE
        assert path.stat().st_mode & 0o777 == 0o600
        if what == "nothing":
            path.unlink()
        elif what == "half":
            path.write_bytes(written[:100] + bytes(100) + written[200:])
        elif what == "another":
            await machine.place.change("DELETE FROM events")
            await machine.place.change("DELETE FROM writers")
            await machine.place.change("DELETE FROM facts WHERE name = 'lineage'")
        elif what == "unwritable":
            path.unlink()
            path.mkdir()
        else:
            machine.place.clock.forward(1 if what == "cut" else -1)
            await machine.place.change("DELETE FROM events")
            await machine.writes()
            path.write_bytes(written)
        again = Machine(machine.place, path)
        assert (await again.starts()).restored_at == 0
        await again.writes()
        assert await count_ends(again) == 0


async def test_a_start_that_was_killed_is_gone_on_with(sqlite_url: str, tmp_path: Path) -> None:
    """Until everything has ended nobody serves; whoever starts next ends the rest."""
    async with machine_at(sqlite_url, tmp_path) as machine:
        await machine.starts()
        await machine.place.change(
            "INSERT INTO sessions (mark, id, account, device, created_at, user_agent, ip, place, proofs, last_seen_at, expires_at, epoch)"
            " VALUES ($1, 'ses_1', 'acc_1', $1, 0, '', '', '', '[]', 0, 9999999999999, 0)",
            b"m",
        )
        await declare_restored(machine.place.database, machine.place.clock())
        found = await machine.place.database.read(lineage.find)
        assert found is not None
        assert found.unfinished
        assert await machine.place.database.read(sessions.find_by_id, "acc_1", "ses_1", 0) is not None
        await machine.starts()
        assert await machine.place.database.read(sessions.find_by_id, "acc_1", "ses_1", 0) is None


async def test_a_table_of_many_rows_ends_in_slices(
    snapshots: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O11: each row of it, whatever the key, and no statement grows with the table."""
    monkeypatch.setattr(restoration, "SLICE", 3)
    async with machine_at(snapshots.url, tmp_path) as machine:
        await machine.starts()
        for number in range(10):
            key = b"%032d" % number
            await machine.place.change("INSERT INTO visits (mark, data, expires_at) VALUES ($1, $1, 0)", key)
            await machine.place.change(
                "INSERT INTO devices (account, mark, id, created_at, user_agent, last_seen_at, ip, place, trusted_at)"
                " VALUES ($1, $2, $3, 0, '', 0, '', '', $4)",
                f"acc_{number // 4}",
                key,
                f"dev_{number}",
                number if number % 2 else None,
            )
        await declare_restored(machine.place.database, machine.place.clock())
        await machine.starts()
        assert await machine.place.count("visits") == 0
        assert await machine.place.count("devices WHERE trusted_at IS NULL") == 10
        (told,) = await restorations(machine)
        assert (told.facts["login_flows"], told.facts["trusted_browsers"]) == (10, 5)


def test_nothing_is_marked_before_the_earlier_mark_was_judged(tmp_path: Path) -> None:
    """O11: it would hide that the database was set back."""
    mark = DatabaseMark(tmp_path / "one.mark", lambda: 1)
    mark.record("wri_1", 1, b"x")
    assert mark.read() is None
    mark.bind("a", "b")
    mark.record("wri_1", 1, b"x")
    assert mark.read() is not None


async def test_a_mark_costs_little(tmp_path: Path) -> None:
    """It is written with every batch of the ledger, in the loop that serves."""
    import time

    mark = DatabaseMark(tmp_path / "one.mark", FixedClock())
    mark.bind("d", "g")
    began = time.process_time()
    for number in range(1_000):
        mark.record("wri_1", number, bytes(32))
    assert time.process_time() - began < 0.5
    read = mark.read()
    assert read is not None
    assert read.seq == 999
    assert mark.path.stat().st_size == SIZE
