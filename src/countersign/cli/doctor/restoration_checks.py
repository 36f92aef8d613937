"""The checks of `countersign doctor` for backups: whether the database was restored, and whether that would be noticed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.cli.output import moment
from countersign.store.tables import lineage, metadata

if TYPE_CHECKING:
    from pathlib import Path

    from countersign.config import Settings
    from countersign.store.engine.database import Database

DAY: Final = 86_400_000
TELL_FOR: Final = 14 * DAY
"""Milliseconds for which a restoration is told."""
OLD_BACKUP: Final = 7 * DAY
"""Milliseconds after which a backup by our own command is old, where such backups are made."""


async def check_restoration(settings: Settings, database: Database) -> list[CheckResult]:
    """Return what there is to say of backups and of a restoration."""
    now = database.now()
    return [*await _restored(database, now), *await _backed_up(database, now), *_mark(settings.mark_file)]


async def _restored(database: Database, now: int) -> list[CheckResult]:
    found = await database.read(lineage.find)
    if await database.read(metadata.find, lineage.BACKUP) is not None:
        return [
            CheckResult(
                "restored",
                CheckState.ADVICE,
                "It was restored from a backup, and nobody has served it since.",
                "The next start ends what could have been used or revoked since the backup.",
            )
        ]
    if found is None or now > found.restored_at + TELL_FOR:
        return []
    left = " The first start of a server or worker will finish that." if found.unfinished else ""
    return [
        CheckResult(
            "restored",
            CheckState.ADVICE,
            f"It was restored at {moment(found.restored_at)}, with the state of {moment(found.backup_at)}, as the {found.noticed_by} told."
            f" What could have been used or revoked in between has ended.{left}",
            "Remove again the applications, and erase again the accounts, that were removed or erased in between.",
        )
    ]


async def _backed_up(database: Database, now: int) -> list[CheckResult]:
    last = await database.read(metadata.find, lineage.LAST_BACKUP)
    if last is None:
        return []
    if now - int(last) > OLD_BACKUP:
        return [
            CheckResult(
                "backup",
                CheckState.ADVICE,
                f"The last one by `countersign backup` is of {moment(int(last))}.",
                "Look at what should make them, and prove one: countersign drill FILE",
            )
        ]
    return [CheckResult("backup", CheckState.FINE, f"the last one is of {moment(int(last))}")]


def _mark(path: Path) -> list[CheckResult]:
    """Say so if this machine can remember nothing of the database."""
    place = path if path.exists() else path.parent
    if os.access(place, os.W_OK):
        return []
    return [
        CheckResult(
            "mark",
            CheckState.ADVICE,
            f"{path} cannot be written, so this machine would not notice a database that was set back by other means than"
            " `countersign restore`.",
            "Name a file that can be written (COUNTERSIGN_MARK_FILE), or run `countersign restore --by-other-means` after such a"
            " restoration.",
        )
    ]
