"""Audit: the log shows every way in which somebody who can write to the database might have touched it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.clock import MINUTE
from tests.flows.place import Place, place_at, query

from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.domain.verifications.challenge import Action
from countersign.flows.maintenance.applications import add_application
from countersign.flows.maintenance.audit import verify_events, write_checkpoint
from countersign.flows.maintenance.audit_report import AuditReport
from countersign.keys import DerivedKey, rotate_file
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.tables.events import list_heads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def verified(place: Place, kept: str | None = None) -> AuditReport:
    return await verify_events(place.database, place.keyring, kept)


async def found(place: Place, kept: str | None = None) -> str:
    report = await verified(place, kept)
    return "; ".join(f"{finding.writer}:{finding.seq} {finding.what}" for finding in report.findings)


async def busy(place: Place, acts: int) -> None:
    """Begin and answer, one after the other, so that each act is a page of its own."""
    for number in range(acts):
        challenge = await place.begun(action=Action(hash=f"{place.clock()}-{number}"))
        await place.answer(challenge, place.wrong(challenge))
        place.clock.forward(1)


@pytest_asyncio.fixture
async def written(database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """A place whose log has pages of several writers, two checkpoints, and pages after them."""
    async with place_at(database_url, tmp_path) as place:
        known: dict[str, int] = {}
        for _ in range(2):
            await busy(place, 3)
            assert await write_checkpoint(place.core, known)
        await busy(place, 3)
        yield place


async def longest(place: Place) -> tuple[str, int]:
    """Return the writer with the most pages, and how many they are."""
    ends = await place.database.read(list_heads)
    head = max((head for head, _ in ends), key=lambda head: head.seq)
    return head.writer, head.seq


async def test_an_untouched_log_has_no_findings(written: Place) -> None:
    report = await verified(written)
    assert report.findings == ()
    assert (report.entries, report.checkpoints) == (18, 2)
    assert (await verified(written, report.last_checkpoint)).findings == ()


async def test_an_untouched_log_has_no_findings_while_writers_go_on(each_place: Place) -> None:
    """O4: a verification sees one moment."""
    place = each_place
    known: dict[str, int] = {}
    stop = asyncio.Event()

    async def write(name: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            challenge = await place.begun(f"{name}{number}@example.org")
            await place.answer(challenge, place.wrong(challenge))

    writers = [asyncio.create_task(write(f"w{number}")) for number in range(8)]
    try:
        entries = []
        for _ in range(8):
            await write_checkpoint(place.core, known)
            report = await verified(place)
            assert report.findings == ()
            entries.append(report.entries)
            await asyncio.sleep(0.02)
    finally:
        stop.set()
        await asyncio.gather(*writers)
    assert entries[-1] > entries[0], "nobody wrote: the test shows nothing"
    assert (await verified(place)).findings == ()


@pytest.mark.parametrize(
    "column",
    ["page = '[]'", "page = replace(page, 'refused', 'approved')", "at = at + 1", "count = count + 1", "hash = $3"],
)
async def test_a_changed_page_is_found(written: Place, column: str) -> None:
    """O4: any column of it."""
    writer, seq = await longest(written)
    middle = seq // 2 + 1
    pages = [
        row[0]
        for row in await written.database.read(
            query, "SELECT page FROM events WHERE writer = $1 AND seq = $2", writer, middle
        )
    ]
    args: tuple[object, ...] = (writer, middle, bytes(32)) if "$3" in column else (writer, middle)
    if "replace" in column and "refused" not in pages[0]:
        column = "page = replace(page, 'begun', 'approved')"
    await written.change(f"UPDATE events SET {column} WHERE writer = $1 AND seq = $2", *args)  # noqa: S608 - ours
    assert f"{writer}:{middle} the page" in await found(written)


async def test_a_removed_page_is_found(written: Place) -> None:
    """O4: in the middle, and at the beginning."""
    writer, _ = await longest(written)
    await written.change("DELETE FROM events WHERE writer = $1 AND seq = 2", writer)
    assert f"{writer}:2 pages 2 to 2 are missing" in await found(written)
    await written.change("DELETE FROM events WHERE writer = $1 AND seq = 1", writer)
    assert f"{writer}:1 pages 1 to 2 are missing" in await found(written)


async def test_an_inserted_page_is_found(written: Place) -> None:
    """O4: at the end of a chain, and as a chain of its own."""
    writer, seq = await longest(written)
    insert = "INSERT INTO events (writer, seq, at, count, page, hash) VALUES ($1, $2, 0, 0, '[]', $3)"
    await written.change(insert, writer, seq + 1, bytes(32))
    assert f"{writer}:{seq + 1} the page" in await found(written)
    await written.change("DELETE FROM events WHERE writer = $1 AND seq = $2", writer, seq + 1)
    assert await found(written) == ""
    await written.change(insert, "w0", 1, bytes(32))
    assert "w0:1 the head of the chain is missing" in await found(written)


async def test_two_pages_that_changed_places_are_found(written: Place) -> None:
    """O4: the order is part of what was written."""
    writer, _ = await longest(written)
    for old, new in ((1, -1), (2, 1), (-1, 2)):
        await written.change("UPDATE events SET seq = $3 WHERE writer = $1 AND seq = $2", writer, old, new)
    assert f"{writer}:1 the page" in await found(written)


async def test_a_chain_that_was_cut_at_its_end_is_found(written: Place) -> None:
    """O4: its head knows how long it was."""
    writer, seq = await longest(written)
    await written.change("DELETE FROM events WHERE writer = $1 AND seq = $2", writer, seq)
    assert f"the chain ends at page {seq - 1}, and was written up to page {seq}" in await found(written)


async def test_a_head_that_was_set_back_by_hand_is_found(written: Place) -> None:
    """O4: who can write to the database alone cannot seal a head."""
    writer, seq = await longest(written)
    await written.change("DELETE FROM events WHERE writer = $1 AND seq = $2", writer, seq)
    await written.change(
        "UPDATE writers SET seq = $2, hash = (SELECT hash FROM events WHERE writer = $1 AND seq = $2) WHERE writer = $1",
        writer,
        seq - 1,
    )
    assert "the head of the chain is not what was written" in await found(written)


async def test_a_chain_that_was_set_back_with_an_old_head_is_found_by_the_checkpoint_after_it(written: Place) -> None:
    """O4: a head that was true once, put back with its seal."""
    writer, seq = await longest(written)
    ((old_seq, old_hash, old_mac),) = await written.database.read(
        query, "SELECT seq, hash, mac FROM writers WHERE writer = $1", writer
    )
    before = {head.writer: head.seq for head, _ in await written.database.read(list_heads)}
    while (await longest(written))[1] == seq:
        await busy(written, 1)
    assert await write_checkpoint(written.core, before)
    await written.change("DELETE FROM events WHERE writer = $1 AND seq > $2", writer, seq)
    await written.change(
        "UPDATE writers SET seq = $2, hash = $3, mac = $4 WHERE writer = $1",
        writer,
        old_seq,
        bytes(old_hash),
        bytes(old_mac),
    )
    assert "were there when a checkpoint was signed, and are not now" in await found(written)


async def test_a_writer_that_was_removed_as_a_whole_is_found_by_the_checkpoint_after_it(written: Place) -> None:
    writer, _ = await longest(written)
    for table in ("events", "writers"):
        await written.change(f"DELETE FROM {table} WHERE writer = $1", writer)  # noqa: S608 - names are ours
    assert f"{writer}:1 pages up to" in await found(written)


async def test_a_missing_head_is_found(written: Place) -> None:
    writer, _ = await longest(written)
    await written.change("DELETE FROM writers WHERE writer = $1", writer)
    assert "the head of the chain is missing" in await found(written)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM checkpoints WHERE number = 1", "checkpoints 1 to 1 are missing"),
        ("UPDATE checkpoints SET signed = 'x' WHERE number = 2", "checkpoint 2 is not what was signed"),
        (
            "UPDATE checkpoints SET signed = (SELECT signed FROM checkpoints WHERE number = 1)",
            "checkpoint 2 is not what was signed",
        ),
    ],
)
async def test_a_checkpoint_that_was_touched_is_found(written: Place, change: str, told: str) -> None:
    """O4: each names the one before."""
    await written.change(change)
    assert told in await found(written)


@pytest.mark.parametrize("number", [1, 2])
async def test_removed_checkpoints_are_found_by_one_that_was_kept_outside(written: Place, number: int) -> None:
    """O4: the last word is the one that the attacker cannot reach."""
    kept = (await verified(written)).last_checkpoint
    writer, _ = await longest(written)
    await written.change("DELETE FROM checkpoints WHERE number >= $1", number)
    for table in ("events", "writers"):
        await written.change(f"DELETE FROM {table} WHERE writer = $1", writer)  # noqa: S608 - names are ours
    if number == 1:
        assert await found(written) == "", "without a kept one, nothing is left to show it"
    told = await found(written, kept)
    assert "checkpoint 2, which was kept, is not in the log" in told
    assert f"{writer}:1 pages up to" in told


async def test_a_checkpoint_of_other_keys_is_no_checkpoint(written: Place) -> None:
    forged = DerivedKey(written.keyring.primary.kid, 0, bytes(32)).sign(
        {"number": 1, "at": 0, "before": "", "heads": {}}
    )
    assert "not one that these keys signed" in await found(written, forged)
    proof = written.keyring.primary.sign({"sub": "user-42"})
    assert "not one that these keys signed" in await found(written, proof)


async def test_a_rotation_of_keys_breaks_no_chain_and_no_checkpoint(written: Place, tmp_path: Path) -> None:
    """O2, O4: chains hang on the index, which stays; checkpoints name the key that signed them."""
    rotate_file(tmp_path / "keys.json", written.clock())
    written.clock.forward(2 * MINUTE)
    written.keyring._looked_at = 0.0
    await busy(written, 2)
    assert await write_checkpoint(written.core, {})
    report = await verified(written)
    assert (report.findings, report.checkpoints) == ((), 3)


async def test_nothing_new_is_not_signed_again(written: Place) -> None:
    known: dict[str, int] = {}
    assert await write_checkpoint(written.core, known)
    assert await write_checkpoint(written.core, known) is None


async def test_programs_that_sign_at_once_leave_one_checkpoint_of_each_number(written: Place) -> None:
    signed = await asyncio.gather(*(write_checkpoint(written.core, {}) for _ in range(4)))
    assert any(signed)
    report = await verified(written)
    assert report.findings == ()
    assert report.checkpoints == 2 + sum(one is not None for one in signed)


async def test_an_empty_log_beside_applications_is_a_finding(each_place: Place) -> None:
    """O4: whoever removes every page, head and checkpoint leaves the applications that the log must tell of."""
    place = each_place
    log = Log(Chain(lambda: "wri_1", place.keyring.link))
    await add_application(
        place.database, log, place.keyring, ApplicationDraft("shop", ApplicationMode.TEST, "", "", ()), 1, os.urandom
    )
    assert await found(place) == ""
    for statement in ("DELETE FROM events", "DELETE FROM writers", "DELETE FROM checkpoints"):
        await place.database.run(query, statement)
    assert "the log is empty" in await found(place)
