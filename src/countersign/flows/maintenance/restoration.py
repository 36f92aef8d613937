"""Notice that the database was restored from a backup, and end what could have been used or revoked since the backup was made.

A restored database holds codes as pending that were used, sessions that were revoked, and recovery codes that were spent. Which they are,
nobody can know. So all of them end before anything is served. What changed in accounts lately is taken back in a second step
(`changes.take_back`).
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from countersign.domain.shared.event import Event, EventKind
from countersign.store.engine.database import Append, ConflictError
from countersign.store.tables import lineage, metadata, restoration
from countersign.store.tables.lineage import Lineage
from countersign.totp import STEP, WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.database_mark import DatabaseMark, Mark
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log
    from countersign.store.tables.restoration import RowEnding

BY_COMMAND: Final = "command"
BY_BACKUP: Final = "backup"
BY_MARK: Final = "mark"

_NAME_BYTES: Final = 8
_log = structlog.get_logger("countersign.database")


class BackupNote(msgspec.Struct, frozen=True):
    """What is read of a backup's own description: when it was made (ms)."""

    made_at: int = 0


async def notice_restoration(database: Database, mark: DatabaseMark, log: Log, now: int) -> Lineage:
    """Look whether the database was restored, end what must end, and begin to mark its pages. Return its lineage.

    Await it before anything is served. Several processes may do so at once. It may be cut off at any moment: whoever starts next goes on.
    Raises UnavailableError if the database is down.
    """
    seen = mark.read()
    current = await database.read(_find_unless_restored, seen)
    while current is None:
        with contextlib.suppress(ConflictError):  # another process was faster, and what it has written is judged
            current = await database.run(_judge, seen, now)
    if current.unfinished and not current.told:  # once told, all has ended, and what is there was made since
        await _end_all(database, log, now)
    mark.bind(current.database, current.generation)
    return current


async def declare_restored(database: Database, now: int) -> None:
    """Say of a database that it was restored by other means than ours, such as point-in-time recovery. The next start acts on it."""
    await database.run(_declare, now)


async def _find_unless_restored(mark: Mark | None) -> Lineage | None:
    """Return the lineage if there is nothing to write, as at nearly every start; a database that only reads is opened as before."""
    current = await lineage.find()
    is_noted = await metadata.find(lineage.BACKUP) is not None
    if current is None or is_noted or (mark is not None and await _is_set_back(current, mark)):
        return None
    return current


async def _judge(mark: Mark | None, now: int) -> Lineage:
    """Return the lineage as it is from now on: a new one, that of before, or one generation later."""
    before = await lineage.lock()
    note = await metadata.find(lineage.BACKUP)
    if note is not None:
        return await _begin_generation(before, mark, BY_BACKUP, now, _made_at(note))
    if mark is not None and await _is_set_back(before, mark):
        return await _begin_generation(before, mark, BY_MARK, now)
    if before is not None:
        return before
    made = Lineage(_new_name(), _new_name())
    await lineage.add(made)
    return made


async def _is_set_back(current: Lineage | None, mark: Mark) -> bool:
    """Say whether the database lacks a page that was durable, and nobody has noticed that yet."""
    if current is None:
        # No program that knows of lineages has served it, though one has on this machine. Unless it is new, it is a copy from before.
        return await lineage.has_pages()
    if current.database != mark.database or mark.generation in current.earlier:
        return False
    return await lineage.lacks_page(mark.writer, mark.seq, bytes.fromhex(mark.hash))


async def _declare(now: int) -> None:
    await _begin_generation(await lineage.lock(), None, BY_COMMAND, now)


async def _begin_generation(
    before: Lineage | None, mark: Mark | None, noticed_by: str, now: int, made_at: int = 0
) -> Lineage:
    earlier = () if before is None else (*before.earlier, before.generation)
    database = _new_name() if before is None else before.database
    if mark is not None and mark.database == database and mark.generation not in earlier:
        earlier = (*earlier, mark.generation)  # a generation that began after the backup: other machines were in it too
    backup_at = made_at or await lineage.find_last_sign(now)
    if before is not None and before.unfinished:
        backup_at = min(
            backup_at, before.backup_at
        )  # what the restoration before had to take back is still to be taken back
    made = Lineage(
        database=database,
        generation=_new_name(),
        earlier=earlier,
        restored_at=now,
        noticed_by=noticed_by,
        backup_at=backup_at,
        unfinished=True,
    )
    await (lineage.add if before is None else lineage.save)(made)
    await metadata.save(lineage.RESTORED_AT, str(now).encode())
    await lineage.remove_backup_note()
    return made


async def _end_all(database: Database, log: Log, now: int) -> None:
    """End everything in short transactions, and say so in both logs."""
    ended: dict[str, str | int] = {}
    for name, ending in restoration.ENDINGS.items():
        ended[name] = await _end_rows(database, ending, now)
    told = await log.run(database, _tell, ended, now)
    if told is not None:
        _log.warning("database_restored", noticed_by=told.noticed_by, backup_at=told.backup_at, **ended)


async def _end_rows(database: Database, ending: RowEnding, now: int) -> int:
    """End what must end in one table; return how many rows it were."""
    count, after = 0, None
    while (done := await database.run(restoration.end_slice, ending, after, now, now // STEP + WINDOW)) is not None:
        count, after = count + done[0], done[1]
        if after is None:
            break
    return count


async def _tell(ended: Mapping[str, str | int], now: int) -> Lineage | None:
    """Have the event log say that the database was restored, once; return the lineage, or None if it was said before."""
    current = await lineage.lock()
    if current is None or current.told:
        return None
    facts = {"noticed_by": current.noticed_by, "backup_at": current.backup_at, **ended}
    await Append([Event(now, EventKind.DATABASE_RESTORED, "", current.generation, facts)])
    await lineage.save(msgspec.structs.replace(current, told=True))
    return current


def _made_at(note: bytes | None) -> int:
    return 0 if note is None else msgspec.json.decode(note, type=BackupNote).made_at


def _new_name() -> str:
    return secrets.token_hex(_NAME_BYTES)
