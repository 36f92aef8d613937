"""The settings of the rules of risk, with the lists of networks that they name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from countersign.domain.accounts.risk import RiskPolicy

_LIST: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def read_risk(value: Callable[[str, Any], Any], fault: Callable[[str], None]) -> tuple[dict[str, Path], RiskPolicy]:
    """Return the files of lists by name, and the policy.

    `value` gives a setting by its name, or the default it is handed, and `fault` is told of a senseless one.
    """
    lists: dict[str, Path] = {}
    for text in value("risk.lists", ()):
        name, _, path = text.partition("=")
        if not _LIST.fullmatch(name.strip()) or not path.strip() or name.strip() in lists:
            fault("risk.lists")
            continue
        lists[name.strip()] = Path(path.strip())
    denied: tuple[str, ...] = value("risk.deny_lists", ())
    if any(name not in lists for name in denied):
        fault("risk.deny_lists")
    return lists, RiskPolicy(
        travel_kmh=value("risk.travel_kmh", 1_000),
        failures=value("risk.failures", 5),
        new_contact_hours=value("risk.new_contact_hours", 24),
        new_country=value("risk.new_country", True),
        deny_lists=denied,
    )
