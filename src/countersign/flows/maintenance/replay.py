"""Replay: assess past sign-ins again by another risk policy, to show what the change would have done."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.risk import RiskDecision, RiskPolicy, assess, from_event_facts
from countersign.domain.shared.event import Event, EventKind
from countersign.store.tables import events

if TYPE_CHECKING:
    from countersign.store.engine.database import Database

SLICE: Final = 3_600_000
"""Milliseconds of the log that are read at once."""
MAX_EXAMPLES: Final = 20


class ChangedDecision(msgspec.Struct, frozen=True):
    """A sign-in with another decision: when (ms), which account, the decision then and now, and the findings."""

    at: int
    account: str
    before: str
    after: str
    findings: tuple[str, ...]


class ReplayReport(msgspec.Struct, frozen=True):
    """How many sign-ins were assessed, how many had each decision before and after, and examples of those that change."""

    sign_ins: int
    before: dict[str, int]
    after: dict[str, int]
    changed: int
    examples: tuple[ChangedDecision, ...]


async def replay(database: Database, policy: RiskPolicy, start: int, end: int) -> ReplayReport:
    """Assess the sign-ins of the log from `start` to before `end` (ms) by `policy`. Changes nothing."""
    before: Counter[str] = Counter({decision.value: 0 for decision in RiskDecision})
    after: Counter[str] = before.copy()
    examples: list[ChangedDecision] = []
    changed = 0
    for since in range(start, end, SLICE):
        found = await database.read(events.list_between, since, min(end, since + SLICE))
        for event in found:
            if event.kind is not EventKind.SIGN_IN_ASSESSED:
                continue
            one = _judged(event, policy)
            before[one.before] += 1
            after[one.after] += 1
            if one.before != one.after:
                changed += 1
                if len(examples) < MAX_EXAMPLES:
                    examples.append(one)
    return ReplayReport(before.total(), dict(before), dict(after), changed, tuple(examples))


def _judged(event: Event, policy: RiskPolicy) -> ChangedDecision:
    assessment = assess(from_event_facts(event.facts, event.at), policy)
    findings = tuple(finding.value for finding in assessment.findings)
    return ChangedDecision(event.at, event.owner, str(event.facts["decision"]), assessment.decision.value, findings)
