"""Measures what the event log takes on the disk: a verification, a segment and a checkpoint, by how many chains are written to.

`python tools/event_log_size.py` uses a file of SQLite; with the address of an empty database of PostgreSQL, that.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from countersign.domain.shared.event import Event, EventKind
from countersign.flows.maintenance.audit import sign_checkpoint
from countersign.flows.maintenance.order_events import order_events
from countersign.keys import KeyFile, Keyring, new_file
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Rows, Sql
from countersign.store.engine.migrate import migrate
from countersign.store.ledger.event_log import Chain, Log, append_event

if TYPE_CHECKING:
    from countersign.store.engine.database import Database

CHAINS: Final = (1, 8, 32)
"""How many chains are written to between two segments. A process of `serve` has about seven."""
ROUNDS: Final = 120
NOW: Final = 1_767_348_000_000
TEN_SECONDS_A_YEAR: Final = 365 * 8_640
MINUTES_A_YEAR: Final = 365 * 1_440
TABLES: Final = ("events", "event_segments", "checkpoints")
IN_SQLITE: Final = {
    "events": "SELECT coalesce(sum(length(writer) * 2 + length(page) + length(hash) + 40), 0) FROM events",
    "event_segments": "SELECT coalesce(sum(length(month) + length(ranges) + length(hash) + 20), 0) FROM event_segments",
    "checkpoints": "SELECT coalesce(sum(length(signed) + 16), 0) FROM checkpoints",
}
"""What rows hold, with some bytes for their numbers and for the key in the index. PostgreSQL is asked for whole pages."""
_PROBE: Final = "01K3Z9QW5N8V7T2XH4RJ6M0BCD"


async def ask(sql: str) -> Rows:
    """Run one statement."""
    return await Sql(sql)


async def sizes(database: Database, url: str) -> dict[str, int]:
    """Return the bytes of each table with its indexes."""
    if not url.startswith("sqlite"):
        return {
            name: int((await database.read(ask, f"SELECT pg_total_relation_size('{name}')"))[0][0]) for name in TABLES
        }
    return {name: int((await database.read(ask, IN_SQLITE[name]))[0][0]) for name in TABLES}


async def measure(
    database: Database, url: str, keyring: Keyring, chains: int, begin: int
) -> tuple[float, float, float]:
    """Return the bytes of a page, of a segment and of a checkpoint when so many chains are written to between two of them."""
    numbers = itertools.count()
    logs = [Log(Chain(lambda: f"wri_{_PROBE}{chains:02d}{next(numbers):04d}", keyring.link)) for _ in range(chains)]
    before, known = await sizes(database, url), dict[str, int]()
    for number in range(ROUNDS):
        at = begin + number * 10_000
        for log in logs:
            event = Event(
                at, EventKind.DELIVERY_ACCEPTED, "app_" + _PROBE, "ver_" + _PROBE, {"provider": "first", "id": "m1"}
            )
            await log.run(database, append_event, event)
        await order_events(database, logs[0], keyring, at)
        await sign_checkpoint(database, keyring, at, known)
    after = await sizes(database, url)
    page, segment, checkpoint = ((after[name] - before[name]) / ROUNDS for name in TABLES)
    return page / chains, segment, checkpoint


async def main(url: str, folder: Path) -> None:
    """Print a line for each number of chains."""
    url = url or f"sqlite:///{folder / 'log.db'}"
    await asyncio.to_thread(migrate, url)
    new_file(folder / "secret.keys", NOW)
    keyring = Keyring(KeyFile(folder / "secret.keys"), lambda: NOW)
    database = open_database(url, ledger_connections=1, pool=1)
    await database.open()
    print("chains  bytes a page  a segment  GB a year  a checkpoint  GB a year")
    for n, chains in enumerate(CHAINS):
        page, segment, checkpoint = await measure(database, url, keyring, chains, NOW + n * ROUNDS * 10_000)
        print(
            f"{chains:6} {page:13.0f} {segment:10.0f} {segment * TEN_SECONDS_A_YEAR / 1e9:10.2f}"
            f" {checkpoint:13.0f} {checkpoint * MINUTES_A_YEAR / 1e9:10.2f}"
        )
    await database.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "", Path(place)))
