"""The check of `countersign doctor` for the event log: whether a month of it waits long for the confirmation of its export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.domain.shared.month import LogRetention
from countersign.flows.maintenance.drop_months import list_months, months_due

if TYPE_CHECKING:
    from countersign.keys import Keyring
    from countersign.store.engine.database import Database


async def check_months(retention: LogRetention, database: Database, keyring: Keyring, now: int) -> list[CheckResult]:
    """Say which months are kept because nobody confirmed an export of them, and are older than the retention by more than a month.

    `now` is in ms.
    """
    if not retention.months or retention.unexported:
        return []
    late = LogRetention(retention.months + 1)
    found = months_due(await list_months(database, keyring), late, now)
    waiting = [one.month for one in found if not one.exported]
    if not waiting:
        return []
    return [
        CheckResult(
            "event log",
            CheckState.ADVICE,
            f"{len(waiting)} months are older than `events.keep_months` by more than a month, and no export of them was confirmed. The"
            f" oldest is {waiting[0]}.",
            "Look whether the export still runs, and confirm what your archive holds: countersign events confirm CURSOR",
        )
    ]
