"""Prove a backup: verify the event log of what was restored from it, and open every sealed value with the keys as they are now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, cast

import msgspec

from countersign.errors import CountersignError, SettingsError
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.maintenance.audit_report import AuditFinding
from countersign.flows.maintenance.renewal import RowRenewal
from countersign.store.tables import protected_columns
from countersign.store.tables.protected_columns import PROTECTED_TABLES

if TYPE_CHECKING:
    from countersign.keys import Keyring
    from countersign.store.backup.manifest import BackupManifest
    from countersign.store.backup.postgres_backup import RestoredTransaction
    from countersign.store.engine.database import Database, Row

BATCH: Final = 1_000
"""Rows that are read at once."""


class DrillReport(msgspec.Struct, frozen=True):
    """What a restored backup was found to be.

    `entries` are events in the log and `findings` what is wrong with it; `opened` counts sealed values that were opened, and
    `unreadable` rows with one that was not, by table.
    """

    entries: int
    findings: tuple[AuditFinding, ...]
    opened: int
    unreadable: dict[str, int]

    @property
    def is_sound(self) -> bool:
        """Say whether the backup can be relied on."""
        return not self.findings and not self.unreadable


async def prove(restored: Database | RestoredTransaction, keyring: Keyring) -> DrillReport:
    """Look through what was restored, and return what was found."""
    reader = cast("Database", restored)
    report = await verify_events(reader, keyring)
    renewal, opened, unreadable = RowRenewal(keyring), 0, Counter[str]()
    for table in PROTECTED_TABLES.values():
        after: Row | None = None
        while rows := await reader.read(protected_columns.list_page, table, after, BATCH):
            for row in rows:
                try:
                    opened += renewal.open_row(table, row)
                except (CountersignError, msgspec.MsgspecError, ValueError):
                    unreadable[table.name] += 1
            after = tuple(rows[-1][: len(table.key)])
    return DrillReport(report.entries, report.findings, opened, dict(unreadable))


def check_belongs(manifest: BackupManifest, keyring: Keyring, *, development: bool) -> None:
    """Raise SettingsError unless a backup is of this environment, and was made with these keys."""
    environment = "development" if development else "production"
    if manifest.environment and manifest.environment != environment:
        raise SettingsError(f"The backup is one of {manifest.environment}, and these settings say {environment}.")
    if manifest.fingerprint and not keyring.belongs_to(bytes.fromhex(manifest.fingerprint)):
        needs = f" It needs the keys {', '.join(manifest.keys)}." if manifest.keys else ""
        raise SettingsError(
            f"The backup was made with another key file: nothing in it could be read.{needs} Name the right one with"
            " COUNTERSIGN_SECRET_FILE."
        )
    missing = sorted(set(manifest.keys) - {kid for kid, _ in keyring.kids()})
    if missing:
        raise SettingsError(
            f"The key file lacks {', '.join(missing)}, with which rows of the backup are sealed: bring back the newest copy of it."
        )
