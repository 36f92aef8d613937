"""The check of `countersign doctor` for connections: PostgreSQL has room for all that the processes may open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.store.engine.database import Sql

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.store.engine.database import Database

LISTENING: Final = 1
"""Connections of a process beside its lanes and its pool: one hears that messages are due."""

_LIMITS: Final = """
SELECT CAST(current_setting('max_connections') AS int),
       CAST(current_setting('superuser_reserved_connections') AS int)
         + COALESCE(CAST(current_setting('reserved_connections', true) AS int), 0),
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
       (SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND application_name <> 'countersign')
"""


class ServerLimits(msgspec.Struct, frozen=True):
    """How many connections PostgreSQL takes: from all, kept for superusers, from our role, to our database; and those of others now."""

    every: int
    reserved: int
    role: int
    database: int
    others: int

    @property
    def ours(self) -> int:
        """Return how many we can have at most. A limit of -1 is none."""
        limits = [one for one in (self.role, self.database) if one >= 0]
        return min([self.every - self.reserved - self.others, *limits])


async def check_connections(settings: Settings, database: Database) -> list[CheckResult]:
    """Compare what the processes of these settings may open with what PostgreSQL takes."""
    limits = await database.read(_find_limits)
    one = settings.database_lanes + settings.database_pool + LISTENING
    wanted = settings.workers * one
    shown = (
        f"{settings.workers} process{'es' * (settings.workers > 1)} may open {wanted} connections ({one} each), and PostgreSQL has"
        f" {limits.ours} for us (max_connections {limits.every})"
    )
    if wanted > limits.ours:
        return [
            CheckResult(
                "connections",
                CheckState.UNSAFE,
                f"{shown}: under load requests will get a 503.",
                "Raise max_connections, or the limit of the role or the database; or lower workers, database_pool or database_lanes.",
            )
        ]
    if wanted + one > limits.ours:
        return [
            CheckResult(
                "connections",
                CheckState.ADVICE,
                f"{shown}: a process that is replaced, and `countersign work`, need {one} more.",
                "Raise max_connections.",
            )
        ]
    return [CheckResult("connections", CheckState.FINE, f"{shown}; other machines and `countersign work` come on top")]


async def _find_limits() -> ServerLimits:
    rows = await Sql(_LIMITS)
    return ServerLimits(*rows[0])
