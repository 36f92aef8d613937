"""Somebody with the database's password hides what they did, with the program's own code but without its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clock import NOON, FixedClock
from tests.flows.place import Place

from countersign.domain.shared.event import Event, EventKind
from countersign.flows.maintenance.audit import verify_events, write_checkpoint
from countersign.keys import Keyring, new_file
from countersign.store.engine.database import Write
from countersign.store.ledger.event_log import Chain
from countersign.store.tables.events import list_heads

if TYPE_CHECKING:
    from pathlib import Path


async def rewrite(chain: Chain, told: Event) -> None:
    changes, _ = chain.append(chain.head, [told])
    await Write(changes)


async def test_a_chain_that_was_written_anew_with_other_keys_is_found(each_place: Place, tmp_path: Path) -> None:
    """O4: the whole history of a writer, forged with our own code and a key of the attacker's."""
    place = each_place
    challenge = await place.begun()
    await place.answer(challenge, place.code(challenge))
    assert await write_checkpoint(place.core, {})
    new_file(tmp_path / "thief.json", 0)
    thief = Keyring(tmp_path / "thief.json", FixedClock())
    writer = (await place.database.read(list_heads))[0][0].writer
    for table in ("events", "writers"):
        await place.change(f"DELETE FROM {table} WHERE writer = $1", writer)  # noqa: S608 - names are ours
    innocent = Event(NOON, EventKind.CHALLENGE_CANCELED, "app_shop", challenge.id, {"guesses": 0})
    await place.database.run(rewrite, Chain(lambda: writer, thief.link), innocent)
    findings = (await verify_events(place.database, place.keyring)).findings
    assert {finding.writer for finding in findings} == {writer}
    assert any("not what was written" in finding.what for finding in findings)


async def test_an_approval_that_was_written_into_a_row_stands_in_no_log(each_place: Place) -> None:
    """O4: a row can be changed, but not with the event that belongs to it."""
    place = each_place
    challenge = await place.begun()
    await place.change("UPDATE challenges SET state = 'approved', ended_at = $2 WHERE id = $1", challenge.id, NOON)
    assert (await place.kinds(challenge))[EventKind.CHALLENGE_APPROVED] == 0
    forged = Event(NOON, EventKind.CHALLENGE_APPROVED, "app_shop", challenge.id, {"guesses": 1})
    await place.database.run(rewrite, Chain(lambda: "w0", lambda entry: entry[:32].ljust(32, b"\0")), forged)
    report = await verify_events(place.database, place.keyring)
    assert {finding.writer for finding in report.findings} == {"w0"}
