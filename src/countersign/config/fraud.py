"""The settings of the breaker of pumping: amounts of money as people write them become micros."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from countersign.domain.delivery.sms_pumping import ALLOWANCES, MONEY, PumpingMode, PumpingPolicy
from countersign.domain.delivery.sms_traffic import TrafficScope

MICROS: Final = 1_000_000
"""Parts of a currency unit that money is counted in."""

_AMOUNT: Final = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6}))?")
_WHERE: Final = re.compile(r"\+[1-9][0-9]{0,14}|[A-Z]{2}|001")
_BUDGETED: Final = (TrafficScope.PREFIX, TrafficScope.COUNTRY, TrafficScope.APPLICATION)


def read_amount(text: str) -> int | None:
    """Return the micros of an amount such as 0.05, or None if it is none."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    whole, parts = match.groups()
    return int(whole) * MICROS + int((parts or "0").ljust(6, "0"))


def read_prices(texts: Sequence[str]) -> dict[str, int] | None:
    """Return prices in micros by country or by how a number begins, or None if one of the texts is no such price."""
    found: dict[str, int] = {}
    for text in texts:
        where, _, amount = (part.strip() for part in text.partition("="))
        price = read_amount(amount)
        if not _WHERE.fullmatch(where) or price is None or where in found:
            return None
        found[where] = price
    return found


def read_pumping(value: Callable[[str, Any], Any], fault: Callable[[str], None]) -> PumpingPolicy:
    """Return the policy; `value` gives a setting by its name, or the default it is handed, and `fault` is told of a senseless one."""
    price = read_amount(value("fraud.price", "0.05"))
    if price is None:
        fault("fraud.price")
    prices = read_prices(value("fraud.prices", ()))
    if prices is None:
        fault("fraud.prices")
    return PumpingPolicy(
        mode=PumpingMode(value("fraud.mode", "on")),
        price=price or 0,
        prices=prices or {},
        money={scope: value(f"fraud.{scope.value}_money", MONEY[scope] // MICROS) * MICROS for scope in _BUDGETED},
        messages={scope: value(f"fraud.{scope.value}_messages", 0) for scope in _BUDGETED},
        allowances={**ALLOWANCES, TrafficScope.PREFIX: value("fraud.new_prefix", ALLOWANCES[TrafficScope.PREFIX])},
    )
