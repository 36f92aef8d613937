"""Seal records: what is signed is what is read, and nothing else that we sign passes for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.flows.maintenance.audit import write_checkpoint
from countersign.flows.maintenance.seal_record import (
    SealRecord,
    hash_bytes,
    hash_text,
    read_record,
    record_digest,
    sign_record,
)

if TYPE_CHECKING:
    from tests.flows.place import Place

RECORD = SealRecord(1, "seal", "2026-01", 5, "", 7, hash_text(bytes(32)), heads={"w": (3, "hash")}, pages=3, events=9)


async def test_a_record_is_read_as_it_was_signed(place: Place) -> None:
    row = sign_record(place.keyring, RECORD)
    assert (row.number, row.kind, row.month, row.segment, row.at) == (1, "seal", "2026-01", 7, 5)
    assert read_record(place.keyring.verified_checkpoint(row.signed)[0]) == RECORD
    assert record_digest(row.signed) != record_digest(sign_record(place.keyring, RECORD).signed + "x")


async def test_a_checkpoint_is_no_seal_and_a_seal_is_no_checkpoint(place: Place) -> None:
    """O4: both are signed with the same key."""
    await place.begun()
    signed = await write_checkpoint(place.core, {})
    assert signed is not None
    assert read_record(place.keyring.verified_checkpoint(signed)[0]) is None
    claims, _ = place.keyring.verified_checkpoint(sign_record(place.keyring, RECORD).signed)
    assert claims is not None
    assert "heads" not in claims
    assert read_record(None) is None


def test_hashes_are_written_as_text_and_back() -> None:
    for raw in (b"", b"1", bytes(range(32))):
        assert hash_bytes(hash_text(raw)) == raw
