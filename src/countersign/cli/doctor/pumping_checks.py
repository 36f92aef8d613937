"""The check of `countersign doctor` for SMS pumping: what is usual must be known before anything is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.domain.delivery.sms_pumping import PumpingMode
from countersign.domain.shared.contact import Channel
from countersign.store.tables import provider_health

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.store.engine.database import Database

ENOUGH: Final = 100
"""Codes that came back by phone, from which it is known what is usual."""

_BY_PHONE: Final = frozenset({Channel.SMS, Channel.VOICE, Channel.WHATSAPP})


async def check_pumping_mode(settings: Settings, database: Database) -> list[CheckResult]:
    """Return what is to be said of `fraud.mode`, where messages go by phone."""
    if settings.development or not any(settings.routes.get(channel) for channel in _BY_PHONE):
        return []
    mode = settings.fraud.policy.mode
    known = await database.read(provider_health.find_stats)
    returned = sum(stats.converted for key, stats in known.items() if key.channel in _BY_PHONE)
    if mode is PumpingMode.ON and returned < ENOUGH:
        return [
            CheckResult(
                "fraud.mode",
                CheckState.ADVICE,
                f"It is on, and only {returned} codes have come back by phone. Before it is known what is usual, the budgets and"
                f" allowances of [fraud] decide, such as fraud.launch_messages = {settings.fraud.launch_messages}.",
                "Set COUNTERSIGN_FRAUD_MODE=shadow for the first week, and look at: countersign fraud list",
            )
        ]
    if mode is PumpingMode.OFF:
        return [
            CheckResult(
                "fraud.mode",
                CheckState.ADVICE,
                "It is off: whoever earns by the numbers that are called may have messages sent without end.",
                "Set COUNTERSIGN_FRAUD_MODE=shadow, and after a week on.",
            )
        ]
    return [CheckResult("fraud.mode", CheckState.FINE, f"{mode.value}; {returned} codes came back by phone")]
