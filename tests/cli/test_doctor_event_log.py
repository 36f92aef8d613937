"""What the doctor says of months of the event log that wait for the confirmation of their export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clock import FixedClock
from tests.flows.months import at, confirm, export, order, write_months
from tests.flows.place import place_at

from countersign.cli.doctor.check_result import CheckState
from countersign.cli.doctor.event_log_checks import check_months
from countersign.domain.shared.month import LogRetention

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_month_that_waits_a_month_too_long_is_found(sqlite_url: str, tmp_path: Path) -> None:
    """O4: until its export is confirmed; and not where it is kept for good, or goes without."""
    async with place_at(sqlite_url, tmp_path, clock=FixedClock()) as place:

        async def found(day: str, months: int = 1, *, unexported: bool = False) -> list[str]:
            retention = LogRetention(months, unexported)
            results = await check_months(retention, place.database, place.keyring, at(day))
            assert all(one.state is CheckState.ADVICE for one in results)
            return [one.what for one in results]

        await write_months(place, "2026-01", "2026-02")
        place.clock.now = at("2026-03-01")
        await order(place)
        assert await found("2026-03-31") == [], "it is due since this month"
        (what,) = await found("2026-04-01")
        assert what.startswith("1 months")
        assert "2026-01" in what
        assert (await found("2026-05-01"))[0].startswith("2 months")
        assert await found("2026-05-01", 0) == []
        assert await found("2026-05-01", unexported=True) == []
        await confirm(place, (await export(place))[-1].cursor)
        assert await found("2026-05-01") == []
