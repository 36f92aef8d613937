"""The result of one check of `countersign doctor`."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class CheckState(StrEnum):
    """The result of a check."""

    FINE = "fine"
    ADVICE = "advice"
    UNSAFE = "unsafe"


class CheckResult(msgspec.Struct, frozen=True):
    """What was checked, its state, what was seen, and the remedy (empty if none is needed)."""

    name: str
    state: CheckState
    what: str
    remedy: str = ""
