"""Calendar months in UTC, by which the event log is sealed and kept: each is named as in `2026-11`."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec


class LogRetention(msgspec.Struct, frozen=True):
    """How long the event log is kept.

    `months` full months are kept beside the present one; with 0 all of them are. `unexported` says whether a month may be dropped of
    which no export was confirmed.
    """

    months: int = 0
    unexported: bool = False


def month_of(at: int) -> str:
    """Return the month of a time (ms)."""
    return datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m")


def month_end(month: str) -> int:
    """Return when a month is over (ms), which is when the next one begins. Raises ValueError if it is not spelled as `2026-11`."""
    return int(datetime.strptime(next_month(month), "%Y-%m").replace(tzinfo=UTC).timestamp()) * 1_000


def next_month(month: str) -> str:
    """Return the month after this one."""
    year, number = divmod(month_number(month) + 1, 12)
    return f"{year:04d}-{number + 1:02d}"


def month_number(month: str) -> int:
    """Return how many months have begun since the year 0, so that months can be counted."""
    moment = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return moment.year * 12 + moment.month - 1
