"""The housekeeper: of all workers one has a lease on the upkeep, so that the others do not do the same work beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.store.engine.database import Take, Upsert, Write
from countersign.store.tables import metadata
from countersign.store.tables.schema import FACTS

if TYPE_CHECKING:
    from countersign.flows.context import CoreContext

LEASE: Final = 45_000
"""Milliseconds for which a lease holds unless it is renewed. After that another worker takes over from a dead one."""


class HousekeeperLease(msgspec.Struct, frozen=True):
    """Who keeps house, and until when (ms, by the database's clock)."""

    holder: str
    until: int


async def take_lease(core: CoreContext, holder: str) -> bool:
    """Take or renew the lease for `holder`. Returns False while another has it. Raises UnavailableError if the database is down."""
    return await core.database.run(_take, holder, core.now())


async def give_up_lease(core: CoreContext, holder: str) -> None:
    """Let another worker keep house at once. Raises UnavailableError if the database is down."""
    await core.database.run(_give_up, holder)


def is_missing(stored: bytes | None, now: int) -> bool:
    """Return True if no worker holds the lease that is `stored`, at `now` (ms): none runs, or none was ever started.

    A worker that was killed is found missing when its lease ends.
    """
    return stored is None or msgspec.json.decode(stored, type=HousekeeperLease).until <= now


async def _take(holder: str, now: int) -> bool:
    found = await _find()
    if found is not None and found.holder != holder and now < found.until <= now + LEASE:
        return False
    await _write(HousekeeperLease(holder, now + LEASE))
    return True


async def _give_up(holder: str) -> None:
    found = await _find()
    if found is not None and found.holder == holder:
        await _write(HousekeeperLease(holder, 0))


async def _find() -> HousekeeperLease | None:
    rows = await Take(FACTS, [(metadata.HOUSEKEEPER,)])
    return msgspec.json.decode(rows[0][1], type=HousekeeperLease) if rows else None


async def _write(lease: HousekeeperLease) -> None:
    await Write((Upsert(FACTS, [(metadata.HOUSEKEEPER, msgspec.json.encode(lease))]),), last=True)
