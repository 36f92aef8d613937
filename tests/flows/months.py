"""A log of several months, for tests of its order, its seals, its retention and its export."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from countersign.domain.shared import identifier
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.shared.month import LogRetention
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.maintenance.drop_months import confirm_export, drop_months
from countersign.flows.maintenance.export_events import EventExport, ExportedEvent, read_cursor
from countersign.flows.maintenance.order_events import order_events
from countersign.store.ledger.event_log import Chain, Log, append_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.flows.place import Place


def at(text: str) -> int:
    """Return a time such as `2026-01-15` in ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


def new_log(place: Place) -> Log:
    """Return a log with a chain of its own."""
    return Log(
        Chain(lambda: identifier.make("wri", place.clock(), os.urandom(identifier.RANDOM_BYTES)), place.keyring.link)
    )


async def tell(place: Place, log: Log, owner: str, when: int | None = None) -> None:
    """Append one event, a page of its own, at the time of the clock or at another one."""
    moment = place.clock() if when is None else when
    await log.run(
        place.database, append_event, Event(moment, EventKind.ACCOUNT_UPDATED, "app_own", owner, {"fields": "name"})
    )


async def order(place: Place) -> int:
    """Do the housekeeper's part: order and seal."""
    return (await order_events(place.database, place.delivery.records, place.keyring, place.clock())).pages


async def write_months(place: Place, *months: str, each: int = 3) -> list[str]:
    """Let each month have pages of a chain that lives on and of one of its own, as housekeeping goes on; return the owners told of."""
    lasting, told = new_log(place), []
    for month in months:
        brief = new_log(place)
        for day in range(1, each + 1):
            place.clock.now = at(f"{month}-{day:02d}")
            for log in (lasting, brief):
                owner = f"acc_{month}_{day}_{log is brief}"
                await tell(place, log, owner)
                told.append(owner)
            await order(place)
    return told


async def drop(place: Place, months: int = 1, *, unexported: bool = True) -> int:
    """Do the housekeeper's part of the retention; return how many pages went."""
    retention = LogRetention(months, unexported)
    return await drop_months(place.database, place.delivery.records, place.keyring, retention, place.clock())


async def export(place: Place, after: str = "", *, writes: bool = True) -> list[ExportedEvent]:
    """Return what an export has after a cursor."""
    return await read_on(await opened(place, after, writes=writes))


async def opened(place: Place, after: str = "", *, writes: bool = True) -> EventExport:
    """Return an export that has begun after a cursor."""
    made = EventExport(place.database, new_log(place) if writes else None, place.keyring, place.clock)
    await made.start(read_cursor(after) if after else None)
    return made


async def read_on(made: EventExport) -> list[ExportedEvent]:
    """Return what an export has by now."""
    return [one async for page in made.read_on() for one in page]


def owners(exported: Sequence[ExportedEvent]) -> list[str]:
    """Return what the events of `tell` are about."""
    return [one.event.owner for one in exported if one.event.kind == EventKind.ACCOUNT_UPDATED]


async def confirm(place: Place, cursor: str) -> bool:
    """Confirm an export up to a cursor."""
    segment = read_cursor(cursor).segment - 1
    return await confirm_export(place.database, place.delivery.records, place.keyring, segment, "ada", place.clock())


async def faults(place: Place, kept: str | None = None) -> str:
    """Return what a verification finds, in one text."""
    report = await verify_events(place.database, place.keyring, kept)
    return "; ".join(f"{finding.writer}:{finding.seq} {finding.what}" for finding in report.findings)
