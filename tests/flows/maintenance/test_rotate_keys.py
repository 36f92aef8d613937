"""Key rotation as a flow: the new key waits for its time, and the log keeps that it was added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.shared.event import EventKind
from countersign.flows.maintenance.rotate_keys import rotate_keys
from countersign.store.tables import events

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.place import Place


async def test_a_rotation_is_recorded_with_its_key_and_time(each_place: Place, tmp_path: Path) -> None:
    """O2."""
    before = each_place.keyring.primary.kid
    now, log = each_place.clock(), each_place.delivery.records
    kid, active_from = await rotate_keys(each_place.database, log, tmp_path / "keys.json", now, 60_000)
    assert (kid != before, active_from) == (True, now + 60_000)
    (event,) = await each_place.database.read(events.list_between, 0, 1 << 62)
    assert (event.kind, event.owner, event.facts) == (EventKind.KEYS_ROTATED, kid, {"active_from": active_from})
